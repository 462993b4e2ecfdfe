package sealing

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// TestAValueInClearOpensOnlyWhereItMayStand: one that begins with a zero byte is a plain one in a column in transition,
// and a broken one everywhere else.
func TestAValueInClearOpensOnlyWhereItMayStand(t *testing.T) {
	f := newFixture(t)
	out := func(clear bool, column string) plan.Output {
		return plan.Output{Possible: []*field.Column{f.table.Column(column)}, Clear: clear, TenantAt: -1, RowIDAt: -1}
	}
	guard := f.table.Column("ssn").Guard()
	for _, c := range []struct {
		name, column, value, want string
		clear                     bool
	}{
		{"clear", "ssn", "\x00plain", "plain", true},
		{"empty", "ssn", "\x00", "", true},
		{"like a sealed one", "ssn", "\x00" + string(guard[:]), string(guard[:]), true},
		{"two zero bytes", "ssn", "\x00\x00x", "\x00x", true},
		{"a date", "dob", "\x00\x00\x00\x01\x8f", "2001-02-03", true},
		{"half a date", "dob", "\x00\x00", "", true},
		{"no byte at all", "ssn", "", "", true},
		{"not behind a zero byte", "ssn", "plain", "", true},
		{"not in transition", "ssn", "\x00plain", "", false},
	} {
		for _, s := range []*Session{f.cold(t), f.Session} {
			for format, value := range map[int16][]byte{1: []byte(c.value), 0: hexText([]byte(c.value))} {
				got, err := openRow(t.Context(), s.NewOpener([]Column{{Output: out(c.clear, c.column), Server: format}}), row(value))
				var r *plan.Refusal
				refused := errors.As(err, &r)
				switch {
				case c.want == "" && c.name != "empty" && !refused:
					t.Errorf("%s: opened as %q", c.name, got)
				case c.want == "" && c.name != "empty":
					if r.SQLState == "" || strings.Contains(r.Error(), "plain") {
						t.Errorf("%s: %v", c.name, r)
					}
				case err != nil || string(got) != string(row([]byte(c.want))):
					t.Errorf("%s: %q, %v", c.name, got, err)
				}
				if (c.name == "not in transition" || c.name == "not behind a zero byte") && (r == nil || r.SQLState != stateCorrupted) {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
	}
}

// TestRowsOfBothKindsOpenTogether: what is in clear needs no key, beside values that wait for one.
func TestRowsOfBothKindsOpenTogether(t *testing.T) {
	f := newFixture(t)
	out := plan.Output{Possible: []*field.Column{f.table.Column("ssn")}, Clear: true, TenantAt: -1, RowIDAt: -1}
	o := f.cold(t).NewOpener([]Column{{Output: out, Server: 1}, {Output: out}})
	sealed := f.seal(t, "ssn", "acme", "078-05-1120")
	bodies := [][]byte{row(sealed, hexText([]byte("\x00a"))), row([]byte("\x00b"), nil), row(nil, hexText(sealed)), row([]byte("\x00c"), hexText(sealed))}
	if err := o.Load(t.Context(), bodies); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{row([]byte("078-05-1120"), []byte("a")), row([]byte("b"), nil), row(nil, []byte("078-05-1120")), row([]byte("c"), []byte("078-05-1120"))} {
		got, ok, err := o.Row(t.Context(), nil, bodies[i])
		if err != nil || !ok || string(got) != string(want) {
			t.Errorf("row %d: %q, %v, %v", i, got, ok, err)
		}
	}
}

// TestAValueInClearOfAnotherTenant is not given to a session that has one, where the result says whose it is.
func TestAValueInClearOfAnotherTenant(t *testing.T) {
	f := newFixture(t)
	out := plan.Output{Possible: []*field.Column{f.table.Column("ssn")}, Clear: true, TenantAt: 1, RowIDAt: -1}
	columns := []Column{{Output: out, Server: 1}, {Output: plan.Output{TenantAt: -1, RowIDAt: -1}, OID: pgtype.TextOID}}
	for _, c := range []struct {
		session string
		row     []byte
		ok      bool
	}{{"", []byte("acme"), true}, {"", nil, true}, {"acme", []byte("acme"), true}, {"acme", []byte("zeta"), false}, {"acme", nil, false}} {
		s := f.cold(t)
		s.Tenant = c.session
		_, err := openRow(t.Context(), s.NewOpener(columns), row([]byte("\x00plain"), c.row))
		var r *plan.Refusal
		if (err == nil) != c.ok || !c.ok && (!errors.As(err, &r) || r.SQLState != stateDenied) {
			t.Errorf("%q, %q: %v", c.session, c.row, err)
		}
	}
}
