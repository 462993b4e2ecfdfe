package envelope

import (
	"bytes"
	"crypto/rand"
	"slices"
)

// AppendBlank appends to dst a value of v's form that nothing opens: as long as v, with its column, type, suite,
// flags, term-set id and the names in its key reference, and random bytes in place of search terms, wrapped key,
// nonce, ciphertext and tag. It is for what is left of a value whose key was destroyed.
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
	_, _ = rand.Read(b[v.nonceOff-len(v.Wrapped()):])
	return dst
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
