package codec

import "encoding/binary"

// What the first byte of a numeric's canonical form says. Equal numbers have equal bytes; their order means nothing.
const (
	canonicalNaN      = 0
	canonicalMinusInf = 1
	canonicalNegative = 2
	canonicalZero     = 3
	canonicalPositive = 4
	canonicalInfinity = 5
)

// canonicalNumeric appends the kind of number and, unless that says all, the weight of the first digit and the
// base-10000 digits without zeros at either end. The scale goes: 1.0 is 1.00. It reads the groups where they stand
// instead of making a decimal, which would need memory.
func canonicalNumeric(t Type, dst, plain []byte) ([]byte, *fault) {
	const header = 8
	if len(plain) < header || len(plain)-header != 2*int(binary.BigEndian.Uint16(plain)) {
		return dst, malformedBinary(t)
	}
	weight := int(int16(binary.BigEndian.Uint16(plain[2:])))
	sign := binary.BigEndian.Uint16(plain[4:])
	scale := int(binary.BigEndian.Uint16(plain[6:]))
	switch sign {
	case signNaN:
		return append(dst, canonicalNaN), nil
	case signInfinity:
		return append(dst, canonicalInfinity), nil
	case signMinusInf:
		return append(dst, canonicalMinusInf), nil
	case signPlus, signMinus:
	default:
		return dst, malformedBinary(t)
	}
	if scale > maxFractionDigits {
		return dst, malformedBinary(t)
	}
	kind := byte(canonicalPositive)
	if sign == signMinus {
		kind = canonicalNegative
	}
	return canonicalGroups(t, dst, plain[header:], kind, weight, scale)
}

// canonicalGroups appends the digits of a finite number that are within its scale: the server cuts off others when
// it reads them.
func canonicalGroups(t Type, dst, groups []byte, kind byte, weight, scale int) ([]byte, *fault) {
	start, end := len(dst), 0 // end: behind the last group that is not zero; 0 while there was none
	for i := 0; i < len(groups); i, weight = i+2, weight-1 {
		g := binary.BigEndian.Uint16(groups[i:])
		if g > 9999 {
			return dst, malformedBinary(t)
		}
		if g = withinScale(g, weight, scale); g == 0 && end == 0 {
			continue
		}
		if end == 0 {
			dst = binary.BigEndian.AppendUint16(append(dst, kind), uint16(int16(weight)))
		}
		if dst = binary.BigEndian.AppendUint16(dst, g); g != 0 {
			end = len(dst)
		}
	}
	if end == 0 {
		return append(dst[:start], canonicalZero), nil
	}
	return dst[:end], nil
}

// withinScale clears the decimal digits of a group that are more than scale places after the point.
func withinScale(g uint16, weight, scale int) uint16 {
	if weight >= 0 {
		return g
	}
	switch keep := scale - 4*(-weight-1); { // how many digits of this group are within
	case keep >= 4:
		return g
	case keep <= 0:
		return 0
	default:
		cut := [...]uint16{1: 1000, 2: 100, 3: 10}[keep]
		return g - g%cut
	}
}
