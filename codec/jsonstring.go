package codec

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// appendNormalString writes a JSON string, given between its quotes, as jsonb prints it.
func appendNormalString(dst, raw []byte) ([]byte, *fault) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(append(append(dst, '"'), raw...), '"'), nil
	}
	decoded, f := appendDecoded(nil, raw)
	if f != nil {
		return dst, f
	}
	return appendJSONString(dst, decoded), nil
}

// appendDecoded resolves the escapes of a JSON string given between its quotes.
func appendDecoded(dst, raw []byte) ([]byte, *fault) {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...), nil
		}
		dst, raw = append(dst, raw[:i]...), raw[i+1:]
		if len(raw) == 0 {
			return dst, malformedJSON()
		}
		c := raw[0]
		raw = raw[1:]
		if c == 'u' {
			r, rest, f := unicodeEscape(raw)
			if f != nil {
				return dst, f
			}
			dst, raw = utf8.AppendRune(dst, r), rest
			continue
		}
		plain := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if plain < 0 {
			return dst, malformedJSON()
		}
		dst = append(dst, "\"\\/\b\f\n\r\t"[plain])
	}
}

// unicodeEscape reads the four hex digits after \u, and a second escape where the first is half of a pair. A
// character U+0000 has no place in PostgreSQL's text, and half a pair is no character.
func unicodeEscape(raw []byte) (rune, []byte, *fault) {
	r, ok := hex4(raw)
	switch {
	case !ok:
		return 0, nil, malformedJSON()
	case r == 0:
		return 0, nil, &fault{state: stateUntranslated, reason: `jsonb cannot hold the character U+0000 (\u0000)`}
	case !utf16.IsSurrogate(r):
		return r, raw[4:], nil
	}
	if len(raw) < 10 || raw[4] != '\\' || raw[5] != 'u' {
		return 0, nil, malformedJSON()
	}
	low, ok := hex4(raw[6:])
	pair := utf16.DecodeRune(r, low)
	if !ok || pair == utf8.RuneError {
		return 0, nil, malformedJSON()
	}
	return pair, raw[10:], nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 || bytes.ContainsAny(b[:4], "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 32)
	return rune(n), err == nil
}

// appendJSONString writes decoded text with the escapes that the server uses: the short ones and \u00xx below the
// space; everything else stands for itself.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		default:
			dst = appendControl(dst, c)
		}
	}
	return append(dst, '"')
}

func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
