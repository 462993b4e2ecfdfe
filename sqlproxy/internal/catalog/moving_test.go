package catalog_test

import (
	"strings"
	"testing"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
)

// movingPolicy declares tables, each with a column "email_sealed" that takes over from "email".
func movingPolicy(t *testing.T, types map[string]string, both bool) *field.Policy {
	t.Helper()
	return policyWith(t, types, field.ColumnConfig{Name: "email_sealed", ID: "email", Transition: field.Transition{Plain: "email", Both: both}})
}

// TestTransitions finds out from the columns of a table how far a transition is.
func TestTransitions(t *testing.T) {
	cases := []struct {
		name, typed, columns string
		sealed               string // the columns that are sealed
		moving               bool   // email is plain and sealed
		hidden               string
		wrong                string // part of what is wrong with email, or with email_sealed where there is no email
		cleared              string // the same where only the sealed column is written
	}{
		{name: "before", typed: "text", columns: "email text"},
		{name: "before_length", typed: "varchar(20)", columns: "email varchar(20)"},
		{name: "during", typed: "text", columns: "email text, email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed"},
		{name: "during_numeric", typed: "numeric(10,2)", columns: "email_sealed bytea, email numeric(10,2)", sealed: "email_sealed", moving: true, hidden: "email_sealed"},
		{name: "during_array", typed: "text[]", columns: "email text[], email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed"},
		{name: "during_bytea", typed: "bytea", columns: "email bytea, email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed"},
		{name: "after", typed: "text", columns: "email bytea", sealed: "email"},
		{name: "after_old", typed: "text", columns: "email_rowseal_old text, email bytea", sealed: "email", hidden: "email_rowseal_old"},
		{name: "after_bytea", typed: "bytea", columns: "email bytea CONSTRAINT rowseal_after_bytea_guard_0123456789abcdef CHECK (octet_length(email) > 1)", sealed: "email"},
		{name: "before_or_after_bytea", typed: "bytea", columns: "email bytea", sealed: "email", wrong: "may be plain or sealed"},
		{name: "neither", typed: "text", columns: "id int"},
		{name: "no_plain", typed: "text", columns: "email_sealed bytea", sealed: "email_sealed", wrong: "take `transition` out"},
		{name: "before_type", typed: "text", columns: "email varchar(20)", wrong: "make them one type"},
		{name: "before_domain", typed: "text", columns: "email label", wrong: "make them one type"},
		{name: "during_type", typed: "text", columns: "email int, email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "make them one type"},
		{name: "during_modifier", typed: "varchar(20)", columns: "email varchar(30), email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "make them one type"},
		{name: "during_sealed_type", typed: "text", columns: "email text, email_sealed text", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "not bytea"},
		{name: "during_computed", typed: "text", columns: "note text, email text GENERATED ALWAYS AS (note) STORED, email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "computed"},
		{name: "during_sealed_default", typed: "text", columns: "email text, email_sealed bytea DEFAULT '\\x00'", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "default"},
		{name: "during_sealed_not_null", typed: "text", columns: "email text, email_sealed bytea NOT NULL", sealed: "email_sealed", moving: true, hidden: "email_sealed", wrong: "NOT NULL"},
		{name: "during_not_null", typed: "text", columns: "email text NOT NULL, email_sealed bytea", sealed: "email_sealed", moving: true, hidden: "email_sealed", cleared: "write: both"},
	}
	conn := connect(t, testpg.DSN(t))
	run(t, conn, "CREATE DOMAIN label AS text")
	types := map[string]string{}
	for _, c := range cases {
		run(t, conn, "CREATE TABLE "+c.name+" ("+c.columns+")")
		types[c.name] = c.typed
	}
	for _, both := range []bool{true, false} {
		s := load(t, conn, movingPolicy(t, types, both))
		for _, c := range cases {
			r := s.Relation("public", c.name)
			var sealed, hidden []string
			for _, col := range r.Columns {
				if col.Sealed != nil {
					sealed = append(sealed, col.Name)
				}
				if col.Hidden {
					hidden = append(hidden, col.Name)
				}
			}
			if got := strings.Join(sealed, " "); got != c.sealed {
				t.Errorf("%s: sealed %q", c.name, got)
			}
			if got := strings.Join(hidden, " "); got != c.hidden {
				t.Errorf("%s: hidden %q", c.name, got)
			}
			email := r.Column("email")
			if (email != nil && email.Moving != nil) != c.moving {
				t.Errorf("%s: moving %v", c.name, !c.moving)
			}
			if email == nil {
				email = r.Column("email_sealed")
			}
			wrong, want := "", c.wrong
			if email != nil {
				wrong = email.Wrong
			}
			if !both && c.cleared != "" {
				want = c.cleared
			}
			if (want == "") != (wrong == "") || !strings.Contains(wrong, want) {
				t.Errorf("%s, both %v: wrong %q", c.name, both, wrong)
			}
		}
	}
}
