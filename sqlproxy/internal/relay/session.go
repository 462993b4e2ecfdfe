package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// session is one client's session. What both sides use is here; what one of
// them uses alone is in clientSide and serverSide.
type session struct {
	ctx    context.Context
	parent context.Context // of ctx: Run's
	cancel context.CancelCauseFunc
	cfg    *Config
	pair   *login.Pair
	log    *slog.Logger
	stats  *Stats

	maxText, maxHeld int

	down, up *wire.Stream // client to server, server to client
	queue    queue
	client   clientSide
	server   serverSide

	// status is the transaction's, of the last ReadyForQuery.
	status atomic.Int32
	// coding is what texts in the client's encoding are in, as the server reported it last.
	coding atomic.Int32
	// ends counts the transactions that have ended: each ReadyForQuery outside of one.
	ends     atomic.Int64
	draining atomic.Bool
	// backend names the server's process, as meetBackend has it; nil before it was asked.
	backend atomic.Pointer[string]
	// moved is set by the server's side where a name means another table than the client's side believes.
	moved atomic.Bool
	// copying tells the client's side what became of a COPY FROM STDIN.
	copying copies
	// idle is nil where clients may say nothing for as long as they like; readyAt is when one was last told that the server
	// is ready, since start.
	idle    *idle
	readyAt atomic.Int64

	closeOnce sync.Once
}

func newSession(ctx context.Context, pair *login.Pair, cfg *Config) *session {
	s := &session{parent: ctx, cfg: cfg, pair: pair, log: cfg.Logger, stats: cfg.Stats, maxText: cfg.MaxText, maxHeld: cfg.MaxHeld}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.stats == nil {
		s.stats = new(Stats)
	}
	if s.maxText == 0 {
		s.maxText = defaultMaxText
	}
	if s.maxHeld == 0 {
		s.maxHeld = defaultMaxHeld
	}
	s.stats.Sessions.Add(1)
	if cfg.Idle > 0 {
		s.idle = &idle{Conn: pair.Client}
		pair.Client = s.idle
	}
	s.down = wire.NewStream(pair.Client, pair.Server, pair.FromClient, s.publish)
	s.up = wire.NewStream(pair.Server, pair.Client, pair.FromServer, nil)
	s.copying.init()
	s.status.Store('I')
	s.setCoding(pair.Status["client_encoding"])
	s.queue.atEnd.Store(true)
	s.client.init(s)
	s.server.init(s)
	return s
}

// errEnded says that the session was ended while it was idle.
var errEnded = errors.New("session was ended")

// publish hands the expected answers over before their questions are written.
func (s *session) publish() error {
	if !s.queue.publish() {
		return errEnded
	}
	return nil
}

// run carries the session to its end. Its frame and those below it are small on purpose: idle
// sessions keep them.
func (s *session) run() error {
	defer s.watch()()
	finished := make(chan error, 1)
	go s.runServer(finished)
	err := s.guard(s.client.run)
	return s.over(err, finished)
}

// watch has the session end with its context, or when the proxy drains.
func (s *session) watch() (stop func()) {
	stopHangUp := context.AfterFunc(s.ctx, s.cutOff)
	if s.idle != nil {
		s.watchIdle()
	}
	if s.cfg.Drain == nil {
		return func() { stopHangUp() }
	}
	stopDrain := context.AfterFunc(s.cfg.Drain, s.drain)
	return func() { stopDrain(); stopHangUp() }
}

func (s *session) runServer(finished chan<- error) {
	err := s.guard(s.server.run)
	s.queue.abandon()
	s.copying.end()
	s.end(err)
	finished <- err
}

// lastAnswers is how long a client that has ended may still be answered.
const lastAnswers = time.Minute

// over ends the session with what the client's side ended with, and gives the error of both. A client that has said all
// it has to say is answered what it asked, as far as it still listens: so does a server.
func (s *session) over(err error, finished chan error) error {
	if err == nil || errors.Is(err, io.EOF) {
		s.leaveBackend()
		if closeWrite(s.pair.Server) == nil {
			late := time.AfterFunc(lastAnswers, func() { s.end(err) })
			defer late.Stop()
			finished <- <-finished
		}
	}
	s.end(err)
	if serverErr := <-finished; err == nil || errors.Is(err, errGone) {
		err = serverErr
	}
	return tidy(err, context.Cause(s.ctx))
}

// closeWrite says to the other side of a connection that nothing more comes.
func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// guard has a panic end this session alone. Its value is not told: it may hold what a client sent.
func (s *session) guard(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("a session has failed", "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = errors.New("rowseal: internal error: a session has failed")
		}
	}()
	return run()
}

// end closes both connections: neither side waits any more.
func (s *session) end(err error) { s.cancel(err); s.hangUp() }

func (s *session) hangUp() {
	s.closeOnce.Do(func() {
		s.leaveBackend()
		s.pair.Client.Close()
		s.pair.Server.Close()
	})
}

// farewell is how long a client may take to hear that its session is over.
const farewell = 2 * time.Second

// cutOff hangs up. Where it is the server of the sessions that ends, clients in a transaction hear of it.
func (s *session) cutOff() {
	if s.parent.Err() != nil {
		_ = s.pair.Client.SetWriteDeadline(time.Now().Add(farewell))
		if err := s.up.TrySend(shutdownMessage()); err != nil {
			s.log.Debug("client is gone", "error", err)
		}
	}
	s.hangUp()
}

func shutdownMessage() []byte {
	return appendRefusal(nil, "FATAL", refusal("57P01", "terminating connection because the proxy is shutting down", ""), "")
}

// close releases what the session held.
func (s *session) close() {
	s.end(nil)
	s.down.Close()
	s.up.Close()
	if s.idle != nil {
		s.idle.timer.Stop()
	}
	s.stats.Sessions.Add(-1)
	if s.pair.Done != nil {
		s.pair.Done()
	}
}

// tidy leaves of the two sides' errors what is not just the end of a connection.
func tidy(errs ...error) error {
	for _, err := range errs {
		switch {
		case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, errEnded), errors.Is(err, errGone),
			errors.Is(err, context.Canceled):
		default:
			return err
		}
	}
	return nil
}

// drain ends the session when its transaction is over, which may be now.
func (s *session) drain() {
	s.draining.Store(true)
	s.drainIfIdle()
}

// drainIfIdle ends the session if it is in no transaction and waits for nothing.
func (s *session) drainIfIdle() {
	if s.status.Load() != 'I' || !s.queue.endIdle() {
		return
	}
	if err := s.up.Send(shutdownMessage()); err != nil {
		s.log.Debug("client is gone", "error", err)
	}
	s.end(errEnded)
}
