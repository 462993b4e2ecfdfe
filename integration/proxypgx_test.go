package integration

import (
	"bufio"
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
	"testing"
	"time"

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
	want, got := s.run(t, direct, "."), s.run(t, through, ".")
	passed := 0
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
	t.Logf("%d tests of pgx, %d of them pass on a direct connection; %d differ at first", len(want), passed, len(differ))
	if passed < 500 {
		t.Errorf("only %d tests pass on a direct connection", passed)
	}
	for _, name := range differ {
		s.again(t, name, direct, through)
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
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5").Output()
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
	return append(os.Environ(), "GODEBUG=", "GOFLAGS=-mod=mod",
		"PGX_TEST_DATABASE="+dsn, "PGX_TEST_TCP_CONN_STRING="+dsn,
		"PGX_TEST_PLAIN_PASSWORD_CONN_STRING="+as("pgx_pw"),
		"PGX_TEST_MD5_PASSWORD_CONN_STRING="+as("pgx_md5"),
		"PGX_TEST_SCRAM_PASSWORD_CONN_STRING="+as("pgx_scram"),
	)
}

// run runs pgx's tests that match, and gives what became of each, by package and name.
func (s *suite) run(t *testing.T, dsn, match string, packages ...string) map[string]string {
	t.Helper()
	began := time.Now()
	if packages == nil {
		packages = []string{"./..."}
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-json", "-count=1", "-p=1", "-timeout=5m", "-run", match}, packages...)...)
	cmd.Dir, cmd.Env = s.dir, s.environment(t, dsn)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // fails where a test does
	results, output := map[string]string{}, map[string]*strings.Builder{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Package, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Test == "" {
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			if output[name] == nil {
				output[name] = &strings.Builder{}
			}
			output[name].WriteString(e.Output)
		case "pass", "skip":
			results[name] = e.Action
		case "fail":
			results[name] = "fail"
			t.Logf("%s\n%s", name, output[name])
		}
	}
	if len(results) == 0 {
		t.Fatalf("no test of pgx was run: %s %s", out, &stderr)
	}
	t.Logf("%d tests in %s", len(results), time.Since(began).Round(time.Second))
	return results
}

// again runs a test that differed by itself: on a machine that is busy, tests with deadlines fail now and then.
func (s *suite) again(t *testing.T, name, direct, through string) {
	t.Helper()
	pkg, test, _ := strings.Cut(name, " ")
	var parts []string
	for part := range strings.SplitSeq(test, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	match := strings.Join(parts, "/")
	for range 3 {
		want, got := s.run(t, direct, match, pkg)[name], s.run(t, through, match, pkg)[name]
		if got == want {
			t.Logf("%s: %s on both at another try", name, got)
			return
		}
		if want == "pass" {
			continue
		}
		t.Logf("%s: %s on a direct connection, %s through the proxy", name, want, got)
	}
	t.Errorf("%s: does not pass through the proxy", name)
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
