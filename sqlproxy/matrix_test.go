package sqlproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

// Passwords of the cluster's roles, which must never be seen in an error or a log.
const (
	appPassword     = "canary-of-app-1"
	servicePassword = "canary-of-service-1"
)

// cluster is a server with TLS and with roles for each way of authentication.
type cluster struct {
	*localpg.Server
	ca          *testpki.CA
	certificate tls.Certificate
	admin       *pgx.Conn
}

// shared is the cluster of all tests of the package. Its watchdog stops it when the process ends.
var shared struct {
	sync.Mutex
	*cluster
}

func testCluster(t testing.TB) *cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		shared.cluster = newCluster(t)
	}
	return shared.cluster
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	server, err := localpg.Start(t.Context(), localpg.Config{Settings: testpg.Settings()})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Server: server, ca: testpki.New(t, testpki.P256)}
	c.certificate = c.ca.Issue(t, testpki.P256, "127.0.0.1")
	c.write(t, "server.crt", testpki.CertPEM(c.certificate))
	c.write(t, "server.key", testpki.KeyPEM(t, c.certificate))
	c.write(t, "root.crt", c.ca.PEM())
	c.write(t, "pg_hba.conf", []byte(strings.Join([]string{
		"host all postgres 127.0.0.1/32 password",
		"host all trusty 127.0.0.1/32 trust",
		"host all oldie 127.0.0.1/32 md5",
		"host all clear 127.0.0.1/32 password",
		"hostssl all carded 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
		"host all all 127.0.0.1/32 scram-sha-256",
	}, "\n")+"\n"))
	if c.admin, err = pgx.Connect(t.Context(), c.DSN("postgres")); err != nil {
		t.Fatal(err)
	}
	c.exec(t, "ALTER SYSTEM SET ssl = on", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'",
		"CREATE ROLE app LOGIN PASSWORD '"+appPassword+"'", "CREATE ROLE trusty LOGIN",
		"CREATE ROLE carded LOGIN PASSWORD '"+appPassword+"'",
		"CREATE ROLE clear LOGIN PASSWORD '"+appPassword+"'",
		"CREATE ROLE service LOGIN SUPERUSER PASSWORD '"+servicePassword+"'",
		"SET password_encryption = md5", "CREATE ROLE oldie LOGIN PASSWORD '"+appPassword+"'",
		"SELECT pg_reload_conf()")
	c.awaitTLS(t)
	return c
}

