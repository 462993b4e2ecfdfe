package gormplugin

import (
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// insertPage is what an INSERT writes to a table with sealed columns.
type insertPage struct {
	m      *model
	values clause.Values
	rows   []field.Row // the identity of each row
}

// sealValues seals the rows of VALUES: all cells in one call of the cipher.
func (p *Plugin) sealValues(c clause.Clause, stmt *gorm.Statement) (clause.Clause, error) {
	values, ok := c.Expression.(clause.Values)
	m, err := p.of(stmt)
	if err != nil || m == nil || !ok {
		return c, err
	}
	page := &insertPage{m: m, values: values}
	if err := page.refusePlain(); err != nil {
		return c, err
	}
	columns, at := page.sealedColumns()
	if len(columns) == 0 {
		return c, nil
	}
	page.values.Values = cloneRows(values.Values)
	if err := page.identify(stmt); err != nil {
		return c, err
	}
	rows := make([]field.SealRow, len(page.rows))
	cells := make([]any, len(rows)*len(columns))
	for i := range rows {
		rows[i] = field.SealRow{Row: page.rows[i], Values: cells[i*len(columns) : (i+1)*len(columns)]}
		for j, k := range at {
			if rows[i].Values[j], err = m.plain(columns[j], page.values.Values[i][k]); err != nil {
				return c, err
			}
		}
	}
	if err := p.cipher.SealRows(stmt.Context, columns, rows); err != nil {
		return c, err
	}
	boxes := make([]sealed, len(cells))
	for i := range rows {
		for j, k := range at {
			box := &boxes[i*len(columns)+j]
			if page.values.Values[i][k], box.bytes = nil, rows[i].Sealed[j]; box.bytes != nil {
				page.values.Values[i][k] = box
			}
		}
	}
	if err := page.addPlain(columns, at, values.Values); err != nil {
		return c, err
	}
	p.scopeOf(stmt).inserted = page
	c.Expression = page.values
	return c, nil
}

// cloneRows returns rows that can be changed, their cells side by side.
func cloneRows(rows [][]any) [][]any {
	n := 0
	for _, row := range rows {
		n += len(row)
	}
	out, cells := make([][]any, len(rows)), make([]any, 0, n)
	for i, row := range rows {
		lo := len(cells)
		cells = append(cells, row...)
		out[i] = cells[lo:len(cells):len(cells)]
	}
	return out
}

// cell returns sealed bytes as a statement's parameter; nil stays NULL.
func cell(b []byte) any {
	if b == nil {
		return nil
	}
	return &sealed{b}
}

// sealedColumns returns the sealed columns of the page and their places.
func (g *insertPage) sealedColumns() (columns []*field.Column, at []int) {
	for i, c := range g.values.Columns {
		if col := g.m.column(c.Name); col != nil {
			columns, at = append(columns, col), append(at, i)
		}
	}
	return columns, at
}

// place returns where f's column stands in the page; -1 if it does not.
func (g *insertPage) place(f *schema.Field) int {
	return slices.IndexFunc(g.values.Columns, func(c clause.Column) bool { return strings.EqualFold(c.Name, f.DBName) })
}

// identify finds each row's tenant and id.
func (g *insertPage) identify(stmt *gorm.Statement) error {
	g.rows = make([]field.Row, len(g.values.Values))
	if g.m.tenant != nil {
		k := g.place(g.m.tenant)
		if k < 0 {
			return g.m.refuse(g.m.tenant.DBName, field.ErrTenantUnknown, "write it in the same statement as the sealed columns")
		}
		for i, row := range g.values.Values {
			if err := g.tenant(stmt, i, &row[k]); err != nil {
				return err
			}
		}
	}
	if g.m.rowID == nil {
		return nil
	}
	k := g.place(g.m.rowID)
	for i, row := range g.values.Values {
		if k < 0 || isZero(row[k]) || isComputed(row[k]) {
			return g.m.refuse(g.m.rowID.DBName, field.ErrRowUnknown, "assign it before Create, for example in a BeforeCreate hook; the database must not generate it")
		}
		id, err := g.m.identity(stmt.Context, g.m.rowID, row[k])
		if err != nil {
			return err
		}
		row[k], g.rows[i].ID = id, id
	}
	return nil
}

// tenant sets row i's tenant from its cell, and a missing one in the cell and
// in the caller's struct from the context, as GORM sets timestamps.
func (g *insertPage) tenant(stmt *gorm.Statement, i int, cell *any) (err error) {
	if isComputed(*cell) {
		return g.m.refuse(g.m.tenant.DBName, field.ErrTenantUnknown, "give it a value, not an expression")
	}
	if isZero(*cell) {
		tenant := field.TenantFrom(stmt.Context)
		if tenant == "" {
			return g.m.refuse(g.m.tenant.DBName, field.ErrTenantUnknown, "set "+g.m.tenant.Name+" or use gormplugin.WithTenant")
		}
		if *cell, err = g.m.tenantValue(stmt.Context, tenant); err != nil {
			return err
		}
		if rv := rowOf(stmt, i); rv.IsValid() {
			if err := g.m.tenant.Set(stmt.Context, rv, *cell); err != nil {
				return err
			}
		}
	}
	if *cell, err = g.m.identity(stmt.Context, g.m.tenant, *cell); err != nil {
		return err
	}
	if g.rows[i].Tenant, err = field.TenantOf(*cell); err != nil {
		return g.m.refuse(g.m.tenant.DBName, err, "")
	}
	return nil
}

// rowOf returns the caller's struct of row i, if it is one that can be set.
func rowOf(stmt *gorm.Statement, i int) reflect.Value {
	rv := reflect.Indirect(stmt.ReflectValue)
	if rv.Kind() == reflect.Slice || rv.Kind() == reflect.Array {
		if i >= rv.Len() {
			return reflect.Value{}
		}
		rv = reflect.Indirect(rv.Index(i))
	}
	if rv.Kind() != reflect.Struct || !rv.CanAddr() || stmt.Schema == nil || rv.Type() != stmt.Schema.ModelType {
		return reflect.Value{}
	}
	return rv
}

// plain returns the value to seal into a column. What the database would
// compute is refused: it would compute it in clear.
func (m *model) plain(c *field.Column, v any) (any, error) {
	if inner, ok := unwrapLogical(v); ok {
		return inner, nil
	}
	if isSerializerValue(v) {
		return nil, nil // a field without a value, such as a nil interface
	}
	if isComputed(v) {
		return nil, m.refuse(c.Name(), ErrExpression, "give it a value, not an expression, a column or a sub-query")
	}
	return v, nil
}

// isComputed says whether v is SQL in place of a value.
func isComputed(v any) bool {
	switch v := v.(type) {
	case clause.Expression, clause.Column, clause.Table, clause.Interface, gorm.Valuer, *gorm.DB, *sealed, redacted:
		return true
	case []any:
		return slices.ContainsFunc(v, isComputed)
	}
	return false
}

// isZero says whether an identifier has no value.
func isZero(v any) bool {
	rv := reflect.ValueOf(v)
	for rv.IsValid() && rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	return !rv.IsValid() || rv.IsZero()
}
