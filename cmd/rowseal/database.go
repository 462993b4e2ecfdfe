package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	_ "github.com/glebarez/go-sqlite" // database/sql driver "sqlite"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/internal/pgpooler"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/rotate"
)

// database is the pool of the database with the data.
type database struct {
	*sql.DB
	dialect rotate.Dialect
	dsn     string
	name    string // for messages
}

// dsnForms are the connection strings that --dsn takes.
const dsnForms = "postgres://…, host=… dbname=…, mysql://…, or sqlite:///path"

func dsnFlag(c *cobra.Command, dsn *string) {
	c.Flags().StringVar(dsn, "dsn", "", "the database: "+dsnForms)
}

// needDSN says that the command cannot do without a database: what is in it.
func needDSN(c *cobra.Command, dsn, what string) error {
	if dsn == "" {
		return misused(c, "%s, and --dsn names none; give --dsn %s", what, dsnForms)
	}
	return nil
}

// withDatabase connects to dsn for do.
func withDatabase(ctx context.Context, dsn string, do func(*database) error) (err error) {
	db, err := openDatabase(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

// openDatabase connects to dsn. No error holds a password.
func openDatabase(ctx context.Context, dsn string) (*database, error) {
	d, name, err := dialDatabase(dsn)
	if err != nil {
		return nil, err
	}
	if err := d.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not answer: %w; check --dsn and that the server runs and lets you in", name, err), d.Close())
	}
	return d, nil
}

// isPostgres says whether dsn is of a PostgreSQL, in URL or keyword form.
func isPostgres(dsn string) bool {
	scheme, _, _ := strings.Cut(dsn, ":")
	return scheme == "postgres" || scheme == "postgresql" || scheme != "sqlite" && !strings.Contains(dsn, "://") && strings.Contains(dsn, "=")
}

func dialDatabase(dsn string) (d *database, name string, err error) {
	scheme, _, _ := strings.Cut(dsn, ":")
	switch {
	case scheme == "sqlite":
		return dialSQLite(dsn)
	case scheme == "mysql":
		return dialMySQL(dsn)
	case isPostgres(dsn):
		config, err := pgx.ParseConfig(dsn)
		if err != nil { // pgx's own error may hold what it could not parse
			return nil, "", errors.New("--dsn is not a connection string of PostgreSQL; write postgres://user:password@host:5432/database, special characters in the password escaped (%2F for /)")
		}
		config.RuntimeParams["application_name"] = "rowseal"
		name := fmt.Sprintf("PostgreSQL at %s:%d", config.Host, config.Port)
		return &database{stdlib.OpenDB(*config, stdlib.OptionBeforeConnect(pgpooler.BeforeConnect(dsn))), rotate.PostgreSQL, dsn, name + ", database " + config.Database}, name, nil
	}
	return nil, "", errors.New("--dsn names no database that this command knows; write " + dsnForms)
}

func dialMySQL(dsn string) (*database, string, error) {
	config, err := sqlstore.MySQLConfig(dsn)
	if err != nil {
		return nil, "", fmt.Errorf("--dsn: %w; write mysql://user:password@host:3306/database, special characters escaped (%%2F for /)", err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, "", errors.New("--dsn: the driver refuses the parameters")
	}
	name := fmt.Sprintf("MySQL %s, database %s", config.Addr, config.DBName)
	return &database{sql.OpenDB(connector), rotate.MySQL, dsn, name}, name, nil
}

// dialSQLite opens a file that exists: to make one would hide a mistyped path.
func dialSQLite(dsn string) (*database, string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Host != "" || u.Path == "" && u.Opaque == "" {
		return nil, "", errors.New("--dsn names no file of SQLite; write sqlite:///absolute/path or sqlite:relative/path")
	}
	path := u.Path
	if u.Opaque != "" {
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return nil, "", errors.New("--dsn: the path is not escaped as in a URL")
		}
	}
	uri := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=rw&_pragma=busy_timeout(10000)"}).String()
	if !strings.HasPrefix(path, "/") {
		uri = "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=rw&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, "", err
	}
	return &database{db, rotate.SQLite, dsn, "SQLite file " + path}, "SQLite file " + path, nil
}

// now is the database's clock.
func (d *database) now(ctx context.Context) (time.Time, error) {
	query := "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	switch d.dialect {
	case rotate.SQLite:
		return time.Now(), nil // it has no clock of its own
	case rotate.MySQL:
		query = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
	}
	var micros int64
	err := d.QueryRowContext(ctx, query).Scan(&micros)
	return time.UnixMicro(micros), err
}
