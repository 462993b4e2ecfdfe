package rotate_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/rotate"
)

// faulty is a pool of PostgreSQL whose statements, BEGIN and COMMIT among them, a test meets one by one.
type faulty struct {
	mu sync.Mutex
	n  int
	// before and after are called with a statement's number, from 1, and its text; their error takes the place of
	// the driver's.
	before, after func(n int, statement string) error
}

// over returns the pool.
func (f *faulty) over(t testing.TB, dsn string) db {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	d := sql.OpenDB(&faultyConnector{stdlib.GetConnector(*config), f})
	t.Cleanup(func() { must(t, d.Close()) })
	return db{d, rotate.PostgreSQL, "bytea"}
}

func (f *faulty) meet(statement string, do func() error) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(n, statement); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(n, statement)
	}
	return nil
}

type faultyConnector struct {
	driver.Connector
	faulty *faulty
}

func (c *faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn.(*stdlib.Conn), c.faulty}, nil
}

type faultyConn struct {
	*stdlib.Conn
	faulty *faulty
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.faulty.meet(query, func() error {
		r, err = c.Conn.ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	err = c.faulty.meet(query, func() error {
		r, err = c.Conn.QueryContext(ctx, query, args)
		return err
	})
	if err != nil && r != nil {
		_ = r.Close()
	}
	return r, err
}

func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	err = c.faulty.meet("BEGIN", func() error {
		tx, err = c.Conn.BeginTx(ctx, opts)
		return err
	})
	return faultyTx{tx, c.faulty}, err
}

type faultyTx struct {
	driver.Tx
	faulty *faulty
}

func (tx faultyTx) Commit() error { return tx.faulty.meet("COMMIT", tx.Tx.Commit) }

// isPageWrite tells the statement that writes a page's rows.
func isPageWrite(statement string) bool { return strings.Contains(statement, `UPDATE "people"`) }
