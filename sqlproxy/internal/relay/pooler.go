package relay

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Behind a pooler that gives a client another backend for each transaction, what the proxy knows of the
// session is not so for long: search_path, prepared statements and, worst, the tenant are another
// client's. One connection cannot tell such a pooler from one that leaves a client its backend, so
// a pooler must be declared; and what was declared is watched.

// backendText asks which of the server's processes this is, and since when: process ids come again.
const backendText = `SELECT pg_catalog.pg_backend_pid(), (SELECT pg_catalog.date_part('epoch', a.backend_start) ` +
	`FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a)`

// A backend whose last session has just ended may come back sooner than the proxy notices that end.
const (
	handOverTries = 20
	handOverPause = 50 * time.Millisecond
)

// fatalError ends the session; the client has been told.
type fatalError struct{ r *plan.Refusal }

// Error gives what the client was told.
func (e *fatalError) Error() string { return e.r.Message }

// fatal ends the session and tells the client why.
func (c *clientSide) fatal(r *plan.Refusal) error {
	c.tellFatal(r)
	return &fatalError{r}
}

func (c *clientSide) tellFatal(r *plan.Refusal) {
	if err := c.s.up.Send(appendRefusal(nil, "FATAL", r, "")); err != nil {
		c.s.log.Debug("client is gone", "error", err)
	}
}

func pooledRefusal() *plan.Refusal {
	return refusal("08004", "a connection pooler stands between the proxy and the server",
		"If it leaves each client its server connection until the client ends (PgBouncer: pool_mode = session), "+
			"add pooler=session to proxy.upstream. Pooling by transaction is possible before the proxy only.")
}

func sharedRefusal() *plan.Refusal {
	return refusal("08004", "the pooler between the proxy and the server gives several clients one server connection",
		"Set PgBouncer's pool_mode to session, or put it before the proxy.")
}

// meetBackend sees to it that the session has a backend of its own.
func (c *clientSide) meetBackend() error {
	known := c.s.backend.Load()
	if known != nil && !c.s.cfg.Pooled {
		return nil
	}
	id, pid, err := c.askBackend()
	switch {
	case err != nil:
		return err
	case known != nil && *known != id:
		return c.fatal(sharedRefusal())
	case known != nil:
		return nil
	case !c.s.cfg.Pooled && pid != c.s.pair.Backend:
		return c.fatal(pooledRefusal())
	}
	c.s.backend.Store(&id)
	if c.s.cfg.Pooled && !c.s.takeBackend(id) {
		return c.fatal(sharedRefusal())
	}
	return nil
}

// stillHere checks the process id of an answer, which says who gave it.
func (c *clientSide) stillHere(pid []byte) error {
	if id := c.s.backend.Load(); id != nil && !strings.HasPrefix(*id, string(pid)+" ") {
		return c.fatal(sharedRefusal())
	}
	return nil
}

func (c *clientSide) askBackend() (id string, pid uint32, err error) {
	rows, err := c.Query(c.s.ctx, backendText)
	if err != nil {
		return "", 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return "", 0, errors.New("the server does not say which of its processes this is")
	}
	n, err := strconv.ParseUint(string(rows[0][0]), 10, 32)
	return string(rows[0][0]) + " " + string(rows[0][1]), uint32(n), err
}

// takeBackend notes whose the backend is. It reports false where it is another session's and stays so.
func (s *session) takeBackend(id string) bool {
	for range handOverTries {
		if _, taken := s.cfg.Shared.backends.LoadOrStore(id, s); !taken {
			return true
		}
		select {
		case <-s.ctx.Done():
			return false
		case <-time.After(handOverPause):
		}
	}
	return false
}

// leaveBackend must come before the server's connection is closed: then the backend may be another session's.
func (s *session) leaveBackend() {
	if id := s.backend.Load(); id != nil {
		s.cfg.Shared.backends.CompareAndDelete(*id, s)
	}
}
