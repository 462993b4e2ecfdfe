package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// proxy runs sessions for all who connect, and gives the connection string for clients.
func proxy(t testing.TB, dsn string, cfg *relay.Config) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	upstream := &testUpstream{config: config}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		upstream.serve(ctx, t, ln, cfg)
	}()
	t.Cleanup(func() {
		cancel()
		ln.Close()
		<-done
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = ln.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable")
	q.Del("host")
	q.Del("port")
	u.RawQuery = q.Encode()
	return u.String()
}

func empty(t testing.TB) *relay.Shared {
	t.Helper()
	policy, err := field.NewPolicy()
	if err != nil {
		t.Fatal(err)
	}
	return relay.NewShared(policy, nil)
}

func connect(t testing.TB, dsn string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = mode
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

func TestAnEmptyPolicyRelaysEveryModeOfPgx(t *testing.T) {
	dsn := proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t)})
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			ctx := context.Background()
			conn := connect(t, dsn, mode)
			if _, err := conn.Exec(ctx, "CREATE TEMP TABLE t (n int, s text)"); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if _, err := conn.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", i, "value"); err != nil {
					t.Fatal(err)
				}
			}
			var n int
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM t WHERE n < $1", 5).Scan(&n); err != nil || n != 5 {
				t.Fatalf("count is %d, %v", n, err)
			}
			if _, err := conn.Exec(ctx, "SELECT 1/$1::int", 0); err == nil {
				t.Fatal("division by zero went well")
			}
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 10 {
				t.Fatalf("after an error the count is %d, %v", n, err)
			}
		})
	}
}

func TestCopyAndWideResultsAreRelayed(t *testing.T) {
	ctx := context.Background()
	dsn := proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t)})
	conn := connect(t, dsn, pgx.QueryExecModeCacheStatement)
	if _, err := conn.Exec(ctx, "CREATE TABLE t (n int, s text)"); err != nil {
		t.Fatal(err)
	}
	const rows = 20000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"n", "s"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{i, "some text of a row"}, nil
	}))
	if err != nil || n != rows {
		t.Fatalf("copied %d, %v", n, err)
	}
	got, err := conn.Query(ctx, "SELECT n, s FROM t ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(got, pgx.RowTo[int])
	if err == nil {
		t.Fatalf("two columns scanned into one: %d", len(list))
	}
	var sum, length int
	if err := conn.QueryRow(ctx, "SELECT sum(n), length(repeat('x', 5000000)) FROM t").Scan(&sum, &length); err != nil {
		t.Fatal(err)
	}
	var wide string
	if err := conn.QueryRow(ctx, "SELECT repeat('x', 5000000)").Scan(&wide); err != nil || len(wide) != 5000000 {
		t.Fatalf("a wide value has %d bytes, %v", len(wide), err)
	}
	w := &counter{}
	tag, err := conn.PgConn().CopyTo(ctx, w, "COPY t TO STDOUT")
	if err != nil || tag.RowsAffected() != rows || w.n < rows*20 {
		t.Fatalf("copied out %v, %d bytes, %v", tag, w.n, err)
	}
	fail := errors.New("source failed")
	if _, err := conn.PgConn().CopyFrom(ctx, failing{fail}, "COPY t FROM STDIN"); err == nil {
		t.Fatal("a failed source copied well")
	}
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&sum); err != nil || sum != rows {
		t.Fatalf("count is %d, %v", sum, err)
	}
}

type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBatchesAndPipelinesAreRelayed(t *testing.T) {
	ctx := context.Background()
	dsn := proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t)})
	for _, mode := range modes[:4] {
		conn := connect(t, dsn, mode)
		b := &pgx.Batch{}
		const n = 5000
		for i := range n {
			b.Queue("SELECT $1::int + 1", i)
		}
		results := conn.SendBatch(ctx, b)
		for i := range n {
			var got int
			if err := results.QueryRow().Scan(&got); err != nil || got != i+1 {
				t.Fatalf("%v: answer %d is %d, %v", mode, i, got, err)
			}
		}
		if err := results.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDrainEndsIdleSessionsAtOnceAndOthersAtTheEndOfTheirTransaction(t *testing.T) {
	ctx := context.Background()
	drain, start := context.WithCancel(ctx)
	stats := new(relay.Stats)
	dsn := proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t), Drain: drain, Stats: stats})
	idle := connect(t, dsn, pgx.QueryExecModeCacheStatement)
	busy := connect(t, dsn, pgx.QueryExecModeCacheStatement)
	if err := idle.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	tx, err := busy.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	start()
	eventually(t, func() bool { return stats.Sessions.Load() == 1 })
	if _, err := tx.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatalf("within a transaction: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatalf("commit: %v", err)
	}
	eventually(t, func() bool { return stats.Sessions.Load() == 0 })
	if err := idle.Ping(ctx); err == nil {
		t.Fatal("a drained session goes on")
	}
}

func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come about")
		}
	}
}

// testUpstream is how the tests' proxy reaches the server.
type testUpstream struct{ config *pgx.ConnConfig }

func (u *testUpstream) serve(ctx context.Context, t testing.TB, ln net.Listener, cfg *relay.Config) {
	lc := &login.Config{
		Upstream: u.upstream(), Sessions: &login.Sessions{}, AllowReplication: true,
	}
	running := make(chan struct{}, 1000)
	n := 0
	for {
		client, err := ln.Accept()
		if err != nil {
			break
		}
		n++
		go func() {
			defer func() { running <- struct{}{} }()
			pair, err := lc.Login(ctx, client)
			if err != nil || pair == nil {
				return
			}
			if err := relay.Run(ctx, pair, cfg); err != nil && !errors.Is(err, io.EOF) {
				t.Logf("session: %v", err)
			}
		}()
	}
	for range n {
		<-running
	}
}

func (u *testUpstream) upstream() login.Upstream {
	return login.Upstream{
		Address: net.JoinHostPort(u.config.Host, strconv.Itoa(int(u.config.Port))), Mode: login.Disable,
	}
}
