package localpg

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/rowseal/rowseal/internal/child"
)

// Crash ends the server as `pg_ctl stop -m immediate` does: it finishes nothing, and all connections break.
// [Server.Resume] starts it again. Crash, Resume and Stop are called one at a time.
func (s *Server) Crash() error {
	return s.process.End(
		child.Step{Signal: syscall.SIGQUIT, Wait: immediateShutdownWait},
		child.Step{Signal: syscall.SIGKILL, Wait: immediateShutdownWait},
	)
}

// Resume starts a server that was crashed on its port again, and returns when it has recovered and accepts connections.
func (s *Server) Resume(ctx context.Context) error {
	select {
	case <-s.process.Done():
	default:
		return errors.New("localpg: the server runs")
	}
	tail := child.NewTail(nil)
	var err error
	if s.process, err = s.account.Start(s.dir, tail, s.binary("postgres"), "-D", s.DataDir(), "-p", strconv.Itoa(s.port)); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w; the server's last words:\n%s", err, tail)
	}
	tail.Forget()
	return nil
}
