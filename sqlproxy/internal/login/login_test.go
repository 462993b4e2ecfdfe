package login

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

func TestHostileBeginningsAreRefusedBeforeTheServerIsDialled(t *testing.T) {
	long := strings.Repeat("x", maxStartup)
	for _, tt := range []struct {
		name        string
		sent        []byte
		state, says string
	}{
		{"a packet too short to be one", []byte{0, 0, 0, 7, 0, 3, 0, 0}, "08P01", "invalid length"},
		{"a packet longer than the server takes", startupBytes(version30, "user", long), "08P01", "invalid length"},
		{"parameters that are not ended", request(version30, []byte("user\x00a\x00")), "08P01", "terminator"},
		{"a value that is not ended", request(version30, []byte("user\x00a")), "08P01", "terminator"},
		{"bytes behind the end", request(version30, []byte("user\x00a\x00\x00x\x00")), "08P01", "terminator"},
		{"nothing but the version", request(version30, nil), "08P01", "terminator"},
		{"no user", startupBytes(version30, "database", "d"), "28000", "no PostgreSQL user name"},
		{"protocol 2", startupBytes(2<<16, "user", "a"), "0A000", "unsupported frontend protocol"},
		{"protocol 4", startupBytes(4<<16, "user", "a"), "0A000", "unsupported frontend protocol"},
		{"physical replication", startupBytes(version30, "user", "a", "replication", "true"), "0A000", "replication"},
		{"logical replication", startupBytes(version30, "user", "a", "replication", "database"), "0A000", "replication"},
		{"an unknown word for replication", startupBytes(version30, "user", "a", "replication", "o"), "0A000", "replication"},
		{"bytes stuffed behind SSLRequest", append(request(codeSSL, nil), startupBytes(version30, "user", "a")...), "08P01", "unencrypted data"},
		{"bytes stuffed behind GSSENCRequest", append(request(codeGSS, nil), startupBytes(version30, "user", "a")...), "08P01", "unencrypted data"},
		{"TLS at once where there is none", []byte{recordHandshake, 3, 1, 0, 1, 0}, "08P01", "no certificate"},
		{"a cancel request without a secret", request(codeCancel, []byte{0, 0, 0, 1}), "08P01", "cancel request"},
		{"a cancel request with too long a secret", request(codeCancel, make([]byte, 4+maxKey+1)), "08P01", "cancel request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, done := begin(t, &Config{Upstream: unreachable(t)})
			// Not everything that is sent is read.
			go func() { _, _ = client.conn.Write(tt.sent) }()
			client.refused(t, tt.state, tt.says)
			if _, err := client.in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection is still open: %v", err)
			}
			if got := <-done; got.err == nil || got.pair != nil {
				t.Errorf("Login gives %+v", got)
			}
		})
	}
}

func TestRequestsForEncryptionAreAnsweredOnceEach(t *testing.T) {
	client, done := begin(t, &Config{Upstream: scripted(t, trusting(t, testKey, nil))})
	for _, code := range []uint32{codeGSS, codeSSL} {
		client.write(t, request(code, nil))
		if got := client.answerByte(t); got != 'N' {
			t.Fatalf("answer %c, want N", got)
		}
	}
	client.write(t, request(codeSSL, nil))
	client.refused(t, "0A000", "unsupported frontend protocol")
	<-done
}

