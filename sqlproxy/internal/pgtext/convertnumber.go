package pgtext

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/codec"
)

func isInteger(oid uint32) bool { return oid == oidInt2 || oid == oidInt4 || oid == oidInt8 }
func isFloat(oid uint32) bool   { return oid == oidFloat4 || oid == oidFloat8 }
func isNumber(oid uint32) bool  { return isInteger(oid) || isFloat(oid) || oid == oidNumeric }

func outOfRange(t codec.Type) error {
	return refuse(t, opEncode, "number", stateRange, "out of range for "+t.String())
}

// integerOf reads an integer's binary form, which is of 2, 4 or 8 bytes.
func integerOf(plain []byte) int64 {
	switch len(plain) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(plain)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(plain)))
	}
	return int64(binary.BigEndian.Uint64(plain))
}

// floatOf reads a float's binary form, which is of 4 or 8 bytes.
func floatOf(plain []byte) float64 {
	if len(plain) == 4 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(plain)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(plain))
}

// convertNumber casts among the numeric types.
func convertNumber(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	switch {
	case isType(t, oidNumeric):
		return convertToNumeric(dst, t, from, plain)
	case isInteger(t.OID()):
		return convertToInteger(dst, t, from, plain)
	case isInteger(from.OID()):
		n := integerOf(plain)
		if isType(t, oidFloat4) {
			return appendFloat32(dst, float32(n)), nil
		}
		return appendFloat64(dst, float64(n)), nil
	case isFloat(from.OID()):
		x := floatOf(plain)
		if isType(t, oidFloat8) {
			return appendFloat64(dst, x), nil
		}
		y := float32(x)
		if math.IsInf(float64(y), 0) && !math.IsInf(x, 0) || y == 0 && x != 0 {
			return dst, outOfRange(t)
		}
		return appendFloat32(dst, y), nil
	}
	text, err := from.AppendText(nil, plain)
	if err != nil {
		return dst, err
	}
	return t.EncodeText(dst, view(text))
}

func appendFloat32(dst []byte, x float32) []byte {
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(x))
}

func appendFloat64(dst []byte, x float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(x))
}

// convertToNumeric takes of a float the digits that are certain: 6 of a float4, 15 of a float8.
func convertToNumeric(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	var text []byte
	if isFloat(from.OID()) {
		x, digits := floatOf(plain), 15
		if len(plain) == 4 {
			digits = 6
		}
		switch {
		case math.IsInf(x, 1):
			text = []byte("Infinity")
		case math.IsInf(x, -1):
			text = []byte("-Infinity")
		default:
			text = strconv.AppendFloat(nil, x, 'g', digits, 64)
		}
	} else {
		text = strconv.AppendInt(nil, integerOf(plain), 10)
	}
	return t.EncodeText(dst, view(text))
}

// convertToInteger rounds floats half to even and numerics half away from zero.
func convertToInteger(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	var n int64
	switch {
	case isInteger(from.OID()):
		n = integerOf(plain)
	case isFloat(from.OID()):
		x := math.RoundToEven(floatOf(plain))
		if !(x >= -1<<63 && x < 1<<63) { // NaN too
			return dst, outOfRange(t)
		}
		n = int64(x)
	default:
		text, err := from.AppendText(nil, plain)
		if err != nil {
			return dst, err
		}
		if n, err = roundNumeric(t, view(text)); err != nil {
			return dst, err
		}
	}
	return appendInteger(dst, t, n)
}

func appendInteger(dst []byte, t codec.Type, n int64) ([]byte, error) {
	switch {
	case isType(t, oidInt8):
		return binary.BigEndian.AppendUint64(dst, uint64(n)), nil
	case isType(t, oidInt4) && n == int64(int32(n)):
		return binary.BigEndian.AppendUint32(dst, uint32(n)), nil
	case isType(t, oidInt2) && n == int64(int16(n)):
		return binary.BigEndian.AppendUint16(dst, uint16(n)), nil
	}
	return dst, outOfRange(t)
}

// roundNumeric rounds a numeric's text, digits with or without a point, half away from zero.
func roundNumeric(t codec.Type, text string) (int64, error) {
	if last := text[len(text)-1]; !isDigit(last) {
		return 0, refuse(t, opEncode, "numeric", stateUnsupported, "NaN and infinity are no "+t.String())
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, outOfRange(t)
	}
	if fraction == "" || fraction[0] < '5' {
		return n, nil
	}
	step := int64(1)
	if strings.HasPrefix(whole, "-") {
		step = -1
	}
	if n == math.MaxInt64 || n == math.MinInt64 {
		return 0, outOfRange(t)
	}
	return n + step, nil
}
