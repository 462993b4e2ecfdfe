package codec

import (
	"encoding"
	"encoding/binary"
	"math"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// stampForm is timestamp and timestamptz: microseconds since 2000-01-01 in 64 bits; the two ends of int64 are the
// infinities. A timestamptz is a point in time (UTC); a timestamp is what a clock on the wall shows.
type stampForm struct{}

var _ form[int64] = stampForm{}

const (
	stampInfinity      = math.MaxInt64
	stampMinusInfinity = math.MinInt64

	firstStamp = firstDay * microsPerDay           // 4714-11-24 00:00:00 BC
	lastStamp  = (lastStampDay+1)*microsPerDay - 1 // 294276-12-31 23:59:59.999999
)

func (f stampForm) fromGo(t Type, v any) (int64, bool, *fault) {
	switch x := v.(type) {
	case time.Time:
		return known(stampOfTime(t, x))
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.TimestamptzValuer:
		s, err := x.TimestamptzValue()
		return known(stampOfPgtype(t, s.Time, s.InfinityModifier, s.Valid, err))
	case pgtype.TimestampValuer:
		s, err := x.TimestampValue()
		return known(stampOfPgtype(t, s.Time, s.InfinityModifier, s.Valid, err))
	}
	return 0, false, nil
}

func stampOfPgtype(t Type, x time.Time, inf pgtype.InfinityModifier, valid bool, err error) (int64, *fault) {
	switch {
	case err != nil:
		return 0, mismatch()
	case !valid:
		return 0, nullFault()
	case inf == pgtype.Infinity:
		return stampInfinity, nil
	case inf == pgtype.NegativeInfinity:
		return stampMinusInfinity, nil
	}
	return stampOfTime(t, x)
}

// stampOfTime cuts off what is below a microsecond, as pgx does. A timestamp takes the wall clock of x's own
// location, also as pgx does.
func stampOfTime(t Type, x time.Time) (int64, *fault) {
	seconds := x.Unix()
	if t.kind == kindTimestamp {
		_, offset := x.Zone()
		seconds += int64(offset)
	}
	seconds -= epochUnixSeconds
	if seconds < firstStamp/microsPerSecond || seconds > lastStamp/microsPerSecond {
		return 0, dateRange(t)
	}
	return seconds*microsPerSecond + int64(x.Nanosecond()/1000), nil
}

// timeOfMicros is the reverse of stampOfTime, in UTC.
func timeOfMicros(n int64) time.Time {
	seconds := floorDiv64(n, microsPerSecond)
	return time.Unix(seconds+epochUnixSeconds, (n-seconds*microsPerSecond)*1000).UTC()
}

// fromText needs a zone for timestamptz: the server would take its session's, and there is none here. A zone in a
// timestamp is dropped, as the server does.
func (stampForm) fromText(t Type, s string) (int64, *fault) {
	m, f := parseMoment(t, s)
	switch {
	case f != nil:
		return 0, f
	case m.infinity > 0:
		return stampInfinity, nil
	case m.infinity < 0:
		return stampMinusInfinity, nil
	case m.days < firstDay || m.days > lastStampDay:
		return 0, dateRange(t)
	}
	n := m.days*microsPerDay + m.micros
	if t.kind == kindTimestamptz {
		if !m.zoned {
			return 0, &fault{state: stateDateFormat, reason: "the text has no time zone; write one at its end, such as +00 or Z"}
		}
		n -= m.offset
	}
	return n, nil
}

func (stampForm) fromBinary(t Type, src []byte) (int64, *fault) {
	if len(src) != 8 {
		return 0, malformedBinary(t)
	}
	n := int64(binary.BigEndian.Uint64(src))
	if n != stampInfinity && n != stampMinusInfinity && (n < firstStamp || n > lastStamp) {
		return 0, malformedBinary(t)
	}
	return n, nil
}

func (stampForm) fit(t Type, n int64) (int64, *fault) {
	if n == stampInfinity || n == stampMinusInfinity {
		return n, nil
	}
	if n < firstStamp || n > lastStamp {
		return 0, dateRange(t)
	}
	if n = roundMicros(t, n); n > lastStamp {
		return 0, dateRange(t)
	}
	return n, nil
}

func (stampForm) appendBinary(_ Type, dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

// appendText writes DateStyle ISO; a timestamptz in UTC.
func (stampForm) appendText(t Type, dst []byte, n int64) []byte {
	switch n {
	case stampInfinity:
		return append(dst, "infinity"...)
	case stampMinusInfinity:
		return append(dst, "-infinity"...)
	}
	days := floorDiv64(n, microsPerDay)
	dst, bc := appendDate(dst, days)
	dst = appendClock(append(dst, ' '), n-days*microsPerDay)
	if t.kind == kindTimestamptz {
		dst = append(dst, "+00"...)
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func (f stampForm) natural(t Type, n int64) any {
	if n == stampInfinity || n == stampMinusInfinity {
		return string(f.appendText(t, nil, n))
	}
	return timeOfMicros(n)
}

func (stampForm) scan(_ Type, n int64, p any) (bool, *fault) {
	inf, x := pgtype.Finite, time.Time{}
	switch n {
	case stampInfinity:
		inf = pgtype.Infinity
	case stampMinusInfinity:
		inf = pgtype.NegativeInfinity
	default:
		x = timeOfMicros(n)
	}
	var err error
	switch dst := p.(type) {
	case *time.Time:
		if inf != pgtype.Finite {
			return true, infiniteTime()
		}
		*dst = x
	case pgtype.TimestamptzScanner:
		err = dst.ScanTimestamptz(pgtype.Timestamptz{Time: x, InfinityModifier: inf, Valid: true})
	case pgtype.TimestampScanner:
		err = dst.ScanTimestamp(pgtype.Timestamp{Time: x, InfinityModifier: inf, Valid: true})
	default:
		return false, nil
	}
	if err != nil {
		return true, mismatch()
	}
	return true, nil
}

// assign gives unmarshalers of text RFC 3339, which is what time.Time and types that embed it read.
func (stampForm) assign(t Type, n int64, rv reflect.Value) (bool, *fault) {
	if u, ok := rv.Addr().Interface().(encoding.TextUnmarshaler); ok && n != stampInfinity && n != stampMinusInfinity {
		if u.UnmarshalText(timeOfMicros(n).AppendFormat(nil, time.RFC3339Nano)) == nil {
			return true, nil
		}
	}
	return assignTime(rv, func(x *time.Time) *fault {
		_, f := stampForm{}.scan(t, n, x)
		return f
	})
}
