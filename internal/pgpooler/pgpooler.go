// Package pgpooler tells connections that a pooler such as PgBouncer serves from a PostgreSQL's own.
package pgpooler

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Before says whether a pooler stands between a connection and the server: it tells clients another process's number than
// the server's. Prepared statements and settings of the session are not to be relied upon then: in transaction mode each
// transaction may meet another session. The error is the server's.
func Before(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return err == nil && pid != conn.PgConn().PID(), err
}

// BeforeConnect is for stdlib.OptionBeforeConnect of a pool: where a pooler stands before the server, which one connection
// more tells once, no statement is prepared. A connection string that names default_query_exec_mode decides itself.
func BeforeConnect(connection string) func(context.Context, *pgx.ConnConfig) error {
	var mu sync.Mutex
	known, mode := strings.Contains(connection, "default_query_exec_mode"), pgx.QueryExecMode(0)
	return func(ctx context.Context, config *pgx.ConnConfig) (err error) {
		mu.Lock()
		defer mu.Unlock()
		if !known {
			if mode, err = execMode(ctx, config.Copy()); err != nil {
				return err
			}
			known = true
		}
		if mode != 0 {
			config.DefaultQueryExecMode = mode
		}
		return nil
	}
}

// execMode is 0 where the connection string's stays.
func execMode(ctx context.Context, config *pgx.ConnConfig) (mode pgx.QueryExecMode, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	between, err := Before(ctx, conn)
	if between {
		mode = pgx.QueryExecModeExec
	}
	return mode, err
}

// BeforeSQL is Before for a connection of database/sql; false where its driver is not pgx.
func BeforeSQL(ctx context.Context, conn *sql.Conn) (between bool, err error) {
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return nil
		}
		between, err = Before(ctx, c.Conn())
		return err
	})
	return between, err
}
