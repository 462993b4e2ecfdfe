package sealing

import (
	"bytes"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Formats of COPY.
const (
	copyCSV    = "csv"
	copyBinary = "binary"
)

// maxCopyRow bounds what is held of a row that has not ended.
const maxCopyRow = 64 << 20

const stateBadCopy = "22P04" // bad_copy_file_format

func badCopy(message string) *plan.Refusal {
	return &plan.Refusal{SQLState: stateBadCopy, Message: message, Position: -1}
}

// copyField is a column's value in a row of COPY data.
type copyField struct {
	// raw is as it stands in the data; text is without quotes and escapes. In
	// format binary raw has the length in front.
	raw, text []byte
	quoted    bool
	null      bool
}

// splitter takes rows of the formats text and csv apart, the way the server's
// CopyReadAttributesText and CopyReadAttributesCSV do.
type splitter struct {
	copy   *plan.Copy
	fields []copyField
	room   []byte // for texts that differ from what stands in the data; cleared by the caller
}

// split fills fields from a row without its end.
func (s *splitter) split(row []byte) error {
	s.fields, s.room = s.fields[:0], s.room[:0]
	if cap(s.room) < len(row) {
		s.room = make([]byte, 0, 2*len(row)) // so that it does not move while texts lie in it
	}
	for rest, more := row, true; more; {
		if len(s.fields) == len(s.copy.Columns) {
			return badCopy("extra data after last expected column")
		}
		var f copyField
		var end int
		if s.copy.Format == copyCSV {
			var ok bool
			if f, end, ok = s.csvField(rest); !ok {
				return badCopy("unterminated CSV quoted field")
			}
		} else {
			f, end = s.textField(rest)
		}
		f.raw = rest[:end:end]
		s.nullify(&f, len(s.fields))
		s.fields = append(s.fields, f)
		if more = end < len(rest); more {
			rest = rest[end+1:]
		}
	}
	if len(s.fields) < len(s.copy.Columns) {
		return badCopy("missing data for a column")
	}
	return nil
}

// nullify finds NULLs. What the server compares is the field as it stands in the
// data, except for FORCE_NULL.
func (s *splitter) nullify(f *copyField, i int) {
	c := s.copy
	f.null = !f.quoted && string(f.raw) == c.Null
	switch {
	case c.Format != copyCSV:
	case f.null && i < len(c.ForceNotNull) && c.ForceNotNull[i]:
		f.null, f.text = false, f.raw
	case !f.null && i < len(c.ForceNull) && c.ForceNull[i] && string(f.text) == c.Null:
		f.null = true
	}
}

// textField reads up to a delimiter or the row's end, at end.
func (s *splitter) textField(row []byte) (f copyField, end int) {
	for end < len(row) && row[end] != s.copy.Delimiter && row[end] != '\\' {
		end++
	}
	if end == len(row) || row[end] == s.copy.Delimiter {
		f.text = row[:end:end]
		return f, end
	}
	from := len(s.room)
	s.room = append(s.room, row[:end]...)
	for end < len(row) && row[end] != s.copy.Delimiter {
		c := row[end]
		end++
		if c == '\\' {
			if end == len(row) {
				break // the server drops it
			}
			var n int
			c, n = unescape(row[end:])
			end += n
		}
		s.room = append(s.room, c)
	}
	f.text = s.room[from:len(s.room):len(s.room)]
	return f, end
}

// unescape reads what stands behind a backslash, which is not nothing: up to
// three octal digits, x and up to two hexadecimal ones, or one character.
func unescape(b []byte) (c byte, n int) {
	switch c = b[0]; c {
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'v':
		return '\v', 1
	case 'x':
		value := byte(0)
		for n = 1; n < len(b) && n < 3; n++ {
			d := bytes.IndexByte([]byte("0123456789abcdef"), lower(b[n]))
			if d < 0 {
				break
			}
			value = value<<4 | byte(d)
		}
		if n == 1 {
			return 'x', 1
		}
		return value, n
	}
	if c < '0' || c > '7' {
		return c, 1
	}
	value := byte(0)
	for n = 0; n < len(b) && n < 3 && b[n] >= '0' && b[n] <= '7'; n++ {
		value = value<<3 | b[n] - '0'
	}
	return value, n
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// csvField reads up to a delimiter that is not quoted or the row's end, at end.
// ok is false where a quote does not end.
func (s *splitter) csvField(row []byte) (f copyField, end int, ok bool) {
	c := s.copy
	for end < len(row) && row[end] != c.Delimiter && row[end] != c.Quote {
		end++
	}
	if end == len(row) || row[end] == c.Delimiter {
		f.text = row[:end:end]
		return f, end, true
	}
	from, quoted := len(s.room), false
	s.room, f.quoted = append(s.room, row[:end]...), true
	for ; end < len(row); end++ {
		b := row[end]
		switch {
		case !quoted && b == c.Delimiter:
			f.text = s.room[from:len(s.room):len(s.room)]
			return f, end, true
		case quoted && b == c.Escape && end+1 < len(row) && (row[end+1] == c.Escape || row[end+1] == c.Quote):
			end++
			s.room = append(s.room, row[end])
		case b == c.Quote:
			quoted = !quoted
		default:
			s.room = append(s.room, b)
		}
	}
	f.text = s.room[from:len(s.room):len(s.room)]
	return f, end, !quoted
}

// appendCopyText writes a value in format text.
func appendCopyText(dst, value []byte, delimiter byte) []byte {
	for _, b := range value {
		switch i := bytes.IndexByte([]byte("\b\f\n\r\t\v"), b); {
		case i >= 0:
			dst = append(dst, '\\', "bfnrtv"[i])
		case b == '\\' || b == delimiter:
			dst = append(dst, '\\', b)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// appendCopyCSV writes the value of column i in format csv, in quotes where the server uses them.
func appendCopyCSV(dst, value []byte, c *plan.Copy, i int) []byte {
	quote := i < len(c.ForceQuote) && c.ForceQuote[i] || string(value) == c.Null ||
		len(c.Columns) == 1 && string(value) == `\.`
	for _, b := range value {
		quote = quote || b == c.Delimiter || b == c.Quote || b == '\n' || b == '\r'
	}
	if !quote {
		return append(dst, value...)
	}
	dst = append(dst, c.Quote)
	for _, b := range value {
		if b == c.Quote || b == c.Escape {
			dst = append(dst, c.Escape)
		}
		dst = append(dst, b)
	}
	return append(dst, c.Quote)
}
