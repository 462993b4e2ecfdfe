package gormplugin

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
)

// Remains is what a column in transition still leaves to do, in rows.
type Remains struct {
	// Unsealed rows have a value in the plain column and none in the sealed one.
	Unsealed int64
	// Plain rows have a value in the plain column, sealed or not.
	Plain int64
}

// Remaining counts what is left of the transitions of model's table, by the
// sealed column's name. Rows that are soft-deleted count. Once Unsealed is 0
// for a column, its plain column may be emptied; once Plain is 0, and nothing
// writes the plain column any more, it can be dropped. A model without a
// column in transition is an error that matches ErrTransition.
func (p *Plugin) Remaining(db *gorm.DB, model any) (map[string]Remains, error) {
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(model); err != nil {
		return nil, fmt.Errorf("rowseal: model %T: %w", model, err)
	}
	m, err := p.models.model(stmt.Schema, p.defaultTenant())
	if err != nil {
		return nil, err
	}
	left := map[string]Remains{}
	if m.seals() {
		for _, c := range m.table.Columns() {
			if !moving(c) {
				continue
			}
			if left[c.Name()], err = remains(stmt, c); err != nil {
				return nil, fmt.Errorf("rowseal: counting what is left of %v: %w", c, err)
			}
		}
	}
	if len(left) == 0 {
		return nil, m.refuse("", ErrTransition, "no column of the model has transition= in its tag: there is nothing to count")
	}
	return left, nil
}

// remains counts past the plugin, which would ask for both columns wherever
// one is named.
func remains(stmt *gorm.Statement, c *field.Column) (r Remains, err error) {
	text := fmt.Sprintf("SELECT count(CASE WHEN %s IS NULL THEN 1 END), count(*) FROM %s WHERE %s IS NOT NULL",
		stmt.Quote(c.Name()), stmt.Quote(stmt.Table), stmt.Quote(c.Transition().Plain))
	err = stmt.DB.Statement.ConnPool.QueryRowContext(stmt.DB.Statement.Context, text).Scan(&r.Unsealed, &r.Plain)
	return r, err
}
