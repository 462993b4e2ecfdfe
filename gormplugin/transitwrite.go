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

// replacing returns the column that takes over from the plain column of that
// name in the table that is written to, or nil.
func (p *parser) replacing(plain string) *field.Column {
	for _, m := range p.target {
		if c := m.movingTo(plain); c != nil {
			return c
		}
	}
	return nil
}

// plainValue checks what is written to the plain column that c takes over
// from: what this package writes beside a sealed value, or NULL.
func (p *parser) plainValue(c *field.Column, lo, hi int) {
	switch t := p.at(lo); {
	case hi == lo+1 && t.kind == tokenParam:
		p.plains = append(p.plains, plainUse{param: t.param, column: c})
	case hi == lo+1 && t.is("null"):
	case p.sameName(c.Transition().Plain, lo, hi):
	default:
		p.failPlain(c)
	}
}

// plainUse is a parameter that is written to the plain column that column
// takes over from.
type plainUse struct {
	param  int
	column *field.Column
}

// check refuses a parameter that was not written by this package: nothing would
// seal it, and where the row has a sealed value, nothing would read it.
func (u plainUse) check(args []any, first int) error {
	if at := u.param + first; u.param >= 0 && at < len(args) {
		if _, ok := args[at].(veiled); ok || args[at] == nil {
			return nil
		}
	}
	return plainError(u.column)
}

func (p *parser) failPlain(c *field.Column) {
	if p.err == nil {
		p.err = plainError(c)
	}
}

func plainError(c *field.Column) error {
	return &Error{
		Table: c.Table().Name(), Column: c.Transition().Plain, Err: ErrTransition,
		Remedy: "assign " + c.Name() + ", which takes over from it, through a model or a map of GORM's; by hand it can be set to NULL",
	}
}
