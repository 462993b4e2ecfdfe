package envelope

import (
	"encoding/binary"
	"encoding/hex"
)

// A sealed value, in bytes (integers big-endian):
//
//	 0  magic 1 · column id 4 · type 1 · suite 1 · flags 1
//	 8  [equality term 16]             flag 0x01
//	24  [second equality term 16]      flag 0x02, only with 0x01
//	    [term-set id 2 · count 2 · count terms of 8, ascending, unique]  flag 0x04
//	    key reference                  flags 0x60
//	      00 tenant: key id 8
//	      01 row:    key id 8 · wrapped row key 72
//	      10 kms:    length 1 · root key id · length 1 · tenant · length 2 · wrapped key
//	    nonce (24 for salted suites, else 12) · ciphertext · tag 16
//
// Flag 0x08 says that the plaintext begins with a row claim, 0x10 that it is
// padded; 0x80 is reserved for compression and must be clear.
const (
	// Magic is the first byte of every sealed value. It is never valid in UTF-8.
	Magic byte = 0xF5
	// MaxPlaintext bounds a value's plaintext, claim and padding included.
	MaxPlaintext = 64 << 20
	// MaxTerms bounds the search terms of a value.
	MaxTerms = 65535
	// MaxWrapped bounds a KMS-wrapped key in a value.
	MaxWrapped = 6144
	// MinSize is the length of the shortest sealed value: tenant key, no
	// terms, empty plaintext.
	MinSize = fixedSize + KeyIDSize + SaltSize + gcmNonceSize + tagSize
	// GuardSize is how many leading bytes of a column's values are the same:
	// magic, column id and type. CHECK guards compare them.
	GuardSize = 6
	// EqualityOffset and SecondOffset are where the equality terms stand.
	EqualityOffset = 8
	SecondOffset   = 24
	// EqualitySize is the length of an equality term.
	EqualitySize = 16
	// KeyIDSize is the length of a tenant key's id.
	KeyIDSize = 8
	// SaltSize is the length of the part of a salted suite's nonce that
	// chooses the derived key.
	SaltSize = 12

	// WrappedRowSize is the length of a row key as ModeRow values carry it.
	WrappedRowSize = SaltSize + gcmNonceSize + keySize + tagSize

	fixedSize    = 8
	termSize     = 8
	gcmNonceSize = 12
	tagSize      = 16
	keySize      = 32
	minWrapped   = keySize
	maxName      = 255
)

// Flags is the flags byte of a value.
type Flags byte

// The flags. Key modes are read with [Flags.Mode].
const (
	FlagEquality Flags = 0x01
	FlagSecond   Flags = 0x02
	FlagTerms    Flags = 0x04
	FlagClaim    Flags = 0x08
	FlagPadded   Flags = 0x10

	flagModeShift       = 5
	flagMode      Flags = 0x60
	flagReserved  Flags = 0x80
)

// Mode returns the key mode that f holds.
func (f Flags) Mode() Mode { return Mode(f & flagMode >> flagModeShift) }

// Flags returns the flags byte of a value of key mode m that has nothing else.
func (m Mode) Flags() Flags { return Flags(m) << flagModeShift }

// KeyID names a tenant key: 8 random bytes, unique in its key store.
type KeyID [KeyIDSize]byte

// String returns the id as 16 lower-case hex digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ColumnID stands for a table and column in every value: see [NewField].
type ColumnID [4]byte

// Value is a parsed sealed value. It refers to the bytes parsed; what it says
// is as the value claims it and proves nothing before [Open] succeeds.
type Value struct {
	Column ColumnID
	Type   byte // the codec's type code, 0x80 for arrays
	Suite  Suite
	Flags  Flags

	raw      []byte
	terms    int // offset of the first 8-byte term; 0 without FlagTerms
	keyRef   int // offset of the key reference
	nonceOff int
}

