package kms

import (
	"errors"
	"fmt"
)

// The kinds of failure that callers tell apart. A provider's error is an
// *[Error] that matches one of them with errors.Is.
var (
	// ErrForeign: the wrapped key names a root key that this KMS does not serve.
	ErrForeign = errors.New("root key is not served by this KMS")
	// ErrBinding: the wrapped key was altered, or is bound to something else.
	ErrBinding = errors.New("wrapped key does not belong here or was altered")
	// ErrNotFound: the root key does not exist (any more).
	ErrNotFound = errors.New("root key not found")
	// ErrDisabled: the root key is disabled or pending deletion.
	ErrDisabled = errors.New("root key is disabled")
	// ErrDenied: the caller may not use the root key.
	ErrDenied = errors.New("access to the root key denied")
	// ErrThrottled: the service refused for rate; the SDK's retries are used up.
	ErrThrottled = errors.New("KMS throttled the request")
	// ErrUnavailable: the service did not answer, or failed on its side.
	ErrUnavailable = errors.New("KMS unavailable")
	// ErrInvalid: the request or the provider's configuration is wrong.
	ErrInvalid = errors.New("invalid KMS request or configuration")
)

// Error is what every provider returns. It names the operation, the root key
// and a remedy, and holds no key bytes.
type Error struct {
	Provider string // "local", "aws", …
	Op       string // "wrap", "unwrap", "generate", "rewrap", "current", "open"
	RootKey  string // the root key concerned, "" where none is known
	Kind     error  // one of this package's sentinels
	Err      error  // the provider's own error; may be nil
	Remedy   string // what to do about it; may be ""
}

// Error says what failed, on which root key, why, and what to do.
func (e *Error) Error() string {
	s := fmt.Sprintf("kms: %s: %s: %v", e.Provider, e.Op, e.Kind)
	if e.RootKey != "" {
		s += " (" + e.RootKey + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap lets errors.Is and errors.As see both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Temporary reports whether err may pass by itself: the service was not
// reached, failed on its side, or throttled.
func Temporary(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrThrottled)
}
