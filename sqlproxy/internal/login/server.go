package login

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// Mode says how the leg between proxy and server is encrypted. The words are libpq's.
type Mode int

const (
	// VerifyFull encrypts, and checks the certificate and that it names the server. It is the default.
	VerifyFull Mode = iota
	// VerifyCA encrypts and checks the certificate, but not whose it is.
	VerifyCA
	// Require encrypts and checks nothing: it keeps out those who listen, and not those who stand between.
	Require
	// Disable does not encrypt.
	Disable
)

// ParseMode reads libpq's word for a mode; "" is VerifyFull. Those that may fall back to clear text are refused.
func ParseMode(word string) (Mode, error) {
	switch word {
	case "", "verify-full":
		return VerifyFull, nil
	case "verify-ca":
		return VerifyCA, nil
	case "require":
		return Require, nil
	case "disable":
		return Disable, nil
	}
	return 0, fmt.Errorf("sslmode %q is none of verify-full, verify-ca, require and disable", word)
}

// Upstream is the server, and how the proxy reaches it.
type Upstream struct {
	// Address is the server's host and port, or the path of its Unix socket, which
	// begins with a slash.
	Address string
	// Mode says how the leg is encrypted.
	Mode Mode
	// Direct begins TLS with the first byte (PostgreSQL 17 and newer) and not by a request.
	Direct bool
	// ServerName is the name that VerifyFull looks for; "" is the host of Address.
	ServerName string
	// RootCAs are those whose signature counts; nil is the system's.
	RootCAs *x509.CertPool
	// Certificates are the proxy's own, for servers that ask for one.
	Certificates []tls.Certificate
	// Dial replaces the dialling; nil is the standard library's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// network is what Address is dialled with.
func (u *Upstream) network() string {
	if strings.HasPrefix(u.Address, "/") {
		return "unix"
	}
	return "tcp"
}

// connect dials the server at address and encrypts as the mode says.
func (u *Upstream) connect(ctx context.Context, address string) (net.Conn, error) {
	dial := u.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, u.network(), address)
	if err != nil {
		return nil, err
	}
	raw = wire.Direct(raw)
	if u.Mode == Disable {
		return raw, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(past) })
	defer stop()
	conn, err := u.encrypt(ctx, raw)
	if err != nil {
		_ = raw.Close() // the first error tells
		return nil, &encryptionError{err}
	}
	return conn, nil
}

// encryptionError is why the leg to the server could not be encrypted as asked.
type encryptionError struct{ error }

func (e *encryptionError) Unwrap() error { return e.error }

func (u *Upstream) encrypt(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if !u.Direct {
		if err := requestSSL(raw); err != nil {
			return nil, err
		}
	}
	conn := tls.Client(raw, u.tls())
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if u.Direct && conn.ConnectionState().NegotiatedProtocol != alpn {
		return nil, errors.New("the server's TLS does not name the protocol postgresql")
	}
	return conn, nil
}

// requestSSL asks the server for encryption. The answer is read alone: anything behind it that is not
// TLS then fails the handshake and is never taken for something that came encrypted. An error message in
// its place comes from nobody knows whom, and is not shown.
func requestSSL(raw net.Conn) error {
	if _, err := raw.Write(request(codeSSL, nil)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(raw, answer[:]); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return errors.New("the server does not encrypt")
	}
	return nil
}

// tls gives the configuration of the mode.
func (u *Upstream) tls() *tls.Config {
	name := u.ServerName
	if host, _, err := net.SplitHostPort(u.Address); name == "" && err == nil {
		name = host
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: u.RootCAs,
		Certificates: u.Certificates, NextProtos: []string{alpn},
	}
	if u.Mode == VerifyFull {
		return c
	}
	c.InsecureSkipVerify = true // what is checked then stands below
	if u.Mode == VerifyCA {
		c.VerifyConnection = func(s tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, cert := range s.PeerCertificates[1:] {
				between.AddCert(cert)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: u.RootCAs, Intermediates: between})
			return err
		}
	}
	return c
}

// certificate is the one that the other side has shown; nil without encryption.
func (l *leg) certificate() *x509.Certificate {
	if conn, ok := l.conn.(*tls.Conn); ok {
		if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
			return shown[0]
		}
	}
	return nil
}

// dial opens the attempt's connection to the server and sends the StartupMessage.
func (a *attempt) dial(ctx context.Context) error {
	conn, err := a.config.Upstream.connect(ctx, a.config.Upstream.Address)
	if refused := (*encryptionError)(nil); errors.As(err, &refused) {
		return a.config.serverError("cannot be reached with the encryption that the proxy is told to use", err)
	}
	if err != nil {
		return a.config.serverError("does not answer", err)
	}
	a.server = newLeg(conn)
	a.guard(conn)
	a.address = a.config.Upstream.Address
	if a.config.Upstream.network() == "tcp" && conn.RemoteAddr() != nil && a.config.Upstream.Dial == nil {
		a.address = conn.RemoteAddr().String() // of several behind one name, the one that has the session
	}
	if _, err := conn.Write(a.startup.append(nil)); err != nil {
		return a.config.serverError("does not answer", err)
	}
	return nil
}
