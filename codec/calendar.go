package codec

import (
	"math"
	"strconv"
	"strings"
)

// PostgreSQL counts days and microseconds from 2000-01-01.
const (
	epochUnixSeconds = 946684800
	epochUnixDays    = epochUnixSeconds / 86400

	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour

	firstDay     = -2451545   // 4714-11-24 BC, both for date and timestamp
	lastDay      = 2145031948 // 5874897-12-31
	lastStampDay = 106751982  // 294276-12-31
)

// moment is what an ISO 8601 text says, before it is a date or a timestamp.
type moment struct {
	infinity int   // -1, 0, +1
	days     int64 // since 2000-01-01
	micros   int64 // of the day
	zoned    bool
	offset   int64 // east of UTC, in microseconds
}

// dateWant is the hint in errors about dates and timestamps.
const dateWant = "ISO 8601 such as 2001-02-03 or 2001-02-03 04:05:06.789+00 (years of four digits or more, BC at the end where needed), infinity or -infinity"

func dateFormat(t Type) *fault {
	f := malformedText(t, dateWant)
	f.state = stateDateFormat
	return f
}

func dateRange(t Type) *fault {
	limits := map[kind]string{
		kindDate:        "4714-11-24 BC to 5874897-12-31",
		kindTime:        "00:00:00 to 24:00:00",
		kindTimestamp:   "4714-11-24 00:00:00 BC to 294276-12-31 23:59:59.999999",
		kindTimestamptz: "4714-11-24 00:00:00+00 BC to 294276-12-31 23:59:59.999999+00",
	}[t.kind]
	return &fault{state: stateDateRange, reason: "out of range: " + t.String() + " holds " + limits}
}

// parseMoment reads YYYY-MM-DD, optionally followed by a time of day, a zone and BC.
func parseMoment(t Type, s string) (moment, *fault) {
	s = strings.Trim(s, spaces)
	switch strings.ToLower(s) {
	case "infinity":
		return moment{infinity: 1}, nil
	case "-infinity":
		return moment{infinity: -1}, nil
	}
	s, bc := cutEra(s)
	date, rest := s, ""
	if i := strings.IndexAny(s, "tT "); i >= 0 {
		date, rest = s[:i], strings.TrimLeft(s[i+1:], " ")
		if rest == "" {
			return moment{}, dateFormat(t)
		}
	}
	days, f := parseDate(t, date, bc)
	if f != nil || rest == "" {
		return moment{days: days}, f
	}
	m := moment{days: days}
	clock, zone := cutZone(rest)
	if m.offset, m.zoned, f = parseZone(t, zone); f != nil {
		return moment{}, f
	}
	m.micros, f = parseClock(t, clock)
	return m, f
}

func cutEra(s string) (rest string, bc bool) {
	upper := strings.ToUpper(s)
	switch {
	case strings.HasSuffix(upper, " BC"):
		return strings.TrimRight(s[:len(s)-3], " "), true
	case strings.HasSuffix(upper, " AD"):
		return strings.TrimRight(s[:len(s)-3], " "), false
	}
	return s, false
}

// parseDate reads year-month-day into days since 2000-01-01.
func parseDate(t Type, s string, bc bool) (int64, *fault) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 || len(parts[0]) < 4 || len(parts[0]) > 7 {
		return 0, dateFormat(t)
	}
	y, ok1 := parseDigits(parts[0], 7)
	m, ok2 := parseDigits(parts[1], 2)
	d, ok3 := parseDigits(parts[2], 2)
	if !ok1 || !ok2 || !ok3 {
		return 0, dateFormat(t)
	}
	if y == 0 || m < 1 || m > 12 {
		return 0, dateRange(t)
	}
	if bc {
		y = 1 - y // 1 BC is the astronomers' year 0
	}
	if d < 1 || d > daysIn(y, m) {
		return 0, dateRange(t)
	}
	return daysFromCivil(y, m, d), nil
}

// parseDigits reads 1 to limit ASCII digits, nothing else.
func parseDigits(s string, limit int) (int, bool) {
	if s == "" || len(s) > limit || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// cutZone separates the time of day from what follows it.
func cutZone(s string) (clock, zone string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && r != ':' && r != '.'
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " ")
}

// parseZone reads Z, UTC, GMT, +HH, +HHMM, +HH:MM and +HH:MM:SS. Names of places are refused: what they mean
// changes with the time zone database.
func parseZone(t Type, s string) (offset int64, zoned bool, f *fault) {
	switch strings.ToUpper(s) {
	case "":
		return 0, false, nil
	case "Z", "UTC", "GMT":
		return 0, true, nil
	}
	sign, digits := int64(1), s[1:]
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false, dateFormat(t)
	}
	parts := strings.Split(digits, ":")
	if len(parts) == 1 && len(digits) > 2 {
		parts = []string{digits[:len(digits)-2], digits[len(digits)-2:]}
	}
	if len(parts) > 3 {
		return 0, false, dateFormat(t)
	}
	units, limits := [...]int64{microsPerHour, microsPerMinute, microsPerSecond}, [...]int{15, 59, 59}
	for i, p := range parts {
		n, ok := parseDigits(p, 2)
		if !ok {
			return 0, false, dateFormat(t)
		}
		if n > limits[i] {
			return 0, false, &fault{state: stateZone, reason: "out of range: a time zone is at most 15:59:59 away from UTC"}
		}
		offset += int64(n) * units[i]
	}
	return sign * offset, true, nil
}

// parseClock reads HH:MM[:SS[.fraction]] into microseconds; 24:00:00 is the end of the day.
func parseClock(t Type, s string) (int64, *fault) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, dateFormat(t)
	}
	h, ok1 := parseDigits(parts[0], 2)
	m, ok2 := parseDigits(parts[1], 2)
	if !ok1 || !ok2 {
		return 0, dateFormat(t)
	}
	sec, micros := 0, int64(0)
	if len(parts) == 3 {
		var ok bool
		if sec, micros, ok = parseSeconds(parts[2]); !ok {
			return 0, dateFormat(t)
		}
	}
	total := int64(h)*microsPerHour + int64(m)*microsPerMinute + int64(sec)*microsPerSecond + micros
	if m > 59 || sec > 60 || total > microsPerDay {
		return 0, dateRange(t)
	}
	return total, nil
}

func parseSeconds(s string) (sec int, micros int64, ok bool) {
	whole, fraction, dotted := strings.Cut(s, ".")
	sec, ok = parseDigits(whole, 2)
	if !ok || !dotted {
		return sec, 0, ok
	}
	micros, ok = parseFraction(fraction)
	return sec, micros, ok
}

// parseFraction rounds the digits after the point to microseconds, the way the server does: through a double, to
// the nearest even.
func parseFraction(digits string) (int64, bool) {
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	x, err := strconv.ParseFloat("0."+digits+"0", 64)
	return int64(math.RoundToEven(x * microsPerSecond)), err == nil
}
