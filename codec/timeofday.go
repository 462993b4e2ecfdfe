package codec

import (
	"encoding/binary"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// timeForm is time without time zone: microseconds since midnight in 64 bits, 24:00:00 included.
type timeForm struct{}

var _ form[int64] = timeForm{}

func (f timeForm) fromGo(t Type, v any) (int64, bool, *fault) {
	switch x := v.(type) {
	case time.Time:
		h, m, s := x.Clock()
		return int64(h)*microsPerHour + int64(m)*microsPerMinute + int64(s)*microsPerSecond + int64(x.Nanosecond()/1000), true, nil
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.TimeValuer:
		d, err := x.TimeValue()
		if err != nil {
			return 0, false, mismatch()
		}
		if !d.Valid {
			return 0, false, nullFault()
		}
		return d.Microseconds, true, nil
	}
	return 0, false, nil
}

func (timeForm) fromText(t Type, s string) (int64, *fault) {
	n, f := parseClock(t, strings.Trim(s, spaces))
	if f != nil && f.state == stateDateFormat {
		f.reason = "the text is not a " + t.String() + "; expected HH:MM:SS with an optional fraction"
	}
	return n, f
}

func (timeForm) fromBinary(t Type, src []byte) (int64, *fault) {
	if len(src) != 8 {
		return 0, malformedBinary(t)
	}
	n := int64(binary.BigEndian.Uint64(src))
	if n < 0 || n > microsPerDay {
		return 0, malformedBinary(t)
	}
	return n, nil
}

func (timeForm) fit(t Type, n int64) (int64, *fault) {
	if n < 0 || n > microsPerDay {
		return 0, dateRange(t)
	}
	return roundMicros(t, n), nil
}

func (timeForm) appendBinary(_ Type, dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

func (timeForm) appendText(_ Type, dst []byte, n int64) []byte { return appendClock(dst, n) }
func (timeForm) natural(_ Type, n int64) any                   { return string(appendClock(nil, n)) }

// scan gives a time.Time on 2000-01-01 UTC, as pgx does.
func (timeForm) scan(_ Type, n int64, p any) (bool, *fault) {
	switch dst := p.(type) {
	case *time.Time:
		if n == microsPerDay {
			return true, &fault{state: stateDateRange, reason: "the stored time is 24:00:00, which time.Time cannot say; read it into a string or pgtype.Time"}
		}
		*dst = timeOfMicros(n)
	case pgtype.TimeScanner:
		if err := dst.ScanTime(pgtype.Time{Microseconds: n, Valid: true}); err != nil {
			return true, mismatch()
		}
	default:
		return false, nil
	}
	return true, nil
}

func (timeForm) assign(t Type, n int64, rv reflect.Value) (bool, *fault) {
	return assignTime(rv, func(x *time.Time) *fault {
		_, f := timeForm{}.scan(t, n, x)
		return f
	})
}
