package kmstest

import (
	"bytes"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

func canRotate(h Harness) bool { return h.RotateRoot != nil }

var rotationChecks = []check{
	{name: "after a rotation Current and Wrap use the new root key", needs: canRotate, run: checkRotationMovesOn},
	{name: "after rotations every earlier wrap unwraps", needs: canRotate, run: checkRotationKeepsOld},
	{name: "rewrapping moves to the current root key and keeps the key", needs: canRotate, run: checkRewrap},
	{name: "a blob does not unwrap under another version's id", needs: canRotate, run: checkSwappedVersions},
	{
		name: "a rotation is seen by a second KMS", run: checkRotationSeen,
		needs: func(h Harness) bool { return h.RotateRoot != nil && h.Reopen != nil },
	},
	{name: "rewrapping without a rotation keeps the key", run: checkRewrapInPlace},
}

func checkRotationMovesOn(t testing.TB, h Harness) {
	k := h.Open(t)
	seen := map[string]bool{mustCurrent(t, k): true}
	for range 3 {
		h.RotateRoot(t, k)
		current := mustCurrent(t, k)
		if seen[current] {
			t.Fatalf("after a rotation Current is %q, as before", current)
		}
		seen[current] = true
		if w := mustWrap(t, k, randomKey(), binding); w.RootKey != current {
			t.Errorf("Wrap wrote %q, Current is %q", w.RootKey, current)
		}
		if g, ok := k.(kms.Generator); ok {
			if _, w, err := g.Generate(t.Context(), binding); err != nil || w.RootKey != current {
				t.Errorf("Generate wrote %q, Current is %q, error %v", w.RootKey, current, err)
			}
		}
	}
}

func checkRotationKeepsOld(t testing.TB, h Harness) {
	k := h.Open(t)
	var keys [][]byte
	var wraps []kms.Wrapped
	for range 4 {
		key := randomKey()
		keys, wraps = append(keys, key), append(wraps, mustWrap(t, k, key, binding))
		h.RotateRoot(t, k)
	}
	for i, w := range wraps {
		if got := mustUnwrap(t, k, w, binding); !bytes.Equal(got, keys[i]) {
			t.Errorf("the wrap made before rotation %d unwraps to another key", i+1)
		}
	}
}

func checkRewrap(t testing.TB, h Harness) {
	k := h.Open(t)
	r, ok := k.(kms.Rewrapper)
	if !ok {
		return // the interface is optional
	}
	key := randomKey()
	old := mustWrap(t, k, key, binding)
	h.RotateRoot(t, k)
	moved, err := r.Rewrap(t.Context(), old, binding)
	if err != nil {
		t.Fatalf("Rewrap: %v", err)
	}
	if moved.RootKey != mustCurrent(t, k) || moved.Validate() != nil {
		t.Errorf("Rewrap wrote root key %q and %d bytes, Current is %q",
			moved.RootKey, len(moved.Blob), mustCurrent(t, k))
	}
	for what, w := range map[string]kms.Wrapped{"the moved wrap": moved, "the old wrap": old} {
		if got := mustUnwrap(t, k, w, binding); !bytes.Equal(got, key) {
			t.Errorf("%s unwraps to another key", what)
		}
	}
	refusedElsewhere(t, k, moved)
}

func checkRewrapInPlace(t testing.TB, h Harness) {
	k := h.Open(t)
	r, ok := k.(kms.Rewrapper)
	if !ok {
		return // the interface is optional
	}
	key := randomKey()
	w, err := r.Rewrap(t.Context(), mustWrap(t, k, key, binding), binding)
	if err != nil {
		t.Fatalf("Rewrap: %v", err)
	}
	if got := mustUnwrap(t, k, w, binding); !bytes.Equal(got, key) || w.RootKey != mustCurrent(t, k) {
		t.Errorf("the rewrapped key differs, or its root key %q is not the current one", w.RootKey)
	}
}

func checkSwappedVersions(t testing.TB, h Harness) {
	k := h.Open(t)
	old := mustWrap(t, k, randomKey(), binding)
	h.RotateRoot(t, k)
	now := mustWrap(t, k, randomKey(), binding)
	refused(t, k, kms.Wrapped{RootKey: now.RootKey, Blob: old.Blob}, "an old blob under the new root key", kms.ErrBinding)
	refused(t, k, kms.Wrapped{RootKey: old.RootKey, Blob: now.Blob}, "a new blob under the old root key", kms.ErrBinding)
}

func checkRotationSeen(t testing.TB, h Harness) {
	k := h.Open(t)
	second := h.Reopen(t, k)
	key := randomKey()
	h.RotateRoot(t, k)
	w := mustWrap(t, k, key, binding)
	if got := mustUnwrap(t, second, w, binding); !bytes.Equal(got, key) {
		t.Errorf("the second KMS unwraps another key")
	}
	if got := mustWrap(t, second, key, binding); got.RootKey != w.RootKey {
		t.Errorf("the second KMS still wraps under %q, want %q", got.RootKey, w.RootKey)
	}
}
