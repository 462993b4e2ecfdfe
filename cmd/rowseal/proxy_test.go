package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
)

const proxiedPolicy = `keys: {kms: "local://WORK/root.key", store: postgres}
tenant: {default: acme}
tables:
  people:
    columns:
      ssn: {type: text, search: [equality]}
proxy: {listen: "127.0.0.1:0", upstream: "postgres://SERVER?sslmode=disable", drain: 1m}
`

// TestProxyCommand is the life of a `rowseal proxy`: it serves, takes a changed file, refuses a wrong one, and ends
// behind the transaction that runs.
func TestProxyCommand(t *testing.T) {
	p := startProxy(t)
	direct, through := dial(t, p.dsn), dial(t, p.through)
	execute(t, through, "INSERT INTO people VALUES (1, $1, NULL)", "078-05-1120")
	if got := ask(t, through, "SELECT ssn FROM people WHERE ssn = $1", "078-05-1120"); got != "078-05-1120" {
		t.Errorf("through the proxy: %q", got)
	}
	if got := ask(t, direct, "SELECT position('078-05-1120'::bytea in ssn)::text FROM people"); got != "0" {
		t.Errorf("the server holds the value at %s", got)
	}

	p.rewrite(t, strings.Replace(proxiedPolicy, "type: text", "type: words", 1))
	p.signal(t, syscall.SIGHUP)
	p.await(t, `goes on as before.*words`)
	if got := ask(t, through, "SELECT ssn FROM people WHERE ssn = $1", "078-05-1120"); got != "078-05-1120" {
		t.Errorf("behind a wrong file: %q", got)
	}

	p.rewrite(t, strings.Replace(proxiedPolicy, "      ssn:", "      note: {type: text}\n      ssn:", 1))
	p.signal(t, syscall.SIGHUP)
	p.await(t, "policy file read anew")
	execute(t, through, "UPDATE people SET note = $1", "from now on sealed")
	if got := ask(t, direct, "SELECT position('sealed'::bytea in note)::text FROM people"); got != "0" {
		t.Errorf("a column of the new file is not sealed; found at %s", got)
	}
	if got := ask(t, through, "SELECT note FROM people"); got != "from now on sealed" {
		t.Errorf("a column of the new file: %q", got)
	}

	execute(t, through, "BEGIN")
	execute(t, through, "INSERT INTO people VALUES (2, $1, NULL)", "219-09-9999")
	p.signal(t, syscall.SIGTERM)
	p.await(t, "stopping")
	execute(t, through, "INSERT INTO people VALUES (3, $1, NULL)", "987-65-4321")
	execute(t, through, "COMMIT")
	if err := p.wait(); err != nil {
		t.Errorf("the proxy ends with %v:\n%s", err, p.log.String())
	}
	if got := ask(t, direct, "SELECT count(*)::text FROM people"); got != "3" {
		t.Errorf("%s rows", got)
	}
	if log := p.log.String(); strings.Contains(log, "078-05") || strings.Contains(log, "219-09") {
		t.Errorf("the log holds values:\n%s", log)
	}
}

// proxied is a `rowseal proxy` in a process of its own.
type proxied struct {
	dsn, through string
	dir          string
	command      *exec.Cmd
	log          safeBuffer
	wait         func() error
}

func startProxy(t *testing.T) *proxied {
	t.Helper()
	p := &proxied{dsn: testpg.DSN(t), dir: t.TempDir()}
	config := p.dir + "/rowseal.yaml"
	p.rewrite(t, proxiedPolicy)
	execute(t, dial(t, p.dsn), "CREATE TABLE people (id int PRIMARY KEY, ssn bytea, note bytea)")
	for _, args := range [][]string{{"keys", "create", p.dir + "/root.key"}, {"init", "-c", config, "--dsn", p.dsn}} {
		if code, _, errs := runWith(t.Context(), args...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
	}
	p.command = exec.Command("rowseal", "proxy", "-c", config, "--dsn", p.dsn) // TestMain has put it in the PATH
	p.command.Stderr = &p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(p.command.Wait)
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // unless it has ended
		_ = p.wait()
	})
	u := p.url(t)
	u.Host = p.await(t, `listening.* address=(\S+)`)
	p.through = u.String()
	return p
}

func (p *proxied) url(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(p.dsn)
	if err != nil {
		t.Fatal("the DSN is not a URL")
	}
	return u
}

func (p *proxied) rewrite(t *testing.T, policy string) {
	t.Helper()
	write(t, p.dir+"/rowseal.yaml", strings.NewReplacer("WORK", p.dir, "SERVER", p.url(t).Host).Replace(policy))
}

func (p *proxied) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// await waits until the log has what pattern describes and returns the pattern's last group.
func (p *proxied) await(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.Tick(5 * time.Millisecond); ; <-tick {
		if found := expression.FindStringSubmatch(p.log.String()); found != nil {
			return found[len(found)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log never says %s:\n%s", pattern, p.log.String())
		}
	}
}

// safeBuffer may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask gives the only value of a query.
func ask(t *testing.T, conn *pgx.Conn, sql string, args ...any) (value string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	return value
}
