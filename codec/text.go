package codec

import (
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// textForm is text, varchar(n) and char(n).
type textForm struct{}

var _ form[string] = textForm{}

// validText says whether PostgreSQL with encoding UTF8 can hold s: valid UTF-8 without U+0000. It looks at eight
// bytes at a time as long as all are ASCII, because it is most of what encoding a text costs.
func validText(s string) bool {
	const high, ones = 0x8080808080808080, 0x0101010101010101
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if (w|(w-ones))&high != 0 { // a byte above 127, or a zero byte that borrows
			return validUTF8(s)
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i]-1 >= utf8.RuneSelf-1 { // 0 wraps around
			return validUTF8(s[i:])
		}
	}
	return true
}

func validUTF8(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

func charactersFault(t Type) *fault {
	return &fault{state: stateCharacters, reason: t.String() + " holds valid UTF-8 without the character U+0000"}
}

func (textForm) fromGo(_ Type, v any) (string, bool, *fault) {
	switch x := v.(type) {
	case string:
		return x, true, nil
	case []byte:
		return string(x), true, nil
	case pgtype.TextValuer:
		s, err := x.TextValue()
		if err != nil {
			return "", false, mismatch()
		}
		if !s.Valid {
			return "", false, nullFault()
		}
		return s.String, true, nil
	}
	return "", false, nil
}

func (textForm) fromText(_ Type, s string) (string, *fault) { return s, nil }

func (textForm) fromBinary(t Type, src []byte) (string, *fault) {
	s := string(src)
	if !validText(s) {
		return "", charactersFault(t)
	}
	return s, nil
}

// fit counts characters, not bytes. As on assignment to a column, an excess of spaces is cut off without a word;
// any other excess is an error.
func (textForm) fit(t Type, s string) (string, *fault) {
	if !validText(s) {
		return "", charactersFault(t)
	}
	if !t.modified || (t.kind == kindVarchar && len(s) <= int(t.size)) {
		return s, nil
	}
	n, cut := 0, len(s) // cut: where the first excess character begins
	for i := range s {
		if n == int(t.size) {
			cut = i
			break
		}
		n++
	}
	if strings.Trim(s[cut:], " ") != "" {
		limit := strconv.Itoa(int(t.size))
		return "", &fault{state: stateTooLong, reason: "too long: " + t.String() + " holds at most " + limit + " characters"}
	}
	if s = s[:cut]; t.kind == kindChar && n < int(t.size) {
		s += strings.Repeat(" ", int(t.size)-n)
	}
	return s, nil
}

func (textForm) appendBinary(_ Type, dst []byte, s string) []byte { return append(dst, s...) }
func (textForm) appendText(_ Type, dst []byte, s string) []byte   { return append(dst, s...) }
func (textForm) natural(_ Type, s string) any                     { return s }

func (textForm) scan(_ Type, s string, p any) (bool, *fault) {
	if d, ok := p.(pgtype.TextScanner); ok {
		if err := d.ScanText(pgtype.Text{String: s, Valid: true}); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

func (textForm) assign(Type, string, reflect.Value) (bool, *fault) { return false, nil }