func TestNamesThatTheServerCutsAreRefusedWhereTheyDecide(t *testing.T) {
	fits := strings.Repeat("u", 63)
	for _, tt := range []struct {
		name           string
		config         Config
		user, database string
		refused        bool
	}{
		{"nothing decides", Config{}, fits + "x", fits + "x", false},
		{"names that fit", Config{ExactNames: true}, fits, fits, false},
		{"a user", Config{ExactNames: true}, fits + "x", "d", true},
		{"a database", Config{ExactNames: true}, "u", fits + "x", true},
		{"bytes, not letters", Config{ExactNames: true}, strings.Repeat("ü", 32), "d", true},
		{"clients are verified here", Config{Terminated: &Terminated{}}, fits + "x", "d", true},
		{"by certificates", Config{Encryption: Encryption{ClientName: CommonName}}, fits + "x", "d", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.checkNames(&startup{user: tt.user, database: tt.database})
			var e *Error
			if got := errors.As(err, &e) && e.SQLState == "28000"; got != tt.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFalseWordsAskForNoReplication(t *testing.T) {
	for _, word := range []string{"", "0", "off", "OF", "f", "False", "n", "no"} {
		if AsksReplication(word) {
			t.Errorf("%q is taken for a wish", word)
		}
	}
}

func TestAllowedReplicationPasses(t *testing.T) {
	startups := make(chan packet, 1)
	client, done := begin(t, &Config{Upstream: scripted(t, trusting(t, testKey, startups)), AllowReplication: true})
	client.write(t, startupBytes(version30, "user", "a", "replication", "true"))
	client.admitted(t)
	if got := <-startups; !bytes.Contains(got.body, []byte("replication\x00true\x00")) {
		t.Errorf("the server is sent %q", got.body)
	}
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
}

func TestEncryptionCanBeRequired(t *testing.T) {
	own := testpki.New(t, testpki.P256).Issue(t, testpki.P256, "proxy.example")
	client, done := begin(t, &Config{
		Upstream:   unreachable(t),
		Encryption: Encryption{Certificates: []tls.Certificate{own}, Require: true},
	})
	client.write(t, startupBytes(version30, "user", "a"))
	client.refused(t, "28000", "encrypted connections only")
	<-done
}

// over encrypts a client's leg.
func (l *leg) over(c *tls.Config) (*leg, error) {
	conn := tls.Client(l.conn, c)
	return newLeg(conn), conn.Handshake()
}

func TestClientsEncrypt(t *testing.T) {
	ca, strangers := testpki.New(t, testpki.P256), testpki.New(t, testpki.P256)
	own := ca.Issue(t, testpki.P256, "proxy.example")
	trust := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{ServerName: "proxy.example", RootCAs: ca.Pool(), NextProtos: []string{alpn}}
		if change != nil {
			change(c)
		}
		return c
	}
	for _, tt := range []struct {
		name      string
		direct    bool
		clientCAs bool
		tls       *tls.Config
		fails     string // "" lets in; "tls" fails in TLS, else the SQLSTATE
	}{
		{"by request", false, false, trust(nil), ""},
		{"by request, without ALPN", false, false, trust(func(c *tls.Config) { c.NextProtos = nil }), ""},
		{"at once", true, false, trust(nil), ""},
		{"at once, without ALPN", true, false, trust(func(c *tls.Config) { c.NextProtos = nil }), "08P01"},
		{"at once, for another protocol", true, false, trust(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), "tls"},
		{"with a version that is too old", false, false, trust(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "tls"},
		{"with a certificate of theirs", false, true, trust(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{ca.Issue(t, testpki.P256, "client.example")}
		}), ""},
		{"without a certificate where one is asked", false, true, trust(nil), "tls"},
		{"with a stranger's certificate", false, true, trust(func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				cert := strangers.Issue(t, testpki.P256, "client.example")
				return &cert, nil
			}
		}), "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := &Config{
				Upstream:   scripted(t, trusting(t, testKey, nil)),
				Encryption: Encryption{Certificates: []tls.Certificate{own}, Require: true},
			}
			if tt.clientCAs {
				config.Encryption.ClientCAs = ca.Pool()
			}
			client, done := beginOn(t, config, loopback)
			if !tt.direct {
				client.write(t, request(codeSSL, nil))
				if got := client.answerByte(t); got != 'S' {
					t.Fatalf("answer %c, want S", got)
				}
			}
			if tt.fails == "tls" {
				// The client may learn of it in its own handshake, or when it reads.
				go func() {
					if client, err := client.over(tt.tls); err == nil {
						_, _ = io.Copy(io.Discard, client.conn)
					}
					client.conn.Close()
				}()
				if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), "could not accept SSL connection") {
					t.Errorf("Login gives %+v", got)
				}
				return
			}
			client, err := client.over(tt.tls)
			if err != nil {
				t.Fatal(err)
			}
			if tt.fails != "" {
				client.refused(t, tt.fails, "ALPN")
				<-done
				return
			}
			client.write(t, startupBytes(version30, "user", "a"))
			client.admitted(t)
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
		})
	}
}

