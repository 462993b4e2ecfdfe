package envelope

import (
	"errors"
	"fmt"
)

// The ways in which a value can be refused. Errors of this package match one
// of them with errors.Is, and hold neither plaintext nor key.
var (
	// ErrNotSealed: the bytes do not begin with the magic byte.
	ErrNotSealed = errors.New("not a sealed value")
	// ErrMalformed: the bytes begin as a sealed value but break the format.
	ErrMalformed = errors.New("malformed sealed value")
	// ErrOpen: the tag does not match. The value was altered, or belongs to
	// another column, tenant or namespace, or the key is not the one that
	// sealed it; an AEAD cannot tell these apart.
	ErrOpen = errors.New("sealed value does not open: it was altered or belongs elsewhere")
	// ErrTooLong: a plaintext, term list or wrapped key exceeds its bound.
	ErrTooLong = errors.New("too long to seal")
	// ErrKeyGone: the key was dropped from its cache while it was held.
	ErrKeyGone = errors.New("key is no longer held")
)

// malformed is an ErrMalformed that says where and why.
func malformed(offset int, format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %s", ErrMalformed, offset, fmt.Sprintf(format, args...))
}
