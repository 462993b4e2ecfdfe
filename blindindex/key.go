package blindindex

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"sync"

	"github.com/rowseal/rowseal/internal/secretmem"
)

// MinSecret is the length of the shortest secret of a Key, in bytes.
const MinSecret = 32

// Key makes the terms of one index key. It is safe for concurrent use and
// prints nothing of itself.
//
// It keeps the states of HMAC after the padded key (FIPS 198-1 section 6), not
// the secret. The states that concurrent calls work on share them.
type Key struct {
	states sync.Pool // of *state
}

// state is an HMAC that nothing was written to, and room for its sum.
type state struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

// NewKey takes secret, 32 bytes or more that are as good as random; the caller
// clears it.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("blindindex: the secret of an index key has %d bytes; %d or more are needed", len(secret), MinSecret)
	}
	var first hash.Cloner
	secretmem.Do(func() {
		mac := hmac.New(sha256.New, secret)
		mac.Reset() // replaces the padded key by the states after it
		first, _ = mac.(hash.Cloner)
	})
	if first == nil {
		return nil, errors.New("blindindex: this build's HMAC cannot be copied")
	}
	k := &Key{}
	k.states.New = func() any {
		s := &state{}
		secretmem.Do(func() {
			// first is never written to, so that concurrent copies are safe.
			mac, err := first.Clone()
			if err != nil {
				panic("rowseal: internal error: blindindex: HMAC-SHA256 is not copied")
			}
			s.mac = mac
		})
		return s
	}
	return k, nil
}

// String names the type and shows nothing of the key.
func (k *Key) String() string { return "index key" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// LogValue is String.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format writes String, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }
