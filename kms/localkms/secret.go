package localkms

import (
	"crypto/rand"
	"fmt"
	"log/slog"

	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

const redacted = "[secret]"

// secret is a root key. However it is printed or logged, it shows nothing.
type secret struct{ key *[kms.KeySize]byte }

func newSecret() (s secret) {
	secretmem.Do(func() {
		s.key = new([kms.KeySize]byte)
		rand.Read(s.key[:]) // never fails
	})
	return s
}

// String implements fmt.Stringer.
func (secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (secret) GoString() string { return redacted }

// Format implements fmt.Formatter, for the verbs that ask for neither.
func (secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
