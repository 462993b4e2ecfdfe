package login

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/rowseal/rowseal/sqlproxy/internal/scram"
)

const (
	mechanism     = scram.Mechanism
	mechanismPlus = scram.Plus
)

// passThrough relays what the server asks and what the client answers, until AuthenticationOk.
func (a *attempt) passThrough(ctx context.Context) error {
	if err := a.dial(ctx); err != nil {
		return err
	}
	var body []byte
	for first := true; ; first = false {
		kind, next, err := a.fromServer()
		if err != nil {
			return err
		}
		if first {
			if kind == msgNegotiate {
				body = next
			}
			if err := a.negotiateVersion(body); err != nil {
				return err
			}
			if kind == msgNegotiate {
				continue
			}
		}
		switch {
		case kind == msgNotice:
			err = a.client.send(kind, next)
		case kind == msgAuthentication && len(next) >= 4:
			if binary.BigEndian.Uint32(next) == authOK {
				return a.client.send(kind, next)
			}
			err = a.relayRequest(next)
		default:
			err = protocolError("unexpected message from the server during authentication")
		}
		if err != nil {
			return err
		}
	}
}

// relayRequest passes one authentication request to the client, and its answer to the server.
func (a *attempt) relayRequest(body []byte) error {
	code := binary.BigEndian.Uint32(body)
	var offer *saslOffer
	switch code {
	case authCleartext, authMD5:
		if a.client.private() != a.server.private() {
			return unauthorized("the server asks for a password that one leg would carry in clear and the other not",
				"Encrypt both legs, or use scram-sha-256 in the server's pg_hba.conf.")
		}
	case authSASLContinue:
	case authSASLFinal:
		return a.client.send(msgAuthentication, body)
	case authSASL:
		var err error
		if offer, err = a.offer(body[4:]); err != nil {
			return err
		}
		body = authentication(authSASL, offer.append(nil))
	default:
		return unauthorized("the server asks for a way of authentication that the proxy does not know",
			"Use scram-sha-256 or password in the server's pg_hba.conf.")
	}
	if err := a.client.send(msgAuthentication, body); err != nil {
		return err
	}
	answer, err := a.answerOfClient()
	if err != nil {
		return err
	}
	if offer != nil {
		if err := offer.check(answer); err != nil {
			return err
		}
	}
	if err := a.server.send(msgPassword, answer); err != nil {
		return a.config.serverError("does not answer", err)
	}
	return nil
}

// answerOfClient reads the client's answer to an authentication request.
func (a *attempt) answerOfClient() ([]byte, error) {
	kind, body, err := a.client.message(maxAnswer)
	if err != nil {
		return nil, err
	}
	if kind != msgPassword {
		return nil, protocolError("expected SASL response or password, got message type %d", kind)
	}
	return body, nil
}

// saslOffer is the list of mechanisms that the client is offered.
type saslOffer struct {
	mechanisms []string
	// bound is set where both legs are encrypted and the client may believe that the
	// server binds channels, which through the proxy it cannot.
	bound bool
}

// offer reads the server's mechanisms and takes out what cannot pass. SCRAM-SHA-256-PLUS binds the
// login to the certificate that the client was shown, so it passes only where that is the server's own.
func (a *attempt) offer(list []byte) (*saslOffer, error) {
	o := &saslOffer{}
	plus := false
	for {
		name, rest, ok := cut(list)
		if !ok {
			return nil, protocolError("invalid list of SASL mechanisms from the server")
		}
		if name == "" {
			break
		}
		plus = plus || name == mechanismPlus
		if name == mechanism || name == mechanismPlus && a.sameCertificate() {
			o.mechanisms = append(o.mechanisms, name)
		}
		list = rest
	}
	if len(o.mechanisms) == 0 {
		return nil, unauthorized("the server offers no SASL mechanism that passes the proxy", "Use scram-sha-256 in the server's pg_hba.conf.")
	}
	o.bound = plus && a.certificate != nil && !slices.Contains(o.mechanisms, mechanismPlus)
	return o, nil
}

func (o *saslOffer) append(dst []byte) []byte {
	for _, name := range o.mechanisms {
		dst = append(append(dst, name...), 0)
	}
	return append(dst, 0)
}

// check reads a SASLInitialResponse. A client that says it would have bound the channel, had it
// been offered that, will be refused by the server as the victim of somebody in between; here it learns why.
func (o *saslOffer) check(answer []byte) error {
	name, rest, ok := cut(answer)
	if !ok || !slices.Contains(o.mechanisms, name) {
		return protocolError("client selected an invalid SASL authentication mechanism")
	}
	if o.bound && len(rest) > 4 && rest[4] == 'y' {
		return unauthorized("channel binding cannot pass the proxy where both legs are encrypted",
			"Let the proxy verify clients itself (terminated SCRAM), or connect with channel_binding=disable.")
	}
	return nil
}

// settle relays what the server says between AuthenticationOk, which the client has had, and its first ReadyForQuery,
// which it keeps.
func (a *attempt) settle() error {
	a.status = map[string]string{}
	for {
		kind, body, err := a.fromServer()
		if err != nil {
			return err
		}
		switch kind {
		case msgReady:
			return nil
		case msgParameterStatus:
			name, rest, _ := cut(body)
			a.status[name], _, _ = cut(rest)
		case msgBackendKey:
			if len(body) < 5 || len(body) > 4+maxKey {
				return protocolError("invalid BackendKeyData from the server")
			}
			a.sessionKey = body
		case msgNotice:
		default:
			return protocolError("unexpected message from the server after authentication")
		}
		if err := a.client.send(kind, body); err != nil {
			return err
		}
	}
}
