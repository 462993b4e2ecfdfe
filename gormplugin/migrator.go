package gormplugin

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// migrator is the database's migrator with what sealed columns need around it:
// a check of the model before anything is sent, and guards and search indexes
// behind it. GORM's migrators come back here for each step, through
// db.Migrator().
type migrator struct {
	gorm.Migrator
	d   *dialector
	db  *gorm.DB
	sql schemaSQL // nil where the database is not known
}

var (
	_ gorm.Migrator = (*migrator)(nil)
	_ indexOptions  = (*migrator)(nil)
)

// withGuards is the setting under which FullDataTypeOf writes guards too. It
// is set while columns are made; when GORM compares columns, it is not.
const withGuards = "rowseal:guards"

// target is what a migration is about.
type target struct {
	*model
	table string // another than the model's after db.Table
}

// target reads value, a model or a table's name, and refuses models that must
// not be migrated.
func (m *migrator) target(value any) (target, error) {
	t := target{}
	if m.db.Statement != nil {
		t.table = m.db.Statement.Table
	}
	if name, ok := value.(string); ok {
		t.table = name
		return t, nil
	}
	stmt := &gorm.Statement{DB: m.db}
	if err := stmt.Parse(value); err != nil {
		return t, err
	}
	// The schema is the one of the model's own name, which values are bound to.
	model, err := m.d.p.models.model(stmt.Schema, m.d.p.defaultTenant())
	if err != nil {
		return t, err
	}
	t.model = model
	if t.table == "" {
		t.table = stmt.Schema.Table
	}
	if !model.seals() {
		return t, nil
	}
	if m.sql == nil {
		return t, model.refuse("", ErrMigration, "migrations of sealed columns are known for PostgreSQL, MySQL and SQLite, not for "+m.d.Name())
	}
	return t, model.checkSchema(dialectOf(m.d.Name()))
}

// reader returns a session that asks the database also in a dry run.
func (m *migrator) reader() *gorm.DB {
	tx := m.db.Session(&gorm.Session{})
	tx.DryRun = false
	return tx
}

// making returns the database's migrator for making columns with guards.
func (m *migrator) making() gorm.Migrator {
	return m.d.Dialector.Migrator(m.db.Set(withGuards, true).Session(&gorm.Session{}))
}

// FullDataTypeOf returns a column's type, with its guard where it is made.
func (m *migrator) FullDataTypeOf(f *schema.Field) clause.Expr {
	expr := m.Migrator.FullDataTypeOf(unsized(f))
	if making, _ := m.db.Get(withGuards); making != true || f.Schema == nil {
		return expr
	}
	t, err := m.target(reflect.New(f.Schema.ModelType).Interface())
	if err != nil || !t.seals() {
		return expr // an error has been reported before anything was sent
	}
	if c := t.column(f.DBName); c != nil {
		for _, g := range guard.Of(c) {
			expr.SQL += m.sql.inline(quoterOf(m.db), f.Schema.Table, g)
		}
	}
	return expr
}

// unsized returns a sealed field without the size and precision that GORM takes
// from its Go type or tag: they are the logical value's, and sealed bytes are
// longer.
func unsized(f *schema.Field) *schema.Field {
	if _, sealed := f.Serializer.(carrier); !sealed {
		return f
	}
	of := *f
	of.Size, of.Precision, of.Scale = 0, 0, 0
	return &of
}

// AutoMigrate checks all models first, migrates them, and adds the guards and
// search indexes that are missing.
func (m *migrator) AutoMigrate(values ...any) error {
	if err := m.check(values); err != nil {
		return err
	}
	if r, ok := m.Migrator.(reorderer); ok {
		values = r.ReorderModels(values, true) // with those they depend on
	}
	if err := errors.Join(m.check(values), m.checkTypes(values)); err != nil {
		return err
	}
	if err := m.Migrator.AutoMigrate(values...); err != nil {
		return err
	}
	return m.finish(values)
}

// check refuses models with wrong tags.
func (m *migrator) check(values []any) error {
	for _, v := range values {
		if _, err := m.target(v); err != nil {
			return err
		}
	}
	return nil
}

