package codec

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"reflect"
	"time"
)

// isNil says whether v stands for SQL NULL by itself: nil, or a nil pointer, slice or map.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return rv.IsNil()
	default:
		return false
	}
}

// unwrap takes one step from a Go type that a form does not know towards one that it does. The error texts of the
// methods it calls are dropped: they are free to quote the value.
func unwrap(k kind, v any) (any, *fault) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		// First of all, so that *T takes the same way as T. withPointerMethods finds the methods of *T again.
		return rv.Elem().Interface(), nil
	}
	if next, ok := insideSQLNull(rv); ok {
		return next, nil
	}
	m := withPointerMethods(rv)
	if valuer, ok := m.(driver.Valuer); ok {
		next, err := valuer.Value()
		if err != nil {
			return nil, &fault{state: stateMismatch, reason: "its Value method (driver.Valuer) returned an error"}
		}
		return next, nil
	}
	switch {
	case k.isJSON():
		return unwrapJSON(rv, m)
	case k.isText():
		if tm, ok := m.(encoding.TextMarshaler); ok {
			return marshalText(tm)
		}
	case k == kindBytea:
		if bm, ok := m.(encoding.BinaryMarshaler); ok {
			return marshalBinary(bm)
		}
	}
	if next, ok := basicNumber(rv); ok {
		return next, nil
	}
	if tm, ok := m.(encoding.TextMarshaler); ok && k != kindBytea {
		return marshalText(tm)
	}
	if rv.Kind() == reflect.Array && k != kindBytea {
		return nil, mismatch()
	}
	if next, ok := basicBytes(rv); ok {
		return next, nil
	}
	if tt := reflect.TypeFor[time.Time](); rv.Kind() == reflect.Struct && rv.Type() != tt && rv.CanConvert(tt) {
		return rv.Convert(tt).Interface(), nil
	}
	return nil, mismatch()
}

// insideSQLNull looks into database/sql's Null types itself: the Value method of sql.Null[T] refuses a T that
// database/sql does not know, such as a struct.
func insideSQLNull(rv reflect.Value) (any, bool) {
	switch {
	case !isSQLNull(rv.Type()):
		return nil, false
	case rv.Field(1).Bool():
		return rv.Field(0).Interface(), true
	}
	return nil, true
}

// withPointerMethods gives rv with its pointer's methods, so that a Valuer or marshaler declared on *T works for
// a T too.
func withPointerMethods(rv reflect.Value) any {
	rt := rv.Type()
	if rt.Name() == "" || rt.PkgPath() == "" {
		return rv.Interface()
	}
	if reflect.PointerTo(rt).NumMethod() == rt.NumMethod() {
		return rv.Interface()
	}
	p := reflect.New(rt)
	p.Elem().Set(rv)
	return p.Interface()
}

func marshalText(m encoding.TextMarshaler) (any, *fault) {
	b, err := m.MarshalText()
	if err != nil {
		return nil, &fault{state: stateMismatch, reason: "its MarshalText method returned an error"}
	}
	return string(b), nil
}

func marshalBinary(m encoding.BinaryMarshaler) (any, *fault) {
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, &fault{state: stateMismatch, reason: "its MarshalBinary method returned an error"}
	}
	if b == nil {
		b = []byte{} // an empty encoding, not NULL
	}
	return b, nil
}

// unwrapJSON turns a Go value into a document. Strings and byte slices are documents already, unless their type
// says otherwise by marshaling itself.
func unwrapJSON(rv reflect.Value, m any) (any, *fault) {
	_, marshals := m.(json.Marshaler)
	if _, ok := m.(encoding.TextMarshaler); ok {
		marshals = true
	}
	if !marshals {
		if next, ok := basicBytes(rv); ok && rv.Kind() != reflect.Array {
			return next, nil
		}
		m = addressable(rv)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, &fault{state: stateMismatch, reason: "json.Marshal refused the Go value (a channel, function, cycle, NaN, or an error of its MarshalJSON)"}
	}
	return json.RawMessage(b), nil
}

// addressable gives structs and arrays by pointer: through it, json.Marshal finds marshalers that fields have on
// their pointers.
func addressable(rv reflect.Value) any {
	if rv.Kind() != reflect.Struct && rv.Kind() != reflect.Array {
		return rv.Interface()
	}
	p := reflect.New(rv.Type())
	p.Elem().Set(rv)
	return p.Interface()
}

// basicNumber strips the name off bools and numbers. ok is false when nothing changes.
func basicNumber(rv reflect.Value) (any, bool) {
	var next any
	switch rv.Kind() {
	case reflect.Bool:
		next = rv.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		next = rv.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		next = rv.Uint()
	case reflect.Float32:
		next = float32(rv.Float())
	case reflect.Float64:
		next = rv.Float()
	default:
		return nil, false
	}
	return next, reflect.TypeOf(next) != rv.Type()
}

// basicBytes strips the name off strings, byte slices and byte arrays.
func basicBytes(rv reflect.Value) (any, bool) {
	bytesType := reflect.TypeFor[[]byte]()
	switch {
	case rv.Kind() == reflect.String:
		return rv.String(), rv.Type() != reflect.TypeFor[string]()
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		return rv.Bytes(), rv.Type() != bytesType
	case rv.Kind() == reflect.Array && rv.Type().Elem().Kind() == reflect.Uint8:
		b := make([]byte, rv.Len())
		reflect.Copy(reflect.ValueOf(b), rv)
		return b, true
	}
	return nil, false
}
