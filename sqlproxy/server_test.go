package sqlproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

// start runs a Server with c on a port of its own and returns its address.
func start(t testing.TB, c Config) (*Server, string) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.endIt()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// plain is a Config for a database of its own without encryption, and the DSN by way of a proxy at an address.
func plain(t testing.TB) (Config, func(address string) string) {
	t.Helper()
	u, err := url.Parse(testpg.DSN(t))
	if err != nil {
		t.Fatal("the DSN is not a URL")
	}
	return Config{Upstream: Upstream{Address: u.Host, Mode: Disable}}, func(address string) string {
		via := *u
		via.Host = address
		return via.String()
	}
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// state is the SQLSTATE of an error; "" where it has none.
func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestServerRelaysASession(t *testing.T) {
	c, via := plain(t)
	_, address := start(t, c)
	conn := connect(t, via(address))
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT $1::int + 1", 41).Scan(&n); err != nil || n != 42 {
		t.Fatalf("got %d, %v", n, err)
	}
}

func TestOtherWaysOfAuthenticationPass(t *testing.T) {
	c := testCluster(t)
	_, address := start(t, Config{Upstream: c.upstream(true)})
	for _, user := range []string{"trusty", "oldie", "clear"} {
		// libpq, as MD5 is not for a Go program in FIPS mode.
		if got, err := byPsql(t.Context(), address, user, appPassword, "disable", "disable"); err != nil || got != user {
			t.Errorf("%s: %q, %v", user, got, err)
		}
		if user == "trusty" {
			continue
		}
		if _, err := byPsql(t.Context(), address, user, "wrong", "disable", "disable"); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
			t.Errorf("%s with a wrong password: %v", user, err)
		}
	}
}

func TestTheProxyShowsTheServerACertificate(t *testing.T) {
	c := testCluster(t)
	up := c.upstream(true)
	for _, shown := range []bool{false, true} {
		if shown {
			up.Certificates = []tls.Certificate{c.ca.Issue(t, testpki.P256, "proxy.example")}
		}
		_, address := start(t, Config{Upstream: up})
		got, err := byPgx(t.Context(), address, "carded", appPassword, "disable", "disable")
		if shown && (err != nil || got != "carded") || !shown && stateOf(err) != "28000" {
			t.Errorf("shown %v: %q, %v", shown, got, err)
		}
	}
}

func TestCancelReallyCancels(t *testing.T) {
	c := testCluster(t)
	own := c.ca.Issue(t, testpki.P256, "127.0.0.1")
	for _, tt := range []struct {
		name   string
		server bool
		mode   string
	}{{"in clear", false, "disable"}, {"encrypted", true, "require"}, {"with 3.2's keys, where the server has them", true, "require&max_protocol_version=3.2"}} {
		t.Run(tt.name, func(t *testing.T) {
			s, address := start(t, Config{Upstream: c.upstream(tt.server), Clients: Encryption{Certificates: []tls.Certificate{own}}})
			conn := connect(t, "postgres://trusty@"+address+"/postgres?sslmode="+tt.mode)
			if got, want := len(conn.PgConn().SecretKey()), c.keySize(t, tt.mode); got != want {
				t.Errorf("the key has %d bytes, want %d", got, want)
			}
			slept := make(chan error, 1)
			go func() {
				_, err := conn.Exec(context.Background(), "SELECT pg_sleep(600)")
				slept <- err
			}()
			c.awaitActive(t, conn.PgConn().PID())
			if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-slept; stateOf(err) != "57014" {
				t.Errorf("pg_sleep ends with %v", err)
			}
			await(t, func() bool { return s.counts.cancels.Load() == 1 })
			if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Errorf("the session did not survive: %v", err)
			}
		})
	}
}

// keySize is how long the server makes the secret of a cancel key.
func (c *cluster) keySize(t testing.TB, mode string) int {
	t.Helper()
	if strings.Contains(mode, "3.2") && c.admin.PgConn().ParameterStatus("server_version") >= "18" {
		return 32
	}
	return 4
}

