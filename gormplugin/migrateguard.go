package gormplugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// ensure adds the guards and search indexes that the table of t misses.
func (m *migrator) ensure(t target) error {
	have, err := m.sql.columns(m.reader(), quoterOf(m.db), t.table)
	if err != nil {
		return err
	}
	for _, c := range t.sealedColumns() {
		exists := slices.ContainsFunc(have, func(h presentColumn) bool { return h.Name == c.Name() })
		if !exists {
			continue
		}
		if err := m.ensureGuards(t, c); err != nil {
			return err
		}
		if err := m.ensureIndexes(t, c); err != nil {
			return err
		}
	}
	return nil
}

// ensureGuards makes the column's guards those of its policy.
func (m *migrator) ensureGuards(t target, c *field.Column) error {
	present, err := m.sql.present(m.reader(), t.table, c.Name())
	if err != nil {
		return err
	}
	missing, stale := compareGuards(guard.Of(c), present)
	for _, g := range stale {
		if g.Fixed {
			return t.refuse(c.Name(), ErrMigration, fmt.Sprintf("the type or the bound name that its guard %s checks has changed, and this database cannot "+
				"change a table's constraints; create the table anew and copy the rows through the model", g.Name))
		}
	}
	if len(missing)+len(stale) == 0 {
		return nil
	}
	return m.db.Transaction(func(tx *gorm.DB) error {
		for _, s := range m.sql.replace(quoterOf(tx), t.table, c.Name(), stale, missing) {
			if err := tx.Exec(s).Error; err != nil {
				return t.guardError(c, stale, err)
			}
		}
		return m.checkRows(tx, t, c, stale, missing)
	})
}

// compareGuards returns the wanted guards that are not present, and those
// present that are not wanted. Names may begin otherwise, after a rename.
func compareGuards(wanted []guard.Guard, present []presentGuard) (missing []guard.Guard, stale []presentGuard) {
	for _, w := range wanted {
		if !slices.ContainsFunc(present, func(p presentGuard) bool { return strings.HasSuffix(p.Name, w.Suffix()) }) {
			missing = append(missing, w)
		}
	}
	for _, p := range present {
		if !slices.ContainsFunc(wanted, func(w guard.Guard) bool { return strings.HasSuffix(p.Name, w.Suffix()) }) {
			stale = append(stale, p)
		}
	}
	return missing, stale
}

// checkRows looks for rows that new guards forbid where the database does not.
// It asks the connection: a condition on a sealed column is refused elsewhere.
func (m *migrator) checkRows(tx *gorm.DB, t target, c *field.Column, stale []presentGuard, added []guard.Guard) error {
	for _, g := range added {
		query := m.sql.offending(quoterOf(tx), t.table, c.Name(), g)
		if query == "" || tx.DryRun {
			continue
		}
		var n int64
		if err := tx.Statement.ConnPool.QueryRowContext(tx.Statement.Context, query).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return t.violated(c, stale)
		}
	}
	return nil
}

// guardError says what a failed guard means. What the database says of the row
// is not passed on.
func (t target) guardError(c *field.Column, stale []presentGuard, err error) error {
	var coded interface{ SQLState() string }
	text := err.Error()
	switch {
	case errors.As(err, &coded) && coded.SQLState() == "23514", // PostgreSQL: check_violation
		errors.Is(err, gorm.ErrCheckConstraintViolated),
		strings.HasPrefix(text, "Error 3819"), strings.HasPrefix(text, "Error 4025"): // MySQL, MariaDB
		return t.violated(c, stale)
	}
	return err
}

func (t target) violated(c *field.Column, stale []presentGuard) error {
	remedy := "rows hold other bytes than the column's policy seals now; they must be resealed first"
	for _, g := range stale {
		remedy += fmt.Sprintf(", after Migrator().DropConstraint(model, %q)", g.Name)
	}
	return t.refuse(c.Name(), ErrUnsealed, remedy+"; then migrate again")
}

// guardNamed returns the guard with that name that the table has, and its
// column.
func (m *migrator) guardNamed(t target, name string) (*field.Column, *presentGuard, error) {
	for _, c := range t.sealedColumns() {
		present, err := m.sql.present(m.reader(), t.table, c.Name())
		if err != nil {
			return nil, nil, err
		}
		for _, g := range present {
			if g.Name == name {
				return c, &g, nil
			}
		}
	}
	return nil, nil, nil
}

// CreateConstraint creates a constraint of the model, or a guard by its name.
func (m *migrator) CreateConstraint(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	for _, c := range t.sealedColumns() {
		for _, g := range guard.Of(c) {
			if g.Name(t.table) == name {
				return m.ensureGuards(t, c)
			}
		}
	}
	return m.Migrator.CreateConstraint(value, name)
}

// HasConstraint says whether the table has a constraint or guard.
func (m *migrator) HasConstraint(value any, name string) bool {
	if t, err := m.target(value); err == nil && strings.HasPrefix(name, guard.Ours) {
		_, found, err := m.guardNamed(t, name)
		return err == nil && found != nil
	}
	return m.Migrator.HasConstraint(value, name)
}

// DropConstraint drops a constraint, or a guard where the database can.
func (m *migrator) DropConstraint(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(name, guard.Ours) {
		return m.restoring(value, t, func() error { return m.Migrator.DropConstraint(value, name) })
	}
	c, found, err := m.guardNamed(t, name)
	switch {
	case err != nil:
		return err
	case found == nil:
		return m.Migrator.DropConstraint(value, name)
	case found.Fixed:
		return t.refuse(c.Name(), ErrMigration, "this database cannot drop a constraint of a table; create the table anew and copy the rows through the model")
	}
	return m.exec(m.sql.replace(quoterOf(m.db), t.table, c.Name(), []presentGuard{*found}, nil))
}
