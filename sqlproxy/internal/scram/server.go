package scram

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Errors of a server's exchange.
var (
	// ErrProof says that the client does not know the password.
	ErrProof = errors.New("scram: the proof is wrong")
	// ErrBinding says that the client saw another certificate than the server has shown.
	ErrBinding = errors.New("scram: channel binding check failed")
	// ErrDowngrade says that the client would have bound the channel and believes that the server cannot,
	// though the server offered it: somebody between them took the offer away.
	ErrDowngrade = errors.New("scram: the client was not told of channel binding")
)

// Server is the server's side of one login.
type Server struct {
	verifier *Verifier
	binding  []byte

	header, clientFirst, serverFirst, combined string
}

// NewServer begins a login. binding is EndPoint of the certificate that the client was shown; nil where Plus is not
// offered.
func NewServer(v *Verifier, binding []byte) *Server {
	return &Server{verifier: v, binding: binding}
}

// First takes client-first-message, sent for a mechanism that was offered, and gives server-first-message. The
// user name in it is not looked at: as in PostgreSQL, the start-up message has it.
func (s *Server) First(mechanism, message string) (string, error) {
	flag, rest, ok := strings.Cut(message, ",")
	identity, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return "", ErrMalformed
	}
	if identity != "" {
		return "", fmt.Errorf("%w: authorization identities are not supported", ErrMalformed)
	}
	if err := s.flag(mechanism, flag); err != nil {
		return "", err
	}
	_, rest, err := attribute(bare, 'n') // 'm', a mandatory extension, fails here
	if err != nil {
		return "", err
	}
	theirs, _, err := attribute(rest, 'r')
	if err != nil || !printable(theirs) {
		return "", ErrMalformed
	}
	s.header, s.clientFirst, s.combined = flag+",,", bare, theirs+nonce()
	s.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", s.combined,
		base64.StdEncoding.EncodeToString(s.verifier.Salt), s.verifier.Iterations)
	return s.serverFirst, nil
}

func (s *Server) flag(mechanism, flag string) error {
	switch {
	case mechanism == Plus:
		if flag != bindingFlag || s.binding == nil {
			return fmt.Errorf("%w: %s needs tls-server-end-point", ErrMalformed, Plus)
		}
	case flag == "y" && s.binding != nil:
		return ErrDowngrade
	case mechanism != Mechanism || flag != "n" && flag != "y":
		return ErrMalformed
	}
	return nil
}

// Final takes client-final-message and gives server-final-message, and the keys by which the proxy logs in to
// a server that has the same verifier.
func (s *Server) Final(message string) (string, *Keys, error) {
	if s.serverFirst == "" {
		return "", nil, ErrMalformed
	}
	at := strings.LastIndex(message, ",p=")
	if at < 0 {
		return "", nil, ErrMalformed
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(message[at+3:])
	if err != nil || len(proof) != keySize {
		return "", nil, ErrMalformed
	}
	bound, rest, err := attribute(message[:at], 'c')
	if err != nil {
		return "", nil, err
	}
	if repeated, _, err := attribute(rest, 'r'); err != nil || repeated != s.combined {
		return "", nil, ErrMalformed
	}
	expected := []byte(s.header)
	if s.header == bindingFlag+",," {
		expected = append(expected, s.binding...)
	}
	if got, err := base64.StdEncoding.Strict().DecodeString(bound); err != nil || subtle.ConstantTimeCompare(got, expected) == 0 {
		return "", nil, ErrBinding
	}
	return s.verify(s.clientFirst+","+s.serverFirst+","+message[:at], proof)
}

// verify recovers ClientKey, which the proof hides under a signature that the server can make.
func (s *Server) verify(authMessage string, proof []byte) (string, *Keys, error) {
	k := &Keys{ServerKey: s.verifier.ServerKey, Iterations: s.verifier.Iterations, Salt: s.verifier.Salt}
	subtle.XORBytes(k.ClientKey[:], proof, mac(s.verifier.StoredKey[:], authMessage))
	stored := sha256.Sum256(k.ClientKey[:])
	if subtle.ConstantTimeCompare(stored[:], s.verifier.StoredKey[:]) == 0 {
		return "", nil, ErrProof
	}
	return "v=" + base64.StdEncoding.EncodeToString(mac(s.verifier.ServerKey[:], authMessage)), k, nil
}
