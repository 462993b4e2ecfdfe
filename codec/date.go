package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// dateForm is date: days since 2000-01-01 in 32 bits; the two ends of int32 are the infinities.
type dateForm struct{}

var _ form[int32] = dateForm{}

const (
	dateInfinity      = math.MaxInt32
	dateMinusInfinity = math.MinInt32
)

func (f dateForm) fromGo(t Type, v any) (int32, bool, *fault) {
	switch x := v.(type) {
	case time.Time:
		return known(dateOfTime(t, x))
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.DateValuer:
		d, err := x.DateValue()
		switch {
		case err != nil:
			return 0, false, mismatch()
		case !d.Valid:
			return 0, false, nullFault()
		case d.InfinityModifier == pgtype.Infinity:
			return dateInfinity, true, nil
		case d.InfinityModifier == pgtype.NegativeInfinity:
			return dateMinusInfinity, true, nil
		}
		return known(dateOfTime(t, d.Time))
	}
	return 0, false, nil
}

// dateOfTime takes the calendar day that x shows in its own location, as pgx does. The year is checked first, so
// that the count of days cannot overflow.
func dateOfTime(t Type, x time.Time) (int32, *fault) {
	y, m, d := x.Date()
	if y < -4800 || y > 5874897 {
		return 0, dateRange(t)
	}
	return dateOfDayCount(t, daysFromCivil(y, int(m), d))
}

func dateOfDayCount(t Type, days int64) (int32, *fault) {
	if days < firstDay || days > lastDay {
		return 0, dateRange(t)
	}
	return int32(days), nil
}

// fromText drops a time of day and a zone, as the server's input does.
func (dateForm) fromText(t Type, s string) (int32, *fault) {
	m, f := parseMoment(t, s)
	switch {
	case f != nil:
		return 0, f
	case m.infinity > 0:
		return dateInfinity, nil
	case m.infinity < 0:
		return dateMinusInfinity, nil
	}
	return dateOfDayCount(t, m.days)
}

func (dateForm) fromBinary(t Type, src []byte) (int32, *fault) {
	if len(src) != 4 {
		return 0, malformedBinary(t)
	}
	d := int32(binary.BigEndian.Uint32(src))
	if d != dateInfinity && d != dateMinusInfinity && (d < firstDay || d > lastDay) {
		return 0, malformedBinary(t)
	}
	return d, nil
}

func (dateForm) fit(_ Type, d int32) (int32, *fault) { return d, nil }

func (dateForm) appendBinary(_ Type, dst []byte, d int32) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(d))
}

func (dateForm) appendText(_ Type, dst []byte, d int32) []byte {
	switch d {
	case dateInfinity:
		return append(dst, "infinity"...)
	case dateMinusInfinity:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendDate(dst, int64(d))
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func (f dateForm) natural(t Type, d int32) any {
	if d == dateInfinity || d == dateMinusInfinity {
		return string(f.appendText(t, nil, d))
	}
	return dateOfDays(int64(d))
}

func (dateForm) scan(t Type, d int32, p any) (bool, *fault) {
	switch dst := p.(type) {
	case *time.Time:
		if d == dateInfinity || d == dateMinusInfinity {
			return true, infiniteTime()
		}
		*dst = dateOfDays(int64(d))
	case pgtype.DateScanner:
		date := pgtype.Date{Valid: true}
		switch d {
		case dateInfinity:
			date.InfinityModifier = pgtype.Infinity
		case dateMinusInfinity:
			date.InfinityModifier = pgtype.NegativeInfinity
		default:
			date.Time = dateOfDays(int64(d))
		}
		if err := dst.ScanDate(date); err != nil {
			return true, mismatch()
		}
	default:
		return false, nil
	}
	return true, nil
}

func infiniteTime() *fault {
	return &fault{state: stateDateRange, reason: "the stored value is infinite, which time.Time cannot say; read it into a string, a pgtype value or an any"}
}

func (dateForm) assign(t Type, d int32, rv reflect.Value) (bool, *fault) {
	return assignTime(rv, func(x *time.Time) *fault {
		_, f := dateForm{}.scan(t, d, x)
		return f
	})
}

// assignTime fills named types over time.Time.
func assignTime(rv reflect.Value, fill func(*time.Time) *fault) (bool, *fault) {
	if rv.Kind() != reflect.Struct || !rv.Type().ConvertibleTo(reflect.TypeFor[time.Time]()) {
		return false, nil
	}
	var x time.Time
	if f := fill(&x); f != nil {
		return true, f
	}
	rv.Set(reflect.ValueOf(x).Convert(rv.Type()))
	return true, nil
}
