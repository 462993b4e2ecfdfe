package field_test

import (
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/field"
)

// Values of a long page share what they have in common with the row before.
func TestALongPageOfTenantsAndNullsOpensValueByValue(t *testing.T) {
	f, table := newFixture(t), users(t, searchable("name2"))
	cols := []*field.Column{table.Column("ssn"), table.Column("name"), table.Column("name2"), table.Column("bio")}
	tenantOf := func(i int) string { return []string{"acme", "acme", "acme", "zeta"}[i/5%4] }
	rows := make([]field.SealRow, 80)
	want := func(i, j int) any {
		if (i+j)%5 == 0 { // in each column, where the tenant changes and elsewhere
			return nil
		}
		return fmt.Sprint("value ", i, " ", j)
	}
	for i := range rows {
		rows[i].Tenant = tenantOf(i)
		for j := range cols {
			rows[i].Values = append(rows[i].Values, want(i, j))
		}
	}
	if err := f.SealRows(t.Context(), cols, rows); err != nil {
		t.Fatal(err)
	}
	other, opener := map[string]string{"acme": "zeta", "zeta": "acme"}, f.cold(t)
	for i := range rows {
		for j, col := range cols {
			var got any
			if err := opener.Open(t.Context(), &got, col, field.Row{Tenant: tenantOf(i)}, rows[i].Sealed[j]); err != nil || got != want(i, j) {
				t.Fatalf("row %d, %v: %v, %v", i, col, got, err)
			}
			if want(i, j) == nil {
				continue
			}
			if err := opener.Open(t.Context(), &got, col, field.Row{Tenant: other[tenantOf(i)]}, rows[i].Sealed[j]); err == nil {
				t.Fatalf("row %d, %v opens for another tenant", i, col)
			}
		}
	}
}
