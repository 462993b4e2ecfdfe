package codec

import (
	"database/sql"
	"encoding/binary"
	"net/netip"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Decode reads the canonical binary form src into dst, a non-nil pointer. src nil is SQL NULL; src empty but not
// nil is an empty value. Nothing in dst refers to src afterwards.
//
// NULL sets pointers, slices, maps, any and the zero netip.Addr and netip.Prefix to their zero value and makes
// Null types and pgtype values invalid; for other destinations the error matches ErrNull.
//
// Times come in UTC. A destination that the logical type does not know is tried as sql.Scanner (which gets the
// value of [Type.Natural]), by its basic kind, as an unmarshaler of text (or of binary, for bytea), and, being a
// string or byte slice, gets PostgreSQL's text form; json and jsonb are unmarshaled into it. Numbers are converted
// when they fit exactly; float8 and numeric may be rounded to the nearest float.
func (t Type) Decode(src []byte, dst any) error {
	if src != nil && t.decodeFast(src, dst) {
		return nil
	}
	if !t.Valid() {
		return invalidType(opDecode, goTypeName(dst))
	}
	rv := reflect.ValueOf(dst)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return decodeError(t, goTypeName(dst), &fault{state: stateMismatch, reason: "the destination must be a pointer that is not nil"})
	}
	if f := assign(t, src, rv.Elem()); f != nil {
		return decodeError(t, goTypeName(dst), f)
	}
	return nil
}

// decodeFast does the commonest pairs without reflection; false leaves dst alone.
func (t Type) decodeFast(src []byte, dst any) bool {
	if t.array {
		return false
	}
	switch d := dst.(type) {
	case *string:
		if !t.kind.isText() || d == nil {
			return false
		}
		s := string(src)
		if !validText(s) {
			return false
		}
		*d = s
		return true
	case *[]byte:
		if t.kind != kindBytea || d == nil {
			return false
		}
		b := make([]byte, len(src))
		copy(b, src)
		*d = b
		return true
	case *int64:
		if t.kind != kindInt8 || d == nil || len(src) != 8 {
			return false
		}
		*d = int64(binary.BigEndian.Uint64(src))
		return true
	case *bool:
		if t.kind != kindBool || d == nil || len(src) != 1 || src[0] > 1 {
			return false
		}
		*d = src[0] == 1
		return true
	case *time.Time:
		return t.kind == kindTimestamptz && d != nil && decodeStamp(t, src, d)
	}
	return false
}

func decodeStamp(t Type, src []byte, d *time.Time) bool {
	n, f := stampForm{}.fromBinary(t, src)
	if f != nil || n == stampInfinity || n == stampMinusInfinity {
		return false
	}
	*d = timeOfMicros(n)
	return true
}

// assign is Decode inside: rv can be set.
func assign(t Type, src []byte, rv reflect.Value) *fault {
	switch {
	case src == nil:
		return assignNull(rv)
	case t.array:
		return assignArray(t, src, rv)
	}
	return opsOf(t.kind).assign(t, src, rv)
}

// assignNull sets rv to what says NULL in its type.
func assignNull(rv reflect.Value) *fault {
	p := rv.Addr().Interface()
	if s, ok := p.(pgtype.ArraySetter); ok {
		if err := s.SetDimensions(nil); err != nil {
			return noPlaceForNull()
		}
		return nil
	}
	if s, ok := p.(sql.Scanner); ok && rv.Kind() != reflect.Pointer {
		if err := s.Scan(nil); err != nil {
			return noPlaceForNull()
		}
		return nil
	}
	switch rv.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		rv.SetZero()
		return nil
	}
	switch p.(type) {
	case *netip.Addr, *netip.Prefix:
		rv.SetZero()
		return nil
	}
	return noPlaceForNull()
}

func noPlaceForNull() *fault {
	return &fault{state: stateNull, reason: "NULL does not fit the destination; use a pointer or a sql.Null type", null: true}
}

// Natural gives the driver value that pgx's database/sql driver gives for such a column: string for text, varchar
// and char; []byte for bytea, json and jsonb; bool; int64 for all integers; float64 for both floats; time.Time in
// UTC for date, timestamp and timestamptz (the string "infinity" or "-infinity" where they are infinite); and the
// text form in a string for numeric, time, interval, uuid, inet and all arrays. src nil gives nil.
func (t Type) Natural(src []byte) (any, error) {
	var v any
	if err := t.Decode(src, &v); err != nil {
		return nil, err
	}
	return v, nil
}
