package codec

import (
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// boolForm is bool: one byte, 0 or 1.
type boolForm struct{}

var _ form[bool] = boolForm{}

func (f boolForm) fromGo(t Type, v any) (bool, bool, *fault) {
	switch x := v.(type) {
	case bool:
		return x, true, nil
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.BoolValuer:
		b, err := x.BoolValue()
		if err != nil {
			return false, false, mismatch()
		}
		if !b.Valid {
			return false, false, nullFault()
		}
		return b.Bool, true, nil
	}
	return false, false, nil
}

// known makes a fromGo answer of a fromText answer.
func known[L any](x L, f *fault) (L, bool, *fault) { return x, f == nil, f }

// fromText takes what the server takes: any unique beginning of true, false, yes, no, on, off, and 1 and 0.
func (boolForm) fromText(t Type, s string) (bool, *fault) {
	s = strings.ToLower(strings.Trim(s, spaces))
	switch {
	case s == "1" || s == "on" || begins("true", s) || begins("yes", s):
		return true, nil
	case s == "0" || s == "of" || s == "off" || begins("false", s) || begins("no", s):
		return false, nil
	}
	return false, malformedText(t, "true or false")
}

// spaces are what the server's input functions skip (C's isspace).
const spaces = " \t\n\v\f\r"

func begins(word, s string) bool { return s != "" && strings.HasPrefix(word, s) }

func (boolForm) fromBinary(t Type, src []byte) (bool, *fault) {
	if len(src) != 1 || src[0] > 1 {
		return false, malformedBinary(t)
	}
	return src[0] == 1, nil
}

func (boolForm) fit(_ Type, b bool) (bool, *fault) { return b, nil }

func (boolForm) appendBinary(_ Type, dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (boolForm) appendText(_ Type, dst []byte, b bool) []byte {
	if b {
		return append(dst, 't')
	}
	return append(dst, 'f')
}

func (boolForm) natural(_ Type, b bool) any { return b }

func (boolForm) scan(_ Type, b bool, p any) (bool, *fault) {
	if d, ok := p.(pgtype.BoolScanner); ok {
		if err := d.ScanBool(pgtype.Bool{Bool: b, Valid: true}); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

func (boolForm) assign(_ Type, b bool, rv reflect.Value) (bool, *fault) {
	if rv.Kind() != reflect.Bool {
		return false, nil
	}
	rv.SetBool(b)
	return true, nil
}
