package codec

import (
	"strconv"
	"time"
)

// daysIn is the length of a month of the proleptic Gregorian calendar.
func daysIn(y, m int) int {
	if m == 2 && (y%4 == 0 && (y%100 != 0 || y%400 == 0)) {
		return 29
	}
	return [...]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m]
}

// daysFromCivil counts days since 2000-01-01. time.Date is exact over the whole range of the types.
func daysFromCivil(y, m, d int) int64 {
	return floorDiv64(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix(), 86400) - epochUnixDays
}

func floorDiv64(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// dateOfDays is the day as a time.Time at midnight UTC.
func dateOfDays(days int64) time.Time { return time.Unix((days+epochUnixDays)*86400, 0).UTC() }

// appendDate writes a date as the server does with DateStyle ISO; bc tells whether " BC" is to follow at the end.
func appendDate(dst []byte, days int64) (out []byte, bc bool) {
	y, m, d := dateOfDays(days).Date()
	if y <= 0 {
		y, bc = 1-y, true
	}
	dst = appendPadded(dst, y, 4)
	dst = appendPadded(append(dst, '-'), int(m), 2)
	return appendPadded(append(dst, '-'), d, 2), bc
}

func appendPadded(dst []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for range width - len(s) {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}

// appendClock writes a time of day (or the time part of an interval) as HH:MM:SS and the fraction without zeros
// at its end.
func appendClock(dst []byte, micros int64) []byte {
	dst = appendPadded(dst, int(micros/microsPerHour), 2)
	dst = appendPadded(append(dst, ':'), int(micros/microsPerMinute%60), 2)
	dst = appendPadded(append(dst, ':'), int(micros/microsPerSecond%60), 2)
	fraction := int(micros % microsPerSecond)
	if fraction == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), fraction, maxSeconds)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// roundMicros rounds to the type's precision, half away from zero, as the server does. Values that the addition
// could overflow are out of every type's range before they get here.
func roundMicros(t Type, micros int64) int64 {
	if !t.modified {
		return micros
	}
	unit := int64(1)
	for range maxSeconds - t.size {
		unit *= 10
	}
	if micros < 0 {
		return -((-micros + unit/2) / unit * unit)
	}
	return (micros + unit/2) / unit * unit
}
