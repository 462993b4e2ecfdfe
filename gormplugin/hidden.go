package gormplugin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
)

// redacted replaces a refused statement's parameters, so that nothing can log
// or send them. Its error is the refusal.
type redacted struct{ err error }

// Value refuses with the error that the statement was refused with.
func (r redacted) Value() (driver.Value, error) { return nil, r.err }

// Format prints no value.
func (redacted) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// hidden stands in logs for what must not be shown.
const hidden = "[sealed]"

// mute is what a value does that nothing must encode or print. Value, which
// says what is wrong where a driver asks, is the value's own. There is no
// String method on purpose: pgx would write its text to a column.
type mute struct{}

var (
	_ fmt.Formatter          = mute{}
	_ slog.LogValuer         = mute{}
	_ json.Marshaler         = mute{}
	_ encoding.TextMarshaler = mute{}
)

// Format prints no value.
func (mute) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue prints no value.
func (mute) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON refuses, for drivers that encode what they do not know as JSON.
func (mute) MarshalJSON() ([]byte, error) { return nil, ErrNotRegistered }

// MarshalText refuses, for drivers that take any text.
func (mute) MarshalText() ([]byte, error) { return nil, ErrNotRegistered }

// fingerprintKey is new in every process: fingerprints mean nothing outside.
var fingerprintKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return key
})

// hiddenAs is hidden with a fingerprint of the value: 16 bytes of HMAC-SHA256
// (RFC 2104) over what fmt prints of it.
func hiddenAs(value any) string {
	rv := reflect.ValueOf(value)
	for rv.IsValid() && rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return hidden
	}
	mac := hmac.New(sha256.New, fingerprintKey())
	switch { // past methods that hide or shorten a value
	case rv.Kind() == reflect.String:
		_, _ = io.WriteString(mac, rv.String())
	case rv.CanInt():
		_, _ = fmt.Fprint(mac, rv.Int())
	case rv.CanUint():
		_, _ = fmt.Fprint(mac, rv.Uint())
	default:
		_, _ = fmt.Fprint(mac, rv.Interface())
	}
	return fmt.Sprintf("[sealed %x]", mac.Sum(nil)[:16])
}
