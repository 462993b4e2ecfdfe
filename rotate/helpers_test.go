package rotate_test

import (
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// namedTable is a table with the one column name, `key: row`.
func namedTable(t *testing.T, name string) *field.Table {
	t.Helper()
	text, err := codec.ParseType("text")
	must(t, err)
	table, err := field.NewTable(field.TableConfig{Name: name, Columns: []field.ColumnConfig{
		{Name: "name", Type: text, Mode: envelope.ModeRow},
	}})
	must(t, err)
	return table
}

func sealOne(t *testing.T, w *world, d db, table *field.Table, insert string) {
	t.Helper()
	sealed, err := w.cipher(t).Seal(t.Context(), nil, table.Column("name"), field.Row{Tenant: "acme"}, "Ann")
	must(t, err)
	d.exec(t, insert, sealed)
}
