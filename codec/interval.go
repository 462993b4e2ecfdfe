package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// span is an interval: its three parts are kept apart, because a month and a day have no fixed length.
type span struct {
	micros int64
	days   int32
	months int32
}

// intervalForm is interval: microseconds, days, months, in 8, 4 and 4 bytes.
type intervalForm struct{}

var _ form[span] = intervalForm{}

func (f intervalForm) fromGo(t Type, v any) (span, bool, *fault) {
	switch x := v.(type) {
	case time.Duration:
		return span{micros: int64(x / time.Microsecond)}, true, nil
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.IntervalValuer:
		i, err := x.IntervalValue()
		if err != nil {
			return span{}, false, mismatch()
		}
		if !i.Valid {
			return span{}, false, nullFault()
		}
		return span{micros: i.Microseconds, days: i.Days, months: i.Months}, true, nil
	}
	return span{}, false, nil
}

func (intervalForm) fromText(t Type, s string) (span, *fault) { return parseInterval(t, s) }

func (intervalForm) fromBinary(t Type, src []byte) (span, *fault) {
	if len(src) != 16 {
		return span{}, malformedBinary(t)
	}
	return span{
		micros: int64(binary.BigEndian.Uint64(src)),
		days:   int32(binary.BigEndian.Uint32(src[8:])),
		months: int32(binary.BigEndian.Uint32(src[12:])),
	}, nil
}

func (intervalForm) fit(t Type, x span) (span, *fault) {
	if !t.modified {
		return x, nil
	}
	// Rounding adds less than a second. What it gives is held to the same
	// bound, so that a value that was taken once is taken again.
	const most = math.MaxInt64 - microsPerSecond
	if x.micros > most || x.micros < -most {
		return x, intervalRange(t)
	}
	if x.micros = roundMicros(t, x.micros); x.micros > most || x.micros < -most {
		return x, intervalRange(t)
	}
	return x, nil
}

func intervalRange(t Type) *fault {
	return &fault{state: stateInterval, reason: "out of range: " + t.String() + " holds months and days of 32 bits and microseconds of 64"}
}

func (intervalForm) appendBinary(_ Type, dst []byte, x span) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(x.micros))
	dst = binary.BigEndian.AppendUint32(dst, uint32(x.days))
	return binary.BigEndian.AppendUint32(dst, uint32(x.months))
}

// appendText writes IntervalStyle postgres: "1 year 2 mons -3 days +04:05:06.789". A part after a negative one
// carries a plus sign.
func (intervalForm) appendText(_ Type, dst []byte, x span) []byte {
	start, afterMinus := len(dst), false
	part := func(n int32, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if afterMinus && n > 0 {
			dst = append(dst, '+')
		}
		dst = append(strconv.AppendInt(dst, int64(n), 10), unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
		afterMinus = n < 0
	}
	part(x.months/12, " year")
	part(x.months%12, " mon")
	part(x.days, " day")
	if x.micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	switch {
	case x.micros < 0:
		dst = append(dst, '-')
	case afterMinus:
		dst = append(dst, '+')
	}
	return appendLongClock(dst, x.micros)
}

// appendLongClock writes the absolute value; the least int64 has none, so hours are taken off first.
func appendLongClock(dst []byte, micros int64) []byte {
	hours, rest := micros/microsPerHour, micros%microsPerHour
	if micros < 0 {
		hours, rest = -hours, -rest
	}
	dst = appendPadded(dst, int(hours), 2)
	return append(dst, appendClock(nil, rest)[2:]...)
}

func (f intervalForm) natural(t Type, x span) any { return string(f.appendText(t, nil, x)) }

// scan gives a time.Duration with a day of 24 hours. Months have no length, so they are refused there.
func (intervalForm) scan(_ Type, x span, p any) (bool, *fault) {
	switch dst := p.(type) {
	case *time.Duration:
		d, ok := x.duration()
		if !ok {
			return true, &fault{state: stateInterval, reason: "the stored interval has months, or is longer than the 292 years of a time.Duration; read it into a string or pgtype.Interval"}
		}
		*dst = d
	case pgtype.IntervalScanner:
		if err := dst.ScanInterval(pgtype.Interval{Microseconds: x.micros, Days: x.days, Months: x.months, Valid: true}); err != nil {
			return true, mismatch()
		}
	default:
		return false, nil
	}
	return true, nil
}

func (x span) duration() (time.Duration, bool) {
	const limit = math.MaxInt64 / 1000
	days := int64(x.days) * microsPerDay // at most 2^31 days: no overflow
	total, ok := addInt64(days, x.micros)
	if !ok || x.months != 0 || total > limit || total < -limit {
		return 0, false
	}
	return time.Duration(total) * time.Microsecond, true
}

func (intervalForm) assign(Type, span, reflect.Value) (bool, *fault) { return false, nil }
