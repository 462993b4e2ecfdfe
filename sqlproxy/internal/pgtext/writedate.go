package pgtext

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/rowseal/rowseal/codec"
)

// appendInfinity writes one of the two ends of a type's numbers, which stand for the infinities.
func appendInfinity(dst []byte, positive bool) []byte {
	if positive {
		return append(dst, "infinity"...)
	}
	return append(dst, "-infinity"...)
}

func (s *Settings) appendDate(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	if len(src) != 4 {
		return dst, malformed(t, opDecode)
	}
	n := int32(binary.BigEndian.Uint32(src))
	switch {
	case n == math.MaxInt32 || n == math.MinInt32:
		return appendInfinity(dst, n > 0), nil
	case n < firstDay || n > lastDay:
		return dst, malformed(t, opDecode)
	}
	c := civilOfDays(int64(n))
	return appendEra(s.appendDay(dst, c), c), nil
}

// appendDay writes a date by itself, or before a time except in style Postgres.
func (s *Settings) appendDay(dst []byte, c civil) []byte {
	if s.style == styleISO {
		dst = appendPadded(dst, shownYear(c), 4)
		dst = appendPadded(append(dst, '-'), c.month, 2)
		return appendPadded(append(dst, '-'), c.day, 2)
	}
	first, second := c.month, c.day
	if s.order == orderDMY || s.style == styleGerman {
		first, second = second, first
	}
	between := [...]byte{styleSQL: '/', stylePostgres: '-', styleGerman: '.'}[s.style]
	dst = appendPadded(dst, first, 2)
	dst = appendPadded(append(dst, between), second, 2)
	return appendPadded(append(dst, between), shownYear(c), 4)
}

func shownYear(c civil) int64 {
	if c.year <= 0 {
		return 1 - c.year
	}
	return c.year
}

func appendEra(dst []byte, c civil) []byte {
	if c.year <= 0 {
		return append(dst, " BC"...)
	}
	return dst
}

// appendStamp writes a timestamp, or a timestamptz in the session's zone.
func (s *Settings) appendStamp(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	if len(src) != 8 {
		return dst, malformed(t, opDecode)
	}
	n := int64(binary.BigEndian.Uint64(src))
	if n == math.MaxInt64 || n == math.MinInt64 {
		return appendInfinity(dst, n > 0), nil
	}
	if !inStampRange(n) {
		return dst, malformed(t, opDecode)
	}
	zoned := t.Code() == codeTimestamptz
	name, offset := "", int64(0)
	if zoned {
		name, offset = s.zone.at(unixOf(n))
		n += offset * microsPerSecond
	}
	days, micros := splitStamp(n)
	c := civilOfDays(days)
	if s.style == stylePostgres {
		dst = s.appendNamedDay(dst, days, c)
	} else {
		dst = s.appendDay(dst, c)
	}
	dst = appendClock(append(dst, ' '), micros)
	if s.style == stylePostgres {
		dst = appendPadded(append(dst, ' '), shownYear(c), 4)
	}
	switch {
	case zoned && s.style == styleISO:
		dst = appendOffset(dst, offset)
	case zoned:
		const most = 10 // MAXTZLEN, all that the server writes of an abbreviation
		dst = append(append(dst, ' '), name[:min(len(name), most)]...)
	}
	return appendEra(dst, c), nil
}

// appendNamedDay writes "Wed Mar 04", or "Wed 04 Mar", which a time and the year follow.
func (s *Settings) appendNamedDay(dst []byte, days int64, c civil) []byte {
	dst = append(append(dst, weekday(days)...), ' ')
	if s.order == orderDMY {
		dst = appendPadded(dst, c.day, 2)
		return append(append(dst, ' '), months[c.month-1]...)
	}
	dst = append(append(dst, months[c.month-1]...), ' ')
	return appendPadded(dst, c.day, 2)
}

// appendOffset writes +HH, +HH:MM or +HH:MM:SS.
func appendOffset(dst []byte, offset int64) []byte {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendPadded(append(dst, sign), offset/3600, 2)
	if offset%3600 != 0 {
		dst = appendPadded(append(dst, ':'), offset/60%60, 2)
	}
	if offset%60 != 0 {
		dst = appendPadded(append(dst, ':'), offset%60, 2)
	}
	return dst
}

// appendPadded writes n, which is not negative, with zeros in front up to width digits.
func appendPadded(dst []byte, n, width int64) []byte {
	for limit := pow10(width - 1); n < limit && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, n, 10)
}

func pow10(n int64) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// appendClock writes HH:MM:SS and the fraction without zeros at its end.
func appendClock(dst []byte, micros int64) []byte {
	dst = appendPadded(dst, micros/microsPerHour, 2)
	dst = appendPadded(append(dst, ':'), micros/microsPerMinute%60, 2)
	return appendSeconds(append(dst, ':'), micros%microsPerMinute, 2)
}

// appendSeconds writes seconds, of at least width digits, and the fraction without zeros at its end.
func appendSeconds(dst []byte, micros, width int64) []byte {
	dst = appendPadded(dst, micros/microsPerSecond, width)
	fraction := micros % microsPerSecond
	if fraction == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), fraction, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
