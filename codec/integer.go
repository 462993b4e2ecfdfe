package codec

import (
	"encoding/binary"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// intForm is int2, int4 and int8: two's complement, big-endian.
type intForm struct{}

var _ form[int64] = intForm{}

func intBits(t Type) int {
	switch t.kind {
	case kindInt2:
		return 16
	case kindInt4:
		return 32
	default:
		return 64
	}
}

func intRange(t Type) *fault {
	high := int64(math.MaxInt64) >> (64 - intBits(t))
	low := strconv.FormatInt(-high-1, 10)
	return &fault{state: stateRange, reason: "out of range: " + t.String() + " holds whole numbers from " + low + " to " + strconv.FormatInt(high, 10)}
}

func (f intForm) fromGo(t Type, v any) (int64, bool, *fault) {
	switch x := v.(type) {
	case int64:
		return x, true, nil
	case uint64:
		if x > math.MaxInt64 {
			return 0, false, intRange(t)
		}
		return int64(x), true, nil
	case float64:
		return known(intOfFloat(t, x))
	case float32:
		return known(intOfFloat(t, float64(x)))
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case big.Int:
		return known(intOfBig(t, &x))
	case *big.Int:
		return known(intOfBig(t, x))
	case pgtype.NumericValuer:
		d, f := decimalOfNumericValuer(x)
		if f != nil {
			return 0, false, f
		}
		return known(intOfDecimal(t, d))
	case pgtype.Float4, pgtype.Float8, *pgtype.Float4, *pgtype.Float8:
		return 0, false, nil // their Int64Value cuts the fraction off; their driver.Valuer gives the whole float
	case pgtype.Int64Valuer:
		n, err := x.Int64Value()
		if err != nil {
			return 0, false, intRange(t)
		}
		if !n.Valid {
			return 0, false, nullFault()
		}
		return n.Int64, true, nil
	}
	return 0, false, nil
}

func intOfFloat(t Type, x float64) (int64, *fault) {
	n, ok := exactInt(x)
	if !ok {
		return 0, intRange(t)
	}
	return n, nil
}

func intOfBig(t Type, x *big.Int) (int64, *fault) {
	if !x.IsInt64() {
		return 0, intRange(t)
	}
	return x.Int64(), nil
}

func intOfDecimal(t Type, d decimal) (int64, *fault) {
	n, ok := d.int64()
	if !ok {
		return 0, intRange(t)
	}
	return n, nil
}

func (intForm) fromText(t Type, s string) (int64, *fault) {
	s = strings.Trim(s, spaces)
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return n, nil
	}
	if wholeNumber(s) {
		return 0, intRange(t)
	}
	return 0, malformedText(t, "a whole number")
}

// wholeNumber says whether s is an optional sign and digits.
func wholeNumber(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (intForm) fromBinary(t Type, src []byte) (int64, *fault) {
	if len(src) != intBits(t)/8 {
		return 0, malformedBinary(t)
	}
	switch t.kind {
	case kindInt2:
		return int64(int16(binary.BigEndian.Uint16(src))), nil
	case kindInt4:
		return int64(int32(binary.BigEndian.Uint32(src))), nil
	default:
		return int64(binary.BigEndian.Uint64(src)), nil
	}
}

func (intForm) fit(t Type, n int64) (int64, *fault) {
	if shift := 64 - intBits(t); n<<shift>>shift != n {
		return 0, intRange(t)
	}
	return n, nil
}

func (intForm) appendBinary(t Type, dst []byte, n int64) []byte {
	switch t.kind {
	case kindInt2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case kindInt4:
		return binary.BigEndian.AppendUint32(dst, uint32(n))
	default:
		return binary.BigEndian.AppendUint64(dst, uint64(n))
	}
}

func (intForm) appendText(_ Type, dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
func (intForm) natural(_ Type, n int64) any                   { return n }

func (intForm) scan(_ Type, n int64, p any) (bool, *fault) {
	var err error
	switch d := p.(type) {
	case *big.Int:
		d.SetInt64(n)
	case *pgtype.Float4: // its ScanInt64 rounds
		*d = pgtype.Float4{Float32: float32(n), Valid: exactFloat32(n)}
		if !d.Valid {
			return true, destinationRange(reflect.ValueOf(d.Float32))
		}
	case *pgtype.Float8:
		*d = pgtype.Float8{Float64: float64(n), Valid: exactFloat64(n)}
		if !d.Valid {
			return true, destinationRange(reflect.ValueOf(d.Float64))
		}
	case pgtype.Int64Scanner:
		err = d.ScanInt64(pgtype.Int8{Int64: n, Valid: true})
	default:
		return false, nil
	}
	if err != nil {
		return true, &fault{state: stateRange, reason: "the stored number is out of the destination's range"}
	}
	return true, nil
}

func (intForm) assign(_ Type, n int64, rv reflect.Value) (bool, *fault) { return assignInt(rv, n) }
