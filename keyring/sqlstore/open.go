package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/internal/pgpooler"
)

// How long connections live: they are few, keys are asked for in bursts, and a
// server that moved behind its name must be found again.
const (
	maxIdleTime = 5 * time.Minute
	maxLifetime = 30 * time.Minute
)

// Open returns a Store with a pool of its own for
//
//	postgres://user@host:5432/database?…   and whatever else pgx understands,
//	host=… dbname=… sslmode=…              keywords with values included
//	mysql://user:password@host:3306/database?tls=true
//	mysql://user@localhost/database?socket=/run/mysqld/mysqld.sock
//	sqlite:///var/lib/app/keys.db          an absolute path
//	sqlite:keys.db                         a path from the working directory
//
// The parameters of mysql:// are those of go-sql-driver, but for socket, and
// serve MariaDB as well.
//
// It does not wait for a server: use Check to learn whether it answers. A
// SQLite file is created if it does not exist, readable and writable by its
// owner only; one that others may use is refused. No error holds a password.
func Open(ctx context.Context, connection string) (*Store, error) {
	switch scheme, _, ok := strings.Cut(connection, ":"); {
	case ok && scheme == "sqlite":
		return openSQLite(ctx, connection)
	case ok && (scheme == "postgres" || scheme == "postgresql"),
		strings.Contains(connection, "=") && !strings.Contains(connection, "://"):
		return openPostgres(connection)
	case ok && scheme == "mysql":
		return openMySQL(connection)
	}
	return nil, &Error{
		Op: "open", Store: "key store", Err: fmt.Errorf("%w: the connection string names no known product", ErrInvalid),
		Remedy: "write postgres://…, host=… dbname=…, mysql://…, sqlite:///absolute/path or sqlite:relative/path",
	}
}

func openPostgres(connection string) (*Store, error) {
	config, err := pgx.ParseConfig(connection)
	if err != nil {
		// pgx masks passwords, but what it cannot parse it cannot mask.
		return nil, &Error{
			Op: "open", Store: "PostgreSQL", Err: fmt.Errorf("%w: pgx cannot parse the connection string", ErrInvalid),
			Remedy: "check its form, that special characters in a password are escaped (%2F for /), and that the files it names exist",
		}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "rowseal key store"
	}
	db := stdlib.OpenDB(*config, stdlib.OptionBeforeConnect(pgpooler.BeforeConnect(connection)))
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return New(Config{
		DB: db, Dialect: Postgres, CloseDB: true,
		Name: fmt.Sprintf("PostgreSQL %s:%d, database %s", config.Host, config.Port, config.Database),
	})
}

// sqlitePath returns the path that a connection string names.
func sqlitePath(connection string) (string, error) {
	u, err := url.Parse(connection)
	if err != nil {
		return "", errors.New("it is not a URL; escape special characters (%20 for a space)")
	}
	path := u.Path
	if u.Opaque != "" {
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return "", errors.New("its path is not escaped as in a URL")
		}
	}
	switch {
	case u.Host != "" || u.User != nil:
		return "", fmt.Errorf("%q is taken for a host; write sqlite:///absolute/path or sqlite:relative/path", u.Host)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("it takes no parameters; escape ? and # in a path (%3F, %23)")
	case path == "" || strings.HasSuffix(path, "/") || strings.Contains(path, "\x00"):
		return "", errors.New("it names no file")
	}
	return path, nil
}

func openSQLite(ctx context.Context, connection string) (*Store, error) {
	path, err := sqlitePath(connection)
	if err != nil {
		return nil, &Error{Op: "open", Store: "SQLite", Err: fmt.Errorf("%w: %w", ErrInvalid, err)}
	}
	uri, err := prepareFile(path)
	if err != nil {
		return nil, &Error{Op: "open", Store: "SQLite " + path, Err: err}
	}
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, &Error{Op: "open", Store: "SQLite " + path, Err: err}
	}
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	s, err := New(Config{DB: db, Dialect: SQLite, Name: "SQLite " + path, CloseDB: true})
	if err == nil {
		err = s.fail("open", useWAL(ctx, db))
	}
	if err != nil {
		_ = db.Close() // the first error says more
		return nil, err
	}
	return s, nil
}
