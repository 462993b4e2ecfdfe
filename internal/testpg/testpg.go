// Package testpg gives tests a real PostgreSQL.
//
// Use [DSN]: a fresh database, dropped when the test ends, on a server that all tests of the process
// share. Use [Start] only where a test must have a server to itself (settings, restarts, replicas).
//
// The shared server is, in this order: the one that ROWSEAL_TEST_DSN names (make test starts one for
// all packages and sets it); local binaries, run by [localpg]; a container. Where none can be had, a
// test fails and says which commands would help. It is skipped instead only when the run is -short.
package testpg

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/localpg"
)

// EnvDSN names the environment variable with the connection string of a server to use: a role that may
// create databases, in URL or keyword form.
const EnvDSN = "ROWSEAL_TEST_DSN"

// Two minutes is for a first run that pulls a container image; local binaries take two seconds.
const (
	startTimeout    = 2 * time.Minute
	databaseTimeout = time.Minute
)

// Settings are the parameters of a server for tests: nothing waits for the disk, times print alike on
// all machines, and packages tested side by side find enough connections.
func Settings() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"synchronous_commit": "off",
		"full_page_writes":   "off",
		"max_connections":    "300",
		"timezone":           "UTC",
	}
}

// shared is the server of this process, found or started by the first test that asks.
var shared = sync.OnceValues(findServer)

// DSN creates an empty database and returns its connection string. The database is dropped, whoever is
// still connected, when the test and its subtests have ended.
//
// The role behind the string may create databases; on servers other than ROWSEAL_TEST_DSN's it is a
// superuser. Databases are sorted by code point and encoded in UTF-8.
func DSN(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		unavailable(t, err)
	}
	name := "rowseal_test_" + strings.ToLower(rand.Text()[:16])
	if err := execute(server, "CREATE DATABASE "+name+
		" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"); err != nil {
		t.Fatalf("testpg: creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("testpg: dropping the test's database: %v", err)
		}
	})
	dsn, err := withDatabase(server, name)
	if err != nil {
		t.Fatalf("testpg: %v", err)
	}
	return dsn
}

// Start runs a server from local binaries for this test alone, with Settings and, over them, the given
// ones, and stops it when the test ends. It takes one to two seconds. Prefer DSN.
func Start(t testing.TB, settings map[string]string) *localpg.Server {
	t.Helper()
	all := Settings()
	maps.Copy(all, settings)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := localpg.Start(ctx, localpg.Config{Settings: all})
	if err != nil {
		unavailable(t, err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("testpg: %v", err)
		}
	})
	return server
}

// Replica runs a streaming replica of a server from Start, and stops it when the test ends. What the
// primary commits arrives within milliseconds; [HoldBack] holds that back.
func Replica(t testing.TB, primary *localpg.Server) *localpg.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	replica, err := primary.Replica(ctx, nil, nil)
	if err != nil {
		t.Fatalf("testpg: %v", err)
	}
	t.Cleanup(func() {
		if err := replica.Stop(); err != nil {
			t.Errorf("testpg: %v", err)
		}
	})
	if err := awaitStreaming(ctx, primary.DSN("postgres"), replica.DSN("postgres")); err != nil {
		t.Fatalf("testpg: the replica does not stream: %v", err)
	}
	return replica
}

// HoldBack pauses the replay of a replica until SELECT pg_wal_replay_resume(), and returns when nothing is replayed
// any more: pg_wal_replay_pause() alone only asks for it, and a busy replica goes on for a while.
func HoldBack(t testing.TB, replica *localpg.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err := execute(replica.DSN("postgres"), "SELECT pg_wal_replay_pause()")
	if err == nil {
		err = awaitTrue(ctx, replica.DSN("postgres"), "SELECT pg_get_wal_replay_pause_state() = 'paused'")
	}
	if err != nil {
		t.Fatalf("testpg: the replica goes on: %v", err)
	}
}

// awaitStreaming waits until both sides know that they stream; a replica answers queries a moment earlier.
func awaitStreaming(ctx context.Context, primary, replica string) error {
	for _, side := range []struct{ dsn, query string }{
		{replica, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"},
		{primary, "SELECT count(*) > 0 AND bool_and(state = 'streaming' AND replay_lsn IS NOT NULL) FROM pg_stat_replication"},
	} {
		if err := awaitTrue(ctx, side.dsn, side.query); err != nil {
			return err
		}
	}
	return nil
}

// awaitTrue asks until the answer is yes.
func awaitTrue(ctx context.Context, dsn, query string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for yes := false; !yes; time.Sleep(5 * time.Millisecond) {
		if err := conn.QueryRow(ctx, query).Scan(&yes); err != nil {
			return err
		}
	}
	return nil
}

// unavailable ends a test that has no server: as a failure, so that a run that tested nothing is not
// taken for a good one, or as a skip when the caller asked for a short run.
func unavailable(t testing.TB, err error) {
	t.Helper()
	if testing.Short() {
		t.Skipf("testpg: no PostgreSQL: %v", err)
	}
	t.Fatalf("testpg: this test needs a PostgreSQL: %v\nany one of these helps:\n"+
		"\tapt-get install postgresql\n"+
		"\texport %s=postgres://user:password@host:5432/postgres   # a role that may create databases\n"+
		"\tstart Docker\n"+
		"(go test -short skips the tests that need a server)", err, EnvDSN)
}

// execute runs one statement on the server. It takes no test's context: a cleanup runs after that has
// been cancelled.
func execute(dsn, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if closeErr := conn.Close(ctx); err == nil {
		err = closeErr
	}
	return err
}

// withDatabase returns the connection string with another database in it.
func withDatabase(dsn, database string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " dbname=" + database, nil // of two, the last one counts
	}
	u, err := url.Parse(dsn)
	if err != nil {
		// The parser's message quotes the string, password included.
		return "", fmt.Errorf("%s is not a URL", EnvDSN)
	}
	u.Path = "/" + database
	query := u.Query()
	query.Del("dbname") // it would win over the path
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// findServer returns the connection string of the server to create databases on.
func findServer() (string, error) {
	if dsn := os.Getenv(EnvDSN); dsn != "" {
		return dsn, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if !localpg.Available() {
		return startContainer(ctx)
	}
	server, err := localpg.Start(ctx, localpg.Config{Settings: Settings()})
	if err != nil {
		return "", err
	}
	// Never stopped here: a package without TestMain has no hook at its end. The server's watchdog
	// stops it and removes its files when the test binary ends, in whatever way.
	return server.DSN("postgres"), nil
}
