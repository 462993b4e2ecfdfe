package pgtext

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/codec"
)

// array is the binary form of an array, checked as far as its header goes:
// number of dimensions, flag for NULLs, element OID, and length and lower bound of each dimension.
type array struct {
	elem  uint32
	dims  [][2]int32 // length, lower bound
	n     int        // elements left
	rest  []byte
	start int // of the elements
}

const maxDimensions = 6

// openArray reads the header. ok is false for bytes that are no array.
func openArray(src []byte) (a array, ok bool) {
	const header, perDimension = 12, 8
	if len(src) < header {
		return a, false
	}
	count := int(binary.BigEndian.Uint32(src))
	a.elem, a.start = binary.BigEndian.Uint32(src[8:]), header+count*perDimension
	if count > maxDimensions || len(src) < a.start {
		return a, false
	}
	a.n = min(count, 1)
	for i := range count {
		d := src[header+i*perDimension:]
		length, lower := int32(binary.BigEndian.Uint32(d)), int32(binary.BigEndian.Uint32(d[4:]))
		if length < 1 || int64(lower)+int64(length) > math.MaxInt32 || a.n > len(src)/4/int(length) {
			return a, false
		}
		a.n *= int(length)
		a.dims = append(a.dims, [2]int32{length, lower})
	}
	a.rest = src[a.start:]
	return a, true
}

// next gives one element, nil for NULL. ok is false for bytes that are no
// array, of which one that goes on behind its last element is one.
func (a *array) next() (elem []byte, ok bool) {
	if len(a.rest) < 4 {
		return nil, false
	}
	size := int32(binary.BigEndian.Uint32(a.rest))
	a.rest, a.n = a.rest[4:], a.n-1
	if size >= 0 && int(size) <= len(a.rest) {
		elem, a.rest = a.rest[:size:size], a.rest[size:]
	} else if size != -1 {
		return nil, false
	}
	return elem, a.n > 0 || len(a.rest) == 0
}

// appendArray writes an array whose elements' texts depend on settings, and therefore how they are quoted.
func (s *Settings) appendArray(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	a, ok := openArray(src)
	if !ok || a.elem != t.Elem().OID() {
		return dst, malformed(t, opDecode)
	}
	if a.n == 0 {
		return append(dst, "{}"...), nil
	}
	out := appendBounds(dst, a.dims)
	var element []byte
	defer func() { clear(element) }()
	total := a.n
	for i := range total {
		out = appendEdges(out, a.dims, i, '{')
		elem, ok := a.next()
		if !ok {
			return dst, malformed(t, opDecode)
		}
		if elem == nil {
			out = append(out, "NULL"...)
		} else {
			var err error
			if element, err = s.AppendText(element[:0], t.Elem(), elem); err != nil {
				return dst, err
			}
			out = appendElement(out, element)
		}
		out = appendEdges(out, a.dims, i+1, '}')
		if i+1 < total {
			out = append(out, ',')
		}
	}
	return out, nil
}

// appendBounds writes [low:high]…= where a lower bound is not 1.
func appendBounds(dst []byte, dims [][2]int32) []byte {
	plain := true
	for _, d := range dims {
		plain = plain && d[1] == 1
	}
	if plain {
		return dst
	}
	for _, d := range dims {
		dst = strconv.AppendInt(append(dst, '['), int64(d[1]), 10)
		dst = strconv.AppendInt(append(dst, ':'), int64(d[1])+int64(d[0])-1, 10)
		dst = append(dst, ']')
	}
	return append(dst, '=')
}

// appendEdges writes one brace for each dimension that begins or ends where i elements have been written.
func appendEdges(dst []byte, dims [][2]int32, i int, brace byte) []byte {
	size := 1
	for k := len(dims) - 1; k >= 0; k-- {
		if size *= int(dims[k][0]); i%size == 0 {
			dst = append(dst, brace)
		}
	}
	return dst
}

// appendElement writes an element, in quotes where the server's array_out uses them.
func appendElement(dst, text []byte) []byte {
	if len(text) != 0 && !bytes.ContainsAny(text, "\"\\{}, \t\n\r\v\f") && !strings.EqualFold(view(text), "NULL") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, b := range text {
		if b == '"' || b == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

// readArray reads an array whose elements' texts depend on settings. Package codec
// reads its shape, for which elements are texts.
func (s *Settings) readArray(dst []byte, t codec.Type, text string) ([]byte, error) {
	shape, err := baseTypes[oidTextArray].EncodeText(nil, text)
	if err != nil {
		return dst, asType(err, t)
	}
	defer clear(shape)
	return mapArray(dst, t, shape, func(dst, elem []byte) ([]byte, error) {
		return s.FromText(dst, t.Elem(), view(elem))
	})
}

// mapArray writes an array of type t whose elements convert makes of those of src, which is one.
func mapArray(dst []byte, t codec.Type, src []byte, convert func(dst, elem []byte) ([]byte, error)) ([]byte, error) {
	a, ok := openArray(src)
	if !ok {
		return dst, malformed(t, opEncode)
	}
	out := append(dst, src[:a.start]...)
	binary.BigEndian.PutUint32(out[len(dst)+8:], t.Elem().OID())
	for a.n > 0 {
		elem, ok := a.next()
		if !ok {
			return dst, malformed(t, opEncode)
		}
		out = binary.BigEndian.AppendUint32(out, math.MaxUint32)
		if elem == nil {
			continue
		}
		at := len(out)
		var err error
		if out, err = convert(out, elem); err != nil {
			return dst, err
		}
		binary.BigEndian.PutUint32(out[at-4:], uint32(len(out)-at))
	}
	return out, nil
}
