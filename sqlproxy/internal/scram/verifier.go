// Package scram is SCRAM-SHA-256, with and without channel binding, as
// PostgreSQL speaks it: the server's side from a verifier, the client's side from
// a password or from keys.
//
// Sources: RFC 5802 (SCRAM), RFC 7677 (SHA-256), RFC 5929 (tls-server-end-point).
// Exchanges are for one login each and not for several goroutines.
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The mechanisms by their SASL names; Plus is the one with channel binding.
const (
	Mechanism = "SCRAM-SHA-256"
	Plus      = "SCRAM-SHA-256-PLUS"
)

// keySize is SHA-256's.
const keySize = sha256.Size

// maxIterations keeps a verifier, or a server, from having us compute for minutes.
const maxIterations = 10_000_000

// Verifier is what a server keeps of a password. It does not give the password away, but who has it can
// pose as the server, and can try passwords.
type Verifier struct {
	Iterations           int
	Salt                 []byte
	StoredKey, ServerKey [keySize]byte
}

// ErrNotScram is given for what is no SCRAM-SHA-256 verifier, such as an MD5 hash.
var ErrNotScram = errors.New("scram: not a SCRAM-SHA-256 verifier")

// ParseVerifier reads the form of pg_authid.rolpassword:
//
//	SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
//
// with salt and keys in base64. The error quotes nothing of it.
func ParseVerifier(text string) (*Verifier, error) {
	rest, ok := strings.CutPrefix(text, Mechanism+"$")
	if !ok {
		return nil, ErrNotScram
	}
	params, keys, ok := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(params, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return nil, ErrNotScram
	}
	v := &Verifier{}
	var err error
	if v.Iterations, err = strconv.Atoi(iterations); err != nil || v.Iterations < 1 || v.Iterations > maxIterations {
		return nil, fmt.Errorf("%w: iterations", ErrNotScram)
	}
	if v.Salt, err = base64.StdEncoding.Strict().DecodeString(salt); err != nil || len(v.Salt) == 0 {
		return nil, fmt.Errorf("%w: salt", ErrNotScram)
	}
	if !decodeKey(&v.StoredKey, stored) || !decodeKey(&v.ServerKey, server) {
		return nil, fmt.Errorf("%w: keys", ErrNotScram)
	}
	return v, nil
}

func decodeKey(dst *[keySize]byte, text string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == keySize && copy(dst[:], b) == keySize
}

// String names the type and gives nothing away.
func (v *Verifier) String() string { return "scram.Verifier" }

// GoString names the type and gives nothing away.
func (v *Verifier) GoString() string { return v.String() }

// Mock makes the verifier of a user that does not exist, such that whoever asks twice is answered alike.
// No proof fits it: StoredKey is not the hash of anything known. secret is at least 14 bytes.
func Mock(secret []byte, user string, iterations int) *Verifier {
	v := &Verifier{Iterations: iterations, Salt: mac(secret, "salt\x00"+user)[:16]}
	copy(v.StoredKey[:], mac(secret, "stored\x00"+user))
	copy(v.ServerKey[:], mac(secret, "server\x00"+user))
	return v
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Keys are what a client needs to log in to a server that has the Verifier which they belong to.
// ClientKey is as good as the password.
type Keys struct {
	ClientKey, ServerKey [keySize]byte
	// Iterations and Salt are the verifier's.
	Iterations int
	Salt       []byte
}

// String names the type and gives nothing away.
func (k *Keys) String() string { return "scram.Keys" }

// GoString names the type and gives nothing away.
func (k *Keys) GoString() string { return k.String() }

// derive makes a password's keys.
func derive(password string, salt []byte, iterations int) (*Keys, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, keySize)
	if err != nil {
		// Under GODEBUG=fips140=only, of salts under 16 bytes, which is what PostgreSQL makes.
		return nil, fmt.Errorf("scram: the verifier's salt is too short for this program's FIPS mode; set the password anew: %w", err)
	}
	k := &Keys{Iterations: iterations, Salt: salt}
	copy(k.ClientKey[:], mac(salted, "Client Key"))
	copy(k.ServerKey[:], mac(salted, "Server Key"))
	return k, nil
}

// NewVerifier makes the verifier of a password. The password must be ASCII: others are
// prepared in ways (RFC 4013) that this package does not know.
func NewVerifier(password string, salt []byte, iterations int) (*Verifier, error) {
	k, err := derive(password, salt, iterations)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		Iterations: iterations, Salt: salt,
		StoredKey: sha256.Sum256(k.ClientKey[:]), ServerKey: k.ServerKey,
	}, nil
}

// Text gives the form that ParseVerifier reads.
func (v *Verifier) Text() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", Mechanism, v.Iterations, b64(v.Salt), b64(v.StoredKey[:]), b64(v.ServerKey[:]))
}
