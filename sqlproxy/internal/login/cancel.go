package login

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// maxKey is the longest secret of a cancel key, by protocol 3.2.
const maxKey = 256

// Sessions knows which server has the session of a cancel key. Its zero value is ready.
type Sessions struct {
	mu   sync.Mutex
	at   map[string]place // by process id and secret
	mock []byte
}

// place is where a session is: the server as it was configured when the session began, and the one
// of perhaps several machines behind its name.
type place struct {
	upstream *Upstream
	address  string
}

// secret is random, and the same for all Configs with these Sessions.
func (s *Sessions) secret() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mock == nil {
		s.mock = make([]byte, 32)
		_, _ = rand.Read(s.mock) // never fails
	}
	return s.mock
}

// add notes a session's key; what it returns forgets it, and may be called again.
func (s *Sessions) add(key []byte, at place) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[string]place{}
	}
	s.at[string(key)] = at
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.at, string(key))
	})
}

// Len is the number of sessions.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

func (s *Sessions) find(key []byte) (place, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[string(key)]
	return at, ok
}

// readCancel checks a cancel request's length and takes its key.
func (p *packet) readCancel() error {
	if len(p.body) < 5 || len(p.body) > 4+maxKey {
		return protocolError("invalid length of cancel request packet")
	}
	p.cancel = p.body
	return nil
}

// cancel passes a cancel request on to the server that has the session. A key that is not known here
// goes to the configured server all the same: another proxy before it may have the session, and the server
// checks the key. As with the server, the client is told nothing.
func (c *Config) cancel(ctx context.Context, key []byte) error {
	at, ok := c.Sessions.find(key)
	if !ok {
		at = place{&c.Upstream, c.Upstream.Address}
	}
	if err := at.cancel(ctx, key); err != nil {
		e := c.serverError("does not take the cancel request", err)
		e.told = true
		return e
	}
	return nil
}

// cancel returns when the server has closed the connection, which it does once it has acted.
func (p place) cancel(ctx context.Context, key []byte) error {
	conn, err := p.upstream.connect(ctx, p.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	if _, err := conn.Write(request(codeCancel, key)); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, conn, 1); err != nil && !errors.Is(err, io.EOF) && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// request makes a packet without a type byte.
func request(code uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	b = binary.BigEndian.AppendUint32(b, code)
	return append(b, body...)
}
