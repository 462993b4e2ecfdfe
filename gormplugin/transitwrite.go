package gormplugin

import (
	"slices"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// plainFieldOf returns the model's field whose column is the plain one of c,
// or nil.
func (m *model) plainFieldOf(c *field.Column) *schema.Field {
	for _, f := range m.schema.Fields {
		if moving(c) && strings.EqualFold(f.DBName, c.Transition().Plain) {
			return f
		}
	}
	return nil
}

// movingTo returns the column that takes over from the plain column of that
// name, or nil.
func (m *model) movingTo(plain string) *field.Column {
	for _, c := range m.cols {
		if moving(c) && strings.EqualFold(c.Transition().Plain, plain) {
			return c
		}
	}
	return nil
}

// refusePlain refuses a plain column that is written by itself.
func (m *model) refusePlain(column string) error {
	if c := m.movingTo(column); c != nil {
		return m.refuse(column, ErrTransition, "assign "+c.Name()+", which takes over from it")
	}
	return nil
}

// refusePlain refuses an INSERT that names a plain column.
func (g *insertPage) refusePlain() error {
	for _, c := range g.values.Columns {
		if err := g.m.refusePlain(c.Name); err != nil {
			return err
		}
	}
	return nil
}

// addPlain adds to an INSERT the plain columns that are written beside sealed
// ones. at are the places of columns, and rows the values before sealing.
func (g *insertPage) addPlain(columns []*field.Column, at []int, rows [][]any) error {
	for j, c := range columns {
		if !c.Transition().Both {
			continue
		}
		g.values.Columns = append(slices.Clip(g.values.Columns), clause.Column{Name: c.Transition().Plain})
		for i := range rows {
			v, err := g.m.veiled(c, rows[i][at[j]])
			if err != nil {
				return err
			}
			g.values.Values[i] = append(g.values.Values[i], v)
		}
	}
	return nil
}

// withPlain adds to the sealed form of set the assignments of plain columns:
// the value that the sealed column gets, or NULL, so that no old value is read
// again once the sealed one is NULL.
func (m *model) withPlain(set, sealed clause.Set) (clause.Set, error) {
	for _, a := range set {
		if err := m.refusePlain(a.Column.Name); err != nil {
			return nil, err
		}
		c := m.column(a.Column.Name)
		if !moving(c) {
			continue
		}
		to := clause.Assignment{Column: clause.Column{Name: c.Transition().Plain}}
		if c.Transition().Both {
			if from, ok := a.Value.(clause.Column); ok && from.Table == "excluded" {
				to.Value = clause.Column{Table: from.Table, Name: to.Column.Name}
			} else {
				var err error
				if to.Value, err = m.veiled(c, a.Value); err != nil {
					return nil, err
				}
			}
		}
		sealed = append(slices.Clip(sealed), to)
	}
	return sealed, nil
}
