package rotate

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// pooled says whether somebody stands between a connection and the server who may give its statements to any of several
// sessions: a pooler tells clients another process's number than the server's.
func pooled(ctx context.Context, conn *sql.Conn) (between bool, err error) {
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return nil
		}
		between, err = PoolerBefore(ctx, c.Conn())
		return err
	})
	return between, err
}

// PoolerBefore says whether a pooler such as PgBouncer stands between a connection and the server. Prepared statements and
// settings of the session are not to be relied upon then: in transaction mode each transaction may meet another session.
func PoolerBefore(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return err == nil && pid != conn.PgConn().PID(), err
}
