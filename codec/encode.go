package codec

import (
	"encoding/binary"
	"time"
)

// Encode appends the canonical binary form of v to dst. null tells that v is SQL NULL, in which case (and in case
// of an error) out is dst as it was. In all other cases out is not nil, even for an empty value.
//
// NULL are nil, nil pointers, nil slices and nil maps, Null types and pgtype values that are not Valid, a
// driver.Valuer that gives nil, and the zero netip.Addr and netip.Prefix. An empty string, slice or map is not.
//
// A value of a type that the logical type does not know is simplified step by step: its Value method
// (driver.Valuer); MarshalText for text, MarshalBinary for bytea, json.Marshal for json and jsonb; its basic kind;
// MarshalText for the rest; what a pointer points at. Errors are *Error and never hold the value.
func (t Type) Encode(dst []byte, v any) (out []byte, null bool, err error) {
	if out, ok := t.encodeFast(dst, v); ok {
		return notNil(out), false, nil
	}
	if !t.Valid() {
		return dst, false, invalidType(opEncode, goTypeName(v))
	}
	var f *fault
	if t.array {
		out, f = encodeArray(t, dst, v)
	} else {
		out, f = opsOf(t.kind).encode(t, dst, v)
	}
	switch {
	case f.isNull():
		return dst, true, nil
	case f != nil:
		return dst, false, encodeError(t, goTypeName(v), f)
	}
	return notNil(out), false, nil
}

// notNil keeps an empty value apart from NULL, which is nil.
func notNil(out []byte) []byte {
	if out == nil {
		return []byte{}
	}
	return out
}

func invalidType(op, goType string) error {
	return newError(Type{}, goType, op, &fault{state: stateMismatch, reason: "the zero Type is no type; make one with ParseType or TypeOf"})
}

// encodeFast does the commonest pairs without reflection. ok is false for all others, and for values that need an
// error: the general way makes it.
func (t Type) encodeFast(dst []byte, v any) (out []byte, ok bool) {
	if t.array {
		return dst, false
	}
	switch x := v.(type) {
	case string:
		if t.fitsUnchanged(x) {
			return append(dst, x...), true
		}
	case *string:
		if x != nil && t.fitsUnchanged(*x) {
			return append(dst, *x...), true
		}
	case []byte:
		if t.kind == kindBytea && x != nil {
			return append(dst, x...), true
		}
	case int64:
		if t.kind == kindInt8 {
			return binary.BigEndian.AppendUint64(dst, uint64(x)), true
		}
	case bool:
		if t.kind == kindBool {
			return boolForm{}.appendBinary(t, dst, x), true
		}
	case time.Time:
		if t.kind == kindTimestamptz && !t.modified {
			if n, f := stampOfTime(t, x); f == nil {
				return binary.BigEndian.AppendUint64(dst, uint64(n)), true
			}
		}
	}
	return dst, false
}

// fitsUnchanged says whether s is its own binary form: text, or a varchar that cannot be too long because it has
// no more bytes than characters allowed.
func (t Type) fitsUnchanged(s string) bool {
	return (t.kind == kindText || (t.kind == kindVarchar && (!t.modified || len(s) <= int(t.size)))) && validText(s)
}
