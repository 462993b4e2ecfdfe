package sqlproxy

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
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
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.endIt()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// plain is a Config for the server of a DSN, and the DSN by way of a proxy at an address.
func plain(t testing.TB, dsn string) (Config, func(address string) string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the DSN is not a URL")
	}
	return Config{Upstream: Upstream{Address: u.Host, Mode: Disable}}, func(address string) string {
		via := *u
		via.Host = address
		return via.String()
	}
}

func TestServerRelaysASession(t *testing.T) {
	c, via := plain(t, testpg.DSN(t))
	_, address := start(t, c)
	conn, err := pgx.Connect(t.Context(), via(address))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT $1::int + 1", 41).Scan(&n); err != nil || n != 42 {
		t.Fatalf("got %d, %v", n, err)
	}
}
