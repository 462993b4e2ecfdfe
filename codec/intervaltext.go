package codec

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func intervalFormat(t Type) *fault {
	f := malformedText(t, "numbers with units and a time such as 1 year 2 mons -3 days 04:05:06.789, or ISO 8601 such as P1Y2M-3DT4H5M6.789S; only seconds may have a fraction")
	f.state = stateDateFormat
	return f
}

// parseInterval reads PostgreSQL's own output style, the verbose style (@ … ago), and ISO 8601 with designators, which
// has no spaces around it and capital letters only.
func parseInterval(t Type, s string) (span, *fault) {
	if strings.HasPrefix(s, "P") {
		return parseISOInterval(t, s[1:])
	}
	s = strings.ToLower(strings.Trim(s, spaces))
	s = strings.TrimLeft(strings.TrimPrefix(s, "@"), spaces)
	s, ago := strings.CutSuffix(s, " ago")
	var x fields
	if strings.Trim(s, spaces) == "" {
		return span{}, intervalFormat(t)
	}
	for s != "" {
		var f *fault
		if s, f = x.take(t, s); f != nil {
			return span{}, f
		}
		s = strings.TrimLeft(s, spaces)
	}
	if !ago {
		return x.span, nil
	}
	if x.micros == math.MinInt64 || x.days == math.MinInt32 || x.months == math.MinInt32 {
		return span{}, intervalRange(t)
	}
	return span{micros: -x.micros, days: -x.days, months: -x.months}, nil
}

// fields is an interval and the units that its text has named, each of which may stand there once.
type fields struct {
	span
	seen string
}

// The designators that a time of day, and a number of seconds with a fraction, name all at once.
const (
	secondUnits = "siu"
	clockUnits  = "hm" + secondUnits
)

// once notes units; false if one of them was named before.
func (x *fields) once(units string) bool {
	again := strings.ContainsAny(x.seen, units)
	x.seen += units
	return !again
}

// take reads "3 days" or "-04:05:06" off the front of s.
func (x *fields) take(t Type, s string) (rest string, f *fault) {
	number, rest := cutNumber(s)
	if strings.HasPrefix(rest, ":") {
		end := strings.IndexAny(s, spaces)
		if end < 0 {
			end = len(s)
		}
		if !x.once(clockUnits) {
			return "", intervalFormat(t)
		}
		return s[end:], x.addClock(t, s[:end])
	}
	unsplit := strings.HasSuffix(number, ".") && rest != "" && strings.IndexByte(spaces, rest[0]) < 0
	rest = strings.TrimLeft(rest, spaces)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
	if end < 0 {
		end = len(rest)
	}
	unit := intervalUnit(rest[:end])
	units := string(unit)
	if _, fraction, _ := strings.Cut(number, "."); unit == 's' && strings.Trim(fraction, "0") != "" {
		units = secondUnits
	}
	if f := x.add(t, number, unit); f != nil {
		return "", f
	}
	signedPoint := strings.HasPrefix(number, "-.") || strings.HasPrefix(number, "+.")
	if unsplit || signedPoint || !x.once(units) || !endsUnit(rest[:end], rest[end:]) {
		return "", intervalFormat(t)
	}
	return rest[end:], nil
}

// endsUnit reports whether a unit ends before rest. The server takes one for a part of a date's text if a digit or a sign
// follows it at once, unless times and dates have a unit of that name too, which may have a plus or a digit there.
func endsUnit(word, rest string) bool {
	if rest == "" || strings.IndexByte(spaces, rest[0]) >= 0 {
		return true
	}
	switch word {
	case "y", "mon", "d", "h", "m", "s":
		return rest[0] == '+' || rest[0] >= '0' && rest[0] <= '9'
	}
	return false
}

// cutNumber takes [sign]digits[.digits] off the front of s.
func cutNumber(s string) (number, rest string) {
	i := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		i = 1
	}
	for i < len(s) && (s[i] == '.' || s[i] >= '0' && s[i] <= '9') {
		i++
	}
	return s[:i], s[i:]
}

// intervalUnit maps the server's words to one designator: y o w d h m s, and i, u for milli- and microseconds
// ("o" is the month, to keep it apart from the minute). Zero is unknown.
func intervalUnit(word string) byte {
	switch word {
	case "y", "yr", "yrs", "year", "years":
		return 'y'
	case "mon", "mons", "month", "months":
		return 'o'
	case "w", "week", "weeks":
		return 'w'
	case "d", "day", "days":
		return 'd'
	case "h", "hr", "hrs", "hour", "hours":
		return 'h'
	case "m", "min", "mins", "minute", "minutes":
		return 'm'
	case "s", "sec", "secs", "second", "seconds":
		return 's'
	case "ms", "msec", "msecs", "millisecond", "milliseconds":
		return 'i'
	case "us", "usec", "usecs", "microsecond", "microseconds":
		return 'u'
	}
	return 0
}

