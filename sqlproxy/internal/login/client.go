package login

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
)

// alpn is PostgreSQL's name among TLS's application protocols.
const alpn = "postgresql"

// recordHandshake is the first byte of a TLS handshake.
const recordHandshake = 0x16

// Encryption is the leg between clients and proxy. The zero value has none.
type Encryption struct {
	// Certificates are the proxy's own, with their keys; empty refuses TLS.
	Certificates []tls.Certificate
	// ClientCAs, if set, has every encrypted client show a certificate that one of
	// these signed.
	ClientCAs *x509.CertPool
	// Require refuses clients that do not encrypt. Requests to cancel, which older
	// clients cannot encrypt, are taken in clear all the same, as the server does.
	Require bool
	// ClientName, if set, has each client log in as a user whom its certificate names; those that do not encrypt are
	// refused. It comes on top of other authentication and takes the place of none. It needs ClientCAs.
	ClientName CertName
	// ClientUsers, if not nil, are the users that a name may be; a name that is not listed is none. Nil takes each
	// name for the user of the same name.
	ClientUsers []CertUser
}

// negotiate reads the client's first packets, until one is neither a request for encryption nor a mistake.
func (a *attempt) negotiate(ctx context.Context) (packet, error) {
	first, err := a.client.in.Peek(1)
	if errors.Is(err, io.EOF) {
		return packet{}, ErrSilent
	}
	if err != nil {
		return packet{}, err
	}
	if first[0] == recordHandshake {
		if err := a.directTLS(ctx); err != nil {
			return packet{}, err
		}
	}
	var asked [2]bool
	for {
		p, err := a.client.packet()
		if err != nil {
			return p, err
		}
		switch {
		case p.code == codeCancel:
			return p, p.readCancel()
		case p.code == codeSSL && !asked[0] && a.certificate == nil:
			asked[0] = true
			err = a.answerSSL(ctx)
		case p.code == codeGSS && !asked[1] && a.certificate == nil:
			asked[1] = true
			err = a.answer('N')
		default:
			return p, nil
		}
		if err != nil {
			return p, err
		}
	}
}

// answer writes the one byte that answers a request for encryption. What the client sent behind the request
// could be taken for what it says later under encryption, so that it ends the connection.
func (a *attempt) answer(b byte) error {
	if a.client.in.Buffered() > 0 {
		return protocolError("received unencrypted data after encryption request")
	}
	_, err := a.client.conn.Write([]byte{b})
	return err
}

func (a *attempt) answerSSL(ctx context.Context) error {
	if len(a.config.Encryption.Certificates) == 0 {
		return a.answer('N')
	}
	if err := a.answer('S'); err != nil {
		return err
	}
	_, err := a.encrypt(ctx, a.client.conn)
	return err
}

// directTLS is TLS from the first byte on, which needs PostgreSQL's ALPN, so that nobody who
// meant another protocol is let in.
func (a *attempt) directTLS(ctx context.Context) error {
	if len(a.config.Encryption.Certificates) == 0 {
		return protocolError("the proxy has no certificate to encrypt with")
	}
	conn, err := a.encrypt(ctx, &peeked{Conn: a.client.conn, in: a.client.in})
	if err != nil {
		return err
	}
	if conn.ConnectionState().NegotiatedProtocol != alpn {
		return protocolError("received direct SSL connection request without ALPN protocol negotiation extension")
	}
	return nil
}

// encrypt makes the client's leg a TLS one and notes the certificate that it was shown.
func (a *attempt) encrypt(ctx context.Context, raw net.Conn) (*tls.Conn, error) {
	e := &a.config.Encryption
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: e.Certificates,
		NextProtos:   []string{alpn},
		// A resumed session would show no certificate to bind a channel to.
		SessionTicketsDisabled: true,
	}
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		chosen := &e.Certificates[0]
		for i := range e.Certificates {
			if hello.SupportsCertificate(&e.Certificates[i]) == nil {
				chosen = &e.Certificates[i]
				break
			}
		}
		a.certificate = chosen.Certificate[0]
		return chosen, nil
	}
	config.Certificates = nil // else GetCertificate would not always be asked
	if e.ClientCAs != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, e.ClientCAs
	}
	conn := tls.Server(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		// Nothing can be told to a client whose channel does not stand: TLS has sent its alert.
		return nil, &Error{SQLState: stateProtocol, Message: "could not accept SSL connection", Cause: err, told: true}
	}
	a.client = newLeg(conn)
	return conn, nil
}

// peeked is a connection of which a reader holds the beginning.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

// Read reads what the reader holds, and then the connection itself.
func (p *peeked) Read(b []byte) (int, error) {
	if p.in.Buffered() > 0 {
		return p.in.Read(b)
	}
	return p.Conn.Read(b)
}

// sameCertificate reports whether the client was shown the very certificate that the server has shown
// the proxy, so that the two may bind the channel to it through the proxy.
func (a *attempt) sameCertificate() bool {
	shown := a.server.certificate()
	return shown != nil && bytes.Equal(a.certificate, shown.Raw)
}
