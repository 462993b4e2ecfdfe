package kmstest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

var roundTripChecks = []check{
	{name: "a wrapped key unwraps", run: checkRoundTrip},
	{name: "a wrapped key has the form that stores accept", run: checkForm},
	{name: "Current is what Wrap writes", run: checkCurrent},
	{name: "a key of another length is refused", run: checkKeyLength},
	{name: "wrapping one key twice gives two blobs", run: checkRandomised},
	{name: "arguments are left alone and results are not shared", run: checkOwnership},
	{name: "generated keys unwrap and never repeat", run: checkGenerate},
	{
		name: "a second KMS over the root key unwraps what the first wrapped", run: checkReopen,
		needs: func(h Harness) bool { return h.Reopen != nil },
	},
}

func checkRoundTrip(t testing.TB, h Harness) {
	k := h.Open(t)
	for _, b := range []kms.Binding{
		binding,
		{Purpose: "row"},
		{Purpose: "tenant", Tenant: "Zoë & Söhne \"α\" \\ \x00\n"},
		{Purpose: "index", Version: 1<<32 - 1},
	} {
		key := randomKey()
		w := mustWrap(t, k, key, b)
		if got := mustUnwrap(t, k, w, b); !bytes.Equal(got, key) {
			t.Errorf("purpose %s: unwrapped another key than was wrapped", b.Purpose)
		}
	}
}

func checkForm(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	if err := w.Validate(); err != nil {
		t.Errorf("Wrap's result: %v", err)
	}
	if g, ok := k.(kms.Generator); ok {
		_, w, err := g.Generate(t.Context(), binding)
		if err != nil {
			t.Fatalf("Generate: %v", err)
		}
		if err := w.Validate(); err != nil {
			t.Errorf("Generate's result: %v", err)
		}
	}
}

func checkCurrent(t testing.TB, h Harness) {
	k := h.Open(t)
	before := mustCurrent(t, k)
	w := mustWrap(t, k, randomKey(), binding)
	if w.RootKey != before || mustCurrent(t, k) != before {
		t.Errorf("Current is %q, then Wrap wrote %q, then Current is %q",
			before, w.RootKey, mustCurrent(t, k))
	}
}

func checkKeyLength(t testing.TB, h Harness) {
	k := h.Open(t)
	for _, n := range []int{0, 1, 16, kms.KeySize - 1, kms.KeySize + 1, 64, 5000} {
		_, err := k.Wrap(t.Context(), make([]byte, n), binding)
		wantKind(t, "wrapping a key of another length", "wrap", err, kms.ErrInvalid)
	}
	_, err := k.Wrap(t.Context(), nil, binding)
	wantKind(t, "wrapping no key", "wrap", err, kms.ErrInvalid)
}

func checkRandomised(t testing.TB, h Harness) {
	k := h.Open(t)
	key := randomKey()
	a, b := mustWrap(t, k, key, binding), mustWrap(t, k, key, binding)
	if bytes.Equal(a.Blob, b.Blob) {
		t.Errorf("both wraps of one key are the same bytes")
	}
	if bytes.Contains(a.Blob, key[:8]) {
		t.Errorf("the blob shows the key")
	}
}

func checkOwnership(t testing.TB, h Harness) {
	k := h.Open(t)
	key := randomKey()
	given := slices.Clone(key)
	w := mustWrap(t, k, given, binding)
	if !bytes.Equal(given, key) {
		t.Errorf("Wrap changed the key it was given")
	}
	clear(given)
	blob := slices.Clone(w.Blob)
	first := mustUnwrap(t, k, w, binding)
	if !bytes.Equal(w.Blob, blob) {
		t.Errorf("Unwrap changed the blob it was given")
	}
	clear(first)
	if got := mustUnwrap(t, k, w, binding); !bytes.Equal(got, key) {
		t.Errorf("clearing a returned key changed what Unwrap returns next")
	}
}

func checkGenerate(t testing.TB, h Harness) {
	k := h.Open(t)
	g, ok := k.(kms.Generator)
	if !ok {
		return // the interface is optional
	}
	seen := map[string]bool{}
	for range 32 {
		key, w, err := g.Generate(t.Context(), binding)
		if err != nil {
			t.Fatalf("Generate: %v", err)
		}
		if len(key) != kms.KeySize || seen[string(key)] || seen[string(w.Blob)] {
			t.Fatalf("Generate returned a key of %d bytes, want %d, or one it returned before",
				len(key), kms.KeySize)
		}
		seen[string(key)], seen[string(w.Blob)] = true, true
		if got := mustUnwrap(t, k, w, binding); !bytes.Equal(got, key) {
			t.Errorf("a generated key's blob unwraps to another key")
		}
		if w.RootKey != mustCurrent(t, k) {
			t.Errorf("Generate wrote %q, Current is %q", w.RootKey, mustCurrent(t, k))
		}
	}
}

func checkReopen(t testing.TB, h Harness) {
	k := h.Open(t)
	second := h.Reopen(t, k)
	key := randomKey()
	if got := mustUnwrap(t, second, mustWrap(t, k, key, binding), binding); !bytes.Equal(got, key) {
		t.Errorf("the second KMS unwrapped another key than the first wrapped")
	}
	if a, b := mustCurrent(t, k), mustCurrent(t, second); a != b {
		t.Errorf("Current is %q on one and %q on the other", a, b)
	}
}
