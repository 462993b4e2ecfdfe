package gormplugin

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// GORM wants *sql.Rows, which only database/sql makes. So opened rows are
// handed to it through a driver of our own that runs no statements: its only
// query is a source of rows that somebody else has asked for.

// openerConnector connects to nothing.
type openerConnector struct{}

var _ driver.Connector = openerConnector{}

// Connect returns a connection without state.
func (openerConnector) Connect(context.Context) (driver.Conn, error) { return openerConn{}, nil }

// Driver returns the driver, which has no other way to connect.
func (openerConnector) Driver() driver.Driver { return openerDriver{} }

type openerDriver struct{}

var errNoDatabase = errors.New("rowseal: internal error: the opener of rows runs no statements")

// Open refuses.
func (openerDriver) Open(string) (driver.Conn, error) { return nil, errNoDatabase }

type openerConn struct{}

var (
	_ driver.QueryerContext    = openerConn{}
	_ driver.NamedValueChecker = openerConn{}
)

// Prepare refuses.
func (openerConn) Prepare(string) (driver.Stmt, error) { return nil, errNoDatabase }

// Close does nothing.
func (openerConn) Close() error { return nil }

// Begin refuses.
func (openerConn) Begin() (driver.Tx, error) { return nil, errNoDatabase }

// CheckNamedValue lets a source through.
func (openerConn) CheckNamedValue(*driver.NamedValue) error { return nil }

// QueryContext returns the source that is its only argument, or its error.
func (openerConn) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) != 1 {
		return nil, errNoDatabase
	}
	switch v := args[0].Value.(type) {
	case driver.Rows:
		return v, nil
	case error:
		return nil, v
	}
	return nil, errNoDatabase
}

// errorRow returns a row whose Scan gives err.
func (p *Plugin) errorRow(err error) *sql.Row {
	return p.opener.QueryRowContext(context.Background(), "", err)
}
