package rotate

import (
	"testing"

	"github.com/rowseal/rowseal/field"
)

// TestVerifyFindsRowsWithoutATenant: nothing ties their values to them.
func TestVerifyFindsRowsWithoutATenant(t *testing.T) {
	s := newShop(t)
	table := s.people()
	rows := s.rows(table, 4)
	at := 0
	rows[1].beside = append([]*string(nil), rows[1].beside...)
	rows[1].beside[at] = nil
	_, findings := s.run(Job{Kind: Verify, Table: table}, rows)
	if kinds(findings) != "email wrong-tenant, name wrong-tenant" {
		t.Errorf("%v", findings)
	}
	cfg := field.TableConfig{Name: table.Name(), Tenant: field.TenantSource{Column: "tenant", Default: "tenant-1"}}
	for _, c := range table.Columns() {
		cfg.Columns = append(cfg.Columns, field.ColumnConfig{Name: c.Name(), Type: c.Type()})
	}
	for owner, want := range map[string]string{"tenant-1": "", "tenant-0": "email wrong-tenant, name wrong-tenant"} {
		cfg.Tenant.Default = owner
		table, err := field.NewTable(cfg)
		s.must(err)
		if _, findings := s.run(Job{Kind: Verify, Table: table}, rows); kinds(findings) != want {
			t.Errorf("default %s: %v", owner, findings)
		}
	}
}
