package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"

	_ "github.com/glebarez/go-sqlite" // database/sql driver "sqlite"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmsopen"
	"github.com/rowseal/rowseal/rotate"
)

// place is where a command works: a policy file and a database.
type place struct {
	config string
	dsn    string
	log    *slog.Logger // what the keys have to say; nil for nothing
	built  int          // how many built keys are held; 0 is the keyring's default
}

func (p *place) flags(c *cobra.Command) {
	c.Flags().StringVarP(&p.config, "config", "c", "", "the policy file, rowseal.yaml")
	c.Flags().StringVar(&p.dsn, "dsn", "", "the database: postgres://…, host=… dbname=…, or sqlite:///path")
}

// load reads the policy file.
func (p *place) load(c *cobra.Command) (*field.File, error) {
	if p.config == "" {
		return nil, misused(c, "-c names no policy file; give -c rowseal.yaml")
	}
	file, err := field.LoadFile(p.config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; -c names the file that describes keys and tables", err)
	}
	return file, err
}

// needDSN says that the command cannot do without a database.
func (p *place) needDSN(c *cobra.Command, what string) error {
	if p.dsn == "" {
		return misused(c, "%s; give --dsn postgres://… or --dsn sqlite:///path", what)
	}
	return nil
}

// sameDatabase is the word of `keys.store` for the database with the data.
const sameDatabase = "postgres"

// openStore opens the key store that file names; nil where it names none.
func (p *place) openStore(c *cobra.Command, file *field.File) (*sqlstore.Store, error) {
	at := file.Keys.Store
	switch at {
	case "":
		return nil, nil
	case sameDatabase:
		if err := p.needDSN(c, "the key store is in the database, as keys.store says, and --dsn names none"); err != nil {
			return nil, err
		}
		at = p.dsn
	}
	return sqlstore.Open(c.Context(), at)
}

// session is an open place.
type session struct {
	file  *field.File
	roots []kms.KMS
	store *sqlstore.Store // nil where there is none
	ring  *keyring.Keyring
	// verifiers is the proxy's connection for an authentication query; nil where there is none.
	verifiers io.Closer
	// unwatch ends the watch over the key store; nil where there is none.
	unwatch func()
}

// open opens the keys of the place. The store, if any, is there and has its
// table.
func (p *place) open(c *cobra.Command) (*session, error) {
	file, err := p.load(c)
	if err != nil {
		return nil, err
	}
	return p.openKeys(c, file)
}

// builtForWalks is how many built keys are held by jobs over whole tables, some 10 MB. Others are built anew when they
// come again.
const builtForWalks = 4500

// openToWalk is open for such jobs.
func (p *place) openToWalk(c *cobra.Command) (*session, error) {
	p.built = builtForWalks
	return p.open(c)
}

// openKeys opens the keys that a policy file names.
func (p *place) openKeys(c *cobra.Command, file *field.File) (s *session, err error) {
	s = &session{file: file}
	if s.roots, err = openRoots(c.Context(), p.config, file); err != nil {
		return nil, err
	}
	if s.store, err = p.openStore(c, file); err != nil {
		return nil, err
	}
	cfg := keyring.Config{
		Namespace: file.Namespace, Roots: s.roots, Intermediate: file.Keys.Intermediate,
		Entries: file.Keys.Entries, TTL: file.Keys.TTL, Log: p.log, Built: p.built,
	}
	if s.store != nil {
		cfg.Store = s.store
		if err := s.store.Check(c.Context()); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if s.ring, err = keyring.New(cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *session) close() error {
	var errs []error
	if s.unwatch != nil {
		s.unwatch() // it holds a connection of the store
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.verifiers != nil {
		errs = append(errs, s.verifiers.Close())
	}
	return errors.Join(errs...)
}

func openRoots(ctx context.Context, config string, file *field.File) ([]kms.KMS, error) {
	if len(file.Keys.KMS) == 0 {
		return nil, fmt.Errorf("%s names no root key; write keys: {kms: local:///path/to/root.key}, or a service's URL", config)
	}
	roots := make([]kms.KMS, 0, len(file.Keys.KMS))
	for _, u := range file.Keys.KMS {
		root, err := kmsopen.Open(ctx, u)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	return roots, nil
}

// database is the pool of the database with the data.
type database struct {
	*sql.DB
	dialect rotate.Dialect
	dsn     string
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
		return &database{stdlib.OpenDB(*config), rotate.PostgreSQL, dsn}, name, nil
	}
	return nil, "", errors.New("--dsn names no database that this command knows; write postgres://…, host=… dbname=…, mysql://…, or sqlite:///path")
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
	return &database{sql.OpenDB(connector), rotate.MySQL, dsn}, fmt.Sprintf("MySQL %s, database %s", config.Addr, config.DBName), nil
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
	return &database{db, rotate.SQLite, dsn}, "SQLite file " + path, nil
}
