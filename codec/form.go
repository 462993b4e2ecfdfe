package codec

import (
	"database/sql"
	"reflect"
)

// form is how one family of logical types (the integers, the character types, …) moves between its shapes. L is
// the family's value in memory: int64 for the integers, decimal for numeric. Everything a type can do is made of
// these steps, so encoding a Go value, a text and a client's binary parameter cannot come to differ.
type form[L any] interface {
	// fromGo takes the Go types that the family knows by name. ok is false for any other, which [unwrap] then
	// simplifies; a value that is NULL inside (a pgtype value not Valid) is reported by nullFault.
	fromGo(t Type, v any) (x L, ok bool, f *fault)
	// fromText reads PostgreSQL's text form.
	fromText(t Type, s string) (L, *fault)
	// fromBinary reads PostgreSQL's binary form, strictly.
	fromBinary(t Type, src []byte) (L, *fault)
	// fit applies the modifiers and checks the range.
	fit(t Type, x L) (L, *fault)
	// appendBinary and appendText write the two forms.
	appendBinary(t Type, dst []byte, x L) []byte
	appendText(t Type, dst []byte, x L) []byte
	// natural is the driver value, as pgx's database/sql driver would give it.
	natural(t Type, x L) any
	// scan gives x to destinations known by Go type or by pgtype's scanner interfaces; p is a pointer.
	scan(t Type, x L, p any) (done bool, f *fault)
	// assign sets rv by its reflect kind.
	assign(t Type, x L, rv reflect.Value) (done bool, f *fault)
}

// scalarOps is form with L hidden.
type scalarOps interface {
	encode(t Type, dst []byte, v any) ([]byte, *fault)
	parse(t Type, dst []byte, s string) ([]byte, *fault)
	receive(t Type, dst, src []byte) ([]byte, *fault)
	text(t Type, dst, src []byte) ([]byte, *fault)
	assign(t Type, src []byte, rv reflect.Value) *fault
}

func opsOf(k kind) scalarOps {
	switch k {
	case kindText, kindVarchar, kindChar:
		return via[string, textForm]{}
	case kindBytea:
		return via[[]byte, byteaForm]{}
	case kindBool:
		return via[bool, boolForm]{}
	case kindInt2, kindInt4, kindInt8:
		return via[int64, intForm]{}
	case kindFloat4, kindFloat8:
		return via[float64, floatForm]{}
	case kindNumeric:
		return via[decimal, numericForm]{}
	case kindDate:
		return via[int32, dateForm]{}
	case kindTime:
		return via[int64, timeForm]{}
	case kindTimestamp, kindTimestamptz:
		return via[int64, stampForm]{}
	case kindInterval:
		return via[span, intervalForm]{}
	case kindUUID:
		return via[[16]byte, uuidForm]{}
	case kindJSON, kindJSONB:
		return via[[]byte, jsonForm]{}
	case kindInet:
		return via[inetAddr, inetForm]{}
	}
	panic("rowseal: internal error: codec: no form for a type code")
}

// via makes scalarOps of a form. It has no fields, so it costs nothing to make.
type via[L any, F form[L]] struct{ form F }

// maxUnwrap bounds the chain pointer -> Valuer -> pointer … of one value.
const maxUnwrap = 12

func (o via[L, F]) encode(t Type, dst []byte, v any) ([]byte, *fault) {
	for range maxUnwrap {
		if isNil(v) {
			return dst, nullFault()
		}
		x, ok, f := o.form.fromGo(t, v)
		if f != nil {
			return dst, f
		}
		if ok {
			return o.finish(t, dst, x)
		}
		if v, f = unwrap(t.kind, v); f != nil {
			return dst, f
		}
	}
	return dst, mismatch()
}

func (o via[L, F]) finish(t Type, dst []byte, x L) ([]byte, *fault) {
	x, f := o.form.fit(t, x)
	if f != nil {
		return dst, f
	}
	return o.form.appendBinary(t, dst, x), nil
}

func (o via[L, F]) parse(t Type, dst []byte, s string) ([]byte, *fault) {
	x, f := o.form.fromText(t, s)
	if f != nil {
		return dst, f
	}
	return o.finish(t, dst, x)
}

func (o via[L, F]) receive(t Type, dst, src []byte) ([]byte, *fault) {
	x, f := o.form.fromBinary(t, src)
	if f != nil {
		return dst, f
	}
	return o.finish(t, dst, x)
}

func (o via[L, F]) text(t Type, dst, src []byte) ([]byte, *fault) {
	x, f := o.form.fromBinary(t, src)
	if f != nil {
		return dst, f
	}
	return o.form.appendText(t, dst, x), nil
}

// assign tries, in this order: any, pointers, the family's own types, database/sql's Null types, sql.Scanner,
// reflect kinds, unmarshalers and text.
func (o via[L, F]) assign(t Type, src []byte, rv reflect.Value) *fault {
	if inner, set, ok := innerPlace(rv); ok {
		if !t.decodeFast(src, inner.Addr().Interface()) {
			if f := o.assign(t, src, inner); f != nil {
				return f
			}
		}
		set()
		return nil
	}
	x, f := o.form.fromBinary(t, src)
	if f != nil {
		return f
	}
	if isAny(rv) {
		rv.Set(reflect.ValueOf(o.form.natural(t, x)))
		return nil
	}
	p := rv.Addr().Interface()
	if done, f := o.form.scan(t, x, p); done || f != nil {
		return f
	}
	if s, ok := p.(sql.Scanner); ok {
		return scanNatural(s, o.form.natural(t, x))
	}
	if done, f := o.form.assign(t, x, rv); done || f != nil {
		return f
	}
	return assignText(t.kind, rv, func() []byte { return o.form.appendText(t, nil, x) })
}
