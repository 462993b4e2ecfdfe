package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Family is the first byte of canonical forms: the code (see [Type.Code]) of the type that stands for all those
// that PostgreSQL compares with t as one. text stands for varchar and char, int8 for all integers, float8 for
// float4; every other type is its own family. Arrays have the high bit set. It is 0 where there is no equality:
// json, json[] and the zero Type.
func (t Type) Family() byte {
	t.kind = t.kind.family()
	if t.kind == kindJSON || !t.Valid() {
		return 0
	}
	return t.Code()
}

// HasEquality says whether PostgreSQL has an operator = for t, and t therefore canonical forms.
func (t Type) HasEquality() bool { return t.Family() != 0 }

// family is the kind that stands for all those compared with k as one.
func (k kind) family() kind {
	switch k {
	case kindText, kindVarchar, kindChar:
		return kindText
	case kindInt2, kindInt4, kindInt8:
		return kindInt8
	case kindFloat4, kindFloat8:
		return kindFloat8
	default:
		return k
	}
}

// Canonical appends to dst the canonical form of plain, which is the binary form that [Type.Encode] gives. Two
// values of one family have the same canonical form exactly when PostgreSQL's = finds them equal (for text, under a
// deterministic collation); values of different families never have. docs/FORMAT.md specifies the bytes, which will
// not change. Modifiers play no part.
//
// The form is as secret as the value. Scalar types other than jsonb need no memory but dst.
//
// Trailing spaces of a char do not count, so a char equals the text that PostgreSQL casts it to. Where the server
// compares a char with a varchar it takes both for char; here the spaces of a varchar count, as everywhere else.
//
// A type without equality, and bytes that are not the binary form of t, are an *Error; dst is then returned as it was.
func (t Type) Canonical(dst, plain []byte) ([]byte, error) {
	family := t.Family()
	if family == 0 {
		return dst, newError(t, "binary", opCompare, noEquality(t))
	}
	out := append(dst, family)
	var f *fault
	if t.array {
		out, f = canonicalArray(t, out, plain)
	} else {
		out, f = canonicalScalar(t, out, plain)
	}
	if f != nil {
		return dst, newError(t, "binary", opCompare, f)
	}
	return out, nil
}

func noEquality(t Type) *fault {
	if t.kind == kindJSON {
		return &fault{state: stateUndefined, reason: "json has no equality, in PostgreSQL neither; declare the column as jsonb"}
	}
	return &fault{state: stateMismatch, reason: "the zero Type is no type; make one with ParseType or TypeOf"}
}

// canonicalScalar appends the canonical form of one value without the family byte.
func canonicalScalar(t Type, dst, plain []byte) ([]byte, *fault) {
	switch t.kind {
	case kindText, kindVarchar, kindChar:
		return canonicalText(t, dst, plain)
	case kindInt2, kindInt4, kindInt8:
		n, f := intForm{}.fromBinary(t, plain)
		return binary.BigEndian.AppendUint64(dst, uint64(n)), f
	case kindFloat4, kindFloat8:
		x, f := floatForm{}.fromBinary(t, plain)
		return canonicalFloat(dst, x), f
	case kindNumeric:
		return canonicalNumeric(t, dst, plain)
	case kindInterval:
		x, f := intervalForm{}.fromBinary(t, plain)
		return canonicalInterval(dst, x), f
	case kindJSONB:
		return canonicalJSON(t, dst, plain)
	case kindInet:
		return canonicalInet(t, dst, plain)
	}
	// What is left has one binary form for each value.
	return append(dst, plain...), checkBinary(t, plain)
}

// checkBinary refuses plain if it is not the binary form of a type whose equality is that of its bytes.
func checkBinary(t Type, plain []byte) (f *fault) {
	switch t.kind {
	case kindBytea:
	case kindBool:
		_, f = boolForm{}.fromBinary(t, plain)
	case kindDate:
		_, f = dateForm{}.fromBinary(t, plain)
	case kindTime:
		_, f = timeForm{}.fromBinary(t, plain)
	case kindTimestamp, kindTimestamptz:
		_, f = stampForm{}.fromBinary(t, plain)
	case kindUUID:
		_, f = uuidForm{}.fromBinary(t, plain)
	default:
		panic("rowseal: internal error: codec: no canonical form for a type code")
	}
	return f
}

// canonicalText strips the padding of char, and only of char: the spaces of text count.
func canonicalText(t Type, dst, plain []byte) ([]byte, *fault) {
	if !utf8.Valid(plain) || bytes.IndexByte(plain, 0) >= 0 {
		return dst, charactersFault(t)
	}
	if t.kind == kindChar {
		plain = bytes.TrimRight(plain, " ")
	}
	return append(dst, plain...), nil
}

// canonicalFloat widens, which is exact, and makes one of both zeros and of all NaNs.
func canonicalFloat(dst []byte, x float64) []byte {
	if x == 0 {
		return binary.BigEndian.AppendUint64(dst, 0)
	}
	return floatForm{}.appendBinary(Type{kind: kindFloat8}, dst, x)
}

// canonicalInterval follows interval_cmp_value: a month is 30 days, a day 24 hours. The sum can have more than 64
// bits of microseconds, so it stays in days and the microseconds of a day.
func canonicalInterval(dst []byte, x span) []byte {
	carry := floorDiv64(x.micros, microsPerDay)
	days := int64(x.months)*30 + int64(x.days) + carry
	dst = binary.BigEndian.AppendUint64(dst, uint64(days))
	return binary.BigEndian.AppendUint64(dst, uint64(x.micros-carry*microsPerDay))
}

// canonicalInet leaves out the cidr flag and the length, which follows from the family.
func canonicalInet(t Type, dst, plain []byte) ([]byte, *fault) {
	if _, f := (inetForm{}).fromBinary(t, plain); f != nil {
		return dst, f
	}
	dst = append(dst, plain[0], plain[1])
	return append(dst, plain[4:]...), nil
}

// canonicalArray appends what array_eq compares: dimensions, lower bounds and elements. NULL elements equal each
// other there.
func canonicalArray(t Type, dst, plain []byte) ([]byte, *fault) {
	r, f := readArray(t, plain)
	if f != nil {
		return dst, f
	}
	dst = append(dst, byte(len(r.dims)))
	for _, d := range r.dims {
		dst = binary.BigEndian.AppendUint32(dst, uint32(d.Length))
		dst = binary.BigEndian.AppendUint32(dst, uint32(d.LowerBound))
	}
	for r.n > 0 {
		elem, f := r.next()
		if f != nil {
			return dst, f
		}
		if dst, f = canonicalElement(t.Elem(), dst, elem); f != nil {
			return dst, f
		}
	}
	return dst, r.checkEnd()
}

// canonicalElement puts the length of an element before it, as the binary form does: all ones for NULL.
func canonicalElement(t Type, dst, elem []byte) ([]byte, *fault) {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	if elem == nil {
		return dst, nil
	}
	dst, f := canonicalScalar(t, dst, elem)
	if f != nil {
		return dst, f
	}
	if len(dst)-at-4 > math.MaxInt32 {
		return dst, arrayTooLarge()
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, nil
}
