package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/internal/child"
)

const pgbouncerConfig = `[databases]
* = host=127.0.0.1 port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = %s
ignore_startup_parameters = extra_float_digits
`

// pgbouncer runs PgBouncer before the server at address, as whose user dsn logs in, and gives
// dsn by way of it.
func pgbouncer(t *testing.T, address, mode, dsn string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	account, err := child.ServerAccount("PgBouncer", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, server, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rowseal-pgbouncer-") // t.TempDir's parent is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	port := freePort(t)
	users, config := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	for path, text := range map[string]string{
		users:  fmt.Sprintf("%q %q\n", c.User, c.Password),
		config: fmt.Sprintf(pgbouncerConfig, server, port, users, mode),
	} {
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600), account.Own(path))
	}
	if err := errors.Join(err, account.Own(dir)); err != nil {
		t.Fatal(err)
	}
	tail := child.NewTail(nil)
	process, err := account.Start(dir, tail, program, config)
	if err != nil {
		t.Fatalf("%v\nrun scripts/ensure.sh clients", err)
	}
	t.Cleanup(func() {
		_ = process.End(child.Step{Signal: syscall.SIGQUIT, Wait: 10 * time.Second}, child.Step{Signal: syscall.SIGKILL, Wait: 10 * time.Second})
	})
	through := withHost(t, dsn, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	for ctx := t.Context(); ; {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
			return through
		}
		select {
		case <-process.Done():
			t.Fatalf("%v\n%s", process.Failure(), tail)
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestRealClientsWithPgBouncerBeforeTheProxy(t *testing.T) {
	needsClients(t)
	r := newRig(t)
	r.Through = pgbouncer(t, hostOf(t, r.Through), "session", r.Through)
	realClients(t, r)
}

func TestRealClientsWithPgBouncerBehindTheProxy(t *testing.T) {
	needsClients(t)
	r := newRig(t)
	config := r.config(hostOf(t, pgbouncer(t, r.Tap.Addr(), "session", r.Direct)))
	config.SessionPooler = true
	r.Through = withHost(t, r.Direct, startProxy(t, config))
	realClients(t, r)
}

// Clients that keep nothing in their session share the proxy's, as they would share the server's.
func TestPgBouncerInTransactionModeBeforeTheProxy(t *testing.T) {
	needsClients(t)
	r := newRig(t)
	through := pgbouncer(t, hostOf(t, r.Through), "transaction", r.Through)
	for range 3 { // one connection to the proxy serves both, in turns
		t.Run("client", func(t *testing.T) {
			conn := connectMode(t, through, pgx.QueryExecModeExec)
			other := connectMode(t, through, pgx.QueryExecModeSimpleProtocol)
			pgxSession(t, conn)
			pgxSession(t, other)
			pgxSession(t, conn)
		})
	}
	assertNoCanary(t, "the leg to the server", r.Tap.Take())
	assertNoCanary(t, "the server's log", r.Log.Bytes())
}

// A pooler that nobody declared is refused, in whatever mode: one connection does not show the mode.
func TestPoolersThatAreNotDeclaredAreRefused(t *testing.T) {
	needsClients(t)
	r := newRig(t)
	for _, mode := range []string{"session", "transaction", "statement"} {
		pooler := hostOf(t, pgbouncer(t, hostOf(t, r.Direct), mode, r.Direct))
		through := withHost(t, r.Direct, startProxy(t, r.config(pooler)))
		_, err := pgconn.Connect(t.Context(), through)
		assertFatal(t, err, "pooler stands between", "pooler=session")
	}
}

// A pooler that is declared to leave clients their server connections and does not is found out.
func TestPgBouncerInTransactionModeBehindTheProxyIsFoundOut(t *testing.T) {
	needsClients(t)
	r := newRig(t)
	pooler := pgbouncer(t, hostOf(t, r.Direct), "transaction", r.Direct)
	config := r.config(hostOf(t, pooler))
	config.SessionPooler = true
	through := withHost(t, r.Direct, startProxy(t, config))
	t.Run("two sessions on one server connection", func(t *testing.T) {
		first := connectPG(t, through)
		_, err := pgconn.Connect(t.Context(), through)
		assertFatal(t, err, "several clients", "pool_mode to session")
		_ = first.Close(context.Background())
	})
	t.Run("one session on two server connections", func(t *testing.T) {
		first, other := connectPG(t, through), connectPG(t, pooler)
		if err := other.Exec(t.Context(), "BEGIN").Close(); err != nil { // and so keeps first's
			t.Fatal(err)
		}
		err := first.ExecParams(t.Context(), "SELECT ssn FROM users", nil, nil, nil, nil).Read().Err
		assertFatal(t, err, "several clients", "pool_mode to session")
	})
}

func assertFatal(t *testing.T, err error, message, hint string) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Severity != "FATAL" || e.Code != "08004" || !strings.Contains(e.Message, message) || !strings.Contains(e.Hint, hint) {
		t.Errorf("got %v", err)
	}
}
