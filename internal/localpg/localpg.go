// Package localpg runs a PostgreSQL server from the binaries on this machine, in a directory of its
// own that is gone when the server is.
//
// Start with [Start]; hand [Server.DSN] to a driver; call [Server.Stop] when done. The server listens
// on 127.0.0.1 only, on a free port, and asks for a random password that the DSN carries: anybody who
// may connect as a superuser may also run programs as the server's user, so a shared machine needs one.
//
// Nothing outlives the process that called Start, however it ends: a watchdog process (package child)
// stops the server and removes its directory when its parent is killed before it could call Stop.
//
// It is for tests and for "rowseal demo", not for data that anybody wants to keep.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rowseal/rowseal/internal/child"
)

// superuser is the role that initdb creates and that DSN names.
const superuser = "postgres"

// startAttempts is how many ports are tried: between choosing a free one and the server's taking it,
// another process may take it.
const startAttempts = 5

// Shutdown waits this long for each of the three ways to stop, from polite to final.
const (
	fastShutdownWait      = 20 * time.Second
	immediateShutdownWait = 5 * time.Second
)

// Config says how to start a server. Its zero value is usable.
type Config struct {
	// Dir is the folder in which the server makes its own temporary directory; "" is os.TempDir().
	// Stop removes the directory that the server made and never Dir itself.
	Dir string
	// BinDir is the folder of initdb and postgres. "" searches PATH, then the newest
	// /usr/lib/postgresql/*/bin, then the folder that "pg_config --bindir" names.
	BinDir string
	// Settings are server parameters by name, written to postgresql.conf: {"fsync": "off"}.
	// listen_addresses, port and unix_socket_directories belong to this package and are refused.
	Settings map[string]string
	// Log receives the server's log and initdb's output; nil discards them. Server logs hold
	// statements, so what is written there deserves the care that the data does.
	Log io.Writer
}

func (c Config) validate() error {
	for name := range c.Settings {
		switch {
		case name == "listen_addresses" || name == "port" || name == "unix_socket_directories":
			return fmt.Errorf("localpg: setting %q is chosen by the package; remove it from Config.Settings", name)
		case !validSettingName(name):
			return fmt.Errorf("localpg: %q is not a parameter name (letters, digits, '_' and '.')", name)
		}
	}
	return nil
}

// Server is a running PostgreSQL. Its methods may be called from several goroutines.
type Server struct {
	binDir   string
	dir      string // everything of this server; removed by Stop
	password string
	port     int
	account  child.Account
	process  *child.Process
	watchdog *child.Watchdog

	choosePort func() (int, error)

	stop    sync.Once
	stopErr error
}

// Start makes a new database cluster and runs a server on it. It returns when the server accepts
// connections; ctx bounds the start only. It takes one to two seconds, nearly all of it initdb.
//
// The error is ErrNoBinaries where no PostgreSQL is installed. A server refuses to run as root, so a
// root caller needs a user named postgres, which Debian's package creates; Start runs the server as
// that user.
func Start(ctx context.Context, c Config) (*Server, error) {
	return start(ctx, c, freePort)
}

func start(ctx context.Context, c Config, choosePort func() (int, error)) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	binDir, err := findBinaries(ctx, c.BinDir)
	if err != nil {
		return nil, err
	}
	s := &Server{binDir: binDir, choosePort: choosePort}
	if s.account, err = child.ServerAccount("PostgreSQL", superuser); err != nil {
		return nil, err
	}
	if s.dir, err = s.makeDir(c.Dir); err != nil {
		return nil, err
	}
	if s.watchdog, err = child.StartWatchdog(s.dir, s.pidFile()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.initialise(ctx, c); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.run(ctx, c.Log); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// makeDir makes the server's own directory, readable by the server's account alone.
func (s *Server) makeDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "rowseal-pg-")
	if err != nil {
		return "", fmt.Errorf("localpg: making the server's directory: %w", err)
	}
	if err := s.account.Own(dir); err != nil {
		return "", errors.Join(fmt.Errorf("localpg: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// run starts the server on a free port, on another one when somebody was quicker.
func (s *Server) run(ctx context.Context, log io.Writer) error {
	var err error
	for range startAttempts {
		if s.port, err = s.choosePort(); err != nil {
			return err
		}
		tail := child.NewTail(log)
		s.process, err = s.account.Start(s.dir, tail, s.binary("postgres"),
			"-D", s.DataDir(), "-p", strconv.Itoa(s.port))
		if err != nil {
			return err
		}
		if err = s.awaitReady(ctx); err == nil {
			tail.Forget()
			return nil
		}
		if !tail.Contains("Address already in use") {
			return fmt.Errorf("%w; the server's last words:\n%s", err, tail)
		}
	}
	return fmt.Errorf("localpg: no free port after %d attempts: %w", startAttempts, err)
}

// awaitReady waits until the server says in its pid file that it accepts connections. That file is
// what pg_ctl reads too; it needs no driver, and cannot be answered by a stranger on the same port.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("localpg: waiting for the server: %w", ctx.Err())
		case <-s.process.Done():
			return fmt.Errorf("localpg: the server ended while starting: %w", s.process.Failure())
		case <-tick.C:
			if s.ready() {
				return nil
			}
		}
	}
}

// ready reports whether line 8 of the pid file, the state, reads "ready", and line 1 is our process.
func (s *Server) ready() bool {
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) >= 8 && lines[0] == strconv.Itoa(s.process.PID()) &&
		strings.TrimSpace(lines[7]) == "ready"
}

// freePort returns a loopback port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("localpg: choosing a port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// DSN returns the connection string, in URL form, by which a superuser reaches the named database.
// A new server has the database "postgres". The string holds the server's password.
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port returns the port on 127.0.0.1 at which the server listens.
func (s *Server) Port() int { return s.port }

// BinDir returns the folder of the server's programs, with psql and pg_basebackup where installed.
func (s *Server) BinDir() string { return s.binDir }

// DataDir returns the server's data directory, which holds postgresql.conf and pg_hba.conf. Files put
// there must be readable by the server's user.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) pidFile() string { return filepath.Join(s.DataDir(), "postmaster.pid") }

func (s *Server) binary(name string) string { return filepath.Join(s.binDir, name) }

// String names the server without its password.
func (s *Server) String() string { return fmt.Sprintf("PostgreSQL on 127.0.0.1:%d", s.port) }

// Stop shuts the server down without waiting for its clients, waits for its end and removes its
// directory. Further calls return what the first one did.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		var errs []error
		if s.process != nil {
			errs = append(errs, s.shutdown())
		}
		errs = append(errs, child.RemoveAll(s.dir))
		if err := errors.Join(errs...); err != nil {
			// The watchdog is not called off: it tries once more.
			s.stopErr = errors.Join(err, s.watchdog.Release())
			return
		}
		s.stopErr = s.watchdog.CallOff()
	})
	return s.stopErr
}

// shutdown asks for a fast shutdown (SIGINT), then an immediate one (SIGQUIT), then kills.
func (s *Server) shutdown() error {
	return s.process.End(
		child.Step{Signal: syscall.SIGINT, Wait: fastShutdownWait},
		child.Step{Signal: syscall.SIGQUIT, Wait: immediateShutdownWait},
		child.Step{Signal: syscall.SIGKILL, Wait: immediateShutdownWait},
	)
}