func TestLoginHandsOverWhatItReadTooMuch(t *testing.T) {
	client, done := begin(t, &Config{Upstream: scripted(t, func(server *leg) {
		if _, err := server.packet(); err != nil {
			t.Error(err)
		}
		server.auth(t, authCleartext, "")
		if got := server.expect(t, msgPassword); string(got) != "secret\x00" {
			t.Errorf("the server is sent %q", got)
		}
		b := appendMessage(nil, msgAuthentication, authentication(authOK, nil))
		b = appendMessage(b, msgParameterStatus, []byte("TimeZone\x00UTC\x00"))
		b = appendMessage(b, msgBackendKey, testKey)
		b = appendMessage(b, msgReady, []byte{'I'})
		server.write(t, append(b, "more of the server"...))
	})})
	client.write(t, startupBytes(version30, "user", "a", "application_name", "test", "options", "-c x=y"))
	client.expect(t, msgAuthentication)
	client.write(t, append(appendMessage(nil, msgPassword, []byte("secret\x00")), "more of the client"...))
	if key := client.admitted(t); !bytes.Equal(key, testKey) {
		t.Errorf("key %x", key)
	}
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	p := got.pair
	if string(p.FromClient) != "more of the client" || string(p.FromServer) != "more of the server" {
		t.Errorf("left: %q, %q", p.FromClient, p.FromServer)
	}
	if p.User != "a" || p.Database != "a" || p.Options["options"] != "-c x=y" || p.Status["TimeZone"] != "UTC" {
		t.Errorf("pair %+v", p)
	}
}

func TestVersionsAndOptionsAreNegotiated(t *testing.T) {
	answer := func(version uint32, names ...string) []byte {
		b := binary.BigEndian.AppendUint32(nil, version)
		b = binary.BigEndian.AppendUint32(b, uint32(len(names)))
		for _, name := range names {
			b = append(append(b, name...), 0)
		}
		return b
	}
	for _, tt := range []struct {
		name          string
		asks          uint32
		options       []string
		server        []byte // its NegotiateProtocolVersion, or nil
		hears         uint32
		client        []byte // what the client is told, or nil
		refused       bool
		minorAfterAll int
	}{
		{"3.0 with a server of any kind", version30, nil, nil, version30, nil, false, 0},
		{"3.2 with a server of 3.2", version32, nil, nil, version32, nil, false, 2},
		{"3.2 with a server of 3.0", version32, nil, answer(version30), version32, answer(version30), false, 0},
		{"3.2 with a server that names the minor version alone", version32, nil, answer(0), version32, answer(version30), false, 0},
		{"3.9999 with a server of 3.2", 3<<16 | 9999, nil, nil, version32, answer(version32), false, 2},
		{"3.9999 with a server of 3.0", 3<<16 | 9999, nil, answer(version30), version32, answer(version30), false, 0},
		{"options that nobody knows", version30, []string{"_pq_.new"}, nil, version30, answer(version30, "_pq_.new"), false, 0},
		{"a server that wants more than was asked", version30, nil, answer(version32), version30, nil, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			startups := make(chan packet, 1)
			client, done := begin(t, &Config{Upstream: scripted(t, func(server *leg) {
				p, err := server.packet()
				if err != nil {
					t.Error(err)
				}
				startups <- p
				if tt.server != nil {
					server.write(t, appendMessage(nil, msgNegotiate, tt.server))
				}
				if !tt.refused {
					server.welcome(t, testKey)
				}
			})})
			pairs := []string{"user", "a"}
			for _, o := range tt.options {
				pairs = append(pairs, o, "on")
			}
			client.write(t, startupBytes(tt.asks, pairs...))
			if got := <-startups; got.code != tt.hears || bytes.Contains(got.body, []byte(protocolOption)) {
				t.Errorf("the server hears %x %q", got.code, got.body)
			}
			if tt.refused {
				client.refused(t, "08P01", "not asked for")
				<-done
				return
			}
			if tt.client != nil {
				if got := client.expect(t, msgNegotiate); !bytes.Equal(got, tt.client) {
					t.Errorf("the client is told %x, want %x", got, tt.client)
				}
			}
			client.admitted(t)
			if got := <-done; got.err != nil || got.pair.Minor != tt.minorAfterAll {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCancelGoesToTheServerOfTheSession(t *testing.T) {
	for _, size := range []int{1, 4, 32, maxKey} {
		key := append([]byte{0, 0, 1, 7}, bytes.Repeat([]byte{byte(size)}, size)...)
		requests := make(chan packet, 4)
		up := scripted(t, trusting(t, key, requests))
		dial, dialled := up.Dial, make(chan string, 4)
		up.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled <- address
			return dial(ctx, network, address)
		}
		config := &Config{Upstream: up, Sessions: &Sessions{}}
		client, done := begin(t, config)
		client.write(t, startupBytes(version32, "user", "a"))
		if got := client.admitted(t); !bytes.Equal(got, key) {
			t.Fatalf("the client gets key %x, want %x", got, key)
		}
		session := <-done
		if session.err != nil {
			t.Fatal(session.err)
		}
		<-requests
		<-dialled
		if config.Sessions.Len() != 1 {
			t.Errorf("%d sessions are known", config.Sessions.Len())
		}
		if err := session.pair.Cancel(t.Context()); err != nil {
			t.Error(err)
		}
		if got := <-requests; got.code != codeCancel || !bytes.Equal(got.body, key) {
			t.Errorf("Pair.Cancel sends %x %x", got.code, got.body)
		}
		<-dialled
		other := &Config{Upstream: up, Sessions: config.Sessions} // as it were after a reload
		other.Upstream.Address = "elsewhere.example:5432"
		for _, known := range []bool{true, false} {
			want := "db.example:5432"
			if !known {
				session.pair.Done()
				want = "elsewhere.example:5432"
			}
			canceller, cancelled := begin(t, other)
			canceller.write(t, request(codeCancel, key))
			if got := <-cancelled; got.pair != nil || got.err != nil {
				t.Errorf("a cancel request gives %+v", got)
			}
			if got := <-requests; got.code != codeCancel || !bytes.Equal(got.body, key) {
				t.Errorf("the server gets %x %x", got.code, got.body)
			}
			if got := <-dialled; got != want {
				t.Errorf("it went to %s, want %s", got, want)
			}
		}
		if config.Sessions.Len() != 0 {
			t.Errorf("%d sessions are known at the end", config.Sessions.Len())
		}
	}
}

func TestSilenceEndsALogin(t *testing.T) {
	silent := func(t *testing.T) Upstream {
		return scripted(t, func(server *leg) { _, _ = io.Copy(io.Discard, server.in) })
	}
	for _, tt := range []struct {
		name        string
		up          func(*testing.T) Upstream
		sent        []byte
		state, says string
	}{
		{"a client that says nothing", unreachableIn, nil, "28000", "timeout"},
		{"a client that stops in the middle", unreachableIn, []byte{0, 0, 0, 100, 0, 3}, "28000", "timeout"},
		{"a server that says nothing", silent, startupBytes(version30, "user", "a"), "57P03", "db.example:5432 does not answer in time"},
		{"a server that does not begin TLS", func(t *testing.T) Upstream {
			up := silent(t)
			up.Mode = Require
			return up
		}, startupBytes(version30, "user", "a"), "57P03", "db.example:5432 does not answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, done := begin(t, &Config{Upstream: tt.up(t), Handshake: 20 * time.Second})
				began := time.Now()
				client.write(t, tt.sent)
				client.refused(t, tt.state, tt.says)
				if took := time.Since(began); took != 20*time.Second {
					t.Errorf("it took %v", took)
				}
				if got := <-done; got.err == nil {
					t.Error("let in")
				}
			})
		})
	}
}

