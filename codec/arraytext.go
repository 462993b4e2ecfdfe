package codec

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

func arrayFormat(t Type) *fault {
	return malformedText(t, `PostgreSQL's array text, such as {1,2,NULL} or {{"a b","c"},{"d","e"}}`)
}

// appendArrayText writes {…} as array_out does, with lower bounds in front where one is not 1.
func appendArrayText(t Type, dst, src []byte) ([]byte, *fault) {
	r, f := readArray(t, src)
	if f != nil {
		return dst, f
	}
	if len(r.dims) == 0 {
		return append(dst, "{}"...), r.checkEnd()
	}
	dst = appendBounds(dst, r.dims)
	return r.appendLevel(dst, 0)
}

func appendBounds(dst []byte, dims []pgtype.ArrayDimension) []byte {
	plain := true
	for _, d := range dims {
		plain = plain && d.LowerBound == 1
	}
	if plain {
		return dst
	}
	for _, d := range dims {
		dst = strconv.AppendInt(append(dst, '['), int64(d.LowerBound), 10)
		dst = strconv.AppendInt(append(dst, ':'), int64(d.LowerBound)+int64(d.Length)-1, 10)
		dst = append(dst, ']')
	}
	return append(dst, '=')
}

func (r *arrayReader) appendLevel(dst []byte, level int) ([]byte, *fault) {
	dst = append(dst, '{')
	for i := range int(r.dims[level].Length) {
		if i > 0 {
			dst = append(dst, ',')
		}
		var f *fault
		if level+1 < len(r.dims) {
			dst, f = r.appendLevel(dst, level+1)
		} else {
			dst, f = r.appendElement(dst)
		}
		if f != nil {
			return dst, f
		}
	}
	return append(dst, '}'), nil
}

func (r *arrayReader) appendElement(dst []byte) ([]byte, *fault) {
	elem, f := r.next()
	if f != nil {
		return dst, f
	}
	if elem == nil {
		return append(dst, "NULL"...), nil
	}
	et := r.t.Elem()
	text, f := opsOf(et.kind).text(et, nil, elem)
	if f != nil {
		return dst, f
	}
	s := string(text)
	if s != "" && !strings.EqualFold(s, "NULL") && !strings.ContainsAny(s, `{}",\`+spaces) {
		return append(dst, s...), nil
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"'), nil
}
