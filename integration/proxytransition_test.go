package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// movingPolicy has columns of many types in transition; %s is what is written.
const movingPolicy = `
tenant: {default: acme}
tables:
  people:
    columns:
      email_sealed:  {id: email, type: text, search: [equality], scope: global, transition: {plain: email, write: %[1]s}}
      amount_sealed: {id: amount, type: "numeric(10,2)", search: [equality], transition: {plain: amount, write: %[1]s}}
      name_sealed:   {id: name, type: varchar(45), search: [equality], transition: {plain: name, write: %[1]s}}
      born_sealed:   {id: born, type: date, search: [equality], transition: {plain: born, write: %[1]s}}
      seen_sealed:   {id: seen, type: timestamptz, transition: {plain: seen, write: %[1]s}}
      tags_sealed:   {id: tags, type: "text[]", transition: {plain: tags, write: %[1]s}}
      doc_sealed:    {id: doc, type: jsonb, transition: {plain: doc, write: %[1]s}}
      raw_sealed:    {id: raw, type: bytea, search: [equality], transition: {plain: raw, write: %[1]s}}
      ok_sealed:     {id: ok, type: bool, transition: {plain: ok, write: %[1]s}}
      num_sealed:    {id: num, type: int4, search: [equality], transition: {plain: num, write: %[1]s}}
      ssn:           {type: text, search: [equality], scope: global}
  patients:
    tenant: {column: clinic}
    columns:
      ssn_sealed: {id: ssn, type: text, search: [equality], transition: {plain: ssn, write: %[1]s}}
`

// movingTables are the twin's tables; the sealed database has the hidden columns besides, the first of them in the middle.
const movingTables = `
CREATE TABLE people (id int PRIMARY KEY, email text, {email_sealed bytea,} note text, amount numeric(10,2), name varchar(45), born date,
	seen timestamptz, tags text[], doc jsonb, raw bytea, ok bool, num int4, ssn [text]);
CREATE TABLE patients (id int PRIMARY KEY, clinic text, ssn text, room int);
CREATE TABLE plain (id int PRIMARY KEY, body text, data bytea);
`

var movingColumns = []string{"amount", "name", "born", "seen", "tags", "doc", "raw", "ok", "num"}

// movingTable writes the tables for one of the databases.
func movingTable(sealed bool) string {
	cut := func(s, open, closing string, with func(string) string) string {
		before, rest, _ := strings.Cut(s, open)
		inside, after, _ := strings.Cut(rest, closing)
		return before + with(inside) + after
	}
	keep := func(s string) string { return s }
	if !sealed {
		ddl := cut(movingTables, "{", "}", func(string) string { return "" })
		return strings.Replace(ddl, "[text]", "text", 1) + "CREATE UNIQUE INDEX people_ssn ON people (ssn)"
	}
	ddl := strings.Replace(cut(movingTables, "{", "}", keep), "ssn [text]", "ssn bytea", 1)
	for _, c := range movingColumns {
		ddl += fmt.Sprintf("ALTER TABLE people ADD COLUMN %s_sealed bytea;", c)
	}
	return ddl + `ALTER TABLE patients ADD COLUMN ssn_sealed bytea; CREATE UNIQUE INDEX people_ssn ON people (substr(ssn, 9, 16))`
}

// movingSeeds are rows with all columns; then the second has its plain values only, and the third its sealed ones.
var movingSeeds = []string{
	`INSERT INTO people (id, email, note, amount, name, born, seen, tags, doc, raw, ok, num, ssn) VALUES
	(1, 'canary-1@x', 'both', 10.50, 'canaryAda', '1987-06-05', '2001-02-03 04:05:06.789+02', '{a,NULL,"b c"}', '{"a": [1, 2.50]}', '\xf5fb92', true, 42424201, 'canary-ssn-1'),
	(2, 'canary-2@x', 'plain', -0.01, 'canaryBob', '0044-03-15 BC', 'infinity', '{{1,2},{3,4}}', 'null', '\x00', false, 42424202, 'canary-ssn-2'),
	(3, 'canary-3@x', 'sealed', 'NaN', '', '1987-06-07', '1999-12-31 23:59:59Z', '{}', '"x"', '', NULL, -1, NULL),
	(4, NULL, 'nothing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(5, '', NULL, 0, 'canary-1@x', 'infinity', '2001-02-03 04:05:06Z', '{canary}', '{}', '\x0000f5', true, 0, 'x')`,
	`INSERT INTO patients (id, clinic, ssn, room) VALUES (20, 'north', 'canary-pat-1', 1), (21, 'north', 'canary-pat-2', 2), (22, 'south', 'canary-pat-1', 3)`,
	`INSERT INTO plain (id, body, data) VALUES (1, 'canary-1@x', '\x0061'), (2, 'two', NULL)`,
}

