package login

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

// TestServersThatBreakTheProtocolAreRefused is about what a server says while a client's login is passed through.
func TestServersThatBreakTheProtocolAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sends []byte
		told  int // messages that the client gets before the refusal
		says  string
	}{
		{"a row in place of a request", appendMessage(nil, 'D', []byte{0, 0}), 0, "unexpected message from the server during"},
		{"a request without a code", appendMessage(nil, msgAuthentication, []byte{0, 0}), 0, "unexpected message from the server during"},
		{"a short NegotiateProtocolVersion", appendMessage(nil, msgNegotiate, []byte{0, 3}), 0, "invalid NegotiateProtocolVersion"},
		{"a version that was not asked for", appendMessage(nil, msgNegotiate, []byte{0, 3, 0, 9, 0, 0, 0, 0}), 0, "was not asked for"},
		{"a key that is too short", appendMessage(appendMessage(nil, msgAuthentication, authentication(authOK, nil)), msgBackendKey, []byte{0, 0, 0, 7}), 1, "invalid BackendKeyData"},
		{"a key that is too long", appendMessage(appendMessage(nil, msgAuthentication, authentication(authOK, nil)), msgBackendKey, make([]byte, 5+maxKey)), 1, "invalid BackendKeyData"},
		{"a row behind the login", appendMessage(appendMessage(nil, msgAuthentication, authentication(authOK, nil)), 'D', []byte{0, 0}), 1, "after authentication"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, done := begin(t, &Config{Upstream: scripted(t, func(server *leg) {
				if _, err := server.packet(); err == nil {
					_, _ = server.conn.Write(tt.sends) // not all of it is read
				}
			})})
			client.write(t, startupBytes(version30, "user", "a"))
			for range tt.told {
				client.expect(t, msgAuthentication)
			}
			client.refused(t, "08P01", tt.says)
			if got := <-done; got.err == nil || got.pair != nil {
				t.Errorf("Login gives %+v", got)
			}
		})
	}
}

func TestAStartUpValueMustEnd(t *testing.T) {
	client, done := begin(t, &Config{Upstream: unreachable(t)})
	client.write(t, request(version30, []byte("user\x00a")))
	client.refused(t, "08P01", "expected terminator as last byte")
	<-done
}

// encryptedServer is an Upstream that encrypts and lets serve go on.
func encryptedServer(t *testing.T, ca *testpki.CA, serve func(*leg)) Upstream {
	t.Helper()
	cert := ca.Issue(t, testpki.P256, "db.example")
	up := scriptedOn(loopback, func(server *leg) {
		if p, err := server.packet(); err != nil || p.code != codeSSL {
			return
		}
		server.write(t, []byte{'S'})
		conn := tls.Server(server.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		if conn.Handshake() == nil {
			serve(newLeg(conn))
		}
	})
	up.Mode, up.RootCAs = VerifyFull, ca.Pool()
	return up
}

func TestThereIsNoPasswordToSendInPlaceOfKeys(t *testing.T) {
	sent := make(chan byte, 1)
	up := encryptedServer(t, testpki.New(t, testpki.P256), func(server *leg) {
		if _, err := server.packet(); err != nil {
			return
		}
		server.auth(t, authCleartext, "")
		kind, _, _ := server.message(maxAnswer) // which must not come
		sent <- kind
	})
	client, done := begin(t, &Config{Upstream: up, Terminated: &Terminated{Verifiers: known(t)}})
	client.write(t, startupBytes(version30, "user", "a"))
	client.prove(t, testPassword)
	client.expect(t, msgAuthentication)
	client.refused(t, "57P03", "does not let the proxy in")
	if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), "which the proxy does not have") {
		t.Errorf("the log is told %v", got.err)
	}
	if kind := <-sent; kind != 0 {
		t.Errorf("the server got a message %c", kind)
	}
}

func TestServersThatAreNoGoodForTerminatedLogins(t *testing.T) {
	for says, sends := range map[string][]byte{
		"unexpected message during":  appendMessage(nil, 'D', []byte{0, 0}),
		"offers no SCRAM-SHA-256":    appendMessage(nil, msgAuthentication, authentication(authSASL, []byte("SCRAM-SHA-512\x00\x00"))),
		"malformed":                  appendMessage(nil, msgAuthentication, authentication(authSASLFinal, []byte("v=AAAA"))),
		"is not supported; use scra": appendMessage(nil, msgAuthentication, authentication(7, nil)),
	} {
		t.Run(says, func(t *testing.T) {
			client, done := begin(t, &Config{Terminated: &Terminated{Verifiers: known(t)}, Upstream: scripted(t, func(server *leg) {
				if _, err := server.packet(); err == nil {
					_, _ = server.conn.Write(sends)
					_, _, _ = server.message(maxAnswer)
				}
			})})
			client.write(t, startupBytes(version30, "user", "a"))
			client.prove(t, testPassword)
			client.expect(t, msgAuthentication)
			client.refused(t, "57P03", "does not let the proxy in")
			if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), says) {
				t.Errorf("the log is told %v", got.err)
			}
		})
	}
}

