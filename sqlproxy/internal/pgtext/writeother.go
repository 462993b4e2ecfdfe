package pgtext

import (
	"math"
	"strconv"

	"github.com/rowseal/rowseal/codec"
)

// appendFloat writes a float: with extra_float_digits of 0 or less rounded as C's %.*g does, else with the shortest
// digits that give it back.
func (s *Settings) appendFloat(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	digits := 15
	switch {
	case isType(t, oidFloat4) && len(src) == 4:
		digits = 6
	case !isType(t, oidFloat8) || len(src) != 8:
		return dst, malformed(t, opDecode)
	}
	x := floatOf(src)
	if s.floatDigits <= 0 && !math.IsNaN(x) && !math.IsInf(x, 0) {
		return strconv.AppendFloat(dst, x, 'g', max(digits+s.floatDigits, 1), 64), nil
	}
	return t.AppendText(dst, src)
}

// appendEscape writes a bytea with bytea_output escape.
func appendEscape(dst, src []byte) []byte {
	if dst == nil {
		dst = []byte{} // an empty value is not NULL
	}
	for _, b := range src {
		switch {
		case b == '\\':
			dst = append(dst, `\\`...)
		case b < 0x20 || b > 0x7e:
			dst = append(dst, '\\', '0'+b>>6, '0'+b>>3&7, '0'+b&7)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