// newMovingRig makes a rig with tables in transition in which each kind of row is there.
func newMovingRig(t *testing.T, v version, write string) *rig {
	t.Helper()
	r := v.bareRig(t, fmt.Sprintf(movingPolicy, write))
	r.exec(t, r.Direct, movingTable(true))
	r.exec(t, r.Twin, movingTable(false))
	r.Through = r.start(t, r.Tap.Addr())
	for _, seed := range movingSeeds {
		r.exec(t, r.Through, seed)
		r.exec(t, r.Twin, seed)
	}
	var plain, only, both []string
	for _, c := range append([]string{"email"}, movingColumns...) {
		plain = append(plain, fmt.Sprintf("%[1]s = twin.%[1]s, %[1]s_sealed = NULL", c))
		both = append(both, fmt.Sprintf("%[1]s = twin.%[1]s", c))
		only = append(only, c+" = NULL")
	}
	r.exec(t, r.Direct, strings.ReplaceAll(`CREATE TEMPORARY TABLE twin AS SELECT * FROM people WITH NO DATA;`+
		strings.Replace(movingSeeds[0], "INTO people", "INTO twin", 1)+
		`;UPDATE people SET `+strings.Join(both, ", ")+` FROM twin WHERE people.id = twin.id AND people.id = 1;
		UPDATE people SET `+strings.Join(plain, ", ")+` FROM twin WHERE people.id = twin.id AND people.id IN (2, 5);
		UPDATE people SET `+strings.Join(only, ", ")+` WHERE id = 3;
		UPDATE patients SET ssn = 'canary-pat-2', ssn_sealed = NULL WHERE id = 21;
		UPDATE patients SET ssn = 'canary-pat-1', ssn_sealed = NULL WHERE id = 22`, "'canary-ssn-", "'"))
	return r
}

