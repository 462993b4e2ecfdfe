package plan_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// refusedReads are statements of which each needs a check that no other statement of the tests does.
var refusedReads = []struct{ sql, says string }{
	// What is not certainly the table's rows is not opened.
	{"select ssn from pasted_users()", "works on sealed columns"},
	{"select ssn from swapped_users()", "works on sealed columns"},
	{"select ssn from moved_users()", "works on sealed columns"},
	{"select ssn from two_users()", "works on sealed columns"},
	{"select ssn from built_users()", "works on sealed columns"},
	{"select ssn from json_populate_record(null::users, '{}')", "a cast to rows of table users"},
	{"select ssn from jsonb_populate_recordset(null::public.users, '[]')", "a cast to rows of table users"},
	{"select (r).ssn from (select row(1, raw, raw, raw, 'x', 1, raw)::users as r from users) q", "a cast to rows of table users"},
	{"select id from v_length where n = 4", "is made of sealed ones"},
	{"select max(n) from v_length", "is made of sealed ones"},
	{"select count(*) from v_length group by n", "is made of sealed ones"},
	{"select exists (select * from v_length)", "is made of sealed ones"},
	{"select id from v_length v where (v).n = 4", "is made of sealed ones"},
	{"select id from accounts where ssn = any($1)", "equality without a tenant"},
	{"select id from accounts where ssn = any('{a,b}')", "equality without a tenant"},
	{"select id from users where ssn = any(array['x']::int[])", "is of type text"},
	{"select id from users where ssn = any(array['x']::varchar(3)[])", "is of type text"},
	{"select id from users where pin = any(array['x']::text[])", "is of type int4"},
	{"select id from users where pin = any(array['x'])", "is of type int4"},
	{"select id from users where pin = any(array[1.6]::int[])", "a list of values of several types"},

	// What is to be changed is not where it seems to be.
	{"select nullif((ssn), 'x') from users", "does not find"},
	{`select nullif(u&"ssn", 'x') from users`, "does not find"},
	{`select id from users where u&"ssn" = 'x'`, "does not find"},
	{`select u&"ssn", count(*) from users group by ssn`, "does not find"},
	{`select ssn, count(*) from users group by u&"ssn"`, "does not find"},
	{`select distinct on (u&"ssn") ssn from users`, "does not find"},
	{`select distinct u&"ssn" from users`, "DISTINCT over an expression"},

	{"select ssn, count(*) from users group by grouping sets ((1), ())", "GROUPING SETS"},
	{"select ssn as s, count(*) from users group by grouping sets (s, id)", "GROUPING SETS"},
	{"with recursive t as (select id, ssn from users union all select t.id, t.ssn from t) search depth first by ssn set o select id, ssn from t", "SEARCH and CYCLE"},
	{"with recursive t as (select id, ssn from users union all select t.id, t.ssn from t) cycle id set c using p select id from t", "SEARCH and CYCLE"},
	{"select array(select * from (select ssn from people) q)", "ARRAY(…)"},

	// Columns that only the server knows.
	{"select id from users where ssn in (select * from nowhere)", "nowhere"},
	{"select id from users where (ssn, id) in (select ssn from people)", "only the server knows"},
	{"select * from nowhere union all select ssn from users", "only the server knows"},
	{"select ssn from nowhere natural join users", "only the server knows"},
	{"with x as (select * from nowhere) select users.ssn from users natural join x", "only the server knows"},
	{"select (o).*, u.ssn from orders o, users u", "only the server knows"},
	{"select ssn, (row(1, 2)).* from users", "only the server knows"},
	{"select q.ssn from (select (row(1, 2)).*, ssn from users) q", "only the server knows"},
	{"values ((row(1, 2)).*, 'x') union all select id, age, ssn from users", "only the server knows"},
	{"select id, age, ssn from users union all values (1, (row(1, 'x')).*)", "only the server can count"},
	{"insert into orders (id) values (1) returning (row(1, 2)).*, (select ssn from users limit 1)", "only the server knows"},
	{"select id from users where (id, ssn) in (values ((row(1, 'x')).*))", "only the server knows"},
}

func TestEachOfTheseReadsIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range refusedReads {
		t.Run(tt.sql, func(t *testing.T) {
			_, err := plan.Analyze(worldContext(t), tt.sql)
			var r *plan.Refusal
			if !errors.As(err, &r) || !strings.Contains(r.Message, tt.says) {
				t.Errorf("got %v, want %s", err, tt.says)
			}
		})
	}
}

func TestRowsThatOnlyTheServerCountsPassWhereNothingIsSealed(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"select (row(1, 2)).*, id from orders", "insert into orders (id, user_id) values ((row(1, 2)).*)",
		"insert into orders select (o).* from orders o", "insert into orders select * from nowhere",
		"update orders set (user_id, note) = (select (row(1, 'x')).*)",
	} {
		if p, err := plan.Analyze(worldContext(t), sql); err != nil || p.Touches {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestColumnsThatAreNotAsThePolicyHasThemAreRefused is about a database that is not ready, or holds rows as values.
func TestColumnsThatAreNotAsThePolicyHasThemAreRefused(t *testing.T) {
	t.Parallel()
	conn := connectedTo(t, `CREATE TABLE users (id int PRIMARY KEY, ssn text, name bytea, pin bytea, email text);
		CREATE TABLE people (id int PRIMARY KEY, ssn bytea, city text);
		CREATE TABLE holder (id int, p people);
		CREATE TABLE docs (id int, public_id uuid PRIMARY KEY, src text, body bytea GENERATED ALWAYS AS (src::bytea) STORED);
		CREATE VIEW v_docs AS SELECT id FROM docs;
		CREATE MATERIALIZED VIEW members AS SELECT id, ssn FROM people;`)
	snapshot, err := catalog.Load(context.Background(), querier{conn}, worldPolicy(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &plan.Context{Catalog: snapshot, Path: []string{"pg_catalog", "public"}}
	for _, sql := range []string{
		"select ssn from users", "select * from users", "select id from users where ssn = 'x'", "insert into users (id, ssn) values (1, 'x')",
		"insert into users values (1, 'x')", "update users set ssn = 'x'", "update users set email = ssn", "insert into users (id) values (1) returning *",
		"copy users from stdin", "copy users (id, ssn) to stdout",
		"select p from holder", "select (p).ssn from holder", "select (p).* from holder", "insert into holder values (1, row(1, 'x', 'y'))",
		"update holder set p.ssn = 'x'", "select id from holder where p is not null", "copy holder from stdin", "copy holder to stdout",
		"insert into docs (id, body) values (1, 'x')", "select body from docs", "select * from members", "select id from members",
	} {
		_, err := plan.Analyze(c, sql)
		var r *plan.Refusal
		if !errors.As(err, &r) || r.SQLState != "0A000" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"select id, email from users", "insert into users (id, name) values (1, 'x')", "select id from v_docs"} {
		if _, err := plan.Analyze(c, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
