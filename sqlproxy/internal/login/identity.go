package login

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rowseal/rowseal/sqlproxy/internal/scram"
)

// identity is what the proxy shows a server to log in itself: SCRAM keys, or a password.
type identity struct {
	keys     *scram.Keys
	password string
}

// refusal is an ErrorResponse of the server to the proxy itself.
type refusal struct{ body []byte }

func (r *refusal) Error() string {
	return fmt.Sprintf("the server says: %s (SQLSTATE %s)", errorField(r.body, 'M'), errorField(r.body, 'C'))
}

// as gives the StartupMessage for another user, to the same database.
func (s *startup) as(user string) *startup {
	other := *s
	other.parameters = maps.Clone(s.parameters)
	other.parameters["user"], other.parameters["database"] = user, s.database
	other.user = user
	return &other
}

// login answers the server's requests until AuthenticationOk. A server that asks for nothing lets in.
func (i *identity) login(server *leg) error {
	var exchange *scram.Client
	verified := false
	for {
		kind, body, err := server.message(maxServer)
		switch {
		case err != nil:
			return err
		case kind == msgError:
			return &refusal{body}
		case kind == msgNotice || kind == msgNegotiate:
			continue
		case kind != msgAuthentication || len(body) < 4:
			return errors.New("unexpected message during authentication")
		}
		code, data := binary.BigEndian.Uint32(body), body[4:]
		switch code {
		case authOK:
			if exchange != nil && !verified {
				return scram.ErrServer
			}
			return nil
		case authCleartext:
			err = i.cleartext(server)
		case authSASL:
			exchange, err = i.begin(server, data)
		case authSASLContinue, authSASLFinal:
			if exchange == nil {
				return scram.ErrMalformed
			}
			if code == authSASLFinal {
				verified, err = true, exchange.Verify(string(data))
				break
			}
			var final string
			if final, err = exchange.Final(string(data)); err == nil {
				err = server.send(msgPassword, []byte(final))
			}
		default:
			err = fmt.Errorf("authentication request %d is not supported; use scram-sha-256 in pg_hba.conf", code)
		}
		if err != nil {
			return err
		}
	}
}

// cleartext sends the password, where there is one and nobody can listen.
func (i *identity) cleartext(server *leg) error {
	if i.keys != nil {
		return errors.New("the server asks for the password, which the proxy does not have; use scram-sha-256 in pg_hba.conf")
	}
	if server.certificate() == nil {
		return errors.New("the server asks for the password in clear; encrypt the leg, or use scram-sha-256 in pg_hba.conf")
	}
	return server.send(msgPassword, append([]byte(i.password), 0))
}

// begin answers the list of mechanisms.
func (i *identity) begin(server *leg, list []byte) (*scram.Client, error) {
	var offered []string
	for {
		name, rest, ok := cut(list)
		if !ok || name == "" {
			break
		}
		offered, list = append(offered, name), rest
	}
	var binding []byte
	if cert := server.certificate(); cert != nil {
		binding = scram.EndPoint(cert)
	}
	plus := slices.Contains(offered, mechanismPlus)
	exchange := scram.NewPasswordClient(i.password, binding, plus)
	if i.keys != nil {
		exchange = scram.NewClient(i.keys, binding, plus)
	}
	if !slices.Contains(offered, exchange.Mechanism()) {
		return nil, errors.New("the server offers no SCRAM-SHA-256; use scram-sha-256 in pg_hba.conf")
	}
	first := exchange.First()
	body := append([]byte(exchange.Mechanism()), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(first)))
	return exchange, server.send(msgPassword, append(body, first...))
}