var movingShapes = []shape{
	{sql: "SELECT * FROM people"},
	{sql: "SELECT p.*, 1 AS one FROM people p WHERE id < 3"},
	{sql: "SELECT email, amount, name, born, seen, tags, doc, raw, ok, num FROM people"},
	{sql: "SELECT id, email AS mail FROM people p ORDER BY id", ordered: true},
	{sql: "SELECT p.email, (SELECT q.name FROM people q WHERE q.id = p.id) FROM people p"},
	{sql: "SELECT s.email, s.note FROM (SELECT * FROM people) s WHERE s.email IS NOT NULL"},
	{sql: "WITH q AS (SELECT email, id FROM people) SELECT q.email, p.body FROM q JOIN plain p USING (id)"},
	{sql: "SELECT * FROM people p JOIN plain USING (id)"},
	{sql: "SELECT email FROM people UNION ALL SELECT ssn FROM people"},
	{sql: "SELECT COALESCE(email, $1) FROM people", args: args("canary-none")},
	{sql: "SELECT CASE WHEN id > 1 THEN email END, email::text FROM people"},
	{sql: "SELECT id, lag(email) OVER (ORDER BY id) FROM people ORDER BY id", ordered: true},
	{sql: "SELECT count(email), count(tags), count(*) FROM people"},
	{sql: "SELECT note, count(raw) FROM people GROUP BY note"},
	{sql: "SELECT id FROM people WHERE email IS NULL"},
	{sql: "SELECT id, ok IS NULL FROM people WHERE tags IS NOT NULL"},
	{sql: "SELECT id FROM people WHERE email = $1", args: args("canary-1@x")},
	{sql: "SELECT id FROM people WHERE $1 = email", args: args("canary-2@x")},
	{sql: "SELECT id FROM people WHERE email = $1", args: args("canary-3@x")},
	{sql: "SELECT id FROM people WHERE email = $1", args: args("")},
	{sql: "SELECT id FROM people WHERE email = $1", args: args(nil)},
	{sql: "SELECT id FROM people WHERE NOT email = $1", args: args("canary-2@x")},
	{sql: "SELECT id, email = 'canary-2@x', email <> 'canary-3@x' FROM people"},
	{sql: "SELECT id FROM people WHERE email <> $1", args: args("canary-1@x")},
	{sql: "SELECT id FROM people WHERE NOT (email <> $1 AND email <> $2)", args: args("canary-1@x", "canary-2@x")},
	{sql: "SELECT id FROM people WHERE email IN ($1, $2, 'canary-3@x')", args: args("canary-1@x", "canary-2@x")},
	{sql: "SELECT id FROM people WHERE email NOT IN ($1, $2)", args: args("canary-1@x", "canary-2@x")},
	{sql: "SELECT id FROM people WHERE email NOT IN ($1, $2)", args: args("canary-1@x", nil)},
	{sql: "SELECT id FROM people WHERE email = ANY ($1)", args: args("{canary-1@x,canary-2@x,NULL}")},
	{sql: "SELECT id FROM people WHERE email <> ALL ($1)", args: args("{canary-1@x,canary-2@x}")},
	{sql: "SELECT id FROM people WHERE email IS DISTINCT FROM $1", args: args("canary-2@x")},
	{sql: "SELECT id FROM people WHERE email IS NOT DISTINCT FROM $1", args: args(nil)},
	{sql: "SELECT id FROM people WHERE num = $1 OR num = -1", args: args("42424202")},
	{sql: "SELECT id FROM people WHERE amount = $1", args: args("-0.010")},
	{sql: "SELECT id FROM people WHERE amount IN (10.5, 'NaN')"},
	{sql: "SELECT id FROM people WHERE born = $1", args: args("1987-06-05")},
	{sql: "SELECT id FROM people WHERE name = $1", args: args("canaryBob")},
	{sql: "SELECT id FROM people WHERE raw = $1", args: args(`\x00`)},
	{sql: "SELECT id FROM people WHERE raw = '\\xf5fb92'"},
	{sql: "SELECT id FROM people WHERE num = 'x'"},
	{sql: "SELECT p.id, b.id FROM people p JOIN plain b ON p.email = $1 AND b.body = $1", args: args("canary-1@x")},
	{sql: "SELECT data FROM plain"},
	{sql: "SELECT email FROM people", setup: []string{"SET LOCAL bytea_output = escape"}},
	{sql: "SELECT raw, born, seen FROM people", setup: []string{"SET LOCAL bytea_output = escape", "SET LOCAL DateStyle = 'German'", "SET LOCAL TimeZone = 'Asia/Tokyo'"}},
	{sql: "FETCH ALL FROM c", setup: []string{"DECLARE c CURSOR FOR SELECT id, email, raw FROM people"}},
	{sql: "EXECUTE p(2)", setup: []string{"PREPARE p AS SELECT email, tags FROM people WHERE id = $1"}, simple: true},
	{sql: "EXECUTE p('canary-2@x')", setup: []string{"PREPARE p AS SELECT id, email FROM people WHERE email = $1"}, simple: true},
	{sql: "EXECUTE p(50, 'canary-50@x')", setup: []string{"PREPARE p(int, text) AS INSERT INTO people (id, email) VALUES ($1, $2)"}, simple: true},
	{sql: "SELECT clinic, ssn, room FROM patients"},
	{sql: "SELECT id FROM patients WHERE clinic = $1 AND ssn = $2", args: args("north", "canary-pat-2")},
	{sql: "SELECT id FROM patients WHERE clinic = $1 AND ssn IN ($2)", args: args("south", "canary-pat-1")},

	{sql: "INSERT INTO people (id, email) VALUES (50, $1)", args: args("canary-50@x")},
	{sql: "INSERT INTO people (id, email, tags, doc, raw, ok) VALUES (50, $1, '{canary,NULL}', '{\"canary\": 1}', '\\x00f5', false) RETURNING *", args: args("canary-50@x")},
	{sql: "INSERT INTO people (email, id, num, amount) VALUES ($1, 50, 42424250, 1.005), (NULL, 51, DEFAULT, 3), (DEFAULT, 52, NULL, NULL) RETURNING id, email, num", args: args("canary-50@x")},
	{sql: "INSERT INTO people VALUES (50, $1, 'note', 1.5)", args: args("canary-50@x")},
	{sql: "INSERT INTO people (id, note) VALUES (50, 'x') RETURNING email"},
	{sql: "INSERT INTO people (id, name) VALUES (50, $1)", args: args(strings.Repeat("canary", 10))},
	{sql: "INSERT INTO people (id, born) VALUES (50, $1)", args: args("canary")},
	{sql: "INSERT INTO people (id, email) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email RETURNING email", args: args("canary-50@x")},
	{sql: "INSERT INTO people (id, email) VALUES (2, $1), (60, $2) ON CONFLICT (id) DO UPDATE SET (note, email) = ('n', EXCLUDED.email)", args: args("canary-50@x", "canary-51@x")},
	{sql: "INSERT INTO people (id, email) VALUES (2, $1) ON CONFLICT (id) DO UPDATE SET email = $2 WHERE people.email = 'canary-2@x'", args: args("canary-50@x", "canary-51@x")},
	{sql: "INSERT INTO people (id, email) VALUES (2, $1) ON CONFLICT DO NOTHING", args: args("canary-50@x")},
	{sql: "INSERT INTO people (id, email) VALUES (1, $1)", args: args("canary-50@x")},
	{sql: "INSERT INTO patients (id, clinic, ssn) VALUES (50, $1, $2) RETURNING ssn", args: args("west", "canary-pat-9")},
	{sql: "INSERT INTO patients (id, clinic, ssn) VALUES (20, $1, $2) ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn", args: args("north", "canary-pat-9")},
	{sql: "UPDATE people SET email = $1", args: args("canary-50@x")},
	{sql: "UPDATE people SET email = $1 WHERE email = $2 RETURNING id, email", args: args("canary-50@x", "canary-2@x")},
	{sql: "UPDATE people SET email = NULL, amount = DEFAULT WHERE id < 4"},
	{sql: "UPDATE people p SET (note, email, num) = ($1, $2, 7) WHERE p.id = 3", args: args("n", "canary-50@x")},
	{sql: "UPDATE people SET email = email, note = 'x' WHERE id IN (1, 2, 3)"},
	{sql: "UPDATE people SET note = $1 WHERE email = $2", args: args("x", "canary-3@x")},
	{sql: "UPDATE people SET email = b.body FROM plain b WHERE b.id = people.id", refused: "0A000", hint: "transition"},
	{sql: "UPDATE patients SET ssn = $1 WHERE clinic = $2 AND id = 21", args: args("canary-pat-9", "north")},
	{sql: "DELETE FROM people WHERE email = $1 RETURNING *", args: args("canary-2@x")},
	{sql: "DELETE FROM people USING plain b WHERE people.email IS NULL AND b.id = 1 RETURNING people.id"},
	{sql: "MERGE INTO people t USING (VALUES (2), (60)) AS s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET email = $1 WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, $1)", args: args("canary-50@x")},
	{sql: "WITH u AS (UPDATE people SET email = $1 WHERE id = 2 RETURNING id, email) SELECT * FROM u", args: args("canary-50@x")},

	{sql: "SELECT email_sealed FROM people", refused: "0A000", hint: "transition"},
	{sql: "SELECT id FROM people WHERE people.email_sealed IS NULL", refused: "0A000", hint: "transition"},
	{sql: "SELECT email FROM people ORDER BY email", refused: "0A000", hint: "transition"},
	{sql: "SELECT DISTINCT email FROM people", refused: "0A000", hint: "transition"},
	{sql: "SELECT email, count(*) FROM people GROUP BY email", refused: "0A000", hint: "transition"},
	{sql: "SELECT 1 FROM people p JOIN people q ON p.email = q.email", refused: "0A000", hint: "transition"},
	{sql: "SELECT upper(email) FROM people", refused: "0A000", hint: "transition"},
	{sql: "SELECT id FROM people WHERE email LIKE $1", args: args("x%"), refused: "0A000", hint: "transition"},
	{sql: "SELECT id FROM people WHERE email = $1 AND ssn = $1", args: args("canary-1@x"), refused: "0A000", hint: "two parameters"},
	{sql: "SELECT id FROM people WHERE seen = $1", args: args("now"), refused: "0A000", hint: "equality"},
	{sql: "INSERT INTO people (id, email_sealed) VALUES (50, 'x')", refused: "0A000", hint: "transition"},
	{sql: "INSERT INTO people (id, email) SELECT 50, 'x'", refused: "0A000", hint: "transition"},
	{sql: "UPDATE people SET email = upper(email)", refused: "0A000", hint: "transition"},
	{sql: "INSERT INTO people (id, email) VALUES (50, 'x') ON CONFLICT (email) DO NOTHING", refused: "0A000", hint: "transition"},
	{sql: "ALTER TABLE people ALTER COLUMN email SET DEFAULT 'x'", refused: "0A000", hint: "transition"},
}

