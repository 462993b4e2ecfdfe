package codec

import (
	"fmt"
	"strconv"
)

// Type is a logical type: what a sealed column would be in PostgreSQL if it were not sealed. It is a comparable
// value: two Types are the same type, modifiers included, when they are ==. The zero Type is invalid; Types come
// from [ParseType] and [TypeOf].
type Type struct {
	kind     kind
	array    bool
	modified bool  // size (and scale) were given
	size     int32 // characters, numeric precision, or fractional digits of a second
	scale    int16 // numeric only
}

// Valid says whether t names a type.
func (t Type) Valid() bool { return t.kind.valid() }

// IsArray says whether t is an array.
func (t Type) IsArray() bool { return t.array }

// Elem is the element type of an array, modifiers included, and t itself for anything else.
func (t Type) Elem() Type {
	t.array = false
	return t
}

// String is the canonical spelling: "varchar(45)", "numeric(10,2)", "int4[]". ParseType gives t back from it.
// A char without a length is spelled "bpchar", as in PostgreSQL. The zero Type is "invalid".
func (t Type) String() string {
	if !t.Valid() {
		return "invalid"
	}
	s := t.kind.name()
	switch {
	case t.kind == kindChar && !t.modified:
		s = "bpchar"
	case t.kind == kindNumeric && t.modified:
		s += "(" + strconv.Itoa(int(t.size)) + "," + strconv.Itoa(int(t.scale)) + ")"
	case t.modified:
		s += "(" + strconv.Itoa(int(t.size)) + ")"
	}
	if t.array {
		s += "[]"
	}
	return s
}

// Code is Rowseal's own code for t, the one written into sealed values: text 1, varchar 2, char 3, bytea 4, bool 5,
// int2 6, int4 7, int8 8, float4 9, float8 10, numeric 11, date 12, time 13, timestamp 14, timestamptz 15,
// interval 16, uuid 17, json 18, jsonb 19, inet 20; arrays have the high bit (0x80) set. Modifiers are not part of
// it, so that varchar(45) may become varchar(60) without resealing. The zero Type has code 0.
func (t Type) Code() byte {
	if t.array {
		return byte(t.kind) | arrayBit
	}
	return byte(t.kind)
}

// CodeName names a stored type code: "text", "int4[]", or "unknown 0x2a".
func CodeName(code byte) string {
	k := kind(code &^ arrayBit)
	if !k.valid() {
		return fmt.Sprintf("unknown 0x%02x", code)
	}
	if code&arrayBit != 0 {
		return k.name() + "[]"
	}
	return k.name()
}

// OID is PostgreSQL's type OID of t (the array type's OID for arrays), 0 for the zero Type. Modifiers have no part
// in it: on the wire they are the type modifier, see [Type.Modifier].
func (t Type) OID() uint32 {
	if t.array {
		return t.kind.arrayOID()
	}
	return t.kind.oid()
}

// Modifier is PostgreSQL's atttypmod of t, as it stands in RowDescription; -1 where t has no modifier.
func (t Type) Modifier() int32 {
	const header = 4 // VARHDRSZ, which the server adds to character and numeric modifiers
	switch {
	case !t.modified:
		return -1
	case t.kind == kindNumeric:
		return (t.size<<16 | int32(t.scale)&0x7ff) + header
	case t.kind == kindInterval:
		return 0x7fff<<16 | t.size // all fields, precision
	case t.kind.timed():
		return t.size
	}
	return t.size + header
}
