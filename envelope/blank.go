package envelope

import (
	"bytes"
	"crypto/rand"
	"slices"
)

// AppendBlank appends to dst a value of v's form that nothing opens: as long as v, with its column, type, suite,
// flags, term-set id and the names in its key reference, zeros in place of the wrapped key, and random bytes in place of
// search terms, nonce, ciphertext and tag. It is for what is left of a value whose key was destroyed.
func (v *Value) AppendBlank(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, v.raw...)
	b := dst[from:]
	for flag, at := range map[Flags]int{FlagEquality: EqualityOffset, FlagSecond: SecondOffset} {
		if v.Flags&flag != 0 {
			_, _ = rand.Read(b[at : at+EqualitySize]) // never fails: crypto/rand
		}
	}
	if v.Flags&FlagTerms != 0 {
		randomTerms(b[v.terms:v.keyRef])
	}
	clear(b[v.nonceOff-len(v.Wrapped()) : v.nonceOff])
	_, _ = rand.Read(b[v.nonceOff:])
	return dst
}

// Blank reports whether v carries zeros in place of its wrapped key, as [Value.AppendBlank] leaves them: no KMS and no tenant key
// made it, and none opens it. In ModeTenant, where there is no wrapped key, it is always false: the tenant key's record says what
// became of it.
func (v *Value) Blank() bool { return BlankKey(v.Wrapped()) }

// BlankKey is [Value.Blank] for a wrapped key by itself.
func BlankKey(wrapped []byte) bool {
	return len(wrapped) > 0 && !slices.ContainsFunc(wrapped, func(b byte) bool { return b != 0 })
}

// randomTerms fills t with random terms in rising order, no two alike.
func randomTerms(t []byte) {
	for ok := false; !ok; ok = ascending(t) {
		list := make([][]byte, len(t)/termSize)
		for i := range list {
			list[i] = make([]byte, termSize)
			_, _ = rand.Read(list[i])
		}
		slices.SortFunc(list, bytes.Compare)
		copy(t, slices.Concat(list...))
	}
}