// finish adds what is missing to the tables of models.
func (m *migrator) finish(values []any) error {
	for _, v := range values {
		t, err := m.target(v)
		if err == nil && t.seals() {
			err = m.ensure(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CreateTable creates tables whose sealed columns have their guards.
func (m *migrator) CreateTable(values ...any) error {
	if err := m.check(values); err != nil {
		return err
	}
	if err := m.making().CreateTable(values...); err != nil {
		return err
	}
	for _, v := range values {
		t, err := m.target(v)
		if err != nil {
			return err
		}
		for _, c := range t.sealedColumns() {
			if err := m.exec(m.sql.created(quoterOf(m.db), t.table, c.Name())); err != nil {
				return err
			}
		}
	}
	return m.finish(values)
}

// AddColumn adds a column, a sealed one with its guard.
func (m *migrator) AddColumn(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	c := t.sealedField(name)
	if c == nil {
		return m.Migrator.AddColumn(value, name)
	}
	if err := m.checkTypes([]any{value}); err != nil {
		return err
	}
	add := func() error { return m.making().AddColumn(value, name) }
	if err := m.define(t, c, "ADD", add); err != nil {
		return err
	}
	if err := m.exec(m.sql.created(quoterOf(m.db), t.table, c.Name())); err != nil {
		return err
	}
	return m.ensureGuards(t, c)
}

// define adds or changes a sealed column as others does; on MySQL itself,
// because that migrator does not come back for the type, and would make the
// column as short as the field's Go type.
func (m *migrator) define(t target, c *field.Column, verb string, others func() error) error {
	f := t.fields[c.Name()]
	if _, own := m.sql.(mysqlSQL); !own || f == nil || f.IgnoreMigration {
		return others()
	}
	return m.db.Exec("ALTER TABLE ? "+verb+" ? ?", clause.Table{Name: t.table}, clause.Column{Name: c.Name()}, m.FullDataTypeOf(f)).Error
}

// MigrateColumn refuses to make a sealed column of one that holds no bytes.
func (m *migrator) MigrateColumn(value any, f *schema.Field, have gorm.ColumnType) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	if c := t.sealedField(f.DBName); c != nil {
		if err := checkType(t, c, have.DatabaseTypeName()); err != nil {
			return err
		}
	}
	return m.Migrator.MigrateColumn(value, unsized(f), have)
}

// AlterColumn refuses to make a sealed column of one that holds no bytes.
func (m *migrator) AlterColumn(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	alter := func() error {
		return m.restoring(value, t, func() error { return m.Migrator.AlterColumn(value, name) })
	}
	c := t.sealedField(name)
	if c == nil {
		return alter()
	}
	if err := m.checkTypes([]any{value}); err != nil {
		return err
	}
	return m.define(t, c, "MODIFY COLUMN", alter)
}

// DropColumn drops a column, and with a sealed one its guards and indexes.
func (m *migrator) DropColumn(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	return m.restoring(value, t, func() error { return m.Migrator.DropColumn(value, name) })
}

// restoring puts guards and the model's indexes back after a step that copies
// the table: SQLite's migrator loses what belongs to the old one.
func (m *migrator) restoring(value any, t target, step func() error) error {
	if _, copies := m.sql.(sqliteSQL); !copies || !t.seals() {
		return step()
	}
	before, err := m.sql.indexes(m.reader(), quoterOf(m.db), t.table)
	if err != nil {
		return err
	}
	if err := step(); err != nil {
		return err
	}
	if err := m.ensure(t); err != nil {
		return err
	}
	columns, err := m.sql.columns(m.reader(), quoterOf(m.db), t.table)
	if err != nil {
		return err
	}
	for _, idx := range t.schema.ParseIndexes() {
		had := slices.ContainsFunc(before, func(i presentIndex) bool { return i.Name == idx.Name })
		if had && !m.HasIndex(value, idx.Name) && covered(idx, columns) {
			if err := m.CreateIndex(value, idx.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// covered says whether all columns of an index exist.
func covered(idx *schema.Index, columns []presentColumn) bool {
	return !slices.ContainsFunc(idx.Fields, func(o schema.IndexOption) bool {
		return !slices.ContainsFunc(columns, func(c presentColumn) bool { return c.Name == o.DBName })
	})
}

// RenameColumn refuses to rename a sealed column that values are bound to by
// its name.
func (m *migrator) RenameColumn(value any, from, to string) error {
	models, err := m.about(value)
	if err != nil {
		return err
	}
	for _, known := range models {
		for _, name := range []string{from, to} {
			c := target{model: known}.sealedField(name)
			if c == nil || known.pinned(c) {
				continue
			}
			bound := from // the model has the new name already
			if name == from {
				bound = c.Name()
			}
			return known.refuse(c.Name(), ErrMigration, fmt.Sprintf("its values are bound to the column's name; write id=%s into the field's rowseal tag, then rename", bound))
		}
	}
	return m.Migrator.RenameColumn(value, from, to)
}

// RenameTable refuses to rename a table that values are bound to by its name.
func (m *migrator) RenameTable(from, to any) error {
	models, err := m.about(from, to)
	if err != nil {
		return err
	}
	for _, known := range models {
		if known.seals() && !identified(known.schema) {
			return known.refuse("", ErrMigration, fmt.Sprintf("its values are bound to the table's name; give the model a method RowsealID() string that returns %q, then rename", known.table.ID()))
		}
	}
	return m.Migrator.RenameTable(from, to)
}

// about returns the models that values, models or names of tables, are about.
func (m *migrator) about(values ...any) (models []*model, err error) {
	for _, value := range values {
		t, err := m.target(value)
		if err != nil {
			return nil, err
		}
		if t.model != nil {
			models = append(models, t.model)
		} else {
			models = append(models, m.d.p.models.tables(t.table)...)
		}
	}
	return models, nil
}

// checkTypes refuses to make sealed columns of existing ones that hold no bytes,
// and plain columns that sealed ones cannot take over from.
func (m *migrator) checkTypes(values []any) error {
	for _, v := range values {
		t, err := m.target(v)
		if err != nil {
			return err
		}
		if !t.seals() {
			continue
		}
		have, err := m.sql.columns(m.reader(), quoterOf(m.db), t.table)
		if err != nil {
			return err
		}
		for _, column := range have {
			if c := t.column(column.Name); c != nil {
				if err := checkType(t, c, column.Type); err != nil {
					return err
				}
			}
			if c := t.movingTo(column.Name); c != nil {
				if err := m.checkPlain(t, c, column); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkType: a cast would store the plaintexts as bytes, and leave them in
// clear under a column that everyone takes for sealed.
func checkType(t target, c *field.Column, have string) error {
	name, _, _ := strings.Cut(strings.ToLower(have), "(")
	switch name {
	case "bytea", "blob", "mediumblob", "longblob", "varbinary":
		return nil
	}
	return t.refuse(c.Name(), ErrMigration, fmt.Sprintf("the column exists with the type %s, and holds plaintexts; "+
		"add a new sealed column beside it, move the values, then drop the old one (docs/GORM.md, Migrations)", name))
}

// sealedColumns returns the sealed columns that migrations make.
func (t target) sealedColumns() (out []*field.Column) {
	if !t.seals() {
		return nil
	}
	for _, c := range t.model.table.Columns() {
		if f := t.fields[c.Name()]; f != nil && !f.IgnoreMigration {
			out = append(out, c)
		}
	}
	return out
}

// sealedField returns the sealed column of that name, the field's or the
// column's; nil for none.
func (t target) sealedField(name string) *field.Column {
	if !t.seals() {
		return nil
	}
	if f := t.schema.LookUpField(name); f != nil {
		name = f.DBName
	}
	return t.column(name)
}

// exec sends statements, one at a time.
func (m *migrator) exec(statements []string) error {
	for _, s := range statements {
		if err := m.db.Exec(s).Error; err != nil {
			return err
		}
	}
	return nil
}
