// Package kmstest is the conformance suite that every KMS provider passes.
//
// A provider's test gives it a [Harness] and calls [Run]:
//
//	func TestConformance(t *testing.T) {
//		kmstest.Run(t, kmstest.Harness{
//			Open: func(t testing.TB) kms.KMS { … },
//		})
//	}
//
// Only Open is needed. Each further field lets the suite check more: rotation,
// disabled keys, outages, secrets in output. To count calls, see kmscount.
package kmstest

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

// Harness says how to get a provider into the states that the suite checks. A
// nil function leaves out the checks that need it.
type Harness struct {
	// Open returns a KMS over a root key of its own. It is called many times
	// and registers its own clean-up.
	Open func(t testing.TB) kms.KMS
	// Reopen returns a second KMS over k's root key, as another process that
	// uses the same root key would have it.
	Reopen func(t testing.TB, k kms.KMS) kms.KMS
	// RotateRoot gives k a new current root key or version. When it returns,
	// k.Current must tell.
	RotateRoot func(t testing.TB, k kms.KMS)
	// Disable makes k's current root key unusable, Enable usable again.
	Disable, Enable func(t testing.TB, k kms.KMS)
	// Down makes the service behind k unreachable, Up reachable again.
	Down, Up func(t testing.TB, k kms.KMS)
	// Hang makes the service behind k take requests and not answer, until
	// resume is called.
	Hang func(t testing.TB, k kms.KMS) (resume func())
	// NetworkCalls returns how many requests k has sent so far.
	NetworkCalls func(k kms.KMS) int64
	// Secrets returns what k must never print: root keys, credentials.
	Secrets func(t testing.TB, k kms.KMS) [][]byte
}

// check is one conformance check. It reports through a testing.TB so that the
// suite's own tests can see it fail.
type check struct {
	name  string
	needs func(h Harness) bool // nil: always runs
	run   func(t testing.TB, h Harness)
}

func checks() []check {
	return slices.Concat(roundTripChecks, bindingChecks, tamperChecks,
		rotationChecks, outageChecks, secrecyChecks, concurrencyChecks)
}

// Run runs the suite, each check as a subtest.
func Run(t *testing.T, h Harness) {
	for _, c := range checks() {
		if c.needs == nil || c.needs(h) {
			t.Run(c.name, func(t *testing.T) { c.run(t, h) })
		}
	}
}

// binding is what the suite wraps for unless a check says otherwise.
var binding = kms.Binding{
	Namespace: "kmstest", Tenant: "tenant-1", Purpose: "tenant",
	KeyID: "0123456789abcdef", Version: 7,
}

func randomKey() []byte {
	key := make([]byte, kms.KeySize)
	rand.Read(key) // never fails
	return key
}

func mustWrap(t testing.TB, k kms.KMS, key []byte, b kms.Binding) kms.Wrapped {
	t.Helper()
	w, err := k.Wrap(t.Context(), key, b)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return w
}

func mustUnwrap(t testing.TB, k kms.KMS, w kms.Wrapped, b kms.Binding) []byte {
	t.Helper()
	key, err := k.Unwrap(t.Context(), w, b)
	if err != nil {
		t.Fatalf("Unwrap: %v", err)
	}
	return key
}

func mustCurrent(t testing.TB, k kms.KMS) string {
	t.Helper()
	rootKey, err := k.Current(t.Context())
	if err != nil {
		t.Fatalf("Current: %v", err)
	}
	return rootKey
}

var kinds = []error{
	kms.ErrForeign, kms.ErrBinding, kms.ErrNotFound, kms.ErrDisabled,
	kms.ErrDenied, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
}

// wantKind reports an error that is not a whole *kms.Error of operation op and
// of one of the kinds in want.
func wantKind(t testing.TB, what, op string, err error, want ...error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: succeeded, want one of %v", what, want)
		return
	}
	var typed *kms.Error
	if !errors.As(err, &typed) {
		t.Errorf("%s: the error is a %T, want a *kms.Error: %v", what, err, err)
		return
	}
	if typed.Provider == "" || typed.Op != op {
		t.Errorf("%s: the error names provider %q and operation %q, want one and %q",
			what, typed.Provider, typed.Op, op)
	}
	if !slices.Contains(kinds, typed.Kind) {
		t.Errorf("%s: the error's kind is none of package kms: %v", what, typed.Kind)
	}
	if !slices.ContainsFunc(want, func(kind error) bool { return errors.Is(err, kind) }) {
		t.Errorf("%s: got %v, want one of %v", what, err, want)
	}
}

// operation is one way to use a KMS that can be refused.
type operation struct {
	name string // as in kms.Error.Op
	call func() error
}
