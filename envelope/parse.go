package envelope

import (
	"encoding/binary"
	"unicode/utf8"
)

// Parse reads b as a sealed value, strictly: there is one way to write each
// value, every length is checked against its bound before it is used, and
// unknown suites, reserved flags and trailing bytes are refused. It returns
// ErrNotSealed where the magic byte is missing and ErrMalformed otherwise.
// The value refers to b, which must not change while it is used.
func Parse(b []byte) (Value, error) {
	var v Value
	err := v.Parse(b)
	return v, err
}

// Parse is the function Parse into v, which saves a copy. On an error v is
// not to be used.
func (v *Value) Parse(b []byte) error {
	if len(b) == 0 || b[0] != Magic {
		return ErrNotSealed
	}
	if len(b) < MinSize {
		return malformed(len(b), "ends early: a sealed value has at least %d bytes", MinSize)
	}
	v.Column, v.Type, v.Suite, v.Flags = ColumnID(b[1:5]), b[5], Suite(b[6]), Flags(b[7])
	v.raw, v.terms = b, 0
	if v.Suite.salted() && v.Flags&^(FlagEquality|FlagClaim|FlagPadded) == 0 && v.Column != (ColumnID{}) && v.Type&0x7f != 0 {
		// Tenant key, at most one equality term: the common layouts, whose offsets are fixed.
		v.keyRef = fixedSize + EqualitySize*int(v.Flags&FlagEquality)
		if v.nonceOff = v.keyRef + KeyIDSize; v.nonceOff <= len(b) {
			return v.checkLength()
		}
	}
	if err := v.checkFixed(); err != nil {
		return err
	}
	r := reader{b: b, off: fixedSize}
	v.parseTerms(&r)
	v.keyRef = r.off
	v.parseKeyRef(&r)
	v.nonceOff = r.off
	if r.err != nil {
		return r.err
	}
	return v.checkLength()
}

// checkLength checks what follows the key reference.
func (v *Value) checkLength() error {
	if n := v.Len(); n < 0 {
		return malformed(len(v.raw), "ends early: nonce and tag are missing")
	} else if n > MaxPlaintext {
		return malformed(v.nonceOff, "plaintext is longer than %d bytes", MaxPlaintext)
	}
	return nil
}

func (v *Value) checkFixed() error {
	m := v.Mode()
	switch {
	case v.Column == ColumnID{}:
		return malformed(1, "column id is zero")
	case v.Type&0x7f == 0:
		return malformed(5, "type is zero")
	case v.Suite < SuiteRow || v.Suite > SuiteRowHKDF:
		return malformed(6, "%v", v.Suite)
	case v.Flags&flagReserved != 0:
		return malformed(7, "reserved flag is set")
	case v.Flags&FlagSecond != 0 && v.Flags&FlagEquality == 0:
		return malformed(7, "second equality term without a first")
	case m > ModeKMS:
		return malformed(7, "%v", m)
	case !v.Suite.fits(m):
		return malformed(6, "suite %d does not go with key mode %v", byte(v.Suite), m)
	}
	return nil
}

func (v *Value) parseTerms(r *reader) {
	if v.Flags&FlagEquality != 0 {
		r.take(EqualitySize)
	}
	if v.Flags&FlagSecond != 0 {
		r.take(EqualitySize)
	}
	if v.Flags&FlagTerms != 0 {
		r.take(2) // the term-set id
		n := int(r.uint16())
		v.terms = r.off
		if terms := r.take(n * termSize); !ascending(terms) {
			r.fail(v.terms, "terms are not ascending and unique")
		}
	}
}

func (v *Value) parseKeyRef(r *reader) {
	if v.Mode() != ModeKMS {
		r.take(KeyIDSize)
		if v.Mode() == ModeRow {
			r.take(WrappedRowSize)
		}
		return
	}
	r.name("root key id")
	r.name("tenant")
	n := int(r.uint16())
	if n < minWrapped || n > MaxWrapped {
		r.fail(r.off-2, "wrapped key of %d bytes; %d to %d are allowed", n, minWrapped, MaxWrapped)
	}
	r.take(n)
}

// reader takes bytes from the front and remembers the first failure.
type reader struct {
	b   []byte
	off int
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b)-r.off {
		r.fail(r.off, "ends early: %d bytes expected", n)
		return nil
	}
	s := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return s
}

func (r *reader) uint16() uint16 {
	if s := r.take(2); s != nil {
		return binary.BigEndian.Uint16(s)
	}
	return 0
}

// name takes 1 to 255 bytes of UTF-8 behind their length.
func (r *reader) name(what string) {
	n := r.take(1)
	if n == nil {
		return
	}
	if s := r.take(int(n[0])); len(s) == 0 || !utf8.Valid(s) {
		r.fail(r.off, "%s is empty or not UTF-8", what)
	}
}

// fail remembers a failure unless there was one before.
func (r *reader) fail(offset int, format string, args ...any) {
	if r.err == nil {
		r.err = malformed(offset, format, args...)
	}
}
