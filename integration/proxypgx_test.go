package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy"
)

// pgxRoles are the roles that pgx's tests log in as, each by another method.
const pgxRoles = `
SET password_encryption = 'md5';
CREATE ROLE pgx_md5 LOGIN SUPERUSER PASSWORD 'secret';
SET password_encryption = 'scram-sha-256';
CREATE ROLE pgx_pw LOGIN SUPERUSER PASSWORD 'secret';
CREATE ROLE pgx_scram LOGIN SUPERUSER PASSWORD 'secret';
CREATE ROLE " tricky, ' } "" \\ test user " LOGIN SUPERUSER PASSWORD 'secret';
`

// pgxAccess stands before what initdb wrote to pg_hba.conf.
const pgxAccess = `
host all pgx_md5   127.0.0.1/32 md5
host all pgx_scram 127.0.0.1/32 scram-sha-256
`

const pgxObjects = "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0);"

// With an empty policy the proxy is not to be noticed: what passes of the tests of pgx itself when they
// are run against a server, passes through the proxy.
func TestPGXsOwnTestsPassAsOnADirectConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the tests of another module; not in a -short run")
	}
	s := newSuite(t)
	proxy := startProxy(t, sqlproxy.Config{Upstream: sqlproxy.Upstream{Address: hostOf(t, s.server.DSN("postgres")), Mode: sqlproxy.Disable}})
	direct := s.database(t, "pgx_direct")
	through := withHost(t, s.database(t, "pgx_through"), proxy)
	s.build(t)
	passed := 0
	for _, pkg := range pgxPackages {
		passed += s.compare(t, pkg, direct, through)
	}
	if passed < 1000 {
		t.Errorf("only %d tests pass on a direct connection", passed)
	}
}

// suite is a copy of pgx, and a server for it.
type suite struct {
	dir    string
	server *localpg.Server
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{dir: t.TempDir()}
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5")
	list.Env = append(os.Environ(), "GODEBUG=")
	out, err := list.Output()
	if err == nil {
		err = os.CopyFS(s.dir, os.DirFS(strings.TrimSpace(string(out))))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.server = testpg.Start(t, map[string]string{"timezone": "America/New_York"})
	hba := filepath.Join(s.server.DataDir(), "pg_hba.conf")
	was, err := os.ReadFile(hba)
	if err == nil {
		err = os.WriteFile(hba, append([]byte(pgxAccess), was...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	execSQL(t, s.server.DSN("postgres"), pgxRoles, "SELECT pg_reload_conf()")
	return s
}

func (s *suite) database(t *testing.T, name string) string {
	t.Helper()
	execSQL(t, s.server.DSN("postgres"), "CREATE DATABASE "+name)
	execSQL(t, s.server.DSN(name), pgxObjects)
	return s.server.DSN(name)
}

// environment tells pgx's tests where the database is.
func (s *suite) environment(t *testing.T, dsn string) []string {
	t.Helper()
	as := func(user string) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, "secret")
		return u.String()
	}
	return append(os.Environ(), "GODEBUG=",
		"PGX_TEST_DATABASE="+dsn, "PGX_TEST_TCP_CONN_STRING="+dsn,
		"PGX_TEST_PLAIN_PASSWORD_CONN_STRING="+as("pgx_pw"),
		"PGX_TEST_MD5_PASSWORD_CONN_STRING="+as("pgx_md5"),
		"PGX_TEST_SCRAM_PASSWORD_CONN_STRING="+as("pgx_scram"),
	)
}

// pgxPackages are those of pgx whose tests ask a database.
var pgxPackages = []string{".", "pgconn", "pgtype", "pgxpool", "stdlib"}

// build compiles the tests, once for all runs.
func (s *suite) build(t *testing.T) {
	t.Helper()
	for _, pkg := range pgxPackages {
		cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", filepath.Join(s.dir, pkg, "pgx.test"), "./"+pkg)
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "GODEBUG=", "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// run runs the tests of a package that match, and gives what became of each by name.
func (s *suite) run(t *testing.T, pkg, dsn, match string) map[string]string {
	t.Helper()
	// Tests of configurations ask no server, and have names that change from run to run.
	cmd := exec.CommandContext(t.Context(), "go", "tool", "test2json", "./pgx.test",
		"-test.v=test2json", "-test.timeout=5m", "-test.run="+match, "-test.skip=^TestParse")
	cmd.Dir, cmd.Env = filepath.Join(s.dir, pkg), s.environment(t, dsn)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // fails where a test does
	results := map[string]string{}
	for lines := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test string }
		if err := lines.Decode(&e); err != nil {
			break
		}
		if e.Test != "" && slices.Contains([]string{"pass", "skip", "fail"}, e.Action) {
			results[e.Test] = e.Action
		}
	}
	if len(results) == 0 {
		t.Errorf("no test of pgx/%s was run: %s %s", pkg, out, &stderr)
	}
	return results
}

// compare runs a package's tests on both at the same time. It gives how many pass on a direct connection.
func (s *suite) compare(t *testing.T, pkg, direct, through string) (passed int) {
	t.Helper()
	var got, want map[string]string
	var both sync.WaitGroup
	both.Go(func() { got = s.run(t, pkg, through, ".") })
	both.Go(func() { want = s.run(t, pkg, direct, ".") })
	both.Wait()
	var differ []string
	for name, result := range want {
		if result == "pass" {
			passed++
		}
		if got[name] != result {
			differ = append(differ, name)
		}
	}
	slices.Sort(differ)
	for _, name := range differ {
		s.again(t, pkg, name, direct, through)
	}
	t.Logf("pgx/%s: %d tests, %d pass on a direct connection, %d did not end alike at first %q", pkg, len(want), passed, len(differ), differ)
	return passed
}

// again runs a test that differed by itself: on a machine that is busy, tests with deadlines fail now and then.
func (s *suite) again(t *testing.T, pkg, name, direct, through string) {
	t.Helper()
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	match := strings.Join(parts, "/")
	var want, got string
	for range 3 {
		want, got = s.run(t, pkg, direct, match)[name], s.run(t, pkg, through, match)[name]
		if got == want {
			return
		}
	}
	t.Errorf("pgx/%s %s: %q on a direct connection, %q through the proxy", pkg, name, want, got)
}

func execSQL(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	conn := connectPG(t, dsn)
	for _, sql := range statements {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), sql).ReadAll(); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", sql, err))
		}
	}
}