// Mode returns how the value's key is found.
func (v *Value) Mode() Mode { return v.Flags.Mode() }

// Equality returns the 16-byte equality term, or nil.
func (v *Value) Equality() []byte {
	return v.termAt(FlagEquality, EqualityOffset)
}

// Second returns the second 16-byte equality term, or nil.
func (v *Value) Second() []byte {
	return v.termAt(FlagSecond, SecondOffset)
}

func (v *Value) termAt(f Flags, offset int) []byte {
	if v.Flags&f == 0 {
		return nil
	}
	return v.raw[offset : offset+EqualitySize : offset+EqualitySize]
}

// Terms returns the term-set id and the ascending 8-byte terms, end to end;
// zero and nil without FlagTerms.
func (v *Value) Terms() (set uint16, terms []byte) {
	if v.Flags&FlagTerms == 0 {
		return 0, nil
	}
	return binary.BigEndian.Uint16(v.raw[v.terms-4:]), v.raw[v.terms:v.keyRef:v.keyRef]
}

// KeyID returns the tenant key's id; zero in ModeKMS.
func (v *Value) KeyID() (id KeyID) {
	if v.Mode() != ModeKMS {
		id = KeyID(v.raw[v.keyRef:])
	}
	return id
}

// Salt returns the part of the nonce that chooses the derived key: 12 bytes
// for the salted suites, zero otherwise.
func (v *Value) Salt() (s [SaltSize]byte) {
	if v.Suite.salted() {
		s = [SaltSize]byte(v.raw[v.nonceOff:])
	}
	return s
}

// SaltedID returns, for ModeTenant, the tenant key's id and the salt as they
// stand side by side in the value: 20 bytes that name the derived key of a
// column and suite.
func (v *Value) SaltedID() []byte {
	return v.raw[v.keyRef : v.keyRef+KeyIDSize+SaltSize]
}

// Wrapped returns the wrapped row key: 72 bytes in ModeRow, 32 to 6,144 in
// ModeKMS, nil in ModeTenant.
func (v *Value) Wrapped() []byte {
	switch v.Mode() {
	case ModeRow:
		return v.raw[v.keyRef+KeyIDSize : v.nonceOff : v.nonceOff]
	case ModeKMS:
		_, _, wrapped := v.kmsRef()
		return wrapped
	}
	return nil
}

// RootKey returns the id of the root key that wraps a ModeKMS row key.
func (v *Value) RootKey() string {
	root, _, _ := v.kmsRef()
	return string(root)
}

// Tenant returns the tenant that a ModeKMS value names; "" in other modes,
// where it follows from the key's record.
func (v *Value) Tenant() string {
	_, tenant, _ := v.kmsRef()
	return string(tenant)
}

func (v *Value) kmsRef() (root, tenant, wrapped []byte) {
	if v.Mode() != ModeKMS {
		return nil, nil, nil
	}
	ref := v.raw[v.keyRef:v.nonceOff:v.nonceOff]
	root, ref = counted(ref)
	tenant, ref = counted(ref)
	return root, tenant, ref[2:]
}

// counted takes off what stands behind its length of one byte. The length is an int before 1 is added to it: 255+1 is no byte.
func counted(ref []byte) (part, rest []byte) {
	end := 1 + int(ref[0])
	return ref[1:end], ref[end:]
}

// BoundHeader returns the header bytes that the value's associated data ends
// with: all before the nonce, for row keys all before the key reference.
func (v *Value) BoundHeader() []byte {
	if v.Mode() == ModeTenant {
		return v.raw[:v.nonceOff]
	}
	return v.raw[:v.keyRef]
}

// Len is the length of the plaintext, claim and padding included.
func (v *Value) Len() int {
	return len(v.raw) - v.nonceOff - v.Suite.nonceLen() - tagSize
}

// Bytes returns the bytes that v was parsed from.
func (v *Value) Bytes() []byte { return v.raw }

