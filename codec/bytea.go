package codec

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// byteaForm is bytea. A Go string is its bytes, both ways: reading "\x61" in a Go string as hex would change what
// the application stored. The text form with its \x belongs to EncodeText and AppendText.
type byteaForm struct{}

var _ form[[]byte] = byteaForm{}

func (byteaForm) fromGo(_ Type, v any) ([]byte, bool, *fault) {
	switch x := v.(type) {
	case []byte:
		return x, true, nil
	case string:
		return []byte(x), true, nil
	case pgtype.BytesValuer:
		b, err := x.BytesValue()
		if err != nil {
			return nil, false, mismatch()
		}
		if b == nil {
			return nil, false, nullFault()
		}
		return b, true, nil
	}
	return nil, false, nil
}

// fromText reads both of the server's input forms: \x and hex digits, and the older escape form.
func (byteaForm) fromText(t Type, s string) ([]byte, *fault) {
	if digits, ok := strings.CutPrefix(s, `\x`); ok {
		b, ok := hexPairs(digits)
		if !ok {
			f := malformedText(t, `\x and pairs of hex digits`)
			f.state = stateParameter
			return nil, f
		}
		return b, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			out = append(out, s[i])
		case strings.HasPrefix(s[i:], `\\`):
			out = append(out, '\\')
			i++
		case len(s) >= i+4 && octal(s[i+1:i+4]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return nil, malformedText(t, `\x and hex digits, or text with \\ and \nnn`)
		}
	}
	return out, nil
}

// hexPairs reads pairs of hex digits, which may have blanks between them and not inside.
func hexPairs(s string) ([]byte, bool) {
	if !strings.ContainsAny(s, " \t\n\r") {
		b, err := hex.DecodeString(s)
		return b, err == nil
	}
	out := make([]byte, 0, len(s)/2)
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
			continue
		}
		var err error
		if out, err = hex.AppendDecode(out, []byte(s[i:min(i+2, len(s))])); err != nil {
			return nil, false
		}
		i++
	}
	return out, true
}

func octal(s string) bool {
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7'
}

func (byteaForm) fromBinary(_ Type, src []byte) ([]byte, *fault) { return src, nil }
func (byteaForm) fit(_ Type, b []byte) ([]byte, *fault)          { return b, nil }

func (byteaForm) appendBinary(_ Type, dst []byte, b []byte) []byte { return append(dst, b...) }

func (byteaForm) appendText(_ Type, dst []byte, b []byte) []byte {
	return hex.AppendEncode(append(dst, `\x`...), b)
}

func (byteaForm) natural(_ Type, b []byte) any { return bytes.Clone(b) }

func (byteaForm) scan(_ Type, b []byte, p any) (bool, *fault) {
	switch d := p.(type) {
	case pgtype.BytesScanner:
		if err := d.ScanBytes(bytes.Clone(b)); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

func (byteaForm) assign(_ Type, b []byte, rv reflect.Value) (bool, *fault) {
	if u, ok := rv.Addr().Interface().(encoding.BinaryUnmarshaler); ok {
		if err := u.UnmarshalBinary(bytes.Clone(b)); err != nil {
			return true, &fault{state: stateMismatch, reason: "its UnmarshalBinary method refused the bytes"}
		}
		return true, nil
	}
	if rv.Kind() == reflect.Array && rv.Type().Elem().Kind() == reflect.Uint8 {
		if rv.Len() != len(b) {
			return true, &fault{state: stateTooLong, reason: "the stored bytes are not as many as the Go array has"}
		}
		reflect.Copy(rv, reflect.ValueOf(b))
		return true, nil
	}
	return assignBytes(rv, func() []byte { return bytes.Clone(b) }), nil
}
