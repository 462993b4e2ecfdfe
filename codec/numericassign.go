package codec

import (
	"math/big"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

func (numericForm) appendText(_ Type, dst []byte, d decimal) []byte { return d.appendText(dst) }
func (numericForm) natural(_ Type, d decimal) any                   { return string(d.appendText(nil)) }

func (numericForm) scan(_ Type, d decimal, p any) (bool, *fault) {
	switch dst := p.(type) {
	case *big.Int:
		if d.special != finite || len(d.digits) > d.point {
			return true, &fault{state: stateRange, reason: "the stored number is not a whole one, as big.Int needs"}
		}
		d.scale = 0
		dst.SetString(string(d.appendText(nil)), 10)
		return true, nil
	case pgtype.NumericScanner:
		if err := dst.ScanNumeric(d.pgtype()); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

// pgtype keeps the scale: 1.10 is 110 × 10^-2.
func (d decimal) pgtype() pgtype.Numeric {
	switch d.special {
	case notANumber:
		return pgtype.Numeric{NaN: true, Valid: true}
	case plusInfinity:
		return pgtype.Numeric{InfinityModifier: pgtype.Infinity, Valid: true}
	case minusInfinity:
		return pgtype.Numeric{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	}
	exp := -d.scale
	if d.scale == 0 && d.point > len(d.digits) {
		exp = d.point - len(d.digits) // a long tail of zeros stays an exponent
	}
	n := new(big.Int)
	unscaled := decimal{neg: d.neg, digits: d.digits, point: d.point - exp}
	n.SetString(string(unscaled.appendText(nil)), 10)
	return pgtype.Numeric{Int: n, Exp: int32(exp), Valid: true}
}

func (numericForm) assign(_ Type, d decimal, rv reflect.Value) (bool, *fault) {
	switch rv.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := d.int64()
		if !ok {
			return true, destinationRange(rv)
		}
		return assignInt(rv, n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if d.special != finite || d.neg || len(d.digits) > d.point && d.digits != "" || d.point > 20 {
			return true, destinationRange(rv)
		}
		n, err := strconv.ParseUint(string(d.round(0).appendText(nil)), 10, 64)
		if err != nil || rv.OverflowUint(n) {
			return true, destinationRange(rv)
		}
		rv.SetUint(n)
		return true, nil
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(string(d.appendText(nil)), rv.Type().Bits())
		if err != nil {
			return true, destinationRange(rv)
		}
		rv.SetFloat(x)
		return true, nil
	default:
		return false, nil
	}
}
