package blindindex

// EqualitySize is the length of an equality term in bytes. With 128 bits, two
// different values of a column share a term with a chance of 2^-64 after 2^32
// values.
const EqualitySize = 16

// KindEquality stands in the derivation of the keys that make equality terms;
// other kinds of term get keys of their own. It never changes.
const KindEquality = "equality"

// Equality appends to dst the equality term of a value: the first 16 bytes of
// HMAC-SHA256 under k (RFC 2104, truncated as its section 5 allows) of the
// value's canonical form, in which SQL equality is equality of bytes.
//
// With room in dst it allocates nothing. dst and canonical may be nil.
func (k *Key) Equality(dst, canonical []byte) []byte {
	s := k.states.Get().(*state)
	_, _ = s.mac.Write(canonical) // never fails: hash.Hash
	dst = append(dst, s.mac.Sum(s.sum[:0])[:EqualitySize]...)
	s.mac.Reset() // forgets canonical before others hold the state
	k.states.Put(s)
	return dst
}
