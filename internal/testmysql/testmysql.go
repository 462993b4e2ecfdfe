// Package testmysql gives tests a real MariaDB or MySQL, as [testpg] does PostgreSQL.
//
// Use [DSN]: a fresh database, dropped when the test ends, on a server that all tests of the process
// share. The server is, in this order: the one that ROWSEAL_TEST_MYSQL names (make test starts one for
// all packages and sets it); local binaries, run by package localmysql; a container. Where none can be
// had, a test fails and says which commands would help. It is skipped instead only when the run is -short.
//
// [testpg]: https://pkg.go.dev/github.com/rowseal/rowseal/internal/testpg
package testmysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/rowseal/rowseal/internal/localmysql"
)

// EnvDSN names the environment variable with the connection string of a server to use, in the form of
// go-sql-driver: an account that may create databases, such as "root:password@tcp(127.0.0.1:3306)/".
const EnvDSN = "ROWSEAL_TEST_MYSQL"

// Two minutes is for a first run that pulls a container image; local binaries take four seconds.
const (
	startTimeout    = 2 * time.Minute
	databaseTimeout = time.Minute
)

// Options are those of a server for tests: nothing waits for the disk, and packages tested side by side
// find enough connections.
func Options() map[string]string {
	return map[string]string{
		"innodb-flush-log-at-trx-commit": "0",
		"innodb-doublewrite":             "0",
		"innodb-fast-shutdown":           "2",
		"performance-schema":             "OFF",
		"max-connections":                "300",
	}
}

// shared is the server of this process, found or started by the first test that asks.
var shared = sync.OnceValues(findServer)

// DSN creates an empty database and returns its connection string for go-sql-driver, to which it adds the
// parameters, such as "parseTime=true". The database is dropped when the test and its subtests have ended.
//
// The account behind the string may create databases; on servers other than ROWSEAL_TEST_MYSQL's it is
// root. Databases are of utf8mb4 and sorted without regard to case, as is common.
func DSN(t testing.TB, parameters ...string) string {
	t.Helper()
	config := server(t)
	name := "rowseal_test_" + strings.ToLower(rand.Text()[:16])
	if err := execute(config, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		t.Fatalf("testmysql: creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(config, "DROP DATABASE IF EXISTS "+name); err != nil {
			t.Errorf("testmysql: dropping the test's database: %v", err)
		}
	})
	config.DBName = name
	dsn := config.FormatDSN()
	for _, p := range parameters {
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		dsn += separator + p
	}
	return dsn
}

// URL is DSN in the form of a URL, as package sqlstore takes it.
func URL(t testing.TB) string {
	t.Helper()
	config, err := mysql.ParseDSN(DSN(t))
	if err != nil {
		t.Fatalf("testmysql: %v", err)
	}
	u := url.URL{Scheme: "mysql", Host: config.Addr, Path: "/" + config.DBName, User: url.User(config.User)}
	if config.Passwd != "" {
		u.User = url.UserPassword(config.User, config.Passwd)
	}
	if config.Net == "unix" {
		u.Host = "localhost"
		u.RawQuery = url.Values{"socket": {config.Addr}}.Encode()
	}
	return u.String()
}

// server returns how to reach the shared server, or ends the test.
func server(t testing.TB) *mysql.Config {
	t.Helper()
	dsn, err := shared()
	if err != nil {
		unavailable(t, err)
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The parser's message may quote the string, password included.
		t.Fatalf("testmysql: %s is not a connection string of go-sql-driver", EnvDSN)
	}
	return config
}

// unavailable ends a test that has no server: as a failure, so that a run that tested nothing is not
// taken for a good one, or as a skip when the caller asked for a short run.
func unavailable(t testing.TB, err error) {
	t.Helper()
	if testing.Short() {
		t.Skipf("testmysql: no MariaDB: %v", err)
	}
	t.Fatalf("testmysql: this test needs a MariaDB or MySQL: %v\nany one of these helps:\n"+
		"\tapt-get install mariadb-server\n"+
		"\texport %s='root:password@tcp(127.0.0.1:3306)/'   # an account that may create databases\n"+
		"\tstart Docker\n"+
		"(go test -short skips the tests that need a server)", err, EnvDSN)
}

// execute runs one statement on the server. It takes no test's context: a cleanup runs after that has
// been cancelled.
func execute(config *mysql.Config, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	_, err = db.ExecContext(ctx, statement)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}

// findServer returns the connection string of the server to create databases on.
func findServer() (string, error) {
	if dsn := os.Getenv(EnvDSN); dsn != "" {
		return dsn, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if !localmysql.Available() {
		return startContainer(ctx)
	}
	server, err := localmysql.Start(ctx, localmysql.Config{Options: Options()})
	if err != nil {
		return "", fmt.Errorf("starting a server: %w", err)
	}
	// Never stopped here: a package without TestMain has no hook at its end. The server's watchdog
	// stops it and removes its files when the test binary ends, in whatever way.
	return server.DSN(""), nil
}
