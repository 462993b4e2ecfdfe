package codec

import (
	"database/sql"
	"encoding"
	"math"
	"reflect"
)

// isAny says whether rv is an empty interface.
func isAny(rv reflect.Value) bool {
	return rv.Kind() == reflect.Interface && rv.NumMethod() == 0
}

// innerPlace finds the place of the value inside a pointer or inside one of database/sql's Null types. set makes
// the outer value point at it, or valid, once the inner one is filled.
func innerPlace(rv reflect.Value) (inner reflect.Value, set func(), ok bool) {
	if rv.Kind() == reflect.Pointer {
		p := reflect.New(rv.Type().Elem())
		return p.Elem(), func() { rv.Set(p) }, true
	}
	if !isSQLNull(rv.Type()) {
		return reflect.Value{}, nil, false
	}
	p := reflect.New(rv.Type()).Elem()
	return p.Field(0), func() {
		p.Field(1).SetBool(true)
		rv.Set(p)
	}, true
}

// isSQLNull recognises sql.NullString … sql.NullTime and sql.Null[T] by their shape: {value, Valid bool}.
func isSQLNull(rt reflect.Type) bool {
	return rt.Kind() == reflect.Struct && rt.PkgPath() == "database/sql" && rt.NumField() == 2 && rt.Field(1).Name == "Valid"
}

// scanNatural hands a driver value to a custom Scanner. Its error text is dropped: it is free to quote the value.
func scanNatural(s sql.Scanner, v any) *fault {
	if err := s.Scan(v); err != nil {
		return &fault{state: stateMismatch, reason: "its Scan method (sql.Scanner) refused a " + goTypeName(v)}
	}
	return nil
}

// assignText is the last resort of every family but bytea: unmarshalers, strings and byte slices take the text form.
func assignText(k kind, rv reflect.Value, text func() []byte) *fault {
	p := rv.Addr().Interface()
	if u, ok := p.(encoding.TextUnmarshaler); ok && k != kindBytea {
		if err := u.UnmarshalText(text()); err != nil {
			return &fault{state: stateMismatch, reason: "its UnmarshalText method refused the text form"}
		}
		return nil
	}
	if !assignBytes(rv, text) {
		return mismatch()
	}
	return nil
}

// assignBytes fills a string or byte slice. text must return memory that nobody else keeps.
func assignBytes(rv reflect.Value, text func() []byte) bool {
	switch {
	case rv.Kind() == reflect.String:
		rv.SetString(string(text()))
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		b := text()
		if b == nil {
			b = []byte{}
		}
		rv.SetBytes(b)
	default:
		return false
	}
	return true
}

// assignInt fills a number of any kind, exactly or not at all.
func assignInt(rv reflect.Value, n int64) (bool, *fault) {
	var fits bool
	switch rv.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if fits = !rv.OverflowInt(n); fits {
			rv.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if fits = n >= 0 && !rv.OverflowUint(uint64(n)); fits {
			rv.SetUint(uint64(n))
		}
	case reflect.Float32:
		if fits = exactFloat32(n); fits {
			rv.SetFloat(float64(n))
		}
	case reflect.Float64:
		if fits = exactFloat64(n); fits {
			rv.SetFloat(float64(n))
		}
	default:
		return false, nil
	}
	if !fits {
		return true, destinationRange(rv)
	}
	return true, nil
}

func destinationRange(rv reflect.Value) *fault {
	return &fault{state: stateRange, reason: "the stored number does not fit exactly into a " + rv.Kind().String()}
}

// exactFloat64 says whether n survives the way through a float64. The conversion back is only defined inside
// int64's range, which 2^63 is not.
func exactFloat64(n int64) bool {
	x := float64(n)
	return x < 1<<63 && int64(x) == n
}

func exactFloat32(n int64) bool {
	x := float32(n)
	return x < 1<<63 && int64(x) == n
}

// exactInt gives x as an integer when it is one.
func exactInt(x float64) (int64, bool) {
	if x != math.Trunc(x) || x < -(1<<63) || x >= 1<<63 {
		return 0, false
	}
	return int64(x), true
}
