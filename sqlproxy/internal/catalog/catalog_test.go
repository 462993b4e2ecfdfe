package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// querier runs the package's queries over a connection.
type querier struct{ conn *pgx.Conn }

func (q querier) Query(ctx context.Context, sql string) ([][][]byte, error) {
	results, err := q.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, sql)
	}
	return results[0].Rows, nil
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func run(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func load(t testing.TB, conn *pgx.Conn, policy *field.Policy) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Load(t.Context(), querier{conn}, policy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// policyOf declares tables, each with a sealed column ssn.
func policyOf(t testing.TB, tables ...string) *field.Policy {
	t.Helper()
	types := map[string]string{}
	for _, name := range tables {
		types[name] = "text"
	}
	return policyWith(t, types, field.ColumnConfig{Name: "ssn"})
}

// policyWith declares tables, each with a column of the table's type.
func policyWith(t testing.TB, types map[string]string, column field.ColumnConfig) *field.Policy {
	t.Helper()
	var all []*field.Table
	for _, name := range slices.Sorted(maps.Keys(types)) {
		typ, err := codec.ParseType(types[name])
		if err != nil {
			t.Fatal(err)
		}
		column.Type = typ
		table, err := field.NewTable(field.TableConfig{
			Name: name, Tenant: field.TenantSource{Default: "t"}, Columns: []field.ColumnConfig{column},
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, table)
	}
	policy, err := field.NewPolicy(all...)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

const zoo = `
CREATE SCHEMA app; CREATE SCHEMA "Odd Schema";
CREATE DOMAIN sealed AS bytea; CREATE DOMAIN app.inner_sealed AS sealed;
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, ssn bytea, name varchar(40) NOT NULL DEFAULT 'x',
  email text, "Twice" int GENERATED ALWAYS AS (1 + 1) STORED, UNIQUE (name, email), UNIQUE (email) DEFERRABLE);
ALTER TABLE people DROP COLUMN gone;
CREATE UNIQUE INDEX ON people (lower(name)); CREATE UNIQUE INDEX ON people (name) WHERE id > 3;
CREATE UNIQUE INDEX ON people (email) INCLUDE (name);
CREATE TABLE app.people (id int, ssn app.inner_sealed);
CREATE TABLE app.plain (id int, ssn text);
CREATE TABLE app.wrong (id int, ssn varchar(20));
CREATE TABLE app.left (id int, ssn bytea CONSTRAINT rowseal_parts_ssn_guard_0123456789abcdef CHECK (octet_length(ssn) >= 56));
CREATE TABLE "Odd Schema"."Odd Table" (ssn bytea, "od""d" int[]);
CREATE TABLE parts (id int, ssn bytea) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id);
CREATE TABLE parts_1_1 (ssn bytea, id int); ALTER TABLE parts_1 ATTACH PARTITION parts_1_1 FOR VALUES IN (1);
CREATE TABLE base (id int); CREATE TABLE heir (ssn bytea) INHERITS (base); CREATE TABLE grandheir () INHERITS (heir);
CREATE VIEW v1 AS SELECT id, ssn FROM people; CREATE VIEW app.v2 AS SELECT ssn AS s FROM v1;
CREATE MATERIALIZED VIEW m3 AS SELECT * FROM app.v2; CREATE VIEW plain_view AS SELECT id FROM app.plain;
CREATE VIEW part_view AS SELECT count(*) FROM parts_1_1;
CREATE FUNCTION row_of() RETURNS SETOF people LANGUAGE sql AS 'TABLE people';
CREATE FUNCTION takes(p people) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION takes_many(p people[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION names(id int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO People(id) VALUES (1); RETURN 1; END $$;
CREATE FUNCTION names_odd() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM "Odd Schema"."Odd Table"; RETURN 1; END $$;
CREATE FUNCTION calls() RETURNS int LANGUAGE sql AS 'SELECT names(1)';
CREATE FUNCTION harmless() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app.v2; END;
CREATE PROCEDURE app.proc() LANGUAGE sql AS 'DELETE FROM v1';
CREATE VIEW by_function AS SELECT calls();
CREATE TABLE holder (p people);
CREATE VIEW instead AS SELECT 1 AS a; CREATE RULE r AS ON INSERT TO instead DO INSTEAD NOTHING;
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE VIEW triggered AS SELECT 1 AS a; CREATE TRIGGER t INSTEAD OF INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION tr();
CREATE TRIGGER t BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION tr();
CREATE SEQUENCE seq; CREATE TYPE mood AS ENUM ('sad');`

func zooSnapshot(t *testing.T) (*pgx.Conn, *catalog.Snapshot) {
	conn := connect(t, testpg.DSN(t))
	run(t, conn, zoo)
	return conn, load(t, conn, policyOf(t, "people", "app.people", "app.wrong", "Odd Schema.Odd Table", "parts", "heir", "v1", "not_yet"))
}

func TestColumns(t *testing.T) {
	_, s := zooSnapshot(t)
	people := s.Relation("public", "people")
	type facts struct {
		name                                string
		num                                 int16
		typ                                 uint32
		typmod                              int32
		notNull, hasDefault, made, identity bool
		sealed                              bool
	}
	var got []facts
	for _, c := range people.Columns {
		got = append(got, facts{c.Name, c.Num, c.Type, c.Typmod, c.NotNull, c.HasDefault, c.Generated, c.Identity, c.Sealed != nil})
	}
	want := []facts{
		{"id", 1, 20, -1, true, false, false, true, false},
		{"ssn", 3, 17, -1, false, false, false, false, true},
		{"name", 4, 1043, 44, true, true, false, false, false},
		{"email", 5, 25, -1, false, false, false, false, false},
		{"Twice", 6, 23, -1, false, true, true, false, false},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("columns\n%v, want\n%v", got, want)
	}
	if want := [][]int16{{1}, {4, 5}, {5}}; !reflect.DeepEqual(people.Unique, want) {
		t.Errorf("unique %v, want %v", people.Unique, want)
	}
	if people.Kind != 'r' || people.Triggers || people.Temporary || people.Table == nil || people.Wrong != "" || people.String() != "public.people" {
		t.Errorf("%+v", people)
	}
	if people.Column("ssn").Num != 3 || people.Column("gone") != nil || s.ByOID(people.OID) != people || s.ByOID(1) != nil {
		t.Error("a column or relation is not found, or one too many")
	}
	if odd := s.Relation("Odd Schema", "Odd Table"); odd == nil || odd.Column(`od"d`) == nil || odd.Column("ssn").Sealed == nil {
		t.Errorf("quoted names: %+v", odd)
	}
	if class := s.Lookup([]string{"pg_catalog"}, "pg_class"); class == nil || class.Column("relname") == nil {
		t.Error("pg_class is not known")
	}
	if columns := s.Relation("information_schema", "columns"); columns == nil || columns.Column("table_name") == nil {
		t.Error("information_schema.columns is not known")
	}
}

func TestSealedAndWrong(t *testing.T) {
	_, s := zooSnapshot(t)
	for name, want := range map[string]struct {
		table  string // of the policy
		sealed bool   // the column ssn
		wrong  string // part of what is wrong with table or column
	}{
		"public.people":    {"people", true, ""},
		"app.people":       {"app.people", true, ""},
		"app.plain":        {"", false, ""},
		"app.wrong":        {"app.wrong", true, "varchar"},
		"public.parts":     {"parts", true, ""},
		"public.parts_1":   {"parts", true, ""},
		"public.parts_1_1": {"parts", true, ""},
		"public.base":      {"", false, "declare public.base"},
		"public.heir":      {"heir", true, ""},
		"public.grandheir": {"heir", true, ""},
		"public.v1":        {"v1", true, "no table"},
		"public.holder":    {"", false, ""},
		"app.left":         {"", false, "policy does not list it"},
	} {
		schema, bare, _ := strings.Cut(name, ".")
		r := s.Relation(schema, bare)
		if r == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		table, wrong, sealed := "", r.Wrong, false
		if r.Table != nil {
			table = r.Table.Name()
		}
		if c := r.Column("ssn"); c != nil {
			sealed, wrong = c.Sealed != nil, wrong+c.Wrong
		}
		if table != want.table || sealed != want.sealed || (want.wrong == "") != (wrong == "") || !strings.Contains(wrong, want.wrong) {
			t.Errorf("%s: table %q, sealed %v, wrong %q", name, table, sealed, wrong)
		}
	}
	if wrong := s.Relation("public", "holder").Column("p").Wrong; !strings.Contains(wrong, "rows of public.people") {
		t.Errorf("a column of rows: %q", wrong)
	}
	if moved := s.Relation("public", "parts_1_1").Column("ssn"); moved.Num != 1 {
		t.Errorf("a partition's own column number is %d", moved.Num)
	}
}

func TestSensitiveNames(t *testing.T) {
	_, s := zooSnapshot(t)
	for _, name := range []string{
		"people", "wrong", "Odd Table", "parts", "parts_1", "parts_1_1", "base", "heir", "grandheir",
		"v1", "v2", "m3", "part_view", "row_of", "takes", "takes_many", "names", "names_odd", "calls", "atomic", "proc", "by_function", "holder", "not_yet",
	} {
		if !s.Sensitive(name) {
			t.Errorf("%s is not sensitive", name)
		}
	}
	for _, name := range []string{"plain", "plain_view", "harmless", "instead", "triggered", "tr", "seq", "pg_class", "People", "odd table", "ü"} {
		if s.Sensitive(name) {
			t.Errorf("%s is sensitive", name)
		}
	}
	if s.Kind([]byte("harmless")) != parse.NamesFunction || s.Kind([]byte("names")) != parse.NamesFunction|parse.NamesSealed {
		t.Error("functions are not known as functions")
	}
	for schema, want := range map[string]bool{"instead": true, "triggered": true, "v1": false} {
		if r := s.Relation("public", schema); r.Triggers != want {
			t.Errorf("%s: triggers %v", schema, r.Triggers)
		}
	}
	if f := s.Functions([]string{"app", "public"}, "", "row_of"); len(f) != 1 || f[0].Returns != s.Relation("public", "people") || !f[0].Sensitive {
		t.Errorf("row_of: %+v", f)
	}
	if len(s.Functions([]string{"app"}, "", "row_of")) != 0 || len(s.Functions(nil, "app", "proc")) != 1 {
		t.Error("functions are found by the wrong schema")
	}
}

func TestDefinitions(t *testing.T) {
	conn, s := zooSnapshot(t)
	if got := s.Relation("app", "v2").Definition; !strings.Contains(got, "FROM v1") || strings.HasSuffix(got, ";") {
		t.Errorf("definition %q", got)
	}
	if !slices.Equal(s.Path, []string{"pg_catalog", "public"}) || s.Relation("public", "m3").Definition == "" ||
		s.Relation("public", "plain_view").Definition != "" {
		t.Errorf("path %q", s.Path)
	}
	run(t, conn, "SET search_path = app")
	s = load(t, conn, policyOf(t, "people"))
	if got := s.Relation("app", "v2").Definition; !strings.Contains(got, "public.v1") || !slices.Equal(s.Path, []string{"pg_catalog", "app"}) {
		t.Errorf("definition %q along %q", got, s.Path)
	}
	if !s.Relation("app", "v2").Sensitive || s.Relation("app", "people").Sensitive {
		t.Error("a policy for public.people takes app.people, or not the view")
	}
}

func TestTypes(t *testing.T) {
	_, s := zooSnapshot(t)
	path := []string{"pg_catalog", "public"}
	if s.TypeOID(path, "", "int4") != 23 || s.TypeOID(nil, "pg_catalog", "varchar") != 1043 || s.TypeOID(path, "", "inner_sealed") != 0 {
		t.Error("types by name")
	}
	inner := s.TypeOID(path, "app", "inner_sealed")
	if inner == 0 || s.BaseOf(inner) != 17 || s.BaseOf(25) != 25 {
		t.Error("domains")
	}
	if s.ArrayOf(23) != 1007 || s.ElementOf(1007) != 23 || s.ElementOf(23) != 0 || s.ElementOf(19) != 0 {
		t.Error("arrays")
	}
}

func TestTemporaryTables(t *testing.T) {
	conn, _ := zooSnapshot(t)
	other := connect(t, conn.Config().ConnString())
	run(t, other, "CREATE TEMP TABLE people (x int); CREATE TEMP TABLE others (x int); CREATE TEMP VIEW w AS SELECT 1")
	run(t, conn, "CREATE TEMP TABLE people (ssn bytea); CREATE TEMP VIEW tv AS SELECT ssn FROM public.people; CREATE TEMP TABLE mine (x int)")
	s := load(t, conn, policyOf(t, "people"))
	r := s.Lookup(s.Path, "people")
	if r == nil || !r.Temporary || r.Sensitive || r.Table != nil || r != s.Relation("pg_temp", "people") {
		t.Errorf("a temporary table does not hide the sealed one: %+v", r)
	}
	if !s.Sensitive("tv") || s.Relation("pg_temp", "mine") == nil || s.Lookup(s.Path, "others") != nil {
		t.Error("temporary relations are wrong")
	}
	for _, r := range s.Relations() {
		if r.Name == "others" {
			t.Error("another session's temporary table is seen")
		}
	}
}

// TestShadowedOperators loads through a search_path on which everything that the
// queries could name by mistake is another thing.
func TestShadowedOperators(t *testing.T) {
	conn := connect(t, testpg.DSN(t))
	run(t, conn, zoo)
	policy := policyOf(t, "people", "parts")
	want := load(t, conn, policy)
	run(t, conn, `CREATE SCHEMA evil; SET search_path = evil, pg_catalog;
CREATE FUNCTION evil.no(oid, oid) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.no("char", "char") RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.no(int2, int2) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION evil.no(name, name) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = oid, RIGHTARG = oid); CREATE OPERATOR evil.>= (FUNCTION = evil.no, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = "char", RIGHTARG = "char"); CREATE OPERATOR evil.> (FUNCTION = evil.no, LEFTARG = int2, RIGHTARG = int2);
CREATE OPERATOR evil.<> (FUNCTION = evil.no, LEFTARG = name, RIGHTARG = name);
CREATE TABLE evil.pg_class (x int); CREATE TABLE evil.pg_attribute (x int); CREATE DOMAIN evil.int8 AS text; CREATE DOMAIN evil.oid AS text;
CREATE FUNCTION evil.current_schemas(bool) RETURNS name[] LANGUAGE sql AS 'SELECT NULL::name[]'`)
	got := load(t, conn, policy)
	if len(got.Relations()) != len(want.Relations())+2 || !got.Sensitive("part_view") || !slices.Equal(got.Path, []string{"evil", "pg_catalog"}) {
		t.Errorf("%d relations, path %q", len(got.Relations()), got.Path)
	}
	fingerprint(t, conn)
}

func TestUnprivileged(t *testing.T) {
	conn := connect(t, testpg.DSN(t))
	run(t, conn, zoo)
	role := "rowseal_test_nobody_" + strings.TrimPrefix(conn.Config().Database, "rowseal_test_")
	run(t, conn, "CREATE ROLE "+role)
	t.Cleanup(func() { conn.Exec(context.Background(), "RESET ROLE; DROP ROLE "+role) })
	run(t, conn, "REVOKE ALL ON SCHEMA public FROM PUBLIC; SET ROLE "+role)
	s := load(t, conn, policyOf(t, "people"))
	if !s.Sensitive("m3") || s.Relation("app", "v2").Definition == "" || !s.Sensitive("names") {
		t.Error("a role without rights does not see what is sealed")
	}
	fingerprint(t, conn)
}

func TestEmptyPolicyAsksNothing(t *testing.T) {
	s, err := catalog.Load(t.Context(), failing{}, policyOf(t))
	if err != nil || s.Sensitive("people") || s.Lookup([]string{"public"}, "people") != nil {
		t.Errorf("%v", err)
	}
}

type failing struct{ rows [][][]byte }

var errFailing = errors.New("the connection is gone")

func (f failing) Query(context.Context, string) ([][][]byte, error) {
	if f.rows == nil {
		return nil, errFailing
	}
	return f.rows, nil
}

func TestLoadFails(t *testing.T) {
	if _, err := catalog.Load(t.Context(), failing{}, policyOf(t, "people")); !errors.Is(err, errFailing) {
		t.Errorf("%v", err)
	}
	for _, cells := range [][][]byte{{}, {[]byte("x"), []byte("y")}} {
		if _, err := catalog.Load(t.Context(), failing{[][][]byte{cells}}, policyOf(t, "people")); err == nil {
			t.Errorf("an answer of %d columns is taken", len(cells))
		}
	}
}

func TestLongNames(t *testing.T) {
	for _, name := range []string{strings.Repeat("x", 64), "app." + strings.Repeat("x", 64), strings.Repeat("x", 64) + ".t"} {
		if _, err := catalog.Load(t.Context(), failing{}, policyOf(t, name)); err == nil || !strings.Contains(err.Error(), "63 bytes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemo(t *testing.T) {
	var r catalog.Relation
	first := r.Memo(func() any { return 1 })
	if second := r.Memo(func() any { return 2 }); first != 1 || second != 1 {
		t.Errorf("%v, then %v", first, second)
	}
}

// TestOtherEncodings: where the server folds letters beyond ASCII, such words are sensitive.
func TestOtherEncodings(t *testing.T) {
	admin := connect(t, testpg.DSN(t))
	name := admin.Config().Database + "_latin1"
	run(t, admin, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() { admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)") })
	config := admin.Config().Copy()
	config.Database = name
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	run(t, conn, "CREATE TABLE people (ssn bytea)")
	s := load(t, conn, policyOf(t, "people"))
	if !s.Sensitive("ü") || !s.Sensitive("people") || s.Sensitive("u") {
		t.Error("names beyond ASCII")
	}
}

func fingerprint(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	rows, err := querier{conn}.Query(t.Context(), catalog.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 || len(rows[0][0]) == 0 {
		t.Fatalf("the fingerprint is %q", rows)
	}
	return string(rows[0][0])
}

func TestNamesThatAreTaken(t *testing.T) {
	conn, s := zooSnapshot(t)
	for name, want := range map[string]bool{
		"people": true, "people_pkey": true, "people_lower_idx": true, "people_id_seq": true, "free": false,
	} {
		if got := s.Taken("public", name); got != want {
			t.Errorf("%s is taken: %v", name, got)
		}
	}
	if s.Taken("app", "people_pkey") {
		t.Error("another schema's index takes the name")
	}
	run(t, conn, "CREATE TYPE free AS (a int)")
	if s := load(t, conn, policyOf(t, "people")); !s.Taken("public", "free") {
		t.Error("the name of a composite type is not taken")
	}
}

func TestFingerprint(t *testing.T) {
	dsn := testpg.DSN(t)
	conn, other := connect(t, dsn), connect(t, dsn)
	run(t, other, zoo)
	last := fingerprint(t, conn)
	for _, change := range []string{
		"CREATE TABLE x (a int)", "ALTER TABLE x ADD b int", "ALTER TABLE x RENAME b TO c", "ALTER TABLE x ALTER c TYPE text",
		"ALTER TABLE x ALTER c SET NOT NULL", "ALTER TABLE x ALTER c SET DEFAULT 'x'", "ALTER TABLE x DROP c",
		"CREATE UNIQUE INDEX xi ON x (a)", "DROP INDEX xi", "CREATE INDEX xi ON x (a)", "DROP INDEX xi", "ALTER TABLE x RENAME TO y", "ALTER TABLE y SET SCHEMA app",
		"CREATE VIEW z AS SELECT 1 AS a", "CREATE OR REPLACE VIEW z AS SELECT 2 AS a", "DROP VIEW z",
		"CREATE FUNCTION zf() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE OR REPLACE FUNCTION zf() RETURNS int LANGUAGE sql AS 'SELECT 2'", "DROP FUNCTION zf()",
		"CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)", "ALTER TABLE parts DETACH PARTITION parts_2", "DROP TABLE parts_2",
		"ALTER TABLE grandheir NO INHERIT heir", "CREATE DOMAIN zd AS int", "ALTER DOMAIN zd RENAME TO ze", "ALTER SCHEMA app RENAME TO app2",
		"CREATE RULE r AS ON DELETE TO v1 DO INSTEAD NOTHING", "DROP RULE r ON v1", "DROP TRIGGER t ON triggered",
		"CREATE POLICY p ON people USING (true)", "ALTER DOMAIN ze ADD CHECK (VALUE > 0)",
	} {
		run(t, other, change)
		now := fingerprint(t, conn)
		if now == last {
			t.Errorf("%s is not noticed", change)
		}
		last = now
	}
	run(t, conn, "ANALYZE") // the first one tidies up behind a child that is gone
	last = fingerprint(t, conn)
	for _, other := range []string{"INSERT INTO people (name) VALUES ('a')", "ANALYZE", "VACUUM people", "VACUUM FREEZE pg_class", "UPDATE people SET name = 'b'"} {
		run(t, conn, other)
	}
	run(t, other, "CREATE TEMP TABLE t1 (a int PRIMARY KEY)")
	if fingerprint(t, conn) != last {
		t.Error("what changes no table's shape is taken for a change")
	}
	run(t, conn, "BEGIN; CREATE TABLE own (a int)")
	if fingerprint(t, conn) == last {
		t.Error("the session's own change is not noticed before it is committed")
	}
	run(t, conn, "ROLLBACK")
	if fingerprint(t, conn) != last {
		t.Error("a change that was taken back is not taken back")
	}
}

func TestCode(t *testing.T) {
	const objects, settings = parse.TempCatalog, parse.Settings | parse.SettingsAtEnd
	for ddl, want := range map[string]parse.Effects{
		"CREATE TABLE x (a int DEFAULT 1 CHECK (a > 0)); CREATE VIEW y AS SELECT * FROM x":                     0,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN UPDATE x SET a = 1; RETURN 1; END'":        0,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql SET search_path = public AS 'BEGIN RETURN 1; END'":   0,
		"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END":                                           0,
		"CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT set_config('a.b', 'c', true); END":               settings,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN SET LOCAL search_path = a; RETURN 1; END'": settings,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN 1; END'":                settings | objects,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN DROP TABLE IF EXISTS a; RETURN 1; END'":    objects,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN DEALLOCATE a; RETURN 1; END'":              objects,
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'DECLARE c refcursor; BEGIN RETURN 1; END'":       parse.Closes,
		"CREATE TABLE x (a text DEFAULT set_config('a.b', 'c', true))":                                         settings,
		"CREATE TABLE x (a text); CREATE POLICY p ON x USING (set_config('a.b', 'c', true) = a)":               settings,
		"CREATE TABLE x (a text); CREATE RULE r AS ON INSERT TO x DO ALSO SELECT set_config('a.b', 'c', true)": settings,
		"CREATE DOMAIN x AS text DEFAULT set_config('a.b', 'c', true)":                                         settings,
		"CREATE AGGREGATE x (text, bool) (SFUNC = set_config, STYPE = text, INITCOND = 'search_path')":         settings,
		"CREATE FUNCTION f(text, text, bool) RETURNS text LANGUAGE internal AS 'set_config_by_name'":           settings,
		"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE x (a text); " +
			"CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW WHEN (set_config('a.b', 'c', true) = NEW.a) EXECUTE FUNCTION t()": settings,
	} {
		conn := connect(t, testpg.DSN(t))
		before := fingerprint(t, conn)
		run(t, conn, ddl)
		if got := load(t, conn, policyOf(t, "people")).Code(); got != want {
			t.Errorf("%s: code is %b, want %b", ddl, got, want)
		}
		if fingerprint(t, conn) == before {
			t.Errorf("%s is not noticed", ddl)
		}
	}
}

func benchDatabase(b *testing.B) *pgx.Conn {
	conn := connect(b, testpg.DSN(b))
	run(b, conn, `DO $$ BEGIN FOR i IN 1..1000 LOOP
 EXECUTE format('CREATE TABLE t%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text, b text, c int, d int, e timestamptz, f numeric, ssn bytea, g text, h text)', i);
END LOOP; FOR i IN 1..100 LOOP EXECUTE format('CREATE VIEW v%s AS SELECT * FROM t%s', i, i); END LOOP; END $$`)
	return conn
}

func BenchmarkLoad(b *testing.B) {
	conn := benchDatabase(b)
	policy := policyOf(b, "t1", "t2", "t3", "t4")
	b.ReportAllocs()
	for b.Loop() {
		load(b, conn, policy)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	conn := benchDatabase(b)
	for b.Loop() {
		fingerprint(b, conn)
	}
}

// BenchmarkScan reads a text that names nothing sealed, with a real catalog.
func BenchmarkScan(b *testing.B) {
	conn := connect(b, testpg.DSN(b))
	run(b, conn, zoo)
	s := load(b, conn, policyOf(b, "people", "parts", "app.wrong"))
	scanner := parse.Scanner{Kind: s.Kind, Conforming: true}
	const text = "SELECT id, name, street, city FROM addresses a WHERE a.customer_id = $1 AND a.kind <> 'home' ORDER BY id"
	if scanner.Scan(text).Sensitive {
		b.Fatal("the text is sensitive")
	}
	b.ReportAllocs()
	for b.Loop() {
		scanner.Scan(text)
	}
}
