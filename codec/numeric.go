package codec

import (
	"encoding/binary"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// numericForm is numeric and numeric(p,s): a header of four 16-bit numbers (count of digits, weight of the first,
// sign, scale) and base-10000 digits without zeros at either end, as numeric_send writes it. pgtype's own encoder
// keeps such zeros, so its bytes are read here but not written.
type numericForm struct{}

var _ form[decimal] = numericForm{}

// Values of the sign field.
const (
	signPlus     = 0x0000
	signMinus    = 0x4000
	signNaN      = 0xc000
	signInfinity = 0xd000
	signMinusInf = 0xf000

	infinityScale = 32 // what numeric_send writes there; a remainder of the server's short header
)

func numericOverflow(t Type) *fault {
	reason := "out of range: numeric holds at most " + strconv.Itoa(maxIntegerDigits) + " digits before and " + strconv.Itoa(maxFractionDigits) + " after the decimal point"
	if t.modified {
		reason = "out of range: the absolute value must round to less than 10^" + strconv.Itoa(int(t.size)-int(t.scale))
	}
	return &fault{state: stateRange, reason: reason}
}

func (f numericForm) fromGo(t Type, v any) (decimal, bool, *fault) {
	switch x := v.(type) {
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case int64:
		return decimalOfInt(x), true, nil
	case uint64:
		d, _ := parseDecimal(strconv.FormatUint(x, 10))
		return d, true, nil
	case float64:
		return decimalOfFloat(x, 64), true, nil
	case float32:
		return decimalOfFloat(float64(x), 32), true, nil
	case big.Int:
		return known(f.fromBig(t, &x))
	case *big.Int:
		return known(f.fromBig(t, x))
	case pgtype.NumericValuer:
		return known(decimalOfNumericValuer(x))
	}
	return decimal{}, false, nil
}

func (numericForm) fromBig(t Type, x *big.Int) (decimal, *fault) {
	d, ok := decimalOfBig(x, 0)
	if !ok {
		return d, numericOverflow(t)
	}
	return d, nil
}

// decimalOfNumericValuer reads pgtype.Numeric and types that offer themselves as one.
func decimalOfNumericValuer(v pgtype.NumericValuer) (decimal, *fault) {
	n, err := v.NumericValue()
	switch {
	case err != nil:
		return decimal{}, mismatch()
	case !n.Valid:
		return decimal{}, nullFault()
	case n.NaN:
		return decimal{special: notANumber}, nil
	case n.InfinityModifier == pgtype.Infinity:
		return decimal{special: plusInfinity}, nil
	case n.InfinityModifier == pgtype.NegativeInfinity:
		return decimal{special: minusInfinity}, nil
	}
	d, ok := decimalOfBig(n.Int, n.Exp)
	if !ok {
		return d, numericOverflow(Type{kind: kindNumeric})
	}
	return d, nil
}

func (numericForm) fromText(t Type, s string) (decimal, *fault) {
	s = strings.Trim(s, spaces)
	if d, ok := parseSpecial(s); ok {
		return d, nil
	}
	d, ok := parseDecimal(s)
	if !ok {
		return d, malformedText(t, "a decimal number, NaN, Infinity or -Infinity")
	}
	return d, nil
}

func (numericForm) fromBinary(t Type, src []byte) (decimal, *fault) {
	const header = 8
	if len(src) < header {
		return decimal{}, malformedBinary(t)
	}
	count := int(binary.BigEndian.Uint16(src))
	weight := int(int16(binary.BigEndian.Uint16(src[2:])))
	sign := binary.BigEndian.Uint16(src[4:])
	scale := int(binary.BigEndian.Uint16(src[6:]))
	if len(src)-header != 2*count {
		return decimal{}, malformedBinary(t)
	}
	switch sign {
	case signNaN:
		return decimal{special: notANumber}, nil
	case signInfinity:
		return decimal{special: plusInfinity}, nil
	case signMinusInf:
		return decimal{special: minusInfinity}, nil
	case signPlus, signMinus:
	default:
		return decimal{}, malformedBinary(t)
	}
	if scale > maxFractionDigits {
		return decimal{}, malformedBinary(t)
	}
	digits := make([]byte, 0, 4*count)
	for i := header; i < len(src); i += 2 {
		g := binary.BigEndian.Uint16(src[i:])
		if g > 9999 {
			return decimal{}, malformedBinary(t)
		}
		digits = append(digits, '0'+byte(g/1000), '0'+byte(g/100%10), '0'+byte(g/10%10), '0'+byte(g%10))
	}
	// The scale governs what is shown; digits beyond it would be hidden ones, so they are cut as the server does.
	d := decimal{neg: sign == signMinus, scale: scale}
	significant := strings.TrimLeft(string(digits), "0")
	d.point = 4*(weight+1) - (len(digits) - len(significant))
	if keep := d.point + scale; keep < len(significant) {
		significant = significant[:max(0, keep)]
	}
	if d.digits = strings.TrimRight(significant, "0"); d.digits == "" {
		d.neg, d.point = false, 0
	}
	return d, nil
}

// fit rounds to the scale, half away from zero, and refuses what has too many digits left.
func (numericForm) fit(t Type, d decimal) (decimal, *fault) {
	switch {
	case d.special == notANumber || (d.special != finite && !t.modified):
		return d, nil
	case d.special != finite:
		return d, &fault{state: stateRange, reason: t.String() + " cannot hold an infinite value; numeric without precision can"}
	case !d.fits():
		return d, numericOverflow(Type{kind: kindNumeric})
	case !t.modified:
		return d, nil
	}
	d = d.round(int(t.scale))
	if d.digits != "" && d.point > int(t.size)-int(t.scale) {
		return d, numericOverflow(t)
	}
	return d, nil
}

func (numericForm) appendBinary(_ Type, dst []byte, d decimal) []byte {
	put := binary.BigEndian.AppendUint16
	sign := [...]uint16{signPlus, signNaN, signInfinity, signMinusInf}[d.special]
	if d.neg {
		sign = signMinus
	}
	if d.special == plusInfinity || d.special == minusInfinity {
		d.scale = infinityScale
	}
	if d.digits == "" {
		return put(put(put(put(dst, 0), 0), sign), uint16(d.scale))
	}
	groups := floorDiv(d.point-1, 4) + 1 // how many groups stand before the point; the weight is one less
	lead := 4*groups - d.point           // zeros before the first digit in its group
	count := (lead + len(d.digits) + 3) / 4
	dst = put(put(put(put(dst, uint16(count)), uint16(int16(groups-1))), sign), uint16(d.scale))
	for i := range count {
		g := uint16(0)
		for j := range 4 {
			g = g*10 + uint16(d.digit(4*i+j-lead)-'0')
		}
		dst = put(dst, g)
	}
	return dst
}

// floorDiv divides and rounds down, for b > 0.
func floorDiv(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}