// TestAColumnInTransitionAnswersAsAPlainOne compares statements about columns in transition with a plain twin, in both ways to write.
func TestAColumnInTransitionAnswersAsAPlainOne(t *testing.T) {
	for _, v := range versions {
		for _, write := range []string{"both", "sealed"} {
			t.Run(v.name+"/"+write, func(t *testing.T) {
				m := &movingMatrix{rig: newMovingRig(t, v, write), write: write}
				for _, s := range movingShapes {
					for _, f := range s.forms() {
						t.Run(string(f)+"/"+s.sql, func(t *testing.T) { m.run(t, &s, f) })
					}
				}
			})
		}
	}
}

// movingMatrix runs shapes on a rig with columns in transition.
type movingMatrix struct {
	rig           *rig
	write         string
	through, twin *pgconn.PgConn
}

func (m *movingMatrix) run(t *testing.T, s *shape, f form) {
	m.through, m.twin = connectPG(t, m.rig.Through), connectPG(t, m.rig.Twin)
	for _, sql := range append([]string{"BEGIN"}, s.setup...) {
		for _, conn := range []*pgconn.PgConn{m.through, m.twin} {
			if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	m.rig.Tap.Take()
	got, want := execute(t, m.through, s, f), execute(t, m.twin, s, f)
	sent := m.rig.Tap.Take()
	compared := &matrix{rig: m.rig, t: t, through: m.through, twin: m.twin}
	switch {
	case got.broken != nil:
		t.Fatalf("the session is gone: %v", got.broken)
	case s.refused != "":
		compared.refused(t, s, got)
		assertNoCanary(t, "the leg to the server", sent)
		return
	}
	if m.write == "sealed" && writesOnly(s.sql) {
		assertNoCanary(t, "the leg to the server", sent)
	}
	compared.compare(t, got, want)
	if got.err != nil {
		return
	}
	for _, table := range []string{"people", "patients"} {
		all := &shape{sql: "SELECT * FROM " + table + " ORDER BY id"}
		compared.compare(t, execute(t, m.through, all, extendedForm), execute(t, m.twin, all, extendedForm))
	}
}

// writesOnly reports whether a statement gives values to columns and compares none with them.
func writesOnly(sql string) bool {
	return (strings.HasPrefix(sql, "INSERT") || strings.HasPrefix(sql, "UPDATE") || strings.HasPrefix(sql, "MERGE")) &&
		!strings.Contains(sql, "email = 'canary") && !strings.Contains(sql, "WHERE email") && !strings.Contains(sql, "ssn = $2")
}

// TestTransitionInBinary compares the values of columns in transition in binary form.
func TestTransitionInBinary(t *testing.T) {
	r := newMovingRig(t, versions[0], "both")
	through, twin := connectPG(t, r.Through), connectPG(t, r.Twin)
	const sql = "SELECT id, email, amount, name, born, seen, tags, doc, raw, ok, num FROM people ORDER BY id"
	for range 2 {
		got := through.ExecParams(t.Context(), sql, nil, nil, nil, []int16{1}).Read()
		want := twin.ExecParams(t.Context(), sql, nil, nil, nil, []int16{1}).Read()
		if got.Err != nil || want.Err != nil {
			t.Fatal(got.Err, want.Err)
		}
		if fmt.Sprintf("%x", got.Rows) != fmt.Sprintf("%x", want.Rows) || len(got.Rows) != 5 {
			t.Errorf("got\n%x\nwant\n%x", got.Rows, want.Rows)
		}
	}
	var b strings.Builder
	if _, err := through.CopyTo(t.Context(), &b, "COPY (SELECT id, email, raw FROM people ORDER BY id) TO STDOUT"); err != nil {
		t.Fatal(err)
	}
	if want := "1\tcanary-1@x\t\\\\xf5fb92\n2\tcanary-2@x\t\\\\x00\n3\tcanary-3@x\t\\\\x\n4\t\\N\t\\N\n5\t\t\\\\x0000f5\n"; b.String() != want {
		t.Errorf("COPY gave %q, not %q", b.String(), want)
	}
}

// TestTransitionFromBeginningToEnd takes a column from plain to sealed under running sessions: each answer is
// right, or an error after which clients try again.
func TestTransitionFromBeginningToEnd(t *testing.T) {
	for _, write := range []string{"both", "sealed"} {
		t.Run(write, func(t *testing.T) { fromBeginningToEnd(t, write) })
	}
}

func fromBeginningToEnd(t *testing.T, write string) {
	r := versions[0].bareRig(t, fmt.Sprintf(`
tenant: {default: acme}
tables:
  people:
    columns:
      email_sealed: {id: email, type: text, search: [equality], transition: {plain: email, write: %s}}
`, write))
	r.exec(t, r.Direct, `CREATE TABLE people (id int PRIMARY KEY, email text, note text); INSERT INTO people VALUES (1, 'canary-1', 'x'), (2, NULL, 'y')`)
	r.Through = r.start(t, r.Tap.Addr())
	c := &migrating{t: t, rig: r, want: map[string]string{"1": "canary-1", "2": "NULL"}}
	c.step("before")

	r.exec(t, r.Direct, "ALTER TABLE people ADD COLUMN email_sealed bytea CHECK (substr(email_sealed, 1, 1) = '\\xf5')")
	c.step("begun")
	c.know()
	c.step("during")
	if n := c.count("email_sealed IS NOT NULL"); n == "0" {
		t.Error("nothing was sealed during the transition")
	}
	if n := c.count("email IS NOT NULL AND email_sealed IS NOT NULL"); write == "sealed" && n != "0" {
		t.Errorf("%s rows were written in clear", n)
	}
	// Whatever is left is sealed by reading and writing it again.
	for id, email := range c.want {
		if email != "NULL" {
			c.must("UPDATE people SET email = '" + email + "' WHERE id = " + id)
		}
	}
	if n := c.count("email IS NOT NULL AND email_sealed IS NULL"); n != "0" {
		t.Fatalf("%s rows are not sealed", n)
	}
	c.step("sealed")

	r.exec(t, r.Direct, "BEGIN; ALTER TABLE people RENAME COLUMN email TO email_rowseal_old; ALTER TABLE people RENAME COLUMN email_sealed TO email; COMMIT")
	c.step("swapped")
	c.know()
	c.step("after")
	r.exec(t, r.Direct, "ALTER TABLE people DROP COLUMN email_rowseal_old")
	c.step("dropped")
	c.know()
	c.step("done")
	if n := c.count("email IS NOT NULL AND substr(email, 1, 1) <> '\\xf5'"); n != "0" {
		t.Errorf("%s rows are in clear in the end", n)
	}
	if write != "both" { // which is how the way back begins
		return
	}
	r.exec(t, r.Direct, `BEGIN; ALTER TABLE people RENAME COLUMN email TO email_sealed; ALTER TABLE people ADD COLUMN email text;
ALTER TABLE people ADD CONSTRAINT moving_rowseal_clear_x CHECK (left(email, 4) <> '\xf5') NOT VALID; COMMIT`)
	c.step("reopened")
	c.know()
	c.step("back")
	for id, email := range c.want {
		if email != "NULL" {
			c.must("UPDATE people SET email = '" + email + "' WHERE id = " + id)
		}
	}
	r.exec(t, r.Direct, "ALTER TABLE people DROP COLUMN email_sealed")
	c.step("unsealed")
	c.know()
	c.step("clear")
	if n := c.count("email IS NOT NULL"); n != fmt.Sprint(len(c.want)-1) {
		t.Errorf("%s rows are in clear in the end, want all %d that have a value", n, len(c.want)-1)
	}
}

// migrating is a client that goes on while a column is sealed.
type migrating struct {
	t    *testing.T
	rig  *rig
	want map[string]string // emails by id
	conn *pgconn.PgConn
	made int
}

// again are the errors after which clients try again: a conflict, a statement that is to be prepared again, and a column
// that has changed places with another since the proxy looked at the catalog.
func again(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "0A000" && e.Message == "cached plan must not change result type" ||
		e.Code == "XX001" && strings.HasPrefix(e.Hint, "Try again"))
}

// statements are those that the client keeps prepared.
var migratingStatements = map[string]string{
	"read": "SELECT id, email FROM people ORDER BY id", "star": "SELECT * FROM people ORDER BY id", "find": "SELECT id FROM people WHERE email = $1",
	"add": "INSERT INTO people (id, email) VALUES ($1, $2)", "set": "UPDATE people SET email = $2 WHERE id = $1",
}

// step runs each statement, prepared long ago and as text, until it is carried out, at most a few times.
func (c *migrating) step(name string) {
	c.t.Helper()
	if c.conn == nil {
		c.conn = connectPG(c.t, c.rig.Through)
		for name, sql := range migratingStatements {
			c.prepare(name, sql)
		}
	}
	c.made++
	id, email := fmt.Sprint(100+c.made), "canary-"+name
	c.run(name, "add", id, email)
	c.want[id] = email
	c.run(name, "set", "1", email)
	c.want["1"] = email
	for _, row := range c.run(name, "find", email).Rows {
		if string(row[0]) != id && string(row[0]) != "1" {
			c.t.Errorf("%s: found %s", name, row[0])
		}
	}
	c.compare(name, c.run(name, "read"), 2)
	c.compare(name, c.run(name, "star"), 3)
	for _, r := range c.texts(name, "SELECT id, email FROM people; SELECT id, email FROM people WHERE email = '"+email+"'") {
		c.compareRows(name, r)
	}
}

func (c *migrating) prepare(name, sql string) {
	if _, err := c.conn.Prepare(c.t.Context(), name, sql, nil); err != nil {
		c.t.Fatal(err)
	}
}

// run executes a prepared statement, and prepares it again where it is told to.
func (c *migrating) run(step, name string, params ...string) *pgconn.Result {
	c.t.Helper()
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	for range 4 {
		r := c.conn.ExecPrepared(c.t.Context(), name, values, nil, nil).Read()
		if r.Err == nil {
			return r
		}
		if !again(r.Err) {
			c.t.Fatalf("%s: %s: %v", step, name, r.Err)
		}
		if err := c.conn.Deallocate(c.t.Context(), name); err != nil {
			c.t.Fatal(err)
		}
		for range 4 {
			_, err := c.conn.Prepare(c.t.Context(), name, migratingStatements[name], nil)
			if err == nil {
				break
			}
			if !again(err) {
				c.t.Fatalf("%s: %s: %v", step, name, err)
			}
		}
	}
	c.t.Fatalf("%s: %s is never carried out", step, name)
	return nil
}

// texts runs a simple query.
func (c *migrating) texts(step, sql string) []*pgconn.Result {
	c.t.Helper()
	for range 4 {
		r, err := c.conn.Exec(c.t.Context(), sql).ReadAll()
		if err == nil {
			return r
		}
		if !again(err) {
			c.t.Fatalf("%s: %s: %v", step, sql, err)
		}
	}
	c.t.Fatalf("%s: %s is never carried out", step, sql)
	return nil
}

func (c *migrating) must(sql string) { c.texts("seal", sql) }

// compare checks all rows, and that clients see so many columns.
func (c *migrating) compare(step string, r *pgconn.Result, columns int) {
	c.t.Helper()
	if len(r.Rows) != len(c.want) {
		c.t.Errorf("%s: %d rows, not %d", step, len(r.Rows), len(c.want))
	}
	if len(r.FieldDescriptions) != columns && step != "begun" {
		c.t.Errorf("%s: %d columns, not %d", step, len(r.FieldDescriptions), columns)
	}
	c.compareRows(step, r)
}

func (c *migrating) compareRows(step string, r *pgconn.Result) {
	c.t.Helper()
	at := slices.IndexFunc(r.FieldDescriptions, func(f pgconn.FieldDescription) bool { return f.Name == "email" })
	if at < 0 || r.FieldDescriptions[at].DataTypeOID != 25 {
		c.t.Errorf("%s: no column email of type text: %v", step, r.FieldDescriptions)
		return
	}
	for _, row := range r.Rows {
		got := "NULL"
		if row[at] != nil {
			got = string(row[at])
		}
		if want := c.want[string(row[0])]; got != want {
			c.t.Errorf("%s: row %s has %q, not %q", step, row[0], got, want)
		}
	}
}

// know has the proxy look at the catalog, as it does by itself after a while.
func (c *migrating) know() {
	c.must("ALTER TABLE people SET (fillfactor = 100)")
}

func (c *migrating) count(where string) string {
	conn := connectPG(c.t, c.rig.Direct)
	r := conn.ExecParams(context.WithoutCancel(c.t.Context()), "SELECT count(*) FROM people WHERE "+where, nil, nil, nil, nil).Read()
	if r.Err != nil {
		c.t.Fatal(r.Err)
	}
	return string(r.Rows[0][0])
}

// TestARepeatableReadKeepsItsCatalogToItself: a transaction that still sees the table without the sealed column does not
// have other sessions take the column for plain.
func TestARepeatableReadKeepsItsCatalogToItself(t *testing.T) {
	r := versions[0].bareRig(t, `
tenant: {default: acme}
tables:
  people:
    columns:
      email_sealed: {id: email, type: text, transition: {plain: email}}
`)
	r.exec(t, r.Direct, "CREATE TABLE people (id int PRIMARY KEY, email text)")
	r.Through = r.start(t, r.Tap.Addr())
	old, writer, reader := connectPG(t, r.Through), connectPG(t, r.Through), connectPG(t, r.Through)
	run := func(conn *pgconn.PgConn, sql string) []*pgconn.Result {
		t.Helper()
		results, err := conn.Exec(t.Context(), sql).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return results
	}
	run(old, "SELECT email FROM people")
	run(old, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	run(old, "SELECT 1")
	run(reader, "SELECT email FROM people")
	r.exec(t, r.Direct, "ALTER TABLE people ADD COLUMN email_sealed bytea")
	run(writer, "ALTER TABLE people SET (fillfactor = 100)")
	run(writer, "INSERT INTO people (id, email) VALUES (1, 'ada@x')")
	run(writer, "ALTER TABLE people SET (fillfactor = 90)")
	run(old, "SELECT id, email FROM people")
	got := run(reader, "SELECT email FROM people")[0]
	if len(got.Rows) != 1 || string(got.Rows[0][0]) != "ada@x" {
		t.Errorf("the reader gets %q", got.Rows)
	}
	run(old, "ROLLBACK")
}