// write puts a file into the data directory, for the server's user alone.
func (c *cluster) write(t testing.TB, name string, data []byte) {
	t.Helper()
	path := filepath.Join(c.DataDir(), name)
	info, err := os.Stat(c.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := c.admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitTLS waits until the server has read its files again.
func (c *cluster) awaitTLS(t testing.TB) {
	t.Helper()
	for ctx, tick := t.Context(), time.Tick(5*time.Millisecond); ; <-tick {
		conn, err := pgx.Connect(ctx, strings.Replace(c.DSN("postgres"), "sslmode=disable", "sslmode=require", 1))
		if err == nil {
			conn.Close(ctx)
			return
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "refused TLS") {
			t.Fatal(err)
		}
	}
}

// upstream is the cluster as an Upstream, encrypted or not.
func (c *cluster) upstream(encrypted bool) Upstream {
	u := Upstream{Address: net.JoinHostPort("127.0.0.1", fmt.Sprint(c.Port())), Mode: Disable}
	if encrypted {
		u.Mode, u.RootCAs = VerifyFull, c.ca.Pool()
	}
	return u
}

// verifiers writes a file with the cluster's SCRAM verifiers.
func (c *cluster) verifiers(t testing.TB) Verifiers {
	t.Helper()
	var lines string
	if err := c.admin.QueryRow(t.Context(), `SELECT string_agg(rolname || ' ' || rolpassword, E'\n')
		FROM pg_authid WHERE rolpassword LIKE 'SCRAM%'`).Scan(&lines); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "verifiers")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := ReadVerifierFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// client is a program that logs in and asks one thing: the session's user.
type client struct {
	name    string
	connect func(ctx context.Context, address, user, password, mode, binding string) (string, error)
}

var clients = []client{{"libpq", byPsql}, {"pgx", byPgx}}

func byPsql(ctx context.Context, address, user, password, mode, binding string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	psql := exec.CommandContext(ctx, "psql", "-XAtq", "-c", "SELECT session_user", fmt.Sprintf(
		"host=%s port=%s user=%s dbname=postgres sslmode=%s channel_binding=%s gssencmode=disable", host, port, user, mode, binding))
	psql.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "HOME=/nonexistent", "PGCONNECT_TIMEOUT=20"}
	out, err := psql.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return strings.TrimSpace(string(out)), nil
}

func byPgx(ctx context.Context, address, user, password, mode, binding string) (string, error) {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=%s&channel_binding=%s", user, password, address, mode, binding))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var name string
	err = conn.QueryRow(ctx, "SELECT session_user::text").Scan(&name)
	return name, err
}

// The matrix of encrypted legs and channel binding. Cells with require and a plain client's leg must fail:
// there is no channel to bind. In pass-through, require fails with a plain server's leg too, as that server offers
// no binding, and with two encrypted legs, as the client would bind to the proxy's certificate and the server to its own;
// there prefer fails as well, with a hint, because the client then tells the server of the offer that it missed.
// disable never fails. Terminated, the proxy binds by its own certificate, whatever the server's leg is.
func TestMatrixOfEncryptionAndChannelBinding(t *testing.T) {
	c := testCluster(t)
	own := testpki.New(t, testpki.P384).Issue(t, testpki.P256, "127.0.0.1")
	verifiers := c.verifiers(t)
	query, err := NewAuthQuery(&AuthQuery{
		Upstream: c.upstream(true), Database: "postgres",
		Credential: Credential{User: "service", Password: servicePassword},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { query.Close() })
	for _, way := range []struct {
		name       string
		own        tls.Certificate
		terminated *Terminated
		fails      func(clientTLS, serverTLS bool, binding string) bool
		user       string
	}{
		{"passed through", own, nil, func(client, server bool, binding string) bool {
			return binding == "require" || binding == "prefer" && client && server
		}, "app"},
		{"passed through with the server's certificate", c.certificate, nil, func(client, server bool, binding string) bool {
			return binding == "require" && !(client && server)
		}, "app"},
		{"terminated", own, &Terminated{Verifiers: verifiers}, func(client, _ bool, binding string) bool {
			return binding == "require" && !client
		}, "app"},
		{"terminated by query", own, &Terminated{Verifiers: query}, func(client, _ bool, binding string) bool {
			return binding == "require" && !client
		}, "app"},
		{"terminated with a service's login", own, &Terminated{
			Verifiers: verifiers, Service: &Credential{User: "service", Password: servicePassword},
		}, func(client, _ bool, binding string) bool {
			return binding == "require" && !client
		}, "service"},
	} {
		for _, clientTLS := range []bool{false, true} {
			for _, serverTLS := range []bool{false, true} {
				config := Config{Upstream: c.upstream(serverTLS), Terminated: way.terminated}
				mode := "disable"
				if clientTLS {
					config.Clients, mode = Encryption{Certificates: []tls.Certificate{way.own}, Require: true}, "require"
				}
				_, address := start(t, config)
				for _, binding := range []string{"disable", "prefer", "require"} {
					for _, by := range clients {
						name := fmt.Sprintf("%s, client TLS %v, server TLS %v, %s, %s", way.name, clientTLS, serverTLS, binding, by.name)
						user, err := by.connect(t.Context(), address, "app", appPassword, mode, binding)
						if way.fails(clientTLS, serverTLS, binding) {
							if err == nil {
								t.Errorf("%s: let in", name)
							} else if strings.Contains(err.Error(), appPassword) {
								t.Errorf("%s: the error shows the password", name)
							} else if binding == "prefer" && !strings.Contains(err.Error(), "channel binding cannot pass the proxy") {
								t.Errorf("%s: the error gives no reason: %v", name, err)
							}
							continue
						}
						if err != nil || user != way.user {
							t.Errorf("%s: %q, %v", name, user, err)
						}
						if _, err := by.connect(t.Context(), address, "app", "wrong-password", mode, binding); err == nil ||
							!strings.Contains(err.Error(), "password authentication failed") {
							t.Errorf("%s: a wrong password gives %v", name, err)
						}
					}
				}
			}
		}
	}
}
