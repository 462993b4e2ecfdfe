package login

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/sqlproxy/internal/scram"
)

// Terminated has the proxy verify clients itself, by SCRAM-SHA-256, and by
// SCRAM-SHA-256-PLUS over the certificate that it has shown them.
//
// It then logs in to the server as the same user with the ClientKey that the client's proof gives away to
// who has the verifier. That takes the server to have the very same verifier: salt, iterations and all. Or it logs in as
// Service, if that is set.
type Terminated struct {
	// Verifiers are the users'. Required.
	Verifiers Verifiers
	// Service, if set, is whom the proxy logs in as, whoever the client is.
	Service *Credential
	// MockSecret makes the salts that users are shown who do not exist, so that they cannot be told from
	// others. Where it is empty, Sessions has a random one; set it, to at least 16 bytes, where several proxies
	// stand side by side, or where a restart must not tell.
	MockSecret []byte
	// MockIterations is what such users are shown; 0 is 4096, which is the server's default.
	MockIterations int
}

// Verifiers knows users' SCRAM verifiers.
type Verifiers interface {
	// Verifier gives a user's, in the form of pg_authid.rolpassword; "" where the user has none or
	// does not exist. Errors are for the log; the client hears only that there was one.
	Verifier(ctx context.Context, user string) (string, error)
}

// Credential is a user and a password, which must be ASCII.
type Credential struct {
	User, Password string
}

// String names the user and not the password.
func (c *Credential) String() string { return "credential of " + c.User }

// GoString names the user and not the password.
func (c *Credential) GoString() string { return c.String() }

func (t *Terminated) validate() error {
	var errs []error
	if t.Verifiers == nil {
		errs = append(errs, errors.New("login: Terminated.Verifiers is missing; set a file or a query of verifiers"))
	}
	if n := len(t.MockSecret); n > 0 && n < 16 {
		errs = append(errs, fmt.Errorf("login: Terminated.MockSecret has %d bytes; give it at least 16", n))
	}
	if t.MockIterations < 0 {
		errs = append(errs, errors.New("login: Terminated.MockIterations is negative"))
	}
	if t.Service != nil {
		errs = append(errs, t.Service.validate())
	}
	return errors.Join(errs...)
}

func (c *Credential) validate() error {
	if c.User == "" {
		return errors.New("login: a credential has no user")
	}
	for i := range len(c.Password) {
		if c.Password[i] >= 0x80 || c.Password[i] == 0 {
			return fmt.Errorf("login: the password of %s is not ASCII; give the user one that is", c.User)
		}
	}
	return nil
}

// mockVerifier is the one of a user who has none.
func (c *Config) mockVerifier(user string) *scram.Verifier {
	secret, iterations := c.Terminated.MockSecret, c.Terminated.MockIterations
	if len(secret) == 0 {
		secret = c.Sessions.secret()
	}
	if iterations == 0 {
		iterations = 4096
	}
	return scram.Mock(secret, user, iterations)
}

// terminate verifies the client and, once that is done, logs in to the server. The server hears nothing of
// clients that are not who they say.
//
// The version is settled with the client before the server's is known. That does no harm: 3.2 differs from
// 3.0 in the length of cancel keys alone, and a client of 3.2 takes keys of any.
func (a *attempt) terminate(ctx context.Context) error {
	if err := a.negotiateVersion(nil); err != nil {
		return err
	}
	keys, err := a.verify(ctx)
	if err != nil {
		return err
	}
	asked := a.startup
	as := &identity{keys: keys}
	if service := a.config.Terminated.Service; service != nil {
		as = &identity{password: service.Password}
		a.startup = asked.as(service.User)
	}
	err = a.dial(ctx)
	a.startup = asked
	if err != nil {
		return err
	}
	if err := as.login(a.server); err != nil {
		return a.upstreamError(err)
	}
	return a.client.send(msgAuthentication, authentication(authOK, nil))
}

// upstreamError is what the client is told of the proxy's own login. What the server says is passed on, but
// for what it says of the service's credential.
func (a *attempt) upstreamError(err error) error {
	var refusal *refusal
	if !errors.As(err, &refusal) {
		return a.config.serverError("does not let the proxy in", err)
	}
	state := errorField(refusal.body, 'C')
	if a.config.Terminated.Service != nil && len(state) == 5 && state[:2] == "28" {
		return a.config.serverError("does not let the proxy in", err)
	}
	sent := a.client.send(msgError, refusal.body)
	return &Error{SQLState: state, Message: errorField(refusal.body, 'M'), Cause: sent, told: true}
}

// verify has the client prove that it knows its password.
func (a *attempt) verify(ctx context.Context) (*scram.Keys, error) {
	t, user := a.config.Terminated, a.startup.user
	text, err := t.Verifiers.Verifier(ctx, user)
	if err != nil {
		return nil, &Error{SQLState: stateNotNow, Message: "the proxy cannot look up users now", Cause: err}
	}
	verifier, lack := scram.ParseVerifier(text)
	if lack != nil {
		verifier = a.config.mockVerifier(user)
	}
	binding := a.binding()
	exchange := scram.NewServer(verifier, binding)
	offer := &saslOffer{mechanisms: []string{mechanism}}
	if binding != nil {
		offer.mechanisms = []string{mechanismPlus, mechanism}
	}
	answer, err := a.ask(authSASL, offer.append(nil))
	if err != nil {
		return nil, err
	}
	name, first, err := initialResponse(answer)
	if err != nil || !slices.Contains(offer.mechanisms, name) {
		return nil, protocolError("client selected an invalid SASL authentication mechanism")
	}
	challenge, err := exchange.First(name, first)
	if err != nil {
		return nil, refuse(user, err, lack)
	}
	if answer, err = a.ask(authSASLContinue, []byte(challenge)); err != nil {
		return nil, err
	}
	final, keys, err := exchange.Final(string(answer))
	if err != nil {
		return nil, refuse(user, err, lack)
	}
	return keys, a.client.send(msgAuthentication, authentication(authSASLFinal, []byte(final)))
}

// ask sends the client an authentication request and reads the answer.
func (a *attempt) ask(code uint32, data []byte) ([]byte, error) {
	if err := a.client.send(msgAuthentication, authentication(code, data)); err != nil {
		return nil, err
	}
	return a.answerOfClient()
}

// binding is what ties the login to the certificate that the client was shown; nil where nothing can.
func (a *attempt) binding() []byte {
	if a.certificate == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(a.certificate)
	if err != nil {
		return nil
	}
	return scram.EndPoint(cert)
}

// initialResponse reads a SASLInitialResponse.
func initialResponse(body []byte) (name, data string, err error) {
	name, rest, ok := cut(body)
	if !ok || len(rest) < 4 || binary.BigEndian.Uint32(rest) != uint32(len(rest)-4) {
		return "", "", scram.ErrMalformed
	}
	return name, string(rest[4:]), nil
}

// refuse words an exchange's error as the server does. lack says for the log why the
// user could not have been verified; the client cannot tell.
func refuse(user string, err, lack error) *Error {
	switch {
	case errors.Is(err, scram.ErrProof):
		return &Error{
			SQLState: stateWrongPassword, Cause: lack,
			Message: fmt.Sprintf("password authentication failed for user %q", user),
		}
	case errors.Is(err, scram.ErrBinding):
		return unauthorized("SCRAM channel binding check failed", "")
	case errors.Is(err, scram.ErrDowngrade):
		return unauthorized("SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the proxy does not, which does offer it.")
	}
	return &Error{SQLState: stateProtocol, Message: "malformed SCRAM message", Cause: err}
}