// Append appends the value as stored to dst, written anew from what was
// parsed. Parsing and appending gives the input back.
func (v *Value) Append(dst []byte) []byte {
	set, terms := v.Terms()
	dst = appendHeader(dst, &Header{
		Column: v.Column, Type: v.Type, Equality: v.Equality(), Second: v.Second(),
		HasTerms: v.Flags&FlagTerms != 0, TermSet: set, Terms: terms,
		Claim: v.Flags&FlagClaim != 0, Padded: v.Flags&FlagPadded != 0,
	}, v.Suite, v.Mode())
	dst = v.appendKeyRef(dst)
	return append(dst, v.raw[v.nonceOff:]...)
}

func (v *Value) appendKeyRef(dst []byte) []byte {
	if root, tenant, wrapped := v.kmsRef(); root != nil {
		return appendKMSRef(dst, root, tenant, wrapped)
	}
	id := v.KeyID()
	return append(append(dst, id[:]...), v.Wrapped()...)
}

func appendKMSRef[T ~[]byte | ~string](dst []byte, root, tenant T, wrapped []byte) []byte {
	dst = append(append(dst, byte(len(root))), root...)
	dst = append(append(dst, byte(len(tenant))), tenant...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(wrapped)))
	return append(dst, wrapped...)
}

// Header is what Seal writes before the key reference.
type Header struct {
	Column   ColumnID
	Type     byte
	Equality []byte // 16 bytes, or nil
	Second   []byte // 16 bytes, or nil; only with Equality
	HasTerms bool   // the column carries a term set, possibly empty
	TermSet  uint16
	Terms    []byte // ascending, unique 8-byte terms, end to end
	Claim    bool   // the plaintext begins with a row claim
	Padded   bool   // the plaintext is padded
}

func (h *Header) flags() Flags {
	var f Flags
	if h.Equality != nil {
		f |= FlagEquality
	}
	if h.Second != nil {
		f |= FlagSecond
	}
	if h.HasTerms {
		f |= FlagTerms
	}
	if h.Claim {
		f |= FlagClaim
	}
	if h.Padded {
		f |= FlagPadded
	}
	return f
}

// check refuses a header that Parse would refuse.
func (h *Header) check() error {
	switch {
	case h.Equality != nil && len(h.Equality) != EqualitySize,
		h.Second != nil && len(h.Second) != EqualitySize:
		return malformed(EqualityOffset, "an equality term has %d bytes", EqualitySize)
	case h.Second != nil && h.Equality == nil:
		return malformed(EqualityOffset, "a second equality term stands without a first")
	case len(h.Terms) > MaxTerms*termSize:
		return ErrTooLong
	case !h.HasTerms && (len(h.Terms) != 0 || h.TermSet != 0):
		return malformed(EqualityOffset, "terms without a term set")
	case !ascending(h.Terms):
		return malformed(EqualityOffset, "terms are not 8 bytes each, ascending and unique")
	}
	return nil
}

func appendHeader(dst []byte, h *Header, s Suite, m Mode) []byte {
	dst = append(dst, Magic, h.Column[0], h.Column[1], h.Column[2], h.Column[3],
		h.Type, byte(s), byte(h.flags()|m.Flags()))
	dst = append(dst, h.Equality...)
	dst = append(dst, h.Second...)
	if h.HasTerms {
		dst = binary.BigEndian.AppendUint16(dst, h.TermSet)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Terms)/termSize))
		dst = append(dst, h.Terms...)
	}
	return dst
}

// ascending reports whether t holds whole 8-byte terms in strictly rising order.
func ascending(t []byte) bool {
	if len(t)%termSize != 0 {
		return false
	}
	for i := termSize; i < len(t); i += termSize {
		if binary.BigEndian.Uint64(t[i-termSize:]) >= binary.BigEndian.Uint64(t[i:]) {
			return false
		}
	}
	return true
}
