package kmstest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

var concurrencyChecks = []check{
	{name: "all operations run at once", run: checkConcurrent},
}

// checkConcurrent is of most use under the race detector.
func checkConcurrent(t testing.TB, h Harness) {
	const workers, rounds = 8, 6
	k := h.Open(t)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				useAll(t, k)
			}
		})
	}
	if h.RotateRoot != nil {
		for range 3 {
			h.RotateRoot(t, k)
		}
	}
	wg.Wait()
}

// useAll runs every operation once. It reports with Errorf only, because it is
// not on the test's goroutine.
func useAll(t testing.TB, k kms.KMS) {
	key := randomKey()
	w, err := k.Wrap(t.Context(), key, binding)
	if err != nil {
		t.Errorf("Wrap: %v", err)
		return
	}
	if r, ok := k.(kms.Rewrapper); ok {
		if w, err = r.Rewrap(t.Context(), w, binding); err != nil {
			t.Errorf("Rewrap: %v", err)
			return
		}
	}
	if got, err := k.Unwrap(t.Context(), w, binding); err != nil || !bytes.Equal(got, key) {
		t.Errorf("Unwrap: another key, or error %v", err)
	}
	if g, ok := k.(kms.Generator); ok {
		if key, w, err = g.Generate(t.Context(), binding); err != nil {
			t.Errorf("Generate: %v", err)
			return
		}
		if got, err := k.Unwrap(t.Context(), w, binding); err != nil || !bytes.Equal(got, key) {
			t.Errorf("Unwrap of a generated key: another key, or error %v", err)
		}
	}
	if _, err := k.Current(t.Context()); err != nil {
		t.Errorf("Current: %v", err)
	}
}