func unreachableIn(t *testing.T) Upstream { return unreachable(t) }

func TestAClientThatDoesNotReadDoesNotHoldALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, done := begin(t, &Config{Upstream: unreachable(t)})
		client.write(t, startupBytes(2<<16, "user", "a"))
		if got := <-done; got.err == nil {
			t.Error("let in")
		}
	})
}

func TestServersThatAreNotAsToldAreRefused(t *testing.T) {
	ca, strangers := testpki.New(t, testpki.P256), testpki.New(t, testpki.P384)
	// encrypting is a server that begins TLS with a certificate.
	encrypting := func(cert tls.Certificate, direct bool, protocols ...string) func(*leg) {
		return func(server *leg) {
			if !direct {
				if p, err := server.packet(); err != nil || p.code != codeSSL {
					return
				}
				server.write(t, []byte{'S'})
			}
			conn := tls.Server(server.conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols})
			if conn.Handshake() == nil {
				trusting(t, testKey, nil)(newLeg(conn))
			}
		}
	}
	right, wrong := ca.Issue(t, testpki.P256, "db.example"), ca.Issue(t, testpki.P256, "other.example")
	strange := strangers.Issue(t, testpki.P256, "db.example")
	says := func(b []byte) func(*leg) {
		return func(server *leg) {
			if _, err := server.packet(); err == nil {
				_, _ = server.conn.Write(b) // not all of it is read
			}
		}
	}
	for _, tt := range []struct {
		name   string
		mode   Mode
		direct bool
		serve  func(*leg)
		in     bool
	}{
		{"verify-full and the server's own name", VerifyFull, false, encrypting(right, false), true},
		{"verify-full and another name", VerifyFull, false, encrypting(wrong, false), false},
		{"verify-full and a stranger", VerifyFull, false, encrypting(strange, false), false},
		{"verify-ca and another name", VerifyCA, false, encrypting(wrong, false), true},
		{"verify-ca and a stranger", VerifyCA, false, encrypting(strange, false), false},
		{"require and a stranger", Require, false, encrypting(strange, false), true},
		{"direct, with ALPN", VerifyFull, true, encrypting(right, true, alpn), true},
		{"direct, without ALPN", VerifyFull, true, encrypting(right, true), false},
		{"a server that does not encrypt", Require, false, says([]byte{'N'}), false},
		{"an error in clear", Require, false, says(appendMessage(nil, 'E', []byte("SFATAL\x00Mhear me\x00\x00"))), false},
		{"bytes stuffed behind the answer", Require, false, says(append([]byte{'S'}, appendMessage(nil, 'R', []byte{0, 0, 0, 0})...)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := scriptedOn(loopback, tt.serve)
			up.Mode, up.Direct, up.RootCAs = tt.mode, tt.direct, ca.Pool()
			client, done := begin(t, &Config{Upstream: up})
			client.write(t, startupBytes(version30, "user", "a"))
			if !tt.in {
				client.refused(t, "57P03", "the server db.example:5432 cannot be reached with the encryption")
			} else {
				client.admitted(t)
			}
			if got := <-done; (got.err == nil) != tt.in {
				t.Errorf("Login gives %+v", got)
			} else if got.err != nil && strings.Contains(got.err.Error(), "hear me") {
				t.Errorf("the error of nobody knows whom is shown: %v", got.err)
			}
		})
	}
}

