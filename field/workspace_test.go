package field

import (
	"bytes"
	"errors"
	"testing"
)

// What a workspace held is gone when others get it, also after it moved or an
// encoder failed half-way.
func TestAReleasedWorkspaceHoldsNoCanonicalBytes(t *testing.T) {
	small := make([]byte, 0, 4)
	w := &workspace{canonical: small}
	w.keepCanonical(append(w.canonical, "ab"...), nil)
	w.keepCanonical(append(w.canonical, "cdef"...), nil)
	large := w.canonical
	w.keepCanonical(append(large[:0], "x"...), nil)
	_ = append(large[:1], "yz"...)
	w.keepCanonical(nil, errors.New("half-way"))
	w.release()
	for _, b := range [][]byte{small[:cap(small)], large[:cap(large)]} {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("%q is left", b)
		}
	}
}
