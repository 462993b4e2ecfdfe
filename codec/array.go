package codec

import (
	"database/sql/driver"
	"encoding/binary"
	"math"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// Limits of arrays, PostgreSQL's own (MAXDIM, MaxArraySize).
const (
	maxDimensions = 6
	maxElements   = 134217727
)

func raggedArray() *fault {
	return &fault{state: stateSubscript, reason: "the slices of one dimension differ in length; PostgreSQL arrays are rectangular"}
}

func arrayTooLarge() *fault {
	return &fault{state: stateLimit, reason: "an array has at most 6 dimensions and 134217727 elements of less than 2 GB each"}
}

// arrayWriter appends the binary form: number of dimensions, flag for NULLs, element OID, length and lower bound of
// each dimension, then each element behind its length (-1 for NULL). An array without elements has no dimensions,
// whatever shape the Go value had, as on the server.
type arrayWriter struct {
	elem  Type
	dst   []byte
	start int
}

func newArrayWriter(t Type, dst []byte, dims []pgtype.ArrayDimension) (*arrayWriter, *fault) {
	total := int64(1)
	for _, d := range dims {
		if total *= int64(d.Length); d.Length < 0 || total > maxElements {
			return nil, arrayTooLarge()
		}
		if int64(d.LowerBound)+int64(d.Length) > math.MaxInt32 {
			return nil, arrayTooLarge()
		}
	}
	if len(dims) > maxDimensions {
		return nil, arrayTooLarge()
	}
	if total == 0 {
		dims = nil
	}
	w := &arrayWriter{elem: t.Elem(), dst: dst, start: len(dst)}
	w.dst = binary.BigEndian.AppendUint32(w.dst, uint32(len(dims)))
	w.dst = binary.BigEndian.AppendUint32(w.dst, 0)
	w.dst = binary.BigEndian.AppendUint32(w.dst, w.elem.OID())
	for _, d := range dims {
		w.dst = binary.BigEndian.AppendUint32(w.dst, uint32(d.Length))
		w.dst = binary.BigEndian.AppendUint32(w.dst, uint32(d.LowerBound))
	}
	return w, nil
}

// add appends one element by put, which reports NULL with a null fault.
func (w *arrayWriter) add(put func(dst []byte) ([]byte, *fault)) *fault {
	at := len(w.dst)
	body, f := put(binary.BigEndian.AppendUint32(w.dst, math.MaxUint32))
	switch {
	case f.isNull():
		w.dst = binary.BigEndian.AppendUint32(w.dst, math.MaxUint32)
		w.dst[w.start+7] = 1
		return nil
	case f != nil:
		return f
	case len(body)-at-4 > math.MaxInt32:
		return arrayTooLarge()
	}
	binary.BigEndian.PutUint32(body[at:], uint32(len(body)-at-4))
	w.dst = body
	return nil
}

func (w *arrayWriter) addValue(v any) *fault {
	return w.add(func(dst []byte) ([]byte, *fault) { return opsOf(w.elem.kind).encode(w.elem, dst, v) })
}

// encodeArray takes slices and arrays of Go, nested for more dimensions; pgtype.Array and what else is a
// pgtype.ArrayGetter; and PostgreSQL's text form in a string or byte slice.
func encodeArray(t Type, dst []byte, v any) ([]byte, *fault) {
	for range maxUnwrap {
		if isNil(v) {
			return dst, nullFault()
		}
		switch x := v.(type) {
		case string:
			return parseArrayText(t, dst, x)
		case []byte:
			return parseArrayText(t, dst, string(x))
		case pgtype.ArrayGetter:
			return encodeGetter(t, dst, x)
		}
		rv := reflect.ValueOf(v)
		if rv.Kind() == reflect.Pointer {
			v = rv.Elem().Interface()
			continue
		}
		if next, ok := insideSQLNull(rv); ok {
			v = next
			continue
		}
		if valuer, ok := withPointerMethods(rv).(driver.Valuer); ok {
			next, err := valuer.Value()
			if err != nil {
				return dst, &fault{state: stateMismatch, reason: "its Value method (driver.Valuer) returned an error"}
			}
			v = next
			continue
		}
		switch rv.Kind() {
		case reflect.Slice, reflect.Array:
			return encodeSlice(t, dst, rv)
		case reflect.String:
			v = rv.String()
		default:
			return dst, mismatch()
		}
	}
	return dst, mismatch()
}

func encodeGetter(t Type, dst []byte, g pgtype.ArrayGetter) ([]byte, *fault) {
	dims := g.Dimensions()
	if dims == nil {
		return dst, nullFault()
	}
	w, f := newArrayWriter(t, dst, dims)
	if f != nil {
		return dst, f
	}
	total := 1
	for _, d := range dims {
		total *= int(d.Length)
	}
	if len(dims) == 0 {
		total = 0
	}
	for i := range total {
		if f := w.addValue(g.Index(i)); f != nil {
			return dst, f
		}
	}
	return w.dst, nil
}

func encodeSlice(t Type, dst []byte, rv reflect.Value) ([]byte, *fault) {
	var dims []pgtype.ArrayDimension
	for level := rv; ; level = level.Index(0) {
		dims = append(dims, pgtype.ArrayDimension{Length: int32(min(level.Len(), math.MaxInt32)), LowerBound: 1})
		if isElement(t, level.Type().Elem()) || level.Len() == 0 || len(dims) > maxDimensions {
			break
		}
	}
	w, f := newArrayWriter(t, dst, dims)
	if f != nil {
		return dst, f
	}
	if f := w.addSlice(rv, dims); f != nil {
		return dst, f
	}
	return w.dst, nil
}

func (w *arrayWriter) addSlice(rv reflect.Value, dims []pgtype.ArrayDimension) *fault {
	if rv.Len() != int(dims[0].Length) {
		return raggedArray()
	}
	for i := range rv.Len() {
		var f *fault
		switch e := rv.Index(i); {
		case isElement(w.elem, e.Type()):
			f = w.addValue(e.Interface())
		default:
			f = w.addSlice(e, dims[1:])
		}
		if f != nil {
			return f
		}
	}
	return nil
}

// isElement says whether a Go type is one element of an array of t, not a dimension of it.
func isElement(t Type, rt reflect.Type) bool {
	if rt.Kind() != reflect.Slice && rt.Kind() != reflect.Array {
		return true
	}
	if t.kind.isJSON() || rt.Elem().Kind() == reflect.Uint8 {
		return true
	}
	return implementsValuer(rt) || marshals(rt)
}
