package sqlproxy

import (
	"bytes"
	"net"
	"sync"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/login"
)

// idleConn is a client's connection that ends when the client says nothing for a time, outside of
// a transaction and with no answer owing.
//
// It learns of that from what is written: the last message of an answer is ReadyForQuery, the relay flushes behind it,
// and its last byte is the state of the transaction. Bytes of a value that look like it do no harm, as they
// are followed by more.
type idleConn struct {
	net.Conn
	limit time.Duration
	end   func()

	mu    sync.Mutex
	timer *time.Timer // nil until the client is first idle
}

// watchIdle puts an idleConn in place of the client's connection. stop is for the session's end.
func watchIdle(pair *login.Pair, limit time.Duration) (stop func()) {
	c := &idleConn{Conn: pair.Client, limit: limit}
	server := pair.Server
	c.end = func() {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(farewell))
		_, _ = c.Conn.Write((&login.Error{SQLState: "57P05", Message: "terminating connection due to idle-session timeout"}).Response())
		_ = c.Close()
		_ = server.Close()
	}
	pair.Client = c
	return c.stop
}

// ready is ReadyForQuery outside of a transaction.
var ready = []byte{'Z', 0, 0, 0, 5, 'I'}

// farewell is how long a client may take to hear that its session is over.
const farewell = 2 * time.Second

// Write notes whether the client is idle once it has this.
func (c *idleConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.HasSuffix(b, ready) {
		c.start()
	}
	return n, err
}

// Read notes that the client is not idle, if it says anything.
func (c *idleConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.stop()
	}
	return n, err
}

func (c *idleConn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil {
		c.timer = time.AfterFunc(c.limit, c.end)
		return
	}
	c.timer.Reset(c.limit)
}

func (c *idleConn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}