func TestAServerThatIsAwayIsNamed(t *testing.T) {
	client, done := begin(t, &Config{Upstream: Upstream{
		Address: "db.example:5432", Mode: Disable,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") },
	}})
	client.write(t, startupBytes(version30, "user", "a"))
	client.refused(t, "57P03", "the server db.example:5432 does not answer")
	<-done
}

func TestAServerMayBeBehindAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".s.PGSQL.5432")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			defer conn.Close()
			trusting(t, testKey, nil)(newLeg(conn))
		}
	}()
	client, done := begin(t, &Config{Upstream: Upstream{Address: path, Mode: Disable}})
	client.write(t, startupBytes(version30, "user", "a"))
	client.admitted(t)
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
}

func TestTheServersOwnRefusalReachesTheClient(t *testing.T) {
	body := []byte("SFATAL\x00C3D000\x00Mdatabase \"x\" does not exist\x00\x00")
	client, done := begin(t, &Config{Upstream: scripted(t, func(server *leg) {
		if _, err := server.packet(); err == nil {
			server.write(t, appendMessage(nil, msgError, body))
		}
	})})
	client.write(t, startupBytes(version30, "user", "a"))
	if got := client.expect(t, msgError); !bytes.Equal(got, body) {
		t.Errorf("got %q", got)
	}
	got := <-done
	var e *Error
	if !errors.As(got.err, &e) || e.SQLState != "3D000" {
		t.Errorf("Login gives %v", got.err)
	}
}

func TestAuthenticationThatCannotPassIsRefused(t *testing.T) {
	plus := string((&saslOffer{mechanisms: []string{mechanismPlus}}).append(nil))
	for _, tt := range []struct {
		name        string
		code        uint32
		data        string
		answer      []byte // the client's, where it is asked
		state, says string
	}{
		{"GSSAPI", 7, "", nil, "28000", "does not know"},
		{"channel binding alone", authSASL, plus, nil, "28000", "no SASL mechanism"},
		{"mechanisms without an end", authSASL, "SCRAM", nil, "08P01", "invalid list"},
		{"another message than an answer", authCleartext, "", appendMessage(nil, 'Q', []byte("SELECT 1\x00")), "08P01", "expected SASL response or password"},
		{"an answer that is too long", authCleartext, "", append([]byte{'p'}, 0, 1, 0, 100), "08P01", "invalid message length"},
		{"a mechanism that was not offered", authSASL, mechanism + "\x00\x00", appendMessage(nil, 'p', []byte("OTHER\x00\xff\xff\xff\xff")), "08P01", "invalid SASL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, done := begin(t, &Config{Upstream: scripted(t, func(server *leg) {
				if _, err := server.packet(); err == nil {
					server.auth(t, tt.code, tt.data)
					_, _ = io.Copy(io.Discard, server.in)
				}
			})})
			client.write(t, startupBytes(version30, "user", "a"))
			if tt.answer != nil {
				client.expect(t, msgAuthentication)
				client.write(t, tt.answer)
			}
			client.refused(t, tt.state, tt.says)
			<-done
		})
	}
}

