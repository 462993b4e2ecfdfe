package codec

import (
	"encoding/hex"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// uuidForm is uuid: sixteen bytes.
type uuidForm struct{}

var _ form[[16]byte] = uuidForm{}

func (f uuidForm) fromGo(t Type, v any) ([16]byte, bool, *fault) {
	switch x := v.(type) {
	case [16]byte:
		return x, true, nil
	case string:
		return known(f.fromText(t, x))
	case []byte:
		if len(x) == 16 {
			return [16]byte(x), true, nil
		}
		return known(f.fromText(t, string(x)))
	case pgtype.UUIDValuer:
		u, err := x.UUIDValue()
		if err != nil {
			return [16]byte{}, false, mismatch()
		}
		if !u.Valid {
			return [16]byte{}, false, nullFault()
		}
		return u.Bytes, true, nil
	}
	// A type like google/uuid's, but only if it has no Value method to be asked first.
	if rv := reflect.ValueOf(v); isUUIDArray(rv.Type()) && !implementsValuer(rv.Type()) {
		var u [16]byte
		reflect.Copy(reflect.ValueOf(&u).Elem(), rv)
		return u, true, nil
	}
	return [16]byte{}, false, nil
}

func isUUIDArray(rt reflect.Type) bool {
	return rt.Kind() == reflect.Array && rt.Len() == 16 && rt.Elem().Kind() == reflect.Uint8
}

// fromText takes 32 hex digits in any case, with a hyphen after any group of four, and with braces around: what
// the server takes.
func (uuidForm) fromText(t Type, s string) ([16]byte, *fault) {
	bad := func() ([16]byte, *fault) { return [16]byte{}, malformedText(t, "32 hex digits with hyphens") }
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		if s, ok = strings.CutSuffix(inner, "}"); !ok {
			return bad()
		}
	}
	digits := make([]byte, 0, 32)
	for i := range len(s) {
		switch {
		case s[i] != '-':
			digits = append(digits, s[i])
		case len(digits)%4 != 0 || len(digits) == 0 || len(digits) >= 32 || s[i-1] == '-':
			return bad()
		}
	}
	var u [16]byte
	if len(digits) != 32 {
		return bad()
	}
	if _, err := hex.Decode(u[:], digits); err != nil {
		return bad()
	}
	return u, nil
}

func (uuidForm) fromBinary(t Type, src []byte) ([16]byte, *fault) {
	if len(src) != 16 {
		return [16]byte{}, malformedBinary(t)
	}
	return [16]byte(src), nil
}

func (uuidForm) fit(_ Type, u [16]byte) ([16]byte, *fault) { return u, nil }

func (uuidForm) appendBinary(_ Type, dst []byte, u [16]byte) []byte { return append(dst, u[:]...) }

func (uuidForm) appendText(_ Type, dst []byte, u [16]byte) []byte {
	for i, part := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

func (f uuidForm) natural(t Type, u [16]byte) any { return string(f.appendText(t, nil, u)) }

func (uuidForm) scan(_ Type, u [16]byte, p any) (bool, *fault) {
	switch d := p.(type) {
	case pgtype.UUIDScanner:
		if err := d.ScanUUID(pgtype.UUID{Bytes: u, Valid: true}); err != nil {
			return true, mismatch()
		}
		return true, nil
	case *[]byte:
		*d = u[:]
		return true, nil
	}
	if rv := reflect.ValueOf(p).Elem(); isUUIDArray(rv.Type()) {
		reflect.Copy(rv, reflect.ValueOf(u))
		return true, nil
	}
	return false, nil
}

func (uuidForm) assign(Type, [16]byte, reflect.Value) (bool, *fault) { return false, nil }
