package pgtext

import (
	"encoding/binary"
	"strconv"

	"github.com/rowseal/rowseal/codec"
)

// parts is an interval in the units that are written. All have the sign of what they are taken from.
type parts struct {
	years, months, days, hours, minutes int64
	micros                              int64 // of seconds and their fraction
}

// span is an interval as it is stored.
type span struct {
	micros       int64
	days, months int64
}

func readSpan(t codec.Type, op string, src []byte) (span, error) {
	if len(src) != 16 {
		return span{}, malformed(t, op)
	}
	return span{
		micros: int64(binary.BigEndian.Uint64(src)),
		days:   int64(int32(binary.BigEndian.Uint32(src[8:]))),
		months: int64(int32(binary.BigEndian.Uint32(src[12:]))),
	}, nil
}

func (x span) appendBinary(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(x.micros))
	dst = binary.BigEndian.AppendUint32(dst, uint32(x.days))
	return binary.BigEndian.AppendUint32(dst, uint32(x.months))
}

func (s *Settings) appendInterval(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	x, err := readSpan(t, opDecode, src)
	if err != nil {
		return dst, err
	}
	p := parts{
		years: x.months / 12, months: x.months % 12, days: x.days,
		hours: x.micros / microsPerHour, minutes: x.micros / microsPerMinute % 60, micros: x.micros % microsPerMinute,
	}
	switch s.interval {
	case intervalVerbose:
		return appendVerbose(dst, p), nil
	case intervalSQL:
		return appendSQL(dst, p), nil
	case intervalISO:
		return appendDesignated(dst, p), nil
	default:
		return t.AppendText(dst, src)
	}
}

// appendVerbose writes "@ 1 year 2 mons -3 days 4 hours 5 mins 6.789 secs", with "ago" where the first part is
// negative; the signs of the others are then turned.
func appendVerbose(dst []byte, p parts) []byte {
	dst = append(dst, '@')
	first, ago := true, false
	for _, part := range [...]struct {
		n    int64
		unit string
	}{{p.years, " year"}, {p.months, " mon"}, {p.days, " day"}, {p.hours, " hour"}, {p.minutes, " min"}} {
		if part.n == 0 {
			continue
		}
		if first {
			ago = part.n < 0
		}
		if ago {
			part.n = -part.n
		}
		first = false
		dst = append(strconv.AppendInt(append(dst, ' '), part.n, 10), part.unit...)
		if part.n != 1 {
			dst = append(dst, 's')
		}
	}
	if p.micros != 0 {
		dst, ago = appendVerboseSeconds(dst, p.micros, first, ago)
	} else if first {
		dst = append(dst, " 0"...)
	}
	if ago {
		dst = append(dst, " ago"...)
	}
	return dst
}

func appendVerboseSeconds(dst []byte, micros int64, first, ago bool) ([]byte, bool) {
	if first {
		ago = micros < 0
	}
	dst = append(dst, ' ')
	if !first && ago != (micros < 0) {
		dst = append(dst, '-')
	}
	dst = append(appendSeconds(dst, abs(micros), 1), " sec"...)
	if abs(micros) != microsPerSecond {
		dst = append(dst, 's')
	}
	return dst, ago
}

// appendSQL writes "1-2", "3 4:05:06" or, where signs or the two kinds are mixed, "+1-2 -3 +4:05:06".
func appendSQL(dst []byte, p parts) []byte {
	yearMonth := p.years != 0 || p.months != 0
	dayTime := p.days != 0 || p.hours != 0 || p.minutes != 0 || p.micros != 0
	negative := min(p.years, p.months, p.days, p.hours, p.minutes, p.micros) < 0
	positive := max(p.years, p.months, p.days, p.hours, p.minutes, p.micros) > 0
	if negative && positive || yearMonth && dayTime {
		dst = appendSign(dst, p.years < 0 || p.months < 0)
		dst = appendYearMonth(dst, p)
		dst = appendSign(append(dst, ' '), p.days < 0)
		dst = append(strconv.AppendInt(dst, abs(p.days), 10), ' ')
		return appendHours(appendSign(dst, p.hours < 0 || p.minutes < 0 || p.micros < 0), p)
	}
	if negative {
		dst = append(dst, '-')
	}
	switch {
	case !yearMonth && !dayTime:
		return append(dst, '0')
	case yearMonth:
		return appendYearMonth(dst, p)
	case p.days != 0:
		dst = append(strconv.AppendInt(dst, abs(p.days), 10), ' ')
	}
	return appendHours(dst, p)
}

func appendSign(dst []byte, negative bool) []byte {
	if negative {
		return append(dst, '-')
	}
	return append(dst, '+')
}

func appendYearMonth(dst []byte, p parts) []byte {
	dst = append(strconv.AppendInt(dst, abs(p.years), 10), '-')
	return strconv.AppendInt(dst, abs(p.months), 10)
}

func appendHours(dst []byte, p parts) []byte {
	dst = append(strconv.AppendInt(dst, abs(p.hours), 10), ':')
	dst = append(appendPadded(dst, abs(p.minutes), 2), ':')
	return appendSeconds(dst, abs(p.micros), 2)
}

func abs(n int64) int64 { return max(n, -n) }

// appendDesignated writes ISO 8601's P1Y2M-3DT4H5M6.789S.
func appendDesignated(dst []byte, p parts) []byte {
	if p == (parts{}) {
		return append(dst, "PT0S"...)
	}
	part := func(n int64, unit byte) {
		if n != 0 {
			dst = append(strconv.AppendInt(dst, n, 10), unit)
		}
	}
	dst = append(dst, 'P')
	part(p.years, 'Y')
	part(p.months, 'M')
	part(p.days, 'D')
	if p.hours != 0 || p.minutes != 0 || p.micros != 0 {
		dst = append(dst, 'T')
	}
	part(p.hours, 'H')
	part(p.minutes, 'M')
	if p.micros == 0 {
		return dst
	}
	if p.micros < 0 {
		dst = append(dst, '-')
	}
	return append(appendSeconds(dst, abs(p.micros), 1), 'S')
}
