package rotate

import (
	"bytes"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// FuzzPlan gives works a page of one good row and one hostile value. What is hostile is a finding or opens, the page
// goes on, and only what the store's own key opens is written.
func FuzzPlan(f *testing.F) {
	s := newShop(f)
	tables := []*field.Table{
		s.people(), s.people(rowKeys, padded(16)), s.people(searchable), s.people(kmsKeys),
		s.people(of("name", func(c *field.ColumnConfig) { c.Type = s.typ("int8[]") })),
	}
	for i, table := range tables {
		rows := s.rows(s.people(of("name", func(c *field.ColumnConfig) {
			col := table.Column("name")
			c.Mode, c.Pad, c.Search = col.Mode(), col.Pad(), col.Search()
		})), 2)
		v := rows[0].values[0]
		f.Add(byte(i), v)
		f.Add(byte(i), v[:len(v)-1])
		f.Add(byte(i), v[:envelope.MinSize])
		f.Add(byte(i), edited(v, 5))
		f.Add(byte(i), edited(v, 7))
		f.Add(byte(i), rows[0].values[1])
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte("plain"))
	f.Add(byte(2), []byte{envelope.Magic})
	f.Fuzz(func(t *testing.T, which byte, hostile []byte) {
		table := tables[int(which)%len(tables)]
		shop := *s
		shop.t = t
		for _, job := range []Job{{Kind: Verify}, {Kind: Reseal}, {Kind: Reseal, Options: map[string]string{"all": "true"}}} {
			job.Table = table
			rows := shop.rows(shop.people(), 2)
			rows[1].values[0] = bytes.Clone(hostile)
			w, err := newWork(t.Context(), shop.config(), &job)
			shop.must(err)
			verdicts, err := w.plan(t.Context(), rows)
			if err != nil {
				t.Fatalf("%s: %v", job.Kind, err)
			}
			checkHostile(t, &shop, table, &verdicts[1], hostile)
		}
	})
}

func checkHostile(t *testing.T, s *shop, table *field.Table, d *verdict, hostile []byte) {
	t.Helper()
	for _, f := range d.findings {
		if f.Kind == "" || f.Detail == "" || f.Column == "" {
			t.Errorf("finding %+v", f)
		}
	}
	if d.fresh == nil || d.fresh[0] == nil {
		return
	}
	cells := []field.OpenCell{{Column: table.Column("name"), Row: field.Row{Tenant: *d.beside[0]}, Sealed: hostile, AnyType: true}}
	if s.cipher.OpenCells(t.Context(), nil, cells); cells[0].Err != nil {
		t.Errorf("what does not open was sealed again: %v", cells[0].Err)
	}
}
