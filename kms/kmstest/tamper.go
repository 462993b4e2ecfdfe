package kmstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

var tamperChecks = []check{
	{name: "a blob with a flipped byte is refused", run: checkFlips},
	{name: "a blob that was cut or extended is refused", run: checkLengths},
	{name: "a blob of another root key is refused", run: checkOtherRoot},
	{name: "a root key of other systems is foreign", run: checkForeign},
}

// refused asserts that w neither unwraps nor rewraps, with an error that says
// so. A provider's panic fails the test by itself.
func refused(t testing.TB, k kms.KMS, w kms.Wrapped, what string, want ...error) {
	t.Helper()
	_, err := k.Unwrap(t.Context(), w, binding)
	wantKind(t, "unwrapping "+what, "unwrap", err, want...)
	if r, ok := k.(kms.Rewrapper); ok {
		_, err := r.Rewrap(t.Context(), w, binding)
		wantKind(t, "rewrapping "+what, "rewrap", err, want...)
	}
}

var altered = []error{kms.ErrBinding, kms.ErrForeign, kms.ErrInvalid}

func checkFlips(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	for i := range w.Blob {
		for _, mask := range []byte{0x01, 0x80} {
			blob := slices.Clone(w.Blob)
			blob[i] ^= mask
			refused(t, k, kms.Wrapped{RootKey: w.RootKey, Blob: blob},
				fmt.Sprintf("a blob with byte %d changed by %#02x", i, mask), altered...)
		}
	}
}

func checkLengths(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	for n := range w.Blob {
		refused(t, k, kms.Wrapped{RootKey: w.RootKey, Blob: w.Blob[:n:n]},
			fmt.Sprintf("the first %d bytes of a blob", n), altered...)
	}
	for what, blob := range map[string][]byte{
		"a blob with a zero byte behind it":  append(slices.Clone(w.Blob), 0),
		"a blob with a byte before it":       append([]byte{w.Blob[0]}, w.Blob...),
		"a blob twice":                       append(slices.Clone(w.Blob), w.Blob...),
		"a blob longer than any may be":      append(slices.Clone(w.Blob), make([]byte, kms.MaxBlob)...),
		"a nil blob":                         nil,
		"a blob of zeros of the same length": make([]byte, len(w.Blob)),
	} {
		refused(t, k, kms.Wrapped{RootKey: w.RootKey, Blob: blob}, what, altered...)
	}
}

func checkOtherRoot(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	other := mustWrap(t, h.Open(t), randomKey(), binding)
	if w.RootKey == other.RootKey {
		t.Fatalf("two root keys have the one id %q", w.RootKey)
	}
	refused(t, k, kms.Wrapped{RootKey: w.RootKey, Blob: other.Blob},
		"another root key's blob under this one's id", altered...)
}

func checkForeign(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	var before int64
	if h.NetworkCalls != nil {
		before = h.NetworkCalls(k)
	}
	for _, rootKey := range []string{
		"", "x", "/", ":", "local:", "local:0000000000000000/1", "arn:aws:kms:::key/",
		"arn:aws:kms:zz-test-9:000000000000:key/00000000-0000-0000-0000-000000000000",
		"vault:v1:0", "projects/p/locations/l/keyRings/r/cryptoKeys/k", "https://v.vault.azure.net/keys/k/0",
		" " + w.RootKey, w.RootKey + " ", w.RootKey + "\n", w.RootKey + "\x00", "x" + w.RootKey,
		strings.Repeat("k", kms.MaxRootKey+1), w.RootKey + strings.Repeat("0", kms.MaxRootKey), "\xff\xfe",
	} {
		refused(t, k, kms.Wrapped{RootKey: rootKey, Blob: w.Blob},
			fmt.Sprintf("a blob of root key %q", rootKey), kms.ErrForeign)
	}
	if h.NetworkCalls != nil && h.NetworkCalls(k) != before {
		t.Errorf("foreign root keys cost %d network calls, want 0", h.NetworkCalls(k)-before)
	}
}
