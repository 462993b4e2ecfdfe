package gormplugin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"runtime"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// DefaultTenant is the tenant of rows where nothing else says one.
const DefaultTenant = "default"

// Plugin seals and opens the tagged fields of GORM models. Set its fields
// before db.Use. One Plugin may serve several databases; it is safe for
// concurrent use.
type Plugin struct {
	// DefaultTenant is the tenant of models without a tenant field where the
	// context names none; "" means the constant DefaultTenant.
	DefaultTenant string
	// RequireTenant refuses to seal where neither the row nor the context
	// names a tenant, in place of taking DefaultTenant.
	RequireTenant bool
	// Models are models to know from the start, such as &User{}. Their tags
	// are checked by db.Use, and statements written by hand are checked
	// against their tables even before GORM has met them otherwise. List
	// every model with sealed fields.
	Models []any

	cipher  *field.Cipher
	models  registry
	texts   *texts
	opener  *sql.DB
	initErr error
}

var _ gorm.Plugin = (*Plugin)(nil)

// New returns a plugin that seals and opens with cipher. It makes the word
// rowseal known as a GORM serializer.
func New(cipher *field.Cipher) *Plugin {
	schema.RegisterSerializer(serializerName, carrier{})
	p := &Plugin{cipher: cipher, opener: sql.OpenDB(openerConnector{})}
	p.opener.SetMaxIdleConns(8)
	runtime.AddCleanup(p, func(db *sql.DB) { _ = db.Close() }, p.opener)
	p.texts, p.initErr = newTexts()
	if cipher == nil {
		p.initErr = errNoCipher
	}
	return p
}

var errNoCipher = errors.New("rowseal: make the plugin with gormplugin.New, which needs a cipher; make one with field.New")

// WithTenant is [field.WithTenant]: a context whose statements seal for
// tenant, and open no other tenant's values.
func WithTenant(ctx context.Context, tenant string) context.Context {
	return field.WithTenant(ctx, tenant)
}

// Name is the name under which GORM keeps the plugin.
func (*Plugin) Name() string { return "rowseal" }

// Initialize is called by db.Use. Calling it again, as the plugin dbresolver
// does for each of its databases, changes nothing.
func (p *Plugin) Initialize(db *gorm.DB) error {
	if p.initErr == nil && p.cipher == nil {
		p.initErr = errNoCipher
	}
	if p.initErr != nil {
		return p.initErr
	}
	for _, m := range p.Models {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(m); err != nil {
			return fmt.Errorf("rowseal: model %T: %w", m, err)
		}
		if _, err := p.models.model(stmt.Schema, p.defaultTenant()); err != nil {
			return err
		}
	}
	p.migrations(db)
	p.build(db, "VALUES", p.sealValues)
	p.build(db, "SET", p.sealSet)
	p.build(db, "ON CONFLICT", p.sealConflict)
	p.build(db, "WHERE", p.guardWhere)
	return p.callbacks(db)
}

func (p *Plugin) defaultTenant() string {
	switch {
	case p.RequireTenant:
		return ""
	case p.DefaultTenant != "":
		return p.DefaultTenant
	}
	return DefaultTenant
}

// rewrite returns the clause to build in place of c. It changes neither c's
// expression nor the statement's clauses, which later code reads.
type rewrite func(c clause.Clause, stmt *gorm.Statement) (clause.Clause, error)

// build puts a rewrite in front of what the dialect does with a clause.
func (p *Plugin) build(db *gorm.DB, name string, f rewrite) {
	before := db.ClauseBuilders[name]
	if isOurs(before) {
		return
	}
	db.ClauseBuilders[name] = chained(f, before)
}

// Inlined, it would make functions that isOurs cannot recognise.
//
//go:noinline
func chained(f rewrite, next clause.ClauseBuilder) clause.ClauseBuilder {
	return func(c clause.Clause, b clause.Builder) {
		if stmt, ok := b.(*gorm.Statement); ok {
			rewritten, err := f(c, stmt)
			if err != nil {
				refuse(stmt, err)
				return
			}
			c = rewritten
		}
		if next != nil {
			next(c, b)
		} else {
			c.Build(b)
		}
	}
}

// isOurs recognises a builder that chained made: databases of one dbresolver
// share their builders, and sealing twice must not happen.
func isOurs(b clause.ClauseBuilder) bool {
	return b != nil && reflect.ValueOf(b).Pointer() == reflect.ValueOf(chained(nil, nil)).Pointer()
}

// refuse makes the statement fail. The parameter that it leaves in the
// statement refuses to be sent, in case the statement is a part of another,
// whose error this is not.
func refuse(stmt *gorm.Statement, err error) {
	_ = stmt.AddError(err)
	stmt.AddVar(stmt, redacted{err})
}
