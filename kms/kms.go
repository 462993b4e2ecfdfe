// Package kms says what Rowseal asks of a key management service: to wrap and
// unwrap data keys under a root key that never leaves it.
//
// Start with [KMS]. A provider (localkms, awskms, …) implements it, and every
// provider passes the conformance suite in kmstest. Callers do not call a
// provider directly for values; the keyring package does.
//
// Every wrap is bound to a [Binding]: a wrapped key that is moved to another
// tenant's, purpose's or version's place does not unwrap. Blobs written by any
// released version of a provider unwrap in every later one.
package kms

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"
)

// KeySize is the length in bytes of every data key that a KMS wraps: 256 bits.
const KeySize = 32

// MaxBlob is the longest wrapped key in bytes that Rowseal stores. AWS KMS
// allows 6,144 bytes for a CiphertextBlob; nothing known is longer.
const MaxBlob = 6144

// MaxRootKey is the longest root key identifier in bytes that Rowseal stores.
const MaxRootKey = 255

// Wrapped is a data key as a KMS wrapped it. It is no secret.
type Wrapped struct {
	// RootKey names the root key, and where the provider has them the
	// version, that wrapped the blob: "local:5f0c…/2" or a key's ARN.
	// 1 to MaxRootKey bytes of printable ASCII.
	RootKey string
	// Blob is the provider's own form of the wrapped key, 1 to MaxBlob bytes.
	Blob []byte
}

// KMS wraps data keys under one root key (and unwraps those of its earlier
// versions). Implementations are safe for concurrent use.
//
// Errors are of type *[Error]; branch with errors.Is on the sentinels of this
// package. No error holds key bytes. When ctx ends before the operation does,
// the error is of kind [ErrUnavailable] and matches ctx.Err() too. A key of
// another length than KeySize, or a Binding that does not pass its Validate, is
// refused with [ErrInvalid].
type KMS interface {
	// Wrap wraps key, which is KeySize bytes, under the current root key.
	Wrap(ctx context.Context, key []byte, b Binding) (Wrapped, error)
	// Unwrap returns the KeySize bytes that were wrapped. It returns
	// ErrForeign, without a network call, when w.RootKey is not one that
	// this KMS serves, and ErrBinding when w was wrapped for another Binding
	// or was altered.
	Unwrap(ctx context.Context, w Wrapped, b Binding) ([]byte, error)
	// Current returns the RootKey that Wrap would write now. A Wrapped whose
	// RootKey differs is due for rewrapping.
	Current(ctx context.Context) (string, error)
}

// Generator is a KMS that makes a data key and its wrapped form in one call.
type Generator interface {
	// Generate returns KeySize fresh random bytes and their wrapped form.
	Generate(ctx context.Context, b Binding) (key []byte, w Wrapped, err error)
}

// Rewrapper is a KMS that moves a wrapped key to the current root key without
// showing the data key to the caller.
type Rewrapper interface {
	// Rewrap returns w under the current root key, for the same Binding.
	// The errors are those of Unwrap and Wrap.
	Rewrap(ctx context.Context, w Wrapped, b Binding) (Wrapped, error)
}

// Age says since when a root key's current version wraps.
type Age struct {
	// RootKey is what Current returns.
	RootKey string
	// Since is when the version that wraps now was made.
	Since time.Time
	// Automatic says that the service makes a new version by itself under the same
	// RootKey, where there is nothing to rewrap: Period is how often, 0 where it does
	// not say.
	Automatic bool
	Period    time.Duration
}

// Aged is a KMS that knows how old its current root key is.
type Aged interface {
	// Age asks for it; the errors are those of Current, and ErrDenied where the
	// caller may use the key but not ask about it.
	Age(ctx context.Context) (Age, error)
}

// Binding is what a wrapped key is for. Wrap binds it, Unwrap demands it.
type Binding struct {
	Namespace string // the deployment, "" where there is one
	Tenant    string // "" for keys that belong to no tenant
	Purpose   string // "tenant", "index", "index-global", "store" or "row"
	KeyID     string // 16 hex digits; "" for keys that have no id ("row")
	Version   uint32 // 0 for keys that have no version
}

// EncryptionContext returns b as name-value pairs, for services that take an
// encryption context. Empty fields are left out, which is unambiguous because
// the names are fixed.
func (b Binding) EncryptionContext() map[string]string {
	m := map[string]string{"rowseal:purpose": b.Purpose}
	for name, value := range map[string]string{
		"rowseal:namespace": b.Namespace,
		"rowseal:tenant":    b.Tenant,
		"rowseal:key-id":    b.KeyID,
	} {
		if value != "" {
			m[name] = value
		}
	}
	if b.Version != 0 {
		m["rowseal:version"] = strconv.FormatUint(uint64(b.Version), 10)
	}
	return m
}

// AssociatedData appends b's canonical bytes to dst, for providers that bind
// with an AEAD: the domain and the four strings, each behind its length as a
// big-endian uint16, then the version as a big-endian uint32. No two Bindings
// have the same bytes as long as no string is longer than 65,535 bytes.
func (b Binding) AssociatedData(dst []byte) []byte {
	for _, s := range []string{"rowseal/kms/v1", b.Namespace, b.Tenant, b.Purpose, b.KeyID} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
		dst = append(dst, s...)
	}
	return binary.BigEndian.AppendUint32(dst, b.Version)
}
