package gormplugin

import (
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// sealConflict seals the values of DO UPDATE SET, and keeps it from leaving a
// row whose sealed values belong to two tenants or rows.
func (p *Plugin) sealConflict(c clause.Clause, stmt *gorm.Statement) (clause.Clause, error) {
	conflict, ok := c.Expression.(clause.OnConflict)
	m, err := p.of(stmt)
	if err != nil || m == nil || !ok {
		return c, err
	}
	if isMySQL(stmt) && m.seals() {
		if err := m.duplicate(conflict); err != nil {
			return c, err
		}
	}
	if conflict.DoNothing {
		return c, nil
	}
	set := slices.Clone(conflict.DoUpdates)
	assigned := map[string]bool{}
	touches := false
	for _, a := range set {
		assigned[strings.ToLower(a.Column.Name)] = true
		touches = touches || m.binds(a.Column.Name) || m.movingTo(a.Column.Name) != nil
	}
	if !touches {
		return c, nil
	}
	if err := p.sealAssigned(stmt, m, set); err != nil {
		return c, err
	}
	if set, err = m.withPlain(conflict.DoUpdates, set); err != nil {
		return c, err
	}
	conflict.DoUpdates = set
	switch {
	case m.allAssigned(assigned):
	case isMySQL(stmt):
		if conflict.DoUpdates, err = p.onlyOwn(stmt, m, set); err != nil {
			return c, err
		}
	default:
		// The row in the table keeps some of its values, so its tenant and id
		// must be those of the row that was to be inserted.
		same := slices.Concat(sameAsExcluded(stmt, m.tenant), sameAsExcluded(stmt, m.rowID))
		if len(same) > 0 {
			conflict.Where = clause.Where{Exprs: []clause.Expression{guarded{
				where: clause.Where{Exprs: slices.Clone(conflict.Where.Exprs)}, guards: same,
			}}}
		}
	}
	c.Expression = conflict
	return c, nil
}

// binds says whether a column is sealed, or one that sealed values belong to.
func (m *model) binds(column string) bool {
	return m.column(column) != nil || m.owns(column)
}

// owns says whether a column is the tenant or row id that the table's sealed
// values belong to.
func (m *model) owns(column string) bool {
	if !m.seals() {
		return false
	}
	return m.tenant != nil && strings.EqualFold(m.tenant.DBName, column) ||
		m.rowID != nil && strings.EqualFold(m.rowID.DBName, column)
}

// allAssigned says whether a statement replaces every sealed value of a row,
// and the tenant and id that they belong to. Names are in lower case.
func (m *model) allAssigned(assigned map[string]bool) bool {
	for _, c := range m.table.Columns() {
		if !assigned[strings.ToLower(c.Name())] {
			return false
		}
	}
	return (m.tenant == nil || assigned[strings.ToLower(m.tenant.DBName)]) &&
		(m.rowID == nil || assigned[strings.ToLower(m.rowID.DBName)])
}

func sameAsExcluded(stmt *gorm.Statement, f *schema.Field) []clause.Expression {
	if f == nil {
		return nil
	}
	return []clause.Expression{clause.Eq{
		Column: clause.Column{Table: stmt.Table, Name: f.DBName},
		Value:  clause.Column{Table: "excluded", Name: f.DBName},
	}}
}

// sealAssigned seals the values of set in place. A value that is not the
// inserted row's own is one for all rows, so that there must be one row.
func (p *Plugin) sealAssigned(stmt *gorm.Statement, m *model, set clause.Set) error {
	inserted := p.scopeOf(stmt).inserted
	var columns []*field.Column
	var at []int
	row := field.SealRow{}
	for i, a := range set {
		c := m.column(a.Column.Name)
		if from, ok := a.Value.(clause.Column); ok && from.Table == "excluded" {
			if (c != nil || m.binds(from.Name)) && !strings.EqualFold(from.Name, a.Column.Name) {
				return m.refuse(a.Column.Name, ErrExpression, "assign excluded values to the same column")
			}
			continue
		}
		if c == nil {
			if m.binds(a.Column.Name) {
				return m.refuse(a.Column.Name, ErrExpression, "assign it from the inserted row, with clause.AssignmentColumns")
			}
			continue
		}
		v, err := m.plain(c, a.Value)
		if err != nil {
			return err
		}
		columns, at, row.Values = append(columns, c), append(at, i), append(row.Values, v)
	}
	if len(columns) == 0 {
		return nil
	}
	if inserted == nil || len(inserted.rows) != 1 {
		return m.refuse(columns[0].Name(), ErrManyRows, "use clause.AssignmentColumns, or insert the rows one by one")
	}
	row.Row = inserted.rows[0]
	rows := []field.SealRow{row}
	if err := p.cipher.SealRows(stmt.Context, columns, rows); err != nil {
		return err
	}
	for j, i := range at {
		set[i].Value = cell(rows[0].Sealed[j])
	}
	return nil
}
