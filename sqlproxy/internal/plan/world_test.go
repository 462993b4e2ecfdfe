package plan_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// worldSQL makes the tables that the tests of reading are about.
const worldSQL = `
CREATE TABLE users (id int PRIMARY KEY, ssn bytea, name bytea, pin bytea, email text, age int, raw bytea);
CREATE TABLE people (id int PRIMARY KEY, ssn bytea, city text);
CREATE TABLE accounts (id int PRIMARY KEY, org_id int, ssn bytea, label text);
CREATE TABLE members (id int PRIMARY KEY, org_id int, ssn bytea, role text);
CREATE TABLE docs (id int, public_id uuid PRIMARY KEY, body bytea);
CREATE TABLE orders (id int PRIMARY KEY, user_id int, total numeric, note text);
CREATE TABLE moving (id int, mail bytea, mail_clear text);
CREATE VIEW v_users AS SELECT id, ssn, name, lower(email) AS mail FROM users;
CREATE VIEW v_twice AS SELECT v.id, v.ssn AS number FROM v_users v;
CREATE VIEW v_length AS SELECT id, octet_length(ssn) AS n, ssn FROM users;
CREATE VIEW v_distinct AS SELECT DISTINCT ssn FROM users;
CREATE VIEW v_accounts AS SELECT org_id, ssn, label FROM accounts;
CREATE FUNCTION all_users() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';
CREATE FUNCTION atomic_users() RETURNS SETOF users LANGUAGE sql BEGIN ATOMIC SELECT * FROM users WHERE id > 0; END;
CREATE FUNCTION pasted_users() RETURNS SETOF users LANGUAGE sql AS 'SELECT id, raw, name, pin, email, age, raw FROM users';
CREATE FUNCTION swapped_users() RETURNS SETOF users LANGUAGE sql AS 'SELECT id, name, ssn, pin, email, age, raw FROM users';
CREATE FUNCTION moved_users() RETURNS SETOF users LANGUAGE sql SET search_path = other AS 'SELECT * FROM public.users';
CREATE FUNCTION two_users() RETURNS SETOF users LANGUAGE sql AS 'SELECT 1; SELECT * FROM users';
CREATE FUNCTION built_users() RETURNS SETOF users LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT * FROM us' || 'ers'; END $$;
CREATE FUNCTION count_users(text) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users WHERE email = $1';
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE SCHEMA other; CREATE TABLE other.users (id int, ssn text);
`

func typ(t testing.TB, name string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(name)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func table(t testing.TB, cfg field.TableConfig) *field.Table {
	t.Helper()
	table, err := field.NewTable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func worldPolicy(t testing.TB) *field.Policy {
	t.Helper()
	text, equality := typ(t, "text"), field.Search{Equality: true}
	ssn := field.ColumnConfig{Name: "ssn", Type: text, Search: equality, Scope: field.ScopeGlobal, Domain: "ssn"}
	own := field.ColumnConfig{Name: "ssn", Type: text, Search: equality, Domain: "own"}
	one, org := field.TenantSource{Default: "t"}, field.TenantSource{Column: "org_id"}
	policy, err := field.NewPolicy(
		table(t, field.TableConfig{Name: "users", Tenant: one, Columns: []field.ColumnConfig{
			ssn,
			{Name: "name", Type: text},
			{Name: "pin", Type: typ(t, "int4"), Search: equality, Scope: field.ScopeGlobal},
		}}),
		table(t, field.TableConfig{Name: "people", Tenant: one, Columns: []field.ColumnConfig{ssn}}),
		table(t, field.TableConfig{Name: "accounts", Tenant: org, Columns: []field.ColumnConfig{own}}),
		table(t, field.TableConfig{Name: "members", Tenant: org, Columns: []field.ColumnConfig{own}}),
		table(t, field.TableConfig{Name: "moving", Tenant: one, Columns: []field.ColumnConfig{
			{Name: "mail", Type: text, Search: equality, Transition: field.Transition{Plain: "mail_clear"}},
		}}),
		table(t, field.TableConfig{Name: "docs", Tenant: one, RowID: "public_id", Columns: []field.ColumnConfig{{Name: "body", Type: text}}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

type querier struct{ conn *pgx.Conn }

func (q querier) Query(ctx context.Context, sql string) ([][][]byte, error) {
	results, err := q.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, sql)
	}
	return results[0].Rows, nil
}

// connected returns a connection to a fresh database with the tables.
func connected(t testing.TB) *pgx.Conn { return connectedTo(t, worldSQL) }

func connectedTo(t testing.TB, sql string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return conn
}

var world = struct {
	once     sync.Once
	snapshot *catalog.Snapshot
}{}

// worldContext is what a session without a tenant knows.
func worldContext(t testing.TB) *plan.Context {
	t.Helper()
	world.once.Do(func() {
		s, err := catalog.Load(context.Background(), querier{connected(t)}, worldPolicy(t))
		if err != nil {
			t.Fatal(err)
		}
		world.snapshot = s
	})
	if world.snapshot == nil {
		t.Fatal("the catalog could not be read")
	}
	return &plan.Context{Catalog: world.snapshot, Path: []string{"pg_catalog", "public"}}
}
