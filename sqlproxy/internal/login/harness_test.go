package login

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// outcome is what a login came to.
type outcome struct {
	pair *Pair
	err  error
}

// begin runs Login on one end of a pipe, and gives the other end and what Login will return.
func begin(t testing.TB, c *Config) (*leg, <-chan outcome) {
	t.Helper()
	return beginOn(t, c, net.Pipe)
}

// loopback is a pair of connections that hold what is written until it is read, as TLS needs, where both sides
// may write at once.
func loopback() (net.Conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	far, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return near, far
}

// beginOn is begin over connections of another kind.
func beginOn(t testing.TB, c *Config, connect func() (net.Conn, net.Conn)) (*leg, <-chan outcome) {
	t.Helper()
	if c.Sessions == nil {
		c.Sessions = &Sessions{}
	}
	outside, inside := connect()
	done := make(chan outcome, 1)
	go func() {
		pair, err := c.Login(context.WithoutCancel(t.Context()), inside)
		done <- outcome{pair, err}
	}()
	t.Cleanup(func() { outside.Close() })
	return newLeg(outside), done
}

// scripted makes an Upstream whose connections are given to serve, each on a goroutine of its own.
func scripted(t testing.TB, serve func(server *leg)) Upstream {
	t.Helper()
	return scriptedOn(net.Pipe, serve)
}

// scriptedOn is scripted over connections of another kind.
func scriptedOn(connect func() (net.Conn, net.Conn), serve func(server *leg)) Upstream {
	return Upstream{
		Address: "db.example:5432", Mode: Disable,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := connect()
			go func() {
				defer far.Close()
				serve(newLeg(far))
			}()
			return near, nil
		},
	}
}

// unreachable is an Upstream that must not be dialled.
func unreachable(t testing.TB) Upstream {
	return Upstream{Address: "db.example:5432", Mode: Disable, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the server was dialled")
		return nil, io.ErrUnexpectedEOF
	}}
}

// startupBytes makes a StartupMessage.
func startupBytes(version uint32, pairs ...string) []byte {
	return request(version, []byte(strings.Join(append(pairs, "\x00"), "\x00")))
}

const version30, version32 = 3 << 16, 3<<16 | 2

func (l *leg) write(t testing.TB, b []byte) {
	t.Helper()
	if _, err := l.conn.Write(b); err != nil {
		t.Errorf("writing: %v", err)
	}
}

// expect reads a message and checks its type.
func (l *leg) expect(t testing.TB, kind byte) []byte {
	t.Helper()
	got, body, err := l.message(maxServer)
	if err != nil {
		t.Errorf("waiting for %c: %v", kind, err)
		return make([]byte, 16)
	}
	if got != kind {
		t.Errorf("got %c %q, want %c", got, body, kind)
	}
	return body
}

// refused reads an ErrorResponse and checks its SQLSTATE and what its message says.
func (l *leg) refused(t testing.TB, state, says string) {
	t.Helper()
	body := l.expect(t, msgError)
	if got, message := errorField(body, 'C'), errorField(body, 'M'); got != state || !strings.Contains(message, says) {
		t.Errorf("got %s %q, want %s %q", got, message, state, says)
	}
}

// answerByte reads the answer to a request for encryption.
func (l *leg) answerByte(t testing.TB) byte {
	t.Helper()
	b, err := l.in.ReadByte()
	if err != nil {
		t.Errorf("waiting for an answer: %v", err)
	}
	return b
}

func (l *leg) auth(t testing.TB, code uint32, data string) {
	t.Helper()
	l.write(t, appendMessage(nil, msgAuthentication, authentication(code, []byte(data))))
}

// welcome is what a server says behind AuthenticationOk.
func (l *leg) welcome(t testing.TB, key []byte) {
	t.Helper()
	b := appendMessage(nil, msgAuthentication, authentication(authOK, nil))
	b = appendMessage(b, msgParameterStatus, []byte("server_version\x0018.4\x00"))
	b = appendMessage(b, msgBackendKey, key)
	l.write(t, appendMessage(b, msgReady, []byte{'I'}))
}

// trusting is a server that lets everybody in; startups, if set, gets what they send.
func trusting(t testing.TB, key []byte, startups chan<- packet) func(*leg) {
	return func(server *leg) {
		p, err := server.packet()
		if err != nil {
			return
		}
		if startups != nil {
			startups <- p
		}
		if p.code != codeCancel {
			server.welcome(t, key)
		}
	}
}

// admitted reads what a client is told of a login that worked.
func (l *leg) admitted(t testing.TB) (key []byte) {
	t.Helper()
	if code := binary.BigEndian.Uint32(l.expect(t, msgAuthentication)); code != authOK {
		t.Errorf("authentication request %d, want AuthenticationOk", code)
	}
	l.expect(t, msgParameterStatus)
	return l.expect(t, msgBackendKey)
}

var testKey = []byte{0, 0, 0, 7, 1, 2, 3, 4}