// faraway is a connection that seems to come from another machine.
type faraway struct{ net.Conn }

func (faraway) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5432} }

func TestPasswordsInClearNeedLegsThatAreAlike(t *testing.T) {
	far := func() (net.Conn, net.Conn) {
		near, there := net.Pipe()
		return near, faraway{there}
	}
	for _, tt := range []struct {
		name           string
		client, server bool // whether it is on another machine
		code           uint32
		in             bool
	}{
		{"both near", false, false, authCleartext, true},
		{"both far", true, true, authCleartext, true},
		{"a client that is far", true, false, authCleartext, false},
		{"a server that is far", false, true, authCleartext, false},
		{"a server that is far and asks for MD5", false, true, authMD5, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := scripted(t, func(server *leg) {
				if _, err := server.packet(); err != nil {
					return
				}
				server.auth(t, tt.code, "")
				if _, _, err := server.message(maxAnswer); err == nil {
					server.welcome(t, testKey)
				}
			})
			if dial := up.Dial; tt.server {
				up.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					return faraway{conn}, err
				}
			}
			connect := net.Pipe
			if tt.client {
				connect = far
			}
			client, done := beginOn(t, &Config{Upstream: up}, connect)
			client.write(t, startupBytes(version30, "user", "a"))
			if !tt.in {
				client.refused(t, "28000", "in clear")
				<-done
				return
			}
			client.expect(t, msgAuthentication)
			client.write(t, appendMessage(nil, msgPassword, []byte("secret\x00")))
			client.admitted(t)
			if got := <-done; got.err != nil {
				t.Error(got.err)
			}
		})
	}
}

func TestAConnectionThatSaysNothingIsToldApart(t *testing.T) {
	client, done := begin(t, &Config{Upstream: unreachable(t)})
	client.conn.Close()
	if got := <-done; !errors.Is(got.err, ErrSilent) {
		t.Errorf("Login gives %v", got.err)
	}
}

func TestAdmitMayRefuse(t *testing.T) {
	client, done := begin(t, &Config{Upstream: unreachable(t), Admit: func(user, database string) error {
		if user != "a" || database != "d" {
			t.Errorf("asked about %s, %s", user, database)
		}
		return &Error{SQLState: "53300", Message: "full"}
	}})
	client.write(t, startupBytes(version30, "user", "a", "database", "d"))
	client.refused(t, "53300", "full")
	<-done
}

func TestParseMode(t *testing.T) {
	for word, want := range map[string]Mode{"": VerifyFull, "verify-full": VerifyFull, "verify-ca": VerifyCA, "require": Require, "disable": Disable} {
		if got, err := ParseMode(word); err != nil || got != want {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"prefer", "allow", "Require"} {
		if _, err := ParseMode(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}

// FuzzStartup has hostile packets parsed; what is taken must come out the same when it is written and read again.
func FuzzStartup(f *testing.F) {
	for _, seed := range [][]byte{
		startupBytes(version30, "user", "a"),
		startupBytes(version32, "user", "a", "database", "d", "_pq_.x", "1"),
		startupBytes(version30, "user", "a", "user", "b", "", "c"),
		request(version30, []byte("user\x00a\x00")),
		request(codeSSL, nil), request(codeCancel, testKey),
		{0, 0, 0, 0},
		{0, 0, 0, 8, 0, 3, 0, 0},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := newLeg(readOnly{bytes.NewReader(data)}).packet()
		if err != nil {
			return
		}
		s, err := parseStartup(p)
		if err != nil {
			return
		}
		written := s.append(nil)
		p, err = newLeg(readOnly{bytes.NewReader(written)}).packet()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseStartup(p)
		if err != nil || again.user != s.user || again.database != s.database || again.minor != s.minor {
			t.Fatalf("%+v, then %+v, %v", s, again, err)
		}
		if !slices.Equal(again.append(nil), written) {
			t.Fatal("written differently the second time")
		}
	})
}

// readOnly is a connection that can only be read.
type readOnly struct{ io.Reader }

func (readOnly) Write([]byte) (int, error)        { return 0, io.ErrClosedPipe }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return nil }
func (readOnly) RemoteAddr() net.Addr             { return nil }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }
