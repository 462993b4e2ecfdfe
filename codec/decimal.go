package codec

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// decimal is a numeric in memory: 0.d1d2d3… × 10^point, shown with scale digits after the point. Its size is that
// of its significant digits, so 1e131071 is as small as 1. The zero decimal is 0.
type decimal struct {
	special special
	neg     bool
	digits  string // significant decimal digits, without zeros at either end; empty for zero
	point   int
	scale   int
}

// special marks the numerics that are not numbers.
type special byte

const (
	finite special = iota
	notANumber
	plusInfinity
	minusInfinity
)

// Limits of numeric without modifiers: digits before and after the point (PostgreSQL manual, 8.1.2).
const (
	maxIntegerDigits  = 131072
	maxFractionDigits = 16383
)

// parseDecimal reads [sign]digits[.digits][e[sign]digits]; ok is false when s is not that. An absurd exponent is
// clamped: the limits are checked by fits, later.
func parseDecimal(s string) (d decimal, ok bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.neg, s = s[0] == '-', s[1:]
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if exponent, ok = parseExponent(s[i+1:]); !ok {
			return decimal{}, false
		}
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return decimal{}, false
	}
	significant := strings.TrimLeft(digits, "0")
	d.point = len(whole) - (len(digits) - len(significant)) + exponent
	d.scale = max(0, len(fraction)-exponent)
	d.digits = strings.TrimRight(significant, "0")
	if d.digits == "" {
		d.neg, d.point = false, 0
	}
	return d, true
}

// parseExponent reads the digits after e. Values beyond a billion are clamped to that.
func parseExponent(s string) (int, bool) {
	if !wholeNumber(s) {
		return 0, false
	}
	const limit = 1_000_000_000
	n, err := strconv.Atoi(s)
	if err != nil || n > limit || n < -limit {
		if s[0] == '-' {
			return -limit, true
		}
		return limit, true
	}
	return n, true
}

// parseSpecial reads NaN and the infinities, in any case.
func parseSpecial(s string) (decimal, bool) {
	switch strings.ToLower(s) {
	case "nan":
		return decimal{special: notANumber}, true
	case "inf", "+inf", "infinity", "+infinity":
		return decimal{special: plusInfinity}, true
	case "-inf", "-infinity":
		return decimal{special: minusInfinity}, true
	}
	return decimal{}, false
}

func decimalOfInt(n int64) decimal {
	d, _ := parseDecimal(strconv.FormatInt(n, 10))
	return d
}

// decimalOfFloat takes the shortest digits that name x among floats of that many bits, as pgx does.
func decimalOfFloat(x float64, bits int) decimal {
	switch {
	case math.IsNaN(x):
		return decimal{special: notANumber}
	case math.IsInf(x, 1):
		return decimal{special: plusInfinity}
	case math.IsInf(x, -1):
		return decimal{special: minusInfinity}
	}
	d, _ := parseDecimal(strconv.FormatFloat(x, 'e', -1, bits))
	return d
}

// decimalOfBig is n × 10^exp. ok is false when the number is so long that no numeric holds it; that is decided
// before the costly conversion to decimal digits.
func decimalOfBig(n *big.Int, exp int32) (decimal, bool) {
	const maxBits = (maxIntegerDigits + maxFractionDigits) * 10 / 3 // log2(10) is a little under 10/3
	if n == nil {
		return decimal{}, true
	}
	if n.BitLen() > maxBits {
		return decimal{}, false
	}
	d, _ := parseDecimal(n.String() + "e" + strconv.Itoa(int(exp)))
	return d, true
}

// fits says whether an unconstrained numeric can hold d.
func (d decimal) fits() bool {
	return d.point <= maxIntegerDigits && d.scale <= maxFractionDigits
}

// round gives d with the given scale, half away from zero. A negative scale rounds before the point.
func (d decimal) round(scale int) decimal {
	keep := d.point + scale // how many of the digits stay
	d.scale = max(0, scale)
	if d.digits == "" || keep >= len(d.digits) {
		return d
	}
	if keep < 0 {
		return decimal{scale: d.scale}
	}
	up := d.digits[keep] >= '5'
	d.digits = d.digits[:keep]
	if up {
		d.increment()
	}
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{scale: d.scale}
	}
	return d
}

// increment adds one to the last digit.
func (d *decimal) increment() {
	b := []byte(d.digits)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < '9' {
			b[i]++
			d.digits = string(b)
			return
		}
		b[i] = '0'
	}
	d.digits = "1" + string(b)
	d.point++
}

// int64 gives d as an integer; ok is false when it is not one or too big.
func (d decimal) int64() (int64, bool) {
	if d.special != finite || d.point > 19 || len(d.digits) > d.point {
		return 0, d.special == finite && d.digits == ""
	}
	n, err := strconv.ParseInt(string(d.round(0).appendText(nil)), 10, 64)
	return n, err == nil
}

// appendText writes d as numeric_out does: no exponent, scale digits after the point.
func (d decimal) appendText(dst []byte) []byte {
	switch d.special {
	case notANumber:
		return append(dst, "NaN"...)
	case plusInfinity:
		return append(dst, "Infinity"...)
	case minusInfinity:
		return append(dst, "-Infinity"...)
	}
	if d.neg {
		dst = append(dst, '-')
	}
	if d.point <= 0 {
		dst = append(dst, '0')
	}
	for i := range max(0, d.point) {
		dst = append(dst, d.digit(i))
	}
	if d.scale > 0 {
		dst = append(dst, '.')
	}
	for i := range d.scale {
		dst = append(dst, d.digit(d.point+i))
	}
	return dst
}

// digit is the i-th decimal digit counted from the first significant one, zero outside of those kept.
func (d decimal) digit(i int) byte {
	if i < 0 || i >= len(d.digits) {
		return '0'
	}
	return d.digits[i]
}
