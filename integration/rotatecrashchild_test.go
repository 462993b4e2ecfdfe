package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// envCrashChild holds a crashOrder for a process of this binary that does a job in place of the tests.
const envCrashChild = "ROWSEAL_CRASH_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(envCrashChild); text != "" {
		os.Exit(obey(text))
	}
	os.Exit(m.Run())
}

// crashOrder says what a process is to do.
type crashOrder struct {
	DSN, KeyFile, Policy string
	Job                  string // of crashJobs
	Tenant               string // where the job is about one
	Patience             time.Duration
	// Kill is the point at which it kills itself, from 0: three at each statement, before it is sent, while it is under
	// way, and when it is answered. Less than 0 is never.
	Kill int
}

// crashReport is what a process that came to its end says.
type crashReport struct {
	Statements int // that went to the driver
	Counts     map[string]int64
	Joined     bool
}

// obey does the job of an order, and returns the process's exit code.
func obey(text string) int {
	var order crashOrder
	var report crashReport
	err := json.Unmarshal([]byte(text), &order)
	if err == nil {
		report, err = order.do(context.Background())
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o *crashOrder) do(ctx context.Context) (crashReport, error) {
	k := &killer{at: o.Kill}
	h, err := openHand(o.DSN, o.KeyFile, o.Policy, meeting(k.meet).wrap)
	if err != nil {
		return crashReport{}, err
	}
	defer h.db.Close()
	h.cfg.Patience = o.Patience
	report, err := crashJobs[o.Job].run(ctx, h, o)
	report.Statements = int(k.seen.Load())
	return report, err
}

// hand is what a process has that does jobs: a pool, whose database has the key store too, and keys.
type hand struct {
	dsn   string
	db    *sql.DB
	root  *localkms.KMS
	store *sqlstore.Store
	ring  *keyring.Keyring
	file  *field.File
	table *field.Table
	cfg   rotate.Config
}

// openHand opens a database, with wrap around its driver. roots, where given, take the place of the key file.
func openHand(dsn, keyFile, policy string, wrap func(driver.Connector) driver.Connector, roots ...kms.KMS) (*hand, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	h, err := newHand(wrap(stdlib.GetConnector(*config)), keyFile, policy, roots...)
	if err != nil {
		return nil, err
	}
	h.dsn = dsn
	return h, nil
}

func newHand(connector driver.Connector, keyFile, policy string, roots ...kms.KMS) (h *hand, err error) {
	h = &hand{db: sql.OpenDB(connector)}
	if h.root, err = localkms.Open(keyFile); err != nil {
		return nil, err
	}
	if h.store, err = sqlstore.New(sqlstore.Config{DB: h.db, Dialect: sqlstore.Postgres}); err != nil {
		return nil, err
	}
	if roots == nil {
		roots = []kms.KMS{h.root}
	}
	if h.ring, err = keyring.New(keyring.Config{Roots: roots, Store: h.store}); err != nil {
		return nil, err
	}
	cipher, err := field.New(field.Config{Keyring: h.ring})
	if err != nil {
		return nil, err
	}
	if h.file, err = field.ParseFile("rowseal.yaml", []byte(policy)); err != nil {
		return nil, err
	}
	h.table = h.file.Policy.Table("folk")
	h.cfg = rotate.Config{
		DB: h.db, Dialect: rotate.PostgreSQL, Keyring: h.ring, Cipher: cipher, PageSize: crashPage, Lease: 5 * time.Second,
	}
	return h, nil
}

// bare leaves a driver as it is.
func bare(c driver.Connector) driver.Connector { return c }

// obeying starts a process that does what the order says. Its output is read by whoever waits for it.
func (o crashOrder) obeying(t testing.TB) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envCrashChild+"="+string(text))
	return cmd
}

// killer ends its process at a point of the statements that reach the driver.
type killer struct {
	at   int
	seen atomic.Int64
}

// longestStatement bounds how far into a statement it is killed. Most take less.
const longestStatement = 600 * time.Microsecond

func (k *killer) meet(_ string, do func() error) error {
	n := int(k.seen.Add(1)) - 1
	if n != k.at/3 || k.at < 0 {
		return do()
	}
	switch k.at % 3 {
	case 0:
		die()
	case 1:
		time.AfterFunc(longestStatement*time.Duration(k.at%7)/7, die)
	}
	_ = do()
	die()
	return nil
}

// die is kill -9.
func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

// meeting is called in place of each statement of a driver, BEGIN, COMMIT and ROLLBACK among them, and calls do, which sends it.
type meeting func(statement string, do func() error) error

func (m meeting) wrap(c driver.Connector) driver.Connector { return &metConnector{c, m} }

type metConnector struct {
	driver.Connector
	meet meeting
}

func (c *metConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &metConn{conn.(*stdlib.Conn), c.meet}, nil
}

type metConn struct {
	*stdlib.Conn
	meet meeting
}

func (c *metConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.meet(query, func() error {
		r, err = c.Conn.ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *metConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	err = c.meet(query, func() error {
		r, err = c.Conn.QueryContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *metConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	err = c.meet("BEGIN", func() error {
		tx, err = c.Conn.BeginTx(ctx, opts)
		return err
	})
	return metTx{tx, c.meet}, err
}

type metTx struct {
	driver.Tx
	meet meeting
}

func (tx metTx) Commit() error { return tx.meet("COMMIT", tx.Tx.Commit) }

func (tx metTx) Rollback() error { return tx.meet("ROLLBACK", tx.Tx.Rollback) }
