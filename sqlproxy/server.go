package sqlproxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// ErrServerClosed is what Serve returns behind Shutdown.
var ErrServerClosed = errors.New("sqlproxy: the server is shut down")

// handshakesBeyond is how many connections may be on their way in besides the sessions that
// MaxConnections allows. Those above are closed without a word, as their clients
// have not said yet what they want.
const handshakesBeyond = 256

// Server takes clients' connections. Its methods may be called from several goroutines.
type Server struct {
	config   atomic.Pointer[state]
	sessions login.Sessions
	counts   counters
	shared   *relay.Shared

	// drain is done once no session is to begin another transaction, hard once all must end.
	drain, hard       context.Context
	beginDrain, endIt context.CancelFunc

	reloading sync.Mutex

	mu        sync.Mutex
	closed    bool // no connection is taken any more
	listeners map[net.Listener]struct{}
	// running are connections that came before the drain, late are those that came behind it, which may only
	// cancel queries.
	running, late sync.WaitGroup
}

// state is a Config in use, with what follows from it.
type state struct {
	Config
	login *login.Config
}

// New makes a Server. The error names all that is wrong with the configuration.
func New(c Config) (*Server, error) {
	s := &Server{listeners: map[net.Listener]struct{}{}}
	s.drain, s.beginDrain = context.WithCancel(context.Background())
	s.hard, s.endIt = context.WithCancel(context.Background())
	if err := s.Reload(c); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload takes another configuration. A changed policy holds for the next statement of every session. All
// the rest holds for connections that come from now on: sessions go on as they began, and those above a
// lowered MaxConnections are not ended. A configuration that is not valid changes nothing.
func (s *Server) Reload(c Config) error {
	if err := c.validate(); err != nil {
		return err
	}
	next := &state{Config: c}
	next.login = &login.Config{
		Upstream: c.Upstream, Encryption: c.Clients, Terminated: c.Terminated,
		Handshake: c.Handshake, AllowReplication: c.AllowReplication, Sessions: &s.sessions,
		ExactNames: len(c.Tenants) > 0,
	}
	if err := next.login.Validate(); err != nil {
		return err
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	switch before := s.config.Load(); {
	case before == nil:
		s.shared = relay.NewShared(c.Policy, c.Cipher)
	case before.Policy != c.Policy || before.Cipher != c.Cipher || before.Upstream.Address != c.Upstream.Address:
		// Another server has another catalog.
		s.shared.Replace(c.Policy, c.Cipher)
	}
	s.config.Store(next)
	return nil
}

// Serve takes connections until the listener fails or Shutdown is called, which gives ErrServerClosed. It
// closes the listener.
func (s *Server) Serve(l net.Listener) error {
	if !s.register(l) {
		_ = l.Close() // it was not used
		return ErrServerClosed
	}
	defer s.unregister(l)
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			s.accept(conn)
			continue
		}
		if s.drain.Err() != nil {
			return ErrServerClosed
		}
		if !passing(err) {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.config.Load().Log.Warn("a connection could not be accepted", "error", err)
		select {
		case <-time.After(pause):
		case <-s.drain.Done():
		}
	}
}

func (s *Server) register(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain.Err() != nil {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) unregister(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	_ = l.Close() // closed twice is no harm
}

// accept begins a connection's goroutine.
func (s *Server) accept(conn net.Conn) {
	st, connections := s.config.Load(), &s.running
	s.mu.Lock()
	if s.drain.Err() != nil {
		connections = &s.late
	}
	refused := s.closed || st.MaxConnections > 0 &&
		s.counts.open.Load() >= int64(st.MaxConnections+handshakesBeyond)
	if !refused {
		connections.Add(1)
		s.counts.open.Add(1)
	}
	s.mu.Unlock()
	s.counts.accepted.Add(1)
	if refused {
		s.counts.refused.Add(1)
		_ = conn.Close() // there is nobody to tell
		return
	}
	go s.serve(st, conn, connections)
}

// serve is a connection from beginning to end. What it calls before and after the
// session stands in functions of its own: a session's stack holds what serve has, and idle
// sessions are many. With a little more it would need 8 kB and not 4.
func (s *Server) serve(st *state, conn net.Conn, connections *sync.WaitGroup) {
	defer connections.Done()
	seat := &seat{server: s, most: st.MaxConnections}
	defer seat.leave()
	pair := s.enter(st, conn, seat, connections == &s.late)
	if pair == nil {
		return
	}
	defer closePair(pair)
	c := s.relayConfig(st, pair)
	if err := relay.Run(s.hard, pair, c); err != nil {
		logEnd(st, pair, err)
	}
}

// enter lets a client in. It returns nil for one that was not let in, or wanted to cancel only. One that
// came late, behind the drain, may only cancel a query.
func (s *Server) enter(st *state, conn net.Conn, seat *seat, late bool) *login.Pair {
	door := *st.login
	door.Admit = seat.take
	ctx := s.drain
	if late {
		door.Admit, ctx = stopping, s.hard
	}
	pair, err := door.Login(ctx, wire.Direct(conn))
	if errors.Is(err, login.ErrSilent) {
		return nil
	}
	switch {
	case err != nil:
		s.counts.failed.Add(1)
		level := slog.LevelInfo
		if e := (*login.Error)(nil); errors.As(err, &e) && e.ServerAtFault() {
			level = slog.LevelWarn
		}
		st.Log.Log(context.Background(), level, "a client was not let in", "client", conn.RemoteAddr(), "error", err)
	case pair == nil:
		s.counts.cancels.Add(1)
	}
	return pair
}

func closePair(pair *login.Pair) {
	_ = pair.Client.Close()
	_ = pair.Server.Close()
	pair.Done()
}

func logEnd(st *state, pair *login.Pair, err error) {
	st.Log.Info("a session ended", "user", pair.User, "database", pair.Database, "error", err)
}

// stopping is the Admit of those who come late.
func stopping(string, string) error {
	return &login.Error{SQLState: "57P03", Message: "the proxy is shutting down"}
}

// seat is a session's place among MaxConnections.
type seat struct {
	server *Server
	most   int
	taken  bool
}

// take is login's Admit.
func (t *seat) take(string, string) error {
	t.taken = true
	if n := t.server.counts.sessions.Add(1); t.most > 0 && n > int64(t.most) {
		t.server.counts.refused.Add(1)
		return &login.Error{SQLState: "53300", Message: "sorry, too many clients already"}
	}
	return nil
}

// leave is for the end of the connection.
func (t *seat) leave() {
	if t.taken {
		t.server.counts.sessions.Add(-1)
	}
	t.server.counts.open.Add(-1)
}

// Shutdown lets nobody in any more (57P03), lets transactions end, tells clients 57P01 and
// waits until all sessions are over, or Config.Drain or ctx is, when it
// ends those that are left and returns ctx's error, or context.DeadlineExceeded.
// Requests to cancel are taken to the end.
func (s *Server) Shutdown(ctx context.Context) error {
	if d := s.config.Load().Drain; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	s.mu.Lock()
	s.beginDrain() // under the lock, so that running gets no more
	s.mu.Unlock()
	over := make(chan struct{})
	go func() {
		s.running.Wait()
		close(over)
	}()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.close()
	s.endIt()
	<-over
	s.late.Wait()
	return err
}

// close ends the listeners.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close() // Serve reports
	}
}

// passing reports whether Accept may work again later: too many open files, a connection that was gone.
func passing(err error) bool {
	var e interface{ Temporary() bool }
	return errors.As(err, &e) && e.Temporary()
}
