package plan_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

const movingSQL = `
CREATE TABLE pair (id int PRIMARY KEY, email text, note text, email_sealed bytea);
CREATE TABLE cleared (id int PRIMARY KEY, email_sealed bytea, email text, note text);
CREATE TABLE begun (id int PRIMARY KEY, org text, email text);
CREATE TABLE done (id int PRIMARY KEY, email_rowseal_old text, note text, email bytea);
CREATE TABLE owned (id int PRIMARY KEY, org text, email text, email_sealed bytea);
CREATE TABLE defaulted (id int PRIMARY KEY, email text DEFAULT 'x', email_sealed bytea);
CREATE TABLE typed (id int, n numeric(10,2), n_sealed bytea, tags text[], tags_sealed bytea);
CREATE TABLE wrong (id int, email varchar(20), email_sealed bytea);
CREATE TABLE other (id int PRIMARY KEY, email text, email_sealed text, ssn bytea);
CREATE VIEW v_pair AS SELECT id, email, note FROM pair;
CREATE FUNCTION all_pair() RETURNS SETOF pair LANGUAGE sql AS 'SELECT * FROM pair';
`

func movingPolicy(t testing.TB) *field.Policy {
	t.Helper()
	one, org := field.TenantSource{Default: "t"}, field.TenantSource{Column: "org"}
	moving := func(name, typed string, both bool) field.ColumnConfig {
		return field.ColumnConfig{
			Name: name + "_sealed", ID: name, Type: typ(t, typed), Search: field.Search{Equality: typed != "text[]"},
			Transition: field.Transition{Plain: name, Both: both},
		}
	}
	ssn := field.ColumnConfig{Name: "ssn", Type: typ(t, "text"), Search: field.Search{Equality: true}, Scope: field.ScopeGlobal, Domain: "mail"}
	global := moving("email", "text", true)
	global.Scope, global.Domain = field.ScopeGlobal, "mail"
	var tables []*field.Table
	for _, c := range []field.TableConfig{
		{Name: "pair", Tenant: one, Columns: []field.ColumnConfig{global}},
		{Name: "cleared", Tenant: one, Columns: []field.ColumnConfig{moving("email", "text", false)}},
		{Name: "begun", Tenant: org, Columns: []field.ColumnConfig{moving("email", "text", true)}},
		{Name: "done", Tenant: one, Columns: []field.ColumnConfig{moving("email", "text", true)}},
		{Name: "owned", Tenant: org, Columns: []field.ColumnConfig{moving("email", "text", true)}},
		{Name: "defaulted", Tenant: one, Columns: []field.ColumnConfig{moving("email", "text", true)}},
		{Name: "typed", Tenant: one, Columns: []field.ColumnConfig{moving("n", "numeric(10,2)", true), moving("tags", "text[]", false)}},
		{Name: "wrong", Tenant: one, Columns: []field.ColumnConfig{moving("email", "text", true)}},
		{Name: "other", Tenant: one, Columns: []field.ColumnConfig{ssn}},
	} {
		tables = append(tables, table(t, c))
	}
	policy, err := field.NewPolicy(tables...)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// TestTransition compares the plans of the texts in testdata/moving.txt, about columns in transition, with those written there.
func TestTransition(t *testing.T) {
	policy := movingPolicy(t)
	s, err := catalog.Load(context.Background(), querier{connectedTo(t, movingSQL)}, policy)
	if err != nil {
		t.Fatal(err)
	}
	c := &plan.Context{Catalog: s, Policy: policy, Path: []string{"pg_catalog", "public"}}
	golden(t, "testdata/moving.txt", func(text string) string { return analysed(c, text) })
	own := *c
	own.Tenant = "north"
	golden(t, "testdata/movingtenant.txt", func(text string) string { return analysed(&own, text) })
	for text, want := range map[string]bool{
		"select id from owned where email = $1": true, "select id from owned where email = $1 and org = $2": false, "select email from owned": false,
	} {
		if p, err := plan.Analyze(&own, text); err != nil || p.OfTenant != want {
			t.Errorf("%s: not of one tenant as it should be: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"select email from pair": "email_sealed", "select id from other": "", "prepare p as update pair set email = $1": "email_sealed",
	} {
		if p, err := plan.Analyze(c, text); err != nil || strings.Join(p.Hidden, " ") != want || p.Stmts[0].Inner != nil && len(p.Stmts[0].Inner.Hidden) != 1 {
			t.Errorf("%s: hidden %v, %v", text, p, err)
		}
	}
	own.Tenant = ""
	own.Prepared = func(string) *plan.Plan { return &plan.Plan{Hidden: []string{"email_sealed"}} }
	if p, err := plan.Analyze(&own, "execute p"); err != nil || len(p.Hidden) != 1 {
		t.Errorf("EXECUTE does not know what is hidden: %v", err)
	}
}
