package rotate

import (
	"bytes"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// TestMovingPlans: what is written depends on the bytes that it was made of, on either side.
func TestMovingPlans(t *testing.T) {
	s := newShop(t)
	text, err := codec.ParseType("text")
	s.must(err)
	table, err := field.NewTable(field.TableConfig{Name: "people", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{{
		Name: "email_sealed", ID: "email", Type: text, Mode: envelope.ModeRow, Transition: field.Transition{Plain: "email", Both: true},
	}}})
	s.must(err)
	acme, beta := "acme", "beta"
	sealed, err := s.cipher.Seal(t.Context(), nil, table.Columns()[0], field.Row{Tenant: acme}, "ann")
	s.must(err)
	at := func(tenant *string, value []byte, plain any) row {
		return row{key: []any{int64(1)}, values: [][]byte{value}, plain: []any{plain}, beside: []*string{tenant}}
	}
	ann, bob := field.Binary("ann"), field.Binary("bob")
	for _, c := range []struct {
		name    string
		kind    Kind
		row     row
		writes  bool
		fresh   string // "", "new", "same"
		plainTo string // "", else the value
		finding string
	}{
		{"seal a new one", Seal, at(&acme, nil, ann), true, "new", "", ""},
		{"seal what differs", Seal, at(&acme, sealed, bob), true, "new", "", ""},
		{"seal what is there", Seal, at(&acme, sealed, ann), false, "", "", ""},
		{"seal NULL", Seal, at(&acme, nil, nil), false, "", "", ""},
		{"seal no plain one", Seal, at(&acme, sealed, nil), false, "", "", ""},
		{"seal for nobody", Seal, at(nil, nil, ann), false, "", "", FindingWrongTenant},
		{"seal beside another tenant's", Seal, at(&beta, sealed, ann), false, "", "", FindingWrongTenant},
		{"seal beside garbage", Seal, at(&acme, []byte("garbage"), ann), false, "", "", FindingUnsealed},
		{"unseal a new one", Unseal, at(&acme, sealed, nil), true, "same", "ann", ""},
		{"unseal what differs", Unseal, at(&acme, sealed, bob), true, "same", "ann", ""},
		{"unseal what is there", Unseal, at(&acme, sealed, ann), false, "", "", ""},
		{"unseal NULL", Unseal, at(&acme, nil, bob), false, "", "", ""},
		{"unseal another tenant's", Unseal, at(&beta, sealed, nil), false, "", "", FindingWrongTenant},
		{"unseal garbage", Unseal, at(&acme, []byte("garbage"), nil), false, "", "", FindingUnsealed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := newWork(t.Context(), s.config(), &Job{Kind: c.kind, Table: table})
			s.must(err)
			verdicts, err := w.plan(t.Context(), []row{c.row})
			s.must(err)
			v := &verdicts[0]
			finding := ""
			if len(v.findings) > 0 {
				finding = v.findings[0].Kind
			}
			if v.writes != c.writes || finding != c.finding {
				t.Fatalf("writes %v, finding %q; want %v, %q", v.writes, finding, c.writes, c.finding)
			}
			fresh := ""
			switch f := v.freshFor(0); {
			case f == nil:
			case bytes.Equal(f, c.row.values[0]):
				fresh = "same"
			default:
				fresh = "new"
			}
			if fresh != c.fresh {
				t.Errorf("the sealed value becomes %q, want %q", fresh, c.fresh)
			}
			to := ""
			if v.plainTo != nil && v.plainTo[0].set {
				to = string(v.plainTo[0].value)
			}
			if to != c.plainTo {
				t.Errorf("the plain value becomes %q, want %q", to, c.plainTo)
			}
		})
	}
}