// awaitActive waits until a backend is carrying a statement out.
func (c *cluster) awaitActive(t testing.TB, pid uint32) {
	t.Helper()
	await(t, func() bool {
		var active bool
		err := c.admin.QueryRow(t.Context(), "SELECT coalesce(bool_or(wait_event = 'PgSleep'), false) FROM pg_stat_activity WHERE pid = $1", pid).Scan(&active)
		if err != nil {
			t.Fatal(err)
		}
		return active
	})
}

// await looks until something is so.
func await(t testing.TB, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.Tick(2 * time.Millisecond); !so(); <-tick {
		if time.Now().After(deadline) {
			t.Fatal("it never became so")
		}
	}
}

func TestConnectionsAboveTheLimitAreRefused(t *testing.T) {
	c, via := plain(t)
	c.MaxConnections = 1
	s, address := start(t, c)
	first := connect(t, via(address))
	if _, err := pgx.Connect(t.Context(), via(address)); stateOf(err) != "53300" {
		t.Fatalf("the second gets %v", err)
	}
	// A request to cancel takes no place.
	if err := first.PgConn().CancelRequest(t.Context()); err != nil {
		t.Error(err)
	}
	first.Close(t.Context())
	await(t, func() bool { return s.counts.sessions.Load() == 0 })
	connect(t, via(address))
	await(t, func() bool { return s.counts.refused.Load() == 1 && s.counts.sessions.Load() == 1 })
}

func TestConnectionsThatSayNothingAreBounded(t *testing.T) {
	s, address := start(t, Config{Upstream: Upstream{Address: "127.0.0.1:1", Mode: Disable}, MaxConnections: 1})
	for range handshakesBeyond + 1 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	await(t, func() bool { return s.counts.open.Load() == handshakesBeyond+1 })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("one more is let in")
	}
	if got := s.counts.refused.Load(); got != 1 {
		t.Errorf("%d refused", got)
	}
}

