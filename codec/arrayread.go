package codec

import (
	"database/sql"
	"encoding/binary"
	"math"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// arrayReader walks the binary form of an array. Its header is checked against the bytes that follow before
// anything is allocated: each element takes at least the four bytes of its length.
type arrayReader struct {
	t    Type
	dims []pgtype.ArrayDimension
	n    int // elements left
	rest []byte
}

func readArray(t Type, src []byte) (*arrayReader, *fault) {
	const header, perDimension, perElement = 12, 8, 4
	if len(src) < header {
		return nil, malformedBinary(t)
	}
	count := binary.BigEndian.Uint32(src)
	flags := binary.BigEndian.Uint32(src[4:])
	rest := src[header:]
	if count > maxDimensions || flags > 1 || binary.BigEndian.Uint32(src[8:]) != t.Elem().OID() || len(rest) < int(count)*perDimension {
		return nil, malformedBinary(t)
	}
	r := &arrayReader{t: t, dims: make([]pgtype.ArrayDimension, count), n: min(int(count), 1)}
	for i := range r.dims {
		length := int32(binary.BigEndian.Uint32(rest))
		lower := int32(binary.BigEndian.Uint32(rest[4:]))
		rest = rest[perDimension:]
		if length < 1 || int64(lower)+int64(length) > math.MaxInt32 || r.n > len(src)/perElement/int(length) {
			return nil, malformedBinary(t)
		}
		r.dims[i] = pgtype.ArrayDimension{Length: length, LowerBound: lower}
		r.n *= int(length)
	}
	r.rest = rest
	return r, nil
}

// next gives one element, nil for NULL. After the last one it checks that nothing follows.
func (r *arrayReader) next() ([]byte, *fault) {
	if len(r.rest) < 4 {
		return nil, malformedBinary(r.t)
	}
	size := int32(binary.BigEndian.Uint32(r.rest))
	r.rest, r.n = r.rest[4:], r.n-1
	var elem []byte
	if size != -1 {
		if size < 0 || int(size) > len(r.rest) {
			return nil, malformedBinary(r.t)
		}
		elem, r.rest = r.rest[:size:size], r.rest[size:]
	}
	if f := r.checkEnd(); f != nil {
		return nil, f
	}
	return elem, nil
}

func (r *arrayReader) checkEnd() *fault {
	if r.n == 0 && len(r.rest) != 0 {
		return malformedBinary(r.t)
	}
	return nil
}

// receiveArray brings a client's binary array into the canonical form.
func receiveArray(t Type, dst, src []byte) ([]byte, *fault) {
	r, f := readArray(t, src)
	if f != nil {
		return dst, f
	}
	w, f := newArrayWriter(t, dst, r.dims)
	if f != nil {
		return dst, f
	}
	for r.n > 0 {
		elem, f := r.next()
		if f != nil {
			return dst, f
		}
		f = w.add(func(dst []byte) ([]byte, *fault) {
			if elem == nil {
				return dst, nullFault()
			}
			return opsOf(w.elem.kind).receive(w.elem, dst, elem)
		})
		if f != nil {
			return dst, f
		}
	}
	if f := r.checkEnd(); f != nil {
		return dst, f
	}
	return w.dst, nil
}

// assignArray fills slices, Go arrays, pgtype.ArraySetter, Scanner (with the text form), strings and any.
func assignArray(t Type, src []byte, rv reflect.Value) *fault {
	if inner, set, ok := innerPlace(rv); ok {
		if f := assignArray(t, src, inner); f != nil {
			return f
		}
		set()
		return nil
	}
	p := rv.Addr().Interface()
	if s, ok := p.(pgtype.ArraySetter); ok {
		return assignSetter(t, src, s)
	}
	if !isDimension(rv.Type()) || implements[sql.Scanner](rv.Type()) {
		return assignArrayText(t, src, rv, p)
	}
	r, f := readArray(t, src)
	if f != nil {
		return f
	}
	if depth := sliceDepth(t, rv.Type()); len(r.dims) != 0 && len(r.dims) != depth {
		return &fault{state: stateMismatch, reason: "the stored array has another number of dimensions than the Go type"}
	}
	if f := r.fill(rv, 0); f != nil {
		return f
	}
	return r.checkEnd()
}

// isDimension says whether rt can be the outermost dimension. Byte slices take the text form instead.
func isDimension(rt reflect.Type) bool {
	return (rt.Kind() == reflect.Slice || rt.Kind() == reflect.Array) && rt.Elem().Kind() != reflect.Uint8
}

func assignArrayText(t Type, src []byte, rv reflect.Value, p any) *fault {
	text, f := appendArrayText(t, nil, src)
	if f != nil {
		return f
	}
	if isAny(rv) {
		rv.Set(reflect.ValueOf(string(text)))
		return nil
	}
	if s, ok := p.(sql.Scanner); ok {
		return scanNatural(s, string(text))
	}
	return assignText(t.kind, rv, func() []byte { return text })
}

func assignSetter(t Type, src []byte, s pgtype.ArraySetter) *fault {
	r, f := readArray(t, src)
	if f != nil {
		return f
	}
	if err := s.SetDimensions(r.dims); err != nil {
		return &fault{state: stateMismatch, reason: "its SetDimensions method refused the array's dimensions"}
	}
	for i := 0; r.n > 0; i++ {
		elem, f := r.next()
		if f != nil {
			return f
		}
		if f := assign(t.Elem(), elem, reflect.ValueOf(s.ScanIndex(i)).Elem()); f != nil {
			return f
		}
	}
	return r.checkEnd()
}

// sliceDepth counts the dimensions of a Go type.
func sliceDepth(t Type, rt reflect.Type) (depth int) {
	for depth < maxDimensions+1 {
		rt, depth = rt.Elem(), depth+1
		if isElement(t, rt) {
			break
		}
	}
	return depth
}

// fill sets rv, which is level dimensions down, from the next elements.
func (r *arrayReader) fill(rv reflect.Value, level int) *fault {
	n := 0
	if len(r.dims) > 0 {
		n = int(r.dims[level].Length)
	}
	if rv.Kind() == reflect.Slice {
		rv.Set(reflect.MakeSlice(rv.Type(), n, n))
	} else if rv.Len() != n {
		return &fault{state: stateMismatch, reason: "the stored array has not as many elements as the Go array"}
	}
	for i := range n {
		if level+1 < len(r.dims) {
			if f := r.fill(rv.Index(i), level+1); f != nil {
				return f
			}
			continue
		}
		elem, f := r.next()
		if f != nil {
			return f
		}
		if f := assign(r.t.Elem(), elem, rv.Index(i)); f != nil {
			return f
		}
	}
	return nil
}
