package rotate_test

import (
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// The walk has pages of 2 rows, so that each key type is compared, ordered
// and sent back to the server in every way there is.
func TestTablesAreWalkedByPrimaryKeysOfAllKinds(t *testing.T) {
	w := newWorld(t)
	for name, keys := range map[string][]string{
		"id integer PRIMARY KEY":                         {"5", "-3", "10", "9", "100"}, // 10 after 9, unlike as text
		"id text PRIMARY KEY":                            {`'a"b'`, `'a\b'`, `'{}'`, `'NULL'`, `''`, `'ü,x'`},
		`id text COLLATE "C" PRIMARY KEY`:                {`'a'`, `'B'`, `'b'`, `'A'`},
		"id char(4) PRIMARY KEY":                         {"'a'", "'ab'", "'b'", "''"},
		"id uuid PRIMARY KEY DEFAULT gen_random_uuid()":  {"DEFAULT", "DEFAULT", "DEFAULT", "DEFAULT", "DEFAULT"},
		"id bytea PRIMARY KEY":                           {`'\x00'`, `'\xff00'`, `'\x'`, `'\x41'`},
		"id numeric PRIMARY KEY":                         {"1.50", "-0.001", "1e30", "'NaN'"},
		"id double precision PRIMARY KEY":                {"0.1", "1e-300", "'Infinity'", "-2"},
		"id timestamptz PRIMARY KEY":                     {"'2024-01-01 00:00:00.000001+05'", "'infinity'", "'2024-10-27 02:30+02'", "'2024-10-27 02:30+01'"},
		"id interval PRIMARY KEY":                        {"'1 mon'", "'1 day 02:03:04'", "'-3 years'"},
		"id mood PRIMARY KEY":                            {"'happy'", `'it''s "ok"'`, "'sad'", `'over\joyed'`, "'a'"},
		"id positive PRIMARY KEY":                        {"3", "2", "1"},
		"id inet PRIMARY KEY":                            {"'10.0.0.1/8'", "'::1'", "'10.0.0.0/8'"},
		"id int, b text, c uuid, PRIMARY KEY (b, id, c)": {"1, 'b', gen_random_uuid()", "1, 'a', gen_random_uuid()", "2, 'a', gen_random_uuid()", "2, 'b', gen_random_uuid()", "1, 'b', gen_random_uuid()"},
		`"Odd ""name" int, "select" text, PRIMARY KEY ("select", "Odd ""name") INCLUDE (name)`: {"1, 'x'", "2, 'x'", "3, 'a'"},
	} {
		t.Run(name, func(t *testing.T) {
			d := openPostgres(t) // a new one, because drivers keep plans by a statement's text
			d.exec(t, `CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy', 'over\joyed', 'a')`)
			d.exec(t, "CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
			walkAll(t, w, d, fmt.Sprintf("CREATE TABLE people (%s, name bytea, memo bytea)", name), keys)
		})
	}
}

func TestSQLiteTablesAreWalkedByPrimaryKeysOfAllKinds(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		if d.dialect != rotate.SQLite {
			return
		}
		w := newWorld(t)
		for schema, keys := range map[string][]string{
			"CREATE TABLE people (id integer PRIMARY KEY, name blob, memo blob)":                                                                  {"5", "-3", "10", "9", "100"},
			"CREATE TABLE people (id text PRIMARY KEY, name blob, memo blob)":                                                                     {"'a'", "NULL", "NULL", "'b'"},
			"CREATE TABLE people (id text NOT NULL PRIMARY KEY, name blob, memo blob)":                                                            {"'a'", "'B'", `'"'`},
			"CREATE TABLE people (id datetime NOT NULL PRIMARY KEY, name blob, memo blob)":                                                        {"'2024-01-02 03:04:05'", "'2024-01-01T03:04:05Z'", "'2025-01-01'"},
			"CREATE TABLE people (id boolean NOT NULL PRIMARY KEY, name blob, memo blob)":                                                         {"1", "0", "2"},
			"CREATE TABLE people (id blob NOT NULL PRIMARY KEY, name blob, memo blob)":                                                            {"x'00'", "x'ff'", "'text'", "1.5"},
			"CREATE TABLE people (id int, b text, name blob, memo blob, PRIMARY KEY (b, id)) WITHOUT ROWID":                                       {"1, 'b'", "1, 'a'", "2, 'a'"},
			"CREATE TABLE people (id int, name blob, memo blob)":                                                                                  {"1", "1", "1"},
			"CREATE TABLE people (rowid text, id int, name blob, memo blob)":                                                                      {"'x', 1", "'x', 1", "'x', 1"},
			"CREATE TABLE people (id int NOT NULL, b int NOT NULL, name blob, memo blob, PRIMARY KEY (id, b))":                                    {"1, 2", "1, 1", "0, 9"},
			`CREATE TABLE people ("Odd ""name" int NOT NULL, "select" text NOT NULL, name blob, memo blob, PRIMARY KEY ("select", "Odd ""name"))`: {"1, 'x'", "2, 'x'", "3, 'a'"},
		} {
			t.Run(schema, func(t *testing.T) { walkAll(t, w, d, schema, keys) })
		}
	})
}

// walkAll makes the table with one row for each key, and checks that one run
// brings all rows to the current keys.
func walkAll(t *testing.T, w *world, d db, schema string, keys []string) {
	t.Helper()
	d.exec(t, schema)
	defer dropPeople(d.DB)
	people := make([]person, len(keys))
	for i := range people {
		people[i] = personNumber(i)
	}
	for i, s := range w.seal(t, people) {
		d.exec(t, fmt.Sprintf("INSERT INTO people VALUES (%s, $1, $2)", keys[i]), s[0], s[2])
	}
	w.rotateTenants(t)
	w.rotateRoot(t)
	cfg := w.config(d)
	cfg.PageSize = 2
	n := int64(len(keys))
	counted(t, w.run(t, cfg), counts{"rows": n, "values": 2 * n, "rewrapped": 2 * n})
	cfg.Workers = 2 // so that the key parts ranges
	counted(t, w.run(t, cfg), counts{"rows": n, "values": 2 * n, "current": 2 * n})
}

func TestATableInAnotherSchemaIsFound(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	d.exec(t, `CREATE SCHEMA "Staff"`)
	d.exec(t, `CREATE TABLE "Staff"."People" (id int PRIMARY KEY, name bytea)`)
	table := namedTable(t, "Staff.People")
	sealOne(t, w, d, table, `INSERT INTO "Staff"."People" VALUES (1, $1)`)
	w.rotateTenants(t)
	w.table = table
	counted(t, w.run(t, w.config(d)), counts{"rows": 1, "values": 1, "rewrapped": 1})
}
