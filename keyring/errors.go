package keyring

import (
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
)

// The ways in which a key cannot be had. Errors of this package are of type
// *[Error] and match one of them, or one of package kms, with errors.Is.
var (
	// ErrUnknownKey: the key store has no key of that id.
	ErrUnknownKey = errors.New("key is not in the key store")
	// ErrDestroyed: the key was destroyed, and its values with it.
	ErrDestroyed = errors.New("key was destroyed")
	// ErrCommitment: what the KMS unwrapped is not the key that the record
	// commits to.
	ErrCommitment = errors.New("unwrapped key does not match its commitment")
	// ErrNoRoot: none of the root keys that wrap the key is configured.
	ErrNoRoot = errors.New("no configured root key wraps this key")
	// ErrStore: the key store failed.
	ErrStore = errors.New("key store failed")
	// ErrIndexKey: index keys do not rotate as tenant keys do.
	ErrIndexKey = errors.New("index keys are not rotated")
	// ErrLast: the key is the last one that its owner seals with.
	ErrLast = errors.New("key is the last active one of its tenant")
	// ErrInUse: values are, or may be, sealed under the key, or writers may hold it.
	ErrInUse = errors.New("key may still be in use")
	// ErrTaken: another key stands at the place where an import would put one.
	ErrTaken = errors.New("another key stands at its place in the key store")
	// ErrConflict: the record was changed by somebody else meanwhile.
	ErrConflict = errors.New("key was changed meanwhile; read it again")
)

// Error names the key and the remedy.
type Error struct {
	Tenant string         // "" where it is not known
	ID     envelope.KeyID // zero where it is not known
	Err    error          // matches a sentinel of this package or of kms
	Remedy string
}

// Error says which key failed, why, and what to do.
func (e *Error) Error() string {
	s := "keyring: "
	switch id := e.ID != (envelope.KeyID{}); {
	case id && e.Tenant != "":
		s += fmt.Sprintf("key %v of tenant %q: ", e.ID, e.Tenant)
	case id:
		s += fmt.Sprintf("key %v: ", e.ID)
	case e.Tenant != "":
		s += fmt.Sprintf("tenant %q: ", e.Tenant)
	}
	s += e.Err.Error()
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

func (r *Record) fail(err error, remedy string) error {
	return &Error{Tenant: r.Tenant, ID: r.ID, Err: err, Remedy: remedy}
}

func destroyed(r *Record) error {
	if r.Mark() {
		return r.fail(ErrDestroyed, "the tenant was shredded and gets no new key")
	}
	if r.Purpose.indexes() {
		return r.fail(ErrDestroyed, "its search terms cannot be made any more, and its tenant gets no new key")
	}
	return r.fail(ErrDestroyed, "its values cannot be opened any more, and its tenant gets no new key")
}
