package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// floatForm is float4 and float8: IEEE 754, big-endian. Every NaN becomes the one quiet NaN, so that equal values
// have equal bytes; -0 stays -0, as on the server.
type floatForm struct{}

var _ form[float64] = floatForm{}

func floatBits(t Type) int {
	if t.kind == kindFloat4 {
		return 32
	}
	return 64
}

func floatRange(t Type) *fault {
	limits := "1e-307 to 1e+308 and whole numbers up to 2^53"
	if t.kind == kindFloat4 {
		limits = "1e-37 to 1e+38 and whole numbers up to 2^24"
	}
	return &fault{state: stateRange, reason: "out of range: " + t.String() + " holds " + limits + " (as magnitude; other whole numbers only when exact)"}
}

func (f floatForm) fromGo(t Type, v any) (float64, bool, *fault) {
	switch x := v.(type) {
	case float64:
		return x, true, nil
	case float32:
		return float64(x), true, nil
	case int64:
		if floatBits(t) == 32 && !exactFloat32(x) || !exactFloat64(x) {
			return 0, false, floatRange(t)
		}
		return float64(x), true, nil
	case uint64:
		if x > math.MaxInt64 {
			return 0, false, floatRange(t)
		}
		return f.fromGo(t, int64(x))
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.NumericValuer:
		d, flt := decimalOfNumericValuer(x)
		if flt != nil {
			return 0, false, flt
		}
		return known(f.fromText(t, string(d.appendText(nil))))
	case pgtype.Float64Valuer:
		n, err := x.Float64Value()
		if err != nil {
			return 0, false, floatRange(t)
		}
		if !n.Valid {
			return 0, false, nullFault()
		}
		return n.Float64, true, nil
	}
	return 0, false, nil
}

// fromText reads decimal numbers and the words NaN and Infinity. Go's hexadecimal floats and underscores are not
// the server's.
func (floatForm) fromText(t Type, s string) (float64, *fault) {
	s = strings.Trim(s, spaces)
	x, err := strconv.ParseFloat(s, floatBits(t))
	if strings.ContainsAny(s, "xXpP_") || (err != nil && !math.IsInf(x, 0)) {
		return 0, malformedText(t, "a decimal number, NaN, Infinity or -Infinity")
	}
	if err != nil || (x == 0 && strings.ContainsAny(mantissa(s), "123456789")) {
		return 0, floatRange(t)
	}
	return x, nil
}

// mantissa is s without its exponent.
func mantissa(s string) string {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

func (floatForm) fromBinary(t Type, src []byte) (float64, *fault) {
	if len(src) != floatBits(t)/8 {
		return 0, malformedBinary(t)
	}
	if t.kind == kindFloat4 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(src))), nil
	}
	return math.Float64frombits(binary.BigEndian.Uint64(src)), nil
}

// fit rounds to float4 where asked; leaving its range in either direction is an error, as in the server's cast.
func (floatForm) fit(t Type, x float64) (float64, *fault) {
	if t.kind != kindFloat4 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x, nil
	}
	y := float64(float32(x))
	if math.IsInf(y, 0) || (y == 0 && x != 0) {
		return 0, floatRange(t)
	}
	return y, nil
}

func (floatForm) appendBinary(t Type, dst []byte, x float64) []byte {
	const quietNaN32, quietNaN64 = 0x7fc00000, 0x7ff8000000000000
	if t.kind == kindFloat4 {
		if math.IsNaN(x) {
			return binary.BigEndian.AppendUint32(dst, quietNaN32)
		}
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(x)))
	}
	if math.IsNaN(x) {
		return binary.BigEndian.AppendUint64(dst, quietNaN64)
	}
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(x))
}

func (floatForm) natural(_ Type, x float64) any { return x }

func (floatForm) scan(_ Type, x float64, p any) (bool, *fault) {
	if d, ok := p.(pgtype.Float64Scanner); ok {
		if err := d.ScanFloat64(pgtype.Float8{Float64: x, Valid: true}); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

func (floatForm) assign(_ Type, x float64, rv reflect.Value) (bool, *fault) {
	switch rv.Kind() {
	case reflect.Float32, reflect.Float64:
		if rv.OverflowFloat(x) {
			return true, destinationRange(rv)
		}
		rv.SetFloat(x)
		return true, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := exactInt(x)
		if !ok {
			return true, destinationRange(rv)
		}
		return assignInt(rv, n)
	default:
		return false, nil
	}
}
