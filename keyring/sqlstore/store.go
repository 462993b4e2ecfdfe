package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rowseal/rowseal/keyring"
)

// poolSize is how many connections a Store of Open uses at most. Each request
// is one or two short statements.
const poolSize = 4

// attempts bounds how often a statement that clashed with another is run.
const attempts = 10

// Config says where the table is.
type Config struct {
	// DB is a pool that no transaction of the application uses. For SQLite
	// its connections need busy_timeout and synchronous=FULL, for MySQL
	// autocommit, a strict sql_mode and utf8mb4; Open sets them.
	DB *sql.DB
	// Dialect is the product behind DB.
	Dialect Dialect
	// Name is what errors call the store; "" is the product and the table.
	// It must hold no password.
	Name string
	// CloseDB lets Close close DB.
	CloseDB bool
}

func (c *Config) validate() error {
	if c.DB == nil {
		return errors.New("sqlstore: Config.DB is nil; give a pool of its own, or use Open")
	}
	d, err := c.Dialect.open()
	if err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = d.product + " table " + d.table
	}
	return nil
}

// Store is a table of keys. It is safe for concurrent use, by any number of
// processes. Every method takes a connection of its own pool; none takes part
// in a transaction of its caller.
type Store struct {
	db      *sql.DB
	dialect dialect
	name    string
	closeDB bool
	writes  chan struct{} // full while one writes; nil where the product orders writers itself
}

var (
	_ keyring.Store = (*Store)(nil)
	_ keyring.Admin = (*Store)(nil)

	_ keyring.Watcher  = (*Store)(nil)
	_ keyring.Restorer = (*Store)(nil)
	_ keyring.Ledger   = (*Store)(nil)
)

// New returns a Store over cfg.DB. It makes no call.
func New(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	d, err := cfg.Dialect.open()
	if err != nil {
		return nil, err
	}
	s := &Store{db: cfg.DB, dialect: d, name: cfg.Name, closeDB: cfg.CloseDB}
	if d.oneWriter {
		s.writes = make(chan struct{}, 1)
	}
	return s, nil
}

// Name is what errors call the store.
func (s *Store) Name() string { return s.name }

// Close closes the pool if it is the Store's own.
func (s *Store) Close() error {
	if !s.closeDB {
		return nil
	}
	return s.db.Close()
}

// Init creates the table, and in PostgreSQL the schema rowseal around it, where
// they do not exist. Any number of processes may call it at once and again;
// where nothing is missing it needs no right to create anything.
func (s *Store) Init(ctx context.Context) error {
	if err := s.again(ctx, func() error { return s.dialect.init(ctx, s.db) }); err != nil {
		return s.fail("init", err)
	}
	return s.check(ctx, "init")
}

// Check reports whether the database answers and has the table, and on MySQL
// whether server and connection keep what they are given.
func (s *Store) Check(ctx context.Context) error { return s.check(ctx, "check") }

func (s *Store) check(ctx context.Context, op string) error {
	_, err := s.query(ctx, "SELECT "+columns+" FROM "+s.dialect.table+" LIMIT 0")
	if err == nil && s.dialect.require != nil {
		err = s.dialect.require(ctx, s.db)
	}
	return s.fail(op, err)
}

// Now is the database's clock: microseconds in PostgreSQL and MySQL,
// milliseconds in SQLite.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var micros int64
	if err := s.db.QueryRowContext(ctx, s.dialect.now).Scan(&micros); err != nil {
		return time.Time{}, s.fail("now", err)
	}
	return time.UnixMicro(micros).UTC(), nil
}

// change is again for what writes. Where the product has one writer at a time and lets luck choose the next, the
// writers of a Store stand in a line: none of them waits for longer than the product bears, and of the pool they hold
// one connection, so that readers find another.
func (s *Store) change(ctx context.Context, do func() error) error {
	if s.writes != nil {
		select {
		case s.writes <- struct{}{}:
			defer func() { <-s.writes }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.again(ctx, do)
}

// again runs do, and runs it again while all that failed was its meeting
// another statement. The statements of this package may be run twice.
func (s *Store) again(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == attempts || !s.dialect.transient(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(time.Duration(attempt) * 5 * time.Millisecond)):
		}
	}
}
