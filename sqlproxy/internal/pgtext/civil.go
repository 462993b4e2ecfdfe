package pgtext

import "github.com/rowseal/rowseal/codec"

// PostgreSQL counts days and microseconds from 2000-01-01.
const (
	epochUnixSeconds = 946684800

	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour

	firstDay     = -2451545   // 4714-11-24 BC
	lastDay      = 2145031948 // 5874897-12-31
	lastStampDay = 106751982  // 294276-12-31

	firstStamp = firstDay * microsPerDay
	lastStamp  = (lastStampDay+1)*microsPerDay - 1
)

// civil is a day of the proleptic Gregorian calendar; year 0 is 1 BC.
type civil struct{ year, month, day int64 }

// civilOfDays takes days since 2000-01-01. Years are counted from March, so
// that the leap day is a year's last, in cycles of 400 years.
func civilOfDays(days int64) civil {
	const perCycle = 146097
	n := days + 730425 // since 0000-03-01
	cycle := floorDiv(n, perCycle)
	n -= cycle * perCycle
	year := (n - n/1460 + n/36524 - n/(perCycle-1)) / 365
	n -= 365*year + year/4 - year/100
	month := (5*n + 2) / 153 // from March, 0
	c := civil{year: year + 400*cycle, month: month + 3, day: n - (153*month+2)/5 + 1}
	if c.month > 12 {
		c.month -= 12
		c.year++
	}
	return c
}

// days is the reverse of civilOfDays.
func (c civil) days() int64 {
	year, month := c.year, c.month-3
	if month < 0 {
		month += 12
		year--
	}
	cycle := floorDiv(year, 400)
	year -= 400 * cycle
	return cycle*146097 + 365*year + year/4 - year/100 + (153*month+2)/5 + c.day - 1 - 730425
}

// exists says whether the calendar has the day.
func (c civil) exists() bool {
	if c.month < 1 || c.month > 12 || c.day < 1 {
		return false
	}
	length := [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[c.month-1]
	if c.month == 2 && c.year%4 == 0 && (c.year%100 != 0 || c.year%400 == 0) {
		length++
	}
	return c.day <= length
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// splitStamp gives the day and the microseconds of the day.
func splitStamp(n int64) (days, micros int64) {
	days = floorDiv(n, microsPerDay)
	return days, n - days*microsPerDay
}

// unixOf gives the second that a timestamp lies in.
func unixOf(n int64) int64 { return floorDiv(n, microsPerSecond) + epochUnixSeconds }

// weekdays are the server's abbreviations; 2000-01-01 was a Saturday.
var (
	weekdays = [...]string{"Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"}
	months   = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)

func weekday(days int64) string { return weekdays[days-7*floorDiv(days, 7)] }

// inStampRange says whether a timestamp is finite and one that the server has.
func inStampRange(n int64) bool { return n >= firstStamp && n <= lastStamp }

func isType(t codec.Type, oid uint32) bool { return t.OID() == oid }
