package field

import (
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/envelope"
)

// policyReader reads the section `tables`.
type policyReader struct {
	*fileReader
	tenant     string // the default where a table says nothing
	strictFIPS bool   // the same

	tables  map[string]*yamlNode // by name without "public."
	columns map[columnID]columnAt
}

type columnID = envelope.ColumnID

// columnAt is a column that was read, and where.
type columnAt struct {
	column *Column
	at     *yamlNode
}

var (
	tableWords  = words{accepted: []string{"id", "tenant", "rowid", "columns"}}
	sourceWords = words{accepted: []string{"column", "default"}}
	rowIDWords  = words{accepted: []string{"column"}}
)

// policy reads all tables; n is nil where the file has none.
func (r *policyReader) policy(n *yamlNode) *Policy {
	var tables []*Table
	switch {
	case n == nil:
	case n.kind != yamlMapping:
		r.fail(n, "is %s, not a mapping; accepted: the names of tables", n.kind)
	default:
		for _, e := range r.distinct(n) {
			if t := r.table(e); t != nil {
				tables = append(tables, t)
			}
		}
	}
	if len(r.problems) > 0 {
		return nil
	}
	p, err := NewPolicy(tables...)
	if err != nil {
		r.fail(n, "%v", err)
	}
	return p
}

func (r *policyReader) table(e yamlEntry) *Table {
	bare := strings.TrimPrefix(e.name, publicSchema)
	if other := r.tables[bare]; other != nil {
		r.fail(e.at, "is the same table as %s on line %d; keep one", shown(other.name), other.line)
		return nil
	}
	r.tables[bare] = e.at
	known := len(r.problems)
	cfg := TableConfig{Name: e.name, ID: bare}
	r.checkID(e.at, bare)
	values := r.section(e, tableWords)
	if v := values["id"]; v != nil {
		cfg.ID, _ = r.id(v)
	}
	cfg.Tenant = r.tenantOf(values["tenant"])
	if v := values["rowid"]; v != nil {
		if c := r.mapping(v, rowIDWords)["column"]; c != nil {
			cfg.RowID, _ = r.id(c)
		}
	}
	var entries []yamlEntry
	if v := values["columns"]; v != nil {
		entries, cfg.Columns = r.columnsOf(v, cfg)
	} else if len(r.problems) == known {
		r.fail(e.at, "has no `columns`; declare those to seal, as in `columns: {ssn: {type: text}}`")
	}
	if len(r.problems) > known {
		return nil
	}
	return r.build(e, cfg, entries)
}

// section is mapping for an entry, whose missing value is an error at its key.
func (r *fileReader) section(e yamlEntry, w words) map[string]*yamlNode {
	if e.value.kind == yamlNull {
		r.fail(e.at, "has no value; accepted: %s", strings.Join(w.accepted, ", "))
		return nil
	}
	return r.mapping(e.value, w)
}

// tenantOf reads a table's `tenant`, which replaces the file's default.
func (r *policyReader) tenantOf(n *yamlNode) (t TenantSource) {
	if n == nil {
		return TenantSource{Default: r.tenant}
	}
	values := r.mapping(n, sourceWords)
	if v := values["column"]; v != nil {
		t.Column, _ = r.id(v)
	}
	if v := values["default"]; v != nil {
		t.Default, _ = r.id(v)
	}
	return t
}

// columnsOf reads `columns` and returns the entries beside their meaning.
func (r *policyReader) columnsOf(n *yamlNode, cfg TableConfig) (entries []yamlEntry, columns []ColumnConfig) {
	if n.kind != yamlMapping || len(n.entries) == 0 {
		r.fail(n, "names no column; declare those to seal, as in `columns: {ssn: {type: text}}`")
		return nil, nil
	}
	entries = r.distinct(n)
	for _, e := range entries {
		switch e.name {
		case cfg.Tenant.Column:
			r.fail(e.at, "is the tenant column and cannot be sealed too; seal another column, or take the tenant from another")
		case cfg.RowID:
			r.fail(e.at, "is the row id and cannot be sealed too; seal another column, or bind to another")
		}
		columns = append(columns, r.column(e))
	}
	return entries, columns
}

// build makes the table. What the reader did not find is reported at its key.
func (r *policyReader) build(e yamlEntry, cfg TableConfig, entries []yamlEntry) *Table {
	t, err := NewTable(cfg)
	if err != nil {
		r.fail(e.at, "%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("table %s: ", cfg.Name)))
		return nil
	}
	for i, c := range t.columns {
		id := c.field.ID()
		if other, ok := r.columns[id]; ok {
			r.fail(entries[i].at, "has the same column id as %s on line %d; give one of them another `id`",
				other.at.path(), other.at.line)
			continue
		}
		r.columns[id] = columnAt{column: c, at: entries[i].at}
	}
	return t
}