// asked is the client's leg once it is encrypted and somebody has been asked to authenticate.
func (l *leg) asked(t *testing.T, ca *testpki.CA) *leg {
	t.Helper()
	l.write(t, request(codeSSL, nil))
	l.answerByte(t)
	over, err := l.over(&tls.Config{ServerName: "proxy.example", RootCAs: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	over.write(t, startupBytes(version30, "user", "a"))
	over.expect(t, msgAuthentication)
	return over
}

// sasl sends a client's first message of SCRAM.
func (l *leg) sasl(t *testing.T, mechanism, first string) {
	t.Helper()
	body := binary.BigEndian.AppendUint32([]byte(mechanism+"\x00"), uint32(len(first)))
	l.write(t, appendMessage(nil, msgPassword, append(body, first...)))
}

// TestFirstMessagesOfSCRAMAreChecked is about a client whose channel is encrypted, so that it is offered to bind it.
func TestFirstMessagesOfSCRAMAreChecked(t *testing.T) {
	ca := testpki.New(t, testpki.P256)
	own := ca.Issue(t, testpki.P256, "proxy.example")
	for _, tt := range []struct{ name, mechanism, first, state, says string }{
		{"a mechanism that was not offered", "OTHER", "n,,n=,r=x", "08P01", "invalid SASL"},
		{"a client that thinks binding was not offered", mechanism, "y,,n=,r=rOprNGfwEbeRWgbNEkqO", "28000", "channel binding negotiation error"},
		{"another kind of binding", mechanismPlus, "p=tls-unique,,n=,r=rOprNGfwEbeRWgbNEkqO", "", ""},
		{"no SCRAM at all", mechanism, "hello", "08P01", "malformed SCRAM message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, done := beginOn(t, &Config{
				Upstream: unreachable(t), Terminated: &Terminated{Verifiers: known(t)},
				Encryption: Encryption{Certificates: []tls.Certificate{own}},
			}, loopback)
			client = client.asked(t, ca)
			client.sasl(t, tt.mechanism, tt.first)
			if tt.state == "" {
				client.expect(t, msgError)
			} else {
				client.refused(t, tt.state, tt.says)
			}
			if got := <-done; got.err == nil {
				t.Error("let in")
			}
		})
	}
}

// TestABindingThatCannotPassIsToldOfAtOnce is about two encrypted legs with two certificates.
func TestABindingThatCannotPassIsToldOfAtOnce(t *testing.T) {
	ca := testpki.New(t, testpki.P256)
	own := ca.Issue(t, testpki.P256, "proxy.example")
	asked := make(chan byte, 1)
	up := encryptedServer(t, ca, func(server *leg) {
		if _, err := server.packet(); err != nil {
			return
		}
		server.auth(t, authSASL, mechanismPlus+"\x00"+mechanism+"\x00\x00")
		kind, _, _ := server.message(maxAnswer) // which must not come
		asked <- kind
	})
	client, done := beginOn(t, &Config{Upstream: up, Encryption: Encryption{Certificates: []tls.Certificate{own}}}, loopback)
	client = client.asked(t, ca)
	client.sasl(t, mechanism, "y,,n=,r=rOprNGfwEbeRWgbNEkqO")
	client.refused(t, "28000", "channel binding cannot pass")
	<-done
	if kind := <-asked; kind != 0 {
		t.Errorf("the server got a message %c", kind)
	}
}

func TestACancelThatCannotBePassedOnIsForTheLog(t *testing.T) {
	client, done := begin(t, &Config{Upstream: Upstream{
		Address: "db.example:5432", Mode: Disable,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") },
	}})
	client.write(t, request(codeCancel, testKey))
	var e *Error
	if got := <-done; !errors.As(got.err, &e) || !strings.Contains(e.Message, "does not take the cancel request") || !e.ServerAtFault() {
		t.Errorf("Login gives %v", got.err)
	}
}

func TestALoginThatIsCutShortSaysWhy(t *testing.T) {
	near, far := net.Pipe()
	client := newLeg(near)
	defer near.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := (&Config{Sessions: &Sessions{}, Upstream: unreachable(t)}).Login(ctx, far)
		done <- err
	}()
	client.write(t, request(codeGSS, nil)) // it has begun
	client.answerByte(t)
	cancel()
	client.refused(t, "57P03", "the proxy is shutting down")
	if err := <-done; err == nil {
		t.Error("let in")
	}
}

func TestRowsOfAnAuthenticationQueryAreReadStrictly(t *testing.T) {
	for name, row := range map[string][]byte{
		"no columns":      {0, 0},
		"cut short":       {0, 1, 0, 0},
		"longer than it":  {0, 1, 0, 0, 0, 9, 'x'},
		"shorter than it": {0, 1, 0, 0, 0, 1, 'x', 'y'},
		"two columns":     {0, 2, 0, 0, 0, 1, 'x', 0, 0, 0, 1, 'y'},
	} {
		if text, err := onlyColumn(row); err == nil || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if text, err := onlyColumn([]byte{0, 1, 0, 0, 0, 1, 'x'}); err != nil || text != "x" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAnAuthenticationQueryThatFailsIsNoUserWithoutVerifier(t *testing.T) {
	q, err := NewAuthQuery(&AuthQuery{Credential: Credential{User: "u"}, Upstream: scripted(t, func(server *leg) {
		if _, err := server.packet(); err != nil {
			return
		}
		server.welcome(t, testKey)
		for range 4 { // Parse, Bind, Execute, Sync
			if _, _, err := server.message(maxAnswer); err != nil {
				return
			}
		}
		b := (&Error{SQLState: "42501", Message: "permission denied"}).Response()
		_, _ = server.conn.Write(appendMessage(b, msgReady, []byte{'I'}))
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if text, err := q.Verifier(t.Context(), "a"); err == nil || text != "" || !strings.Contains(err.Error(), "42501") {
		t.Errorf("%q, %v", text, err)
	}
}
