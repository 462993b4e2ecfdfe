package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/envelope"
)

// Dialect is a database product.
type Dialect uint8

// The products that the package knows.
const (
	Postgres Dialect = iota + 1 // through pgx's stdlib driver
	SQLite                      // through github.com/glebarez/go-sqlite, 3.41 or later
	MySQL                       // or MariaDB, through github.com/go-sql-driver/mysql: 8.0.19, MariaDB 10.6, or later
)

// String returns the product's name.
func (d Dialect) String() string {
	if s, err := d.open(); err == nil {
		return s.product
	}
	return fmt.Sprintf("Dialect(%d)", uint8(d))
}

// Schema returns the statements that [Store.Init] runs where nothing is there
// yet, for those who create tables by other means. Each may be run again.
func (d Dialect) Schema() []string {
	s, err := d.open()
	if err != nil {
		return nil
	}
	return slices.Clone(s.schema)
}

func (d Dialect) open() (dialect, error) {
	switch d {
	case Postgres:
		return postgres(), nil
	case SQLite:
		return sqlite(), nil
	case MySQL:
		return mySQL(), nil
	}
	return dialect{}, fmt.Errorf("sqlstore: Config.Dialect is %d; use Postgres, SQLite or MySQL", uint8(d))
}

// dialect is all that differs between products: its texts and what its errors
// mean. Lists go into a statement as one parameter of JSON text, because every
// product reads JSON and every driver passes text, so that there is one
// statement to prepare whatever the number of keys.
type dialect struct {
	product string   // "PostgreSQL"
	table   string   // with its schema
	schema  []string // each may be run again

	exports string // the table of exports, with its schema
	micros  string // the expression of the server's clock

	byID     string // ids
	latest   string // purpose, tenants
	create   string // rows
	standing string // rows; returns those with their tenant, purpose and version
	update   string // id, old state, old wraps, state, parent, wraps, by, reason; returns the id, if change is nil
	now      string // microseconds since the epoch

	// parameter is how the n-th parameter is written, from 1.
	parameter func(n int) string
	// init runs schema, safely beside others that do.
	init func(ctx context.Context, db *sql.DB) error
	// change runs update with its arguments and says whether it found a row,
	// where an UPDATE can return none; else nil.
	change func(ctx context.Context, db *sql.DB, args ...any) (bool, error)
	// require refuses servers and connections that would lose keys; nil where
	// none does.
	require func(ctx context.Context, db *sql.DB) error
	// watch tells of changes until ctx ends; nil where the product cannot.
	watch func(ctx context.Context, s *Store, changed func([]envelope.KeyID), gap func(error)) error
	// explain returns the remedy, and err without what must not be printed.
	explain func(err error) (remedy string, cause error)
	// oneWriter: one connection writes at a time, and those who wait try again in no order.
	oneWriter bool
	// transient says whether err was only a clash of concurrent statements.
	transient func(err error) bool
}

// columns are those of the table, in the order of row.fields.
const columns = "id, tenant, purpose, version, state, parent, commitment, wraps, created_at, changed_at, changed_by, reason"
