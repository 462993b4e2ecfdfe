package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/internal/child"
)

// Replica starts a streaming replica of the server, with settings of its own over the server's. It is a
// Server like any other: its DSN reads what the primary wrote, and Stop ends it and removes its files;
// stop it before the primary. log receives its log and pg_basebackup's output; nil discards them.
// ctx bounds the start.
func (s *Server) Replica(ctx context.Context, settings map[string]string, log io.Writer) (*Server, error) {
	if err := (Config{Settings: settings}).validate(); err != nil {
		return nil, err
	}
	if !isProgram(s.binary("pg_basebackup")) {
		return nil, fmt.Errorf("%w (%s holds no pg_basebackup)", ErrNoBinaries, s.binDir)
	}
	r := &Server{binDir: s.binDir, account: s.account, password: s.password, choosePort: s.choosePort}
	var err error
	if r.dir, err = r.makeDir(filepath.Dir(s.dir)); err != nil {
		return nil, err
	}
	if r.watchdog, err = child.StartWatchdog(r.dir, r.pidFile()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	if err := r.copyFrom(ctx, s, settings, log); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	if err := r.run(ctx, log); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// copyFrom makes the data directory of a replica of the primary.
func (s *Server) copyFrom(ctx context.Context, primary *Server, settings map[string]string, log io.Writer) error {
	// In a file, because a command line can be read by everybody on the machine. It stays: the replica
	// connects with it as well.
	passwordFile := filepath.Join(s.dir, "pgpass")
	port := strconv.Itoa(primary.port)
	if err := s.writeFile(passwordFile, "127.0.0.1:"+port+":*:"+superuser+":"+primary.password+"\n"); err != nil {
		return err
	}
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%s user=%s sslmode=disable passfile='%s'",
		port, superuser, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(passwordFile))
	tail := child.NewTail(log)
	backup, err := s.account.Start(s.dir, tail, s.binary("pg_basebackup"), "-D", s.DataDir(), "-d", conninfo,
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	if err != nil {
		return err
	}
	if err := backup.Await(ctx); err != nil {
		return fmt.Errorf("localpg: pg_basebackup: %w; its last words:\n%s", err, tail)
	}
	return s.appendSettings(settings)
}
