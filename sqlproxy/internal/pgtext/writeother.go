package pgtext

import (
	"bytes"
	"math"
	"math/big"
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
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return t.AppendText(dst, src)
	case s.floatDigits <= 0:
		return strconv.AppendFloat(dst, x, 'g', max(digits+s.floatDigits, 1), 64), nil
	case digits == 6 && math.Abs(x) < 1<<25 || digits == 15 && math.Abs(x) < 1<<54:
		return appendEven(dst, t, x, src)
	}
	return appendInside(dst, x, len(src)*8), nil
}

// appendEven writes the shortest digits of a float; where two are equally near, PostgreSQL takes the even one and Go,
// whose way package codec goes, the upper.
func appendEven(dst []byte, t codec.Type, x float64, src []byte) ([]byte, error) {
	var short, even [32]byte
	bits := len(src) * 8
	upper := strconv.AppendFloat(short[:0], x, 'e', -1, bits)
	behind := 0 // digits behind the point
	if point := bytes.IndexByte(upper, '.'); point >= 0 {
		behind = bytes.IndexByte(upper, 'e') - point - 1
	}
	rounded := strconv.AppendFloat(even[:0], x, 'e', behind, bits)
	if y, err := strconv.ParseFloat(view(rounded), bits); bytes.Equal(upper, rounded) || err != nil || y != x {
		return t.AppendText(dst, src)
	}
	most := 15 // exponents from here on, and below -4, are written
	if bits == 32 {
		most = 6
	}
	exponent, err := strconv.Atoi(view(rounded[bytes.IndexByte(rounded, 'e')+1:]))
	if err != nil || exponent < -4 || exponent >= most {
		return append(dst, rounded...), nil
	}
	return strconv.AppendFloat(dst, x, 'f', max(behind-exponent, 0), bits), nil
}

// appendInside writes the shortest digits that lie nearer to x than to any other float. Go also takes those that
// lie in the middle between x and its neighbour, and are read as x only because its last bit is even; PostgreSQL does
// not. Only a large x has such a middle with few digits: below 2^25 (2^54 for 64 bits) it is no multiple of ten,
// and x itself has fewer.
func appendInside(dst []byte, x float64, bits int) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, x, 'e', -1, bits)
	for isMiddle(view(dst[start:]), x, bits) {
		digits := 1
		if point := bytes.IndexByte(dst[start:], '.'); point >= 0 {
			digits = bytes.IndexByte(dst[start:], 'e') - point // one more than there are behind the point
		}
		dst = strconv.AppendFloat(dst[:start], x, 'e', digits, bits)
	}
	return dst
}

func isMiddle(text string, x float64, bits int) bool {
	const room = 1200 // bits: more than a float64's integer part and one behind it
	shown, _, err := big.ParseFloat(text, 10, room, big.ToNearestEven)
	if err != nil {
		return false
	}
	below, above := math.Nextafter(x, math.Inf(-1)), math.Nextafter(x, math.Inf(1))
	if bits == 32 {
		below = float64(math.Nextafter32(float32(x), float32(math.Inf(-1))))
		above = float64(math.Nextafter32(float32(x), float32(math.Inf(1))))
	}
	for _, neighbour := range [...]float64{below, above} {
		if math.IsInf(neighbour, 0) {
			continue
		}
		middle := new(big.Float).SetPrec(room).SetFloat64(x)
		middle.Add(middle, new(big.Float).SetFloat64(neighbour))
		if middle.Cmp(new(big.Float).SetPrec(room).Add(shown, shown)) == 0 {
			return true
		}
	}
	return false
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
