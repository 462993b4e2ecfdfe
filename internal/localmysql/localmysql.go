// Package localmysql runs a MariaDB or MySQL server from the binaries on this machine, in a directory
// of its own that is gone when the server is.
//
// Start with [Start]; hand [Server.DSN] to a driver; call [Server.Stop] when done. The server listens on
// no network, only on a socket in that directory, which nobody but the server's user and root may enter,
// so its root account needs no password.
//
// Nothing outlives the process that called Start, however it ends: see package child.
//
// It is for tests, not for data that anybody wants to keep.
package localmysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"syscall"
	"time"

	"github.com/rowseal/rowseal/internal/child"
)

// superuser is the account without a password that the data directory begins with.
const superuser = "root"

// Shutdown waits this long for the polite and for the final way to stop.
const (
	shutdownWait = 20 * time.Second
	killWait     = 5 * time.Second
)

// Config says how to start a server. Its zero value is usable.
type Config struct {
	// Dir is the folder in which the server makes its own temporary directory; "" is os.TempDir().
	// A socket's path may not be longer than about 100 bytes, so Dir's must be shorter than 80.
	Dir string
	// Options are the server's options by name: {"max-connections": "300"}.
	Options map[string]string
	// Log receives the server's log; nil discards it.
	Log io.Writer
}

// Server is a running server. Its methods may be called from several goroutines.
type Server struct {
	programs programs
	dir      string // everything of this server; removed by Stop
	account  child.Account
	process  *child.Process
	watchdog *child.Watchdog

	stop    sync.Once
	stopErr error
}

// Start makes a new data directory and runs a server on it. It returns when the server accepts
// connections; ctx bounds the start only. It takes about four seconds, most of it for the directory.
//
// The error is ErrNoBinaries where no server is installed. A server refuses to run as root, so a root
// caller needs a user named mysql, which Debian's package creates; Start runs the server as that user.
func Start(ctx context.Context, c Config) (*Server, error) {
	found, err := findPrograms()
	if err != nil {
		return nil, err
	}
	s := &Server{programs: found}
	if s.account, err = child.ServerAccount("MariaDB", "mysql"); err != nil {
		return nil, err
	}
	if s.dir, err = s.makeDir(c.Dir); err != nil {
		return nil, err
	}
	if s.watchdog, err = child.StartWatchdog(s.dir, s.pidFile()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.initialise(ctx, c.Log); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.run(ctx, c); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// makeDir makes the server's own directory, which its account alone may enter.
func (s *Server) makeDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "rowseal-my-")
	if err != nil {
		return "", fmt.Errorf("localmysql: making the server's directory: %w", err)
	}
	if err := s.account.Own(dir); err != nil {
		return "", errors.Join(fmt.Errorf("localmysql: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// initialise makes the data directory.
func (s *Server) initialise(ctx context.Context, log io.Writer) error {
	tail := child.NewTail(log)
	program, args := s.programs.initialiser(s.dataDir())
	made, err := s.account.Start(s.dir, tail, program, args...)
	if err != nil {
		return err
	}
	if err := made.Await(ctx); err != nil {
		return fmt.Errorf("localmysql: making the data directory: %w; last words:\n%s", err, tail)
	}
	return nil
}

// run starts the server and waits until it answers.
func (s *Server) run(ctx context.Context, c Config) error {
	tail := child.NewTail(c.Log)
	args := []string{
		"--no-defaults", "--datadir=" + s.dataDir(), "--tmpdir=" + s.dir, "--pid-file=" + s.pidFile(),
		"--socket=" + s.Socket(), "--skip-networking", "--skip-log-bin", "--character-set-server=utf8mb4",
		// Containers often have few of the kernel's asynchronous requests.
		"--innodb-use-native-aio=0",
	}
	for name, value := range c.Options {
		args = append(args, "--"+name+"="+value)
	}
	sort.Strings(args[1:]) // --no-defaults must come first
	var err error
	if s.process, err = s.account.Start(s.dir, tail, s.programs.server, args...); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w; the server's last words:\n%s", err, tail)
	}
	tail.Forget()
	return nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("localmysql: waiting for the server: %w", ctx.Err())
		case <-s.process.Done():
			return fmt.Errorf("localmysql: the server ended while starting: %w", s.process.Failure())
		case <-tick.C:
			if greets(s.Socket()) {
				return nil
			}
		}
	}
}

// greets reports whether a server sends the first packet of its protocol, version 10.
func greets(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	var head [5]byte
	if err := conn.SetReadDeadline(time.Now().Add(killWait)); err != nil {
		return false
	}
	_, err = io.ReadFull(conn, head[:])
	return err == nil && head[4] == 10
}

// DSN returns go-sql-driver's connection string by which root reaches the named database; "" names none.
func (s *Server) DSN(database string) string {
	return superuser + "@unix(" + s.Socket() + ")/" + database
}

// Socket returns the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "sock") }

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) pidFile() string { return filepath.Join(s.dir, "pid") }

// Stop shuts the server down without waiting for its clients, waits for its end and removes its
// directory. Further calls return what the first one did.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		var errs []error
		if s.process != nil {
			errs = append(errs, s.process.End(
				child.Step{Signal: syscall.SIGTERM, Wait: shutdownWait},
				child.Step{Signal: syscall.SIGKILL, Wait: killWait},
			))
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
