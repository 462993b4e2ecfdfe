package pgtext

import (
	"math"
	"strings"

	"github.com/rowseal/rowseal/codec"
)

// readInterval reads the SQL standard's forms here and leaves the others to
// package codec. With IntervalStyle sql_standard a minus sign in front of the
// first field, and no other sign, makes all fields negative.
func (s *Settings) readInterval(dst []byte, t codec.Type, text string) ([]byte, error) {
	x, negateAll, err := s.parseInterval(t, text)
	if err != nil {
		return dst, err
	}
	if negateAll {
		x = span{micros: -abs(x.micros), days: -abs(x.days), months: -abs(x.months)}
	}
	if !x.fits() {
		return dst, intervalRange(t)
	}
	if t.Modifier() < 0 {
		return x.appendBinary(dst), nil
	}
	return fitted(dst, t, x.appendBinary(nil))
}

func intervalRange(t codec.Type) error {
	return refuse(t, opEncode, "text", stateInterval, "out of range: "+t.String()+" holds months and days of 32 bits and microseconds of 64")
}

func (x span) fits() bool {
	return x.days == int64(int32(x.days)) && x.months == int64(int32(x.months))
}

func (s *Settings) parseInterval(t codec.Type, text string) (x span, negateAll bool, err error) {
	body := strings.TrimLeft(strings.TrimPrefix(strings.Trim(text, spaces), "@"), spaces)
	negateAll = s.interval == intervalSQL && strings.HasPrefix(body, "-") && strings.Count(body, " +")+strings.Count(body, " -") == 0
	if negateAll {
		// Read without the sign, which the caller puts on every field.
		body = body[1:]
		text = body
	}
	if x, ok := parseSQLInterval(body); ok {
		return x, negateAll, nil
	}
	if days, times := countUnits(body); negateAll && (!plainSigned(body) || days > 1 || times > 1) {
		// Servers of different releases add up days and weeks, or hours and minutes, before or after the sign.
		return x, false, unreadable(t)
	}
	plain, err := base(t).EncodeText(nil, text)
	if err != nil {
		return x, false, asType(err, t)
	}
	x, err = readSpan(t, opEncode, plain)
	return x, negateAll, err
}

// plainSigned says of a text behind its minus sign that it has no other, single blanks between its fields,
// and no "ago", so that it is certain what the sign is of.
func plainSigned(text string) bool {
	return text != "" && isDigit(text[0]) && !strings.ContainsAny(text, "+-@\t\n\v\f\r") && !strings.Contains(strings.ToLower(text), "ago")
}

// parseSQLInterval reads [years-months] [days] [hours:minutes[:seconds]], and a number alone as seconds.
func parseSQLInterval(text string) (x span, ok bool) {
	fields := 0
	days, dayPending := int64(0), false
	for text != "" {
		r := reader{rest: text}
		sign := int64(1)
		if r.take('-') {
			sign = -1
		} else {
			_ = r.take('+')
		}
		n := r.digits()
		if n.digits == 0 {
			return x, false
		}
		kind := 0
		switch {
		case r.take('-'):
			m := r.digits()
			if fields != 0 || m.digits == 0 || m.value > 11 {
				return x, false
			}
			kind, x.months = 1, sign*(n.value*12+m.value)
		case r.take(':'):
			if !r.spanClock(&x, sign, n.value) || !ends(r.rest) {
				return x, false
			}
			kind = 3
		default:
			kind, days, dayPending = 2, sign*n.value, true
		}
		if fields >= kind || !ends(r.rest) {
			return x, false
		}
		fields, text = kind, strings.TrimLeft(r.rest, spaces)
		if kind == 3 {
			break
		}
	}
	if text != "" || fields == 0 {
		return x, false
	}
	if dayPending && fields == 2 { // no time follows: the number counts seconds
		x.micros = days * microsPerSecond
		return x, x.months == 0
	}
	x.days = days
	return x, true
}

// ends says whether a field ends here.
func ends(rest string) bool { return rest == "" || strings.IndexByte(spaces, rest[0]) >= 0 }

// spanClock reads what follows the hours.
func (r *reader) spanClock(x *span, sign, hours int64) bool {
	minute, second, micros := r.digits(), number{digits: 2}, int64(0)
	if r.take(':') {
		second = r.digits()
		if second.isPart() && r.take('.') {
			micros = r.fraction()
		}
	}
	if !minute.isPart() || !second.isPart() || minute.value > 59 || second.value > 60 || hours > math.MaxInt64/microsPerHour-1 {
		return false
	}
	x.micros = sign * (hours*microsPerHour + minute.value*microsPerMinute + second.value*microsPerSecond + micros)
	return true
}

// countUnits counts the fields of an interval that are days or weeks, and those that are times of day or parts of them.
func countUnits(text string) (days, times int) {
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && isLetter(text[end]) {
			end++
		}
		switch {
		case end > i && isDays(text[i:end]):
			days++
		case end > i && isTime(text[i:end]):
			times++
		case text[i] == ':':
			times++
			for end < len(text) && !ends(text[end:]) {
				end++
			}
		}
		i = max(end, i+1)
	}
	return days, times
}

// isDays and isTime know a unit of the server's by how it begins.
func isDays(word string) bool {
	return word[0]|0x20 == 'd' || word[0]|0x20 == 'w'
}

func isTime(word string) bool {
	switch word[0] | 0x20 {
	case 'h', 's', 'u':
		return true
	case 'm':
		return len(word) < 2 || word[1]|0x20 != 'o' // not a month
	}
	return false
}