// add puts a number with its unit into x.
func (x *span) add(t Type, number string, unit byte) *fault {
	whole, fraction, dotted := strings.Cut(number, ".")
	digits := strings.TrimLeft(whole, "+-")
	if unit == 0 || (digits == "" && fraction == "") || (dotted && unit != 's') {
		return intervalFormat(t)
	}
	if digits == "" {
		whole += "0"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return intervalRange(t)
	}
	ok := x.addWhole(n, unit)
	if ok && dotted {
		micros, valid := parseFraction(fraction)
		if !valid {
			return intervalFormat(t)
		}
		if strings.HasPrefix(whole, "-") {
			micros = -micros
		}
		ok = addMicros(&x.micros, micros, 1)
	}
	switch {
	case ok:
		return nil
	case unit == 'y' && n == int64(int32(n)):
		f := intervalRange(t)
		f.state = stateDateRange // the years are a number the server can read, the months they make are not
		return f
	}
	return intervalRange(t)
}

// addWhole adds n units; false on overflow.
func (x *span) addWhole(n int64, unit byte) bool {
	switch unit {
	case 'y':
		return addInt32(&x.months, n, 12)
	case 'o':
		return addInt32(&x.months, n, 1)
	case 'w':
		return addInt32(&x.days, n, 7)
	case 'd':
		return addInt32(&x.days, n, 1)
	case 'h':
		return addMicros(&x.micros, n, microsPerHour)
	case 'm':
		return addMicros(&x.micros, n, microsPerMinute)
	case 's':
		return addMicros(&x.micros, n, microsPerSecond)
	case 'i':
		return addMicros(&x.micros, n, 1000)
	default: // microseconds
		return addMicros(&x.micros, n, 1)
	}
}

// addClock reads [sign]H:MM[:SS[.fraction]]; the sign holds for all of it.
func (x *span) addClock(t Type, s string) *fault {
	sign := int64(1)
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	hours, rest, _ := strings.Cut(s, ":")
	if !wholeNumber(hours) || strings.ContainsAny(hours, "+-") {
		return intervalFormat(t)
	}
	n, err := strconv.ParseInt(hours, 10, 64)
	if err != nil {
		return intervalRange(t)
	}
	micros, f := parseClock(t, "00:"+rest)
	if f != nil {
		if f.state == stateDateRange {
			return intervalRange(t)
		}
		return intervalFormat(t)
	}
	if !addMicros(&x.micros, sign*n, microsPerHour) || !addMicros(&x.micros, sign*micros, 1) {
		return intervalRange(t)
	}
	return nil
}

// parseISOInterval reads what follows the P. Units may be repeated, and are added.
func parseISOInterval(t Type, s string) (span, *fault) {
	var x span
	units := map[byte]byte{'Y': 'y', 'M': 'o', 'W': 'w', 'D': 'd'}
	if s == "" {
		return x, intervalFormat(t)
	}
	for s != "" {
		if s[0] == 'T' {
			units, s = map[byte]byte{'H': 'h', 'M': 'm', 'S': 's'}, s[1:]
			if s == "" {
				break // the server takes PT for no time at all
			}
		}
		number, rest := cutNumber(s)
		if number == "" || number[0] == '+' || rest == "" {
			return span{}, intervalFormat(t)
		}
		if f := x.add(t, number, units[rest[0]]); f != nil {
			return span{}, f
		}
		s = rest[1:]
	}
	return x, nil
}

// addInt64 adds; ok is false on overflow.
func addInt64(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// addMicros adds n*factor to *p; false on overflow.
func addMicros(p *int64, n, factor int64) bool {
	hi, lo := bits.Mul64(uint64(max(n, -n)), uint64(factor))
	if n == math.MinInt64 || hi != 0 || lo > math.MaxInt64 {
		return n == math.MinInt64 && factor == 1 && addTo(p, n)
	}
	if n < 0 {
		return addTo(p, -int64(lo))
	}
	return addTo(p, int64(lo))
}

func addTo(p *int64, n int64) bool {
	sum, ok := addInt64(*p, n)
	if ok {
		*p = sum
	}
	return ok
}

// addInt32 adds n*factor to *p; false on overflow.
func addInt32(p *int32, n, factor int64) bool {
	total := int64(*p)
	if n > math.MaxInt32 || n < math.MinInt32 || !addMicros(&total, n, factor) || total > math.MaxInt32 || total < math.MinInt32 {
		return false
	}
	*p = int32(total)
	return true
}
