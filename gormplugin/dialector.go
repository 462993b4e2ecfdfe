package gormplugin

import (
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// dialector is the database's own dialector with a migrator that knows sealed
// columns. GORM asks for no interfaces of a dialector but the ones here.
type dialector struct {
	gorm.Dialector
	p          *Plugin
	translates bool // the application asked for translated errors
}

var (
	_ gorm.SavePointerDialectorInterface = (*dialector)(nil)
	_ gorm.ErrorTranslator               = (*dialector)(nil)
)

// migrations puts the plugin in front of the database's migrator.
func (p *Plugin) migrations(db *gorm.DB) {
	if _, ours := db.Dialector.(*dialector); !ours && db.Dialector != nil {
		db.Dialector = &dialector{Dialector: db.Dialector, p: p, translates: db.TranslateError}
		db.TranslateError = true // so that GORM asks Translate about every error
	}
}

// Migrator returns the database's migrator behind this package's.
func (d *dialector) Migrator(db *gorm.DB) gorm.Migrator {
	return &migrator{Migrator: d.Dialector.Migrator(db), d: d, db: db, sql: schemaSQLOf(d.Name())}
}

// Unwrap returns the database's own dialector, for code that needs its type.
func (d *dialector) Unwrap() gorm.Dialector { return d.Dialector }

// SavePoint is the dialector's; without it, GORM's answer to not having it.
func (d *dialector) SavePoint(tx *gorm.DB, name string) error {
	if s, ok := d.Dialector.(gorm.SavePointerDialectorInterface); ok {
		return s.SavePoint(tx, name)
	}
	return gorm.ErrUnsupportedDriver
}

// RollbackTo is the dialector's; without it, GORM's answer to not having it.
func (d *dialector) RollbackTo(tx *gorm.DB, name string) error {
	if s, ok := d.Dialector.(gorm.SavePointerDialectorInterface); ok {
		return s.RollbackTo(tx, name)
	}
	return gorm.ErrUnsupportedDriver
}

// Translate is the dialector's where the application wants that, and takes
// values out of errors.
func (d *dialector) Translate(err error) error {
	if err = withoutValue(err); !d.translates {
		return err
	}
	if t, ok := d.Dialector.(gorm.ErrorTranslator); ok {
		return t.Translate(err)
	}
	return err
}

// indexOptions is what GORM asks of a migrator by type assertion.
type indexOptions interface {
	BuildIndexOptions(opts []schema.IndexOption, stmt *gorm.Statement) []any
}

// reorderer is the part of GORM's migrator that says which models a migration
// is about.
type reorderer interface {
	ReorderModels(values []any, autoAdd bool) []any
}