func TestReloadTakesCertificatesAndLeavesSessions(t *testing.T) {
	c, via := plain(t)
	ca := testpki.New(t, testpki.P256)
	first, second := ca.Issue(t, testpki.P256, "127.0.0.1"), ca.Issue(t, testpki.P256, "127.0.0.1")
	c.Clients.Certificates = []tls.Certificate{first}
	s, address := start(t, c)
	dsn := strings.Replace(via(address), "sslmode=disable", "sslmode=require", 1)
	old := connect(t, dsn)
	c.Clients.Certificates = []tls.Certificate{second}
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	young := connect(t, dsn)
	for _, x := range []struct {
		conn *pgx.Conn
		want tls.Certificate
	}{{old, first}, {young, second}} {
		if _, err := x.conn.Exec(t.Context(), "SELECT 1"); err != nil {
			t.Error(err)
		}
		shown := x.conn.PgConn().Conn().(*tls.Conn).ConnectionState().PeerCertificates[0]
		if !shown.Equal(x.want.Leaf) {
			t.Error("shown another certificate")
		}
	}
	if err := s.Reload(Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
	connect(t, dsn)
}

func TestShutdownWaitsNoLongerThanItIsTold(t *testing.T) {
	c, via := plain(t)
	c.Drain = time.Nanosecond
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn := connect(t, via(l.Addr().String()))
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		_, err := conn.WaitForNotification(context.Background())
		told <- err
	}()
	if err := s.Shutdown(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if err := <-told; stateOf(err) != "57P01" {
		t.Errorf("the client is told %v", err)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err == nil {
		t.Error("the session goes on")
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Error(err)
	} else if err := s.Serve(l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve behind Shutdown: %v", err)
	}
}

func TestShutdownLetsTransactionsEnd(t *testing.T) {
	c, via := plain(t)
	s, address := start(t, c)
	idle, busy := connect(t, via(address)), connect(t, via(address))
	for _, statement := range []string{"CREATE TABLE kept (x int)", "BEGIN", "INSERT INTO kept VALUES (1)"} {
		if _, err := busy.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if _, err := idle.WaitForNotification(t.Context()); stateOf(err) != "57P01" {
		t.Errorf("the idle client is told %v", err)
	}
	if _, err := pgx.Connect(t.Context(), via(address)); stateOf(err) != "57P03" {
		t.Errorf("who comes now is told %v", err)
	}
	if s.ready() {
		t.Error("it is still ready")
	}
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	slept := make(chan error, 1)
	go func() {
		_, err := busy.Exec(context.Background(), "SAVEPOINT s; SELECT pg_sleep(600)")
		slept <- err
	}()
	watcher := connect(t, via(c.Upstream.Address))
	await(t, func() bool {
		var asleep bool
		err := watcher.QueryRow(t.Context(), "SELECT coalesce(bool_or(wait_event = 'PgSleep'), false) FROM pg_stat_activity WHERE pid = $1", busy.PgConn().PID()).Scan(&asleep)
		return err == nil && asleep
	})
	if err := busy.PgConn().CancelRequest(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-slept; stateOf(err) != "57014" {
		t.Errorf("what was cancelled ends with %v", err)
	}
	if _, err := busy.Exec(t.Context(), "ROLLBACK TO s"); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"INSERT INTO kept VALUES (2)", "COMMIT"} {
		if _, err := busy.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := busy.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session goes on")
	}
	if said, err := io.ReadAll(silent); err != nil || !strings.Contains(string(said), "57P03") {
		t.Errorf("who said nothing is told %q, %v", said, err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("connections are still accepted")
	}
}

func TestAServerThatLetsNobodyInIsAWarning(t *testing.T) {
	alive, via := plain(t)
	dead := alive
	dead.Upstream.Address = "127.0.0.1:1"
	for _, tt := range []struct {
		name, level, database string
		config                Config
	}{
		{"dead", "WARN", "rowseal_test_", dead},
		{"no such database", "INFO", "no_such_", alive},
	} {
		log := &record{}
		tt.config.Log = slog.New(slog.NewTextHandler(log, nil))
		_, address := start(t, tt.config)
		if _, err := pgx.Connect(t.Context(), strings.Replace(via(address), "rowseal_test_", tt.database, 1)); err == nil {
			t.Errorf("%s: the client is let in", tt.name)
		}
		await(t, func() bool { return strings.Contains(log.String(), "not let in") })
		if said := log.String(); !strings.Contains(said, "level="+tt.level) {
			t.Errorf("%s: the log says %s", tt.name, said)
		}
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	c, via := plain(t)
	c.Idle = 50 * time.Millisecond
	_, address := start(t, c)
	conn := connect(t, via(address))
	if _, err := conn.WaitForNotification(t.Context()); stateOf(err) != "57P05" {
		t.Errorf("the client is told %v", err)
	}
}

func TestShutdownEndsLoginsAtOnce(t *testing.T) {
	s, address := start(t, Config{Upstream: Upstream{Address: "127.0.0.1:1", Mode: Disable}})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, func() bool { return s.counts.open.Load() == 1 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	told, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(told), "C57P03\x00Mthe proxy is shutting down") {
		t.Errorf("told %q, %v", told, err)
	}
}

func TestAdminShowsCountersAndNoSecret(t *testing.T) {
	c, via := plain(t)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	expect := func(path string, want int) string {
		t.Helper()
		code, body := get(path)
		if code != want {
			t.Errorf("%s gives %d", path, code)
		}
		return body
	}
	expect("/readyz", http.StatusServiceUnavailable)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn := connect(t, via(l.Addr().String()))
	expect("/readyz", http.StatusOK)
	expect("/healthz", http.StatusOK)
	if body := expect("/metrics", http.StatusOK); !strings.Contains(body, "\nrowseal_proxy_sessions 1\n") || strings.Contains(body, conn.Config().User) {
		t.Errorf("metrics:\n%s", body)
	}
	conn.Close(t.Context())
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
	expect("/readyz", http.StatusServiceUnavailable)
	expect("/healthz", http.StatusOK)
	if body := expect("/metrics", http.StatusOK); !strings.Contains(body, "\nrowseal_proxy_sessions 0\n") || !strings.Contains(body, "\nrowseal_proxy_connections_total 1\n") {
		t.Errorf("metrics:\n%s", body)
	}
}

func TestConfigIsValidated(t *testing.T) {
	up := Upstream{Address: "127.0.0.1:5432"}
	for says, c := range map[string]Config{
		"Upstream.Address is missing":      {},
		"is not host:port":                 {Upstream: Upstream{Address: "localhost"}},
		"set Upstream.Mode to Disable":     {Upstream: Upstream{Address: "/run/postgresql/.s.PGSQL.5432"}},
		"Upstream.Mode 9 is unknown":       {Upstream: Upstream{Address: "h:1", Mode: 9}},
		"set Clients.Certificates":         {Upstream: up, Clients: Encryption{Require: true}},
		"Tenants[0] names no tenant":       {Upstream: up, Tenants: []Tenant{{User: "u"}}},
		"Handshake is negative":            {Upstream: up, Handshake: -1},
		"Idle is negative":                 {Upstream: up, Idle: -1},
		"must not be negative":             {Upstream: up, MaxMessage: -1},
		"Terminated.Verifiers is missing":  {Upstream: up, Terminated: &Terminated{}},
		"Upstream.Direct needs encryption": {Upstream: Upstream{Address: "h:1", Mode: Disable, Direct: true}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := New(Config{Upstream: up}); err != nil {
		t.Error(err)
	}
}

func TestTenantsAreFoundByUserAndDatabase(t *testing.T) {
	c := Config{Tenants: []Tenant{{"a", "d", "both"}, {"a", "", "user"}, {"", "d", "database"}}}
	for _, tt := range []struct{ user, database, want string }{
		{"a", "d", "both"}, {"a", "e", "user"}, {"b", "d", "database"}, {"b", "e", ""},
	} {
		if got := c.tenant(tt.user, tt.database); got != tt.want {
			t.Errorf("%s in %s: %q, want %q", tt.user, tt.database, got, tt.want)
		}
	}
}

// tired is a listener that cannot accept, for a while or for good.
type tired struct {
	net.Listener
	errs chan error
}

func (l *tired) Accept() (net.Conn, error) {
	if err, more := <-l.errs; more {
		return nil, err
	}
	return nil, errors.New("for good")
}
func (l *tired) Close() error { return nil }

type passingError struct{ error }

func (passingError) Temporary() bool { return true }

func TestServeOutlivesPassingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Upstream: Upstream{Address: "h:1"}})
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 12)
		for range cap(errs) {
			errs <- passingError{errors.New("too many open files")}
		}
		close(errs)
		began := time.Now()
		if err := s.Serve(&tired{errs: errs}); err == nil || err.Error() != "for good" {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 8*time.Second {
			t.Errorf("it paused %v", took)
		}
	})
}

// record is a log that can be read.
type record struct {
	sync.Mutex
	strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.Lock()
	defer r.Unlock()
	return r.Builder.Write(b)
}

func (r *record) String() string {
	r.Lock()
	defer r.Unlock()
	return r.Builder.String()
}

func TestFailedLoginsAreLoggedWithoutPasswords(t *testing.T) {
	c := testCluster(t)
	log := &record{}
	s, address := start(t, Config{
		Upstream: c.upstream(true), Log: slog.New(slog.NewTextHandler(log, nil)),
		Terminated: &Terminated{Verifiers: c.verifiers(t), Service: &Credential{User: "service", Password: "canary-wrong"}},
	})
	if _, err := byPgx(t.Context(), address, "app", appPassword, "disable", "disable"); stateOf(err) != "57P03" || strings.Contains(err.Error(), "service") {
		t.Errorf("the client is told %v", err)
	}
	if _, err := byPgx(t.Context(), address, "nobody", "canary-guess", "disable", "disable"); stateOf(err) != "28P01" {
		t.Errorf("the client is told %v", err)
	}
	await(t, func() bool { return s.counts.failed.Load() == 2 && strings.Count(log.String(), "\n") == 2 })
	got := log.String()
	if strings.Contains(got, "canary") || !strings.Contains(got, "password authentication failed for user") {
		t.Errorf("log:\n%s", got)
	}
}
