package pgtext

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/codec"
)

// spaces are what the server's input functions skip (C's isspace).
const spaces = " \t\n\v\f\r"

// moment is what a text says of a day and a time, before it is a date or a timestamp.
type moment struct {
	infinity int   // -1, 0, +1
	epoch    bool  // 1970-01-01 00:00:00+00
	days     int64 // since 2000-01-01
	seconds  int64 // of the day
	micros   int64 // of the second
	zoned    bool
	here     bool  // the zone is the session's, by its name
	offset   int64 // seconds east of UTC
}

const epochDay = -10957 // 1970-01-01

// readDate drops a time of day and a zone, as the server does.
func (s *Settings) readDate(dst []byte, t codec.Type, text string) ([]byte, error) {
	m, err := s.readMoment(t, text)
	day := m.days
	switch {
	case err != nil:
		return dst, err
	case m.infinity > 0:
		day = math.MaxInt32
	case m.infinity < 0:
		day = math.MinInt32
	case day < firstDay || day > lastDay:
		return dst, dateRange(t)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(day)), nil
}

// readStamp reads a timestamp, from which a zone is dropped as the server does, or a timestamptz.
func (s *Settings) readStamp(dst []byte, t codec.Type, text string) ([]byte, error) {
	m, err := s.readMoment(t, text)
	switch {
	case err != nil:
		return dst, err
	case m.infinity > 0:
		return binary.BigEndian.AppendUint64(dst, math.MaxInt64), nil
	case m.infinity < 0:
		return binary.BigEndian.AppendUint64(dst, 1<<63), nil
	case m.days < firstDay-1 || m.days > lastStampDay+1: // a zone may bring it into the range
		return dst, dateRange(t)
	}
	local := m.days*secondsPerDay + m.seconds
	if t.Code() == codeTimestamptz && !m.epoch {
		if !m.zoned || m.here {
			m.offset = s.zone.localOffset(local + epochUnixSeconds)
		}
		local -= m.offset
	}
	return appendFittingStamp(dst, t, local*microsPerSecond+m.micros)
}

// appendFittingStamp rounds a timestamp to the precision of its type and checks the range.
func appendFittingStamp(dst []byte, t codec.Type, n int64) ([]byte, error) {
	if !inStampRange(n) {
		return dst, dateRange(t)
	}
	if t.Modifier() < 0 {
		return binary.BigEndian.AppendUint64(dst, uint64(n)), nil
	}
	return fitted(dst, t, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// fitted applies t's modifier to a value of t without one.
func fitted(dst []byte, t codec.Type, plain []byte) ([]byte, error) {
	return t.EncodeBinary(dst, plain)
}

// readMoment reads the forms that the package's documentation lists.
func (s *Settings) readMoment(t codec.Type, text string) (moment, error) {
	text = strings.Trim(text, spaces)
	switch {
	case strings.EqualFold(text, "infinity"):
		return moment{infinity: 1}, nil
	case strings.EqualFold(text, "-infinity"):
		return moment{infinity: -1}, nil
	case strings.EqualFold(text, "epoch"):
		return moment{epoch: true, days: epochDay}, nil
	}
	r := reader{s: s, t: t, rest: text}
	if err := r.all(); err != nil {
		return moment{}, err
	}
	return r.moment, nil
}

// number is digits of a text: how many there are decides what they mean.
type number struct{ value, digits int64 }

func (n number) isYear() bool { return n.digits >= 4 && n.digits <= 7 }
func (n number) isPart() bool { return n.digits == 1 || n.digits == 2 }

// reader reads a text field by field.
type reader struct {
	moment
	s    *Settings
	t    codec.Type
	rest string

	year, month, day number
	timed, bc        bool
	named, spelled   bool // the month is a word; and day, month and year are fields of their own
}

// all reads [weekday] date [time [zone]] [era], where a named month's year may
// stand behind the time.
func (r *reader) all() error {
	weekday := r.weekday()
	ok := r.date() && (!weekday || r.spelled)
	if ok && r.timeFollows() {
		if err := r.clock(); err != nil {
			return err
		}
	}
	if ok && r.year.digits == 0 {
		// What stands behind the year without a space would be part of a date.
		ok = r.skip() && r.lateYear() && ends(r.rest)
	}
	if !ok {
		return unreadable(r.t)
	}
	if err := r.ending(); err != nil {
		return err
	}
	if r.rest != "" {
		return unreadable(r.t)
	}
	return r.finish()
}

// ending reads the zone and era behind a time. Behind a day without one it reads an offset, on either side of the
// era: pgjdbc sends "2001-02-03 +00" and "0044-03-15 BC +00".
func (r *reader) ending() error {
	if r.timed {
		err := r.zone()
		r.era()
		return err
	}
	before := r.rest
	r.era()
	early := r.rest != before
	if spaced := r.skip(); spaced && r.rest != "" && (r.rest[0] == '+' || r.rest[0] == '-') {
		if err := r.offsetZone(); err != nil {
			return err
		}
	}
	if !early {
		r.era()
	}
	return nil
}

// skip takes spaces off; it reports whether there were any.
func (r *reader) skip() bool {
	before := len(r.rest)
	r.rest = strings.TrimLeft(r.rest, spaces)
	return len(r.rest) != before
}

func (r *reader) take(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// digits takes a number of at most nine digits; longer ones are none.
func (r *reader) digits() number {
	n, i := number{}, 0
	for ; i < len(r.rest) && isDigit(r.rest[i]); i++ {
		if i < 9 {
			n.value = n.value*10 + int64(r.rest[i]-'0')
		}
	}
	if n.digits = int64(i); i > 9 {
		return number{}
	}
	r.rest = r.rest[i:]
	return n
}

// word looks at the letters that come next, without taking them.
func (r *reader) word() string {
	i := 0
	for i < len(r.rest) && isLetter(r.rest[i]) {
		i++
	}
	return r.rest[:i]
}

var (
	weekdayNames = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	monthNames   = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
)

// named finds a word among names, written out or as its first three letters; -1 where it is none.
func named(names []string, word string) int {
	if len(word) < 3 {
		return -1
	}
	for i, name := range names {
		if strings.EqualFold(word, name) || strings.EqualFold(word, name[:3]) {
			return i
		}
	}
	return -1
}

// weekday skips a day's name, which the server does not check either. It takes one only where the date is
// spelled in fields of their own.
func (r *reader) weekday() bool {
	w := r.word()
	if named(weekdayNames[:], w) < 0 {
		return false
	}
	r.rest = strings.TrimLeft(r.rest[len(w):], spaces+",")
	return true
}

func (r *reader) takeMonth() bool {
	w := r.word()
	m := named(monthNames[:], w)
	if m < 0 {
		return false
	}
	r.month, r.named, r.rest = number{int64(m + 1), 2}, true, r.rest[len(w):]
	return true
}

// date reads a day, or a named month and a day whose year is still to come.
func (r *reader) date() bool {
	if r.takeMonth() {
		return r.afterMonth()
	}
	first := r.digits()
	switch {
	case first.digits == 0 || r.rest == "":
		return r.compact(first)
	case isDelimiter(r.rest[0]):
		return r.delimited(first)
	case r.skip() && first.isPart() && r.takeMonth(): // 04 Mar
		r.day, r.spelled = first, true
		return r.earlyYear()
	}
	return r.compact(first)
}

func isDelimiter(c byte) bool { return c == '-' || c == '/' || c == '.' }

// compact reads 20200304.
func (r *reader) compact(n number) bool {
	if n.digits != 8 {
		return false
	}
	r.year, r.month, r.day = number{n.value / 10000, 4}, number{n.value / 100 % 100, 2}, number{n.value % 100, 2}
	return true
}

// afterMonth reads what follows a month's name: "-04-2020" or " 04, 2020".
func (r *reader) afterMonth() bool {
	if r.rest != "" && isDelimiter(r.rest[0]) {
		delimiter := r.rest[0]
		r.rest = r.rest[1:]
		r.day = r.digits()
		ok := r.take(delimiter)
		r.year = r.digits()
		return ok && r.day.isPart() && r.year.isYear()
	}
	if !r.skip() {
		return false
	}
	r.day, r.spelled = r.digits(), true
	return r.day.isPart() && r.earlyYear()
}

// earlyYear reads the year of a named month where it stands before the time, and a comma before it.
func (r *reader) earlyYear() bool {
	comma := r.take(',')
	if !r.skip() && !comma {
		return r.rest == "" // and then there is no year
	}
	before := r.rest
	if r.year = r.digits(); r.year.digits == 0 || strings.HasPrefix(r.rest, ":") {
		r.year, r.rest = number{}, before
		return true
	}
	return r.year.digits == 4 || r.year.digits == 5
}

// lateYear reads the year behind the time.
func (r *reader) lateYear() bool {
	r.year = r.digits()
	return r.timed && r.year.digits >= 4 && r.year.digits <= 6
}

// delimited reads the rest of 2020-03-04, 03/04/2020 or 04-Mar-2020. The server tells fields apart by
// the length of the first, else by the session's order; with a month's name it needs no order.
func (r *reader) delimited(first number) bool {
	delimiter := r.rest[0]
	r.rest = r.rest[1:]
	var second number
	if !r.takeMonth() {
		second = r.digits()
	}
	if !r.take(delimiter) {
		return false
	}
	third := r.digits()
	if r.named {
		if first.isYear() {
			first, third = third, first
		}
		r.day, r.year = first, third
		return r.day.isPart() && r.year.isYear()
	}
	switch {
	case first.isYear() || r.s.order == orderYMD && first.digits == 2:
		r.year, r.month, r.day = first, second, third
	case r.s.order == orderDMY:
		r.day, r.month, r.year = first, second, third
	case r.s.order == orderMDY:
		r.month, r.day, r.year = first, second, third
	default:
		return false
	}
	return r.month.isPart() && r.day.isPart() && (r.year.isYear() || r.year.digits == 2)
}

// timeFollows says whether a time of day comes next, and takes what stands before it.
func (r *reader) timeFollows() bool {
	if len(r.rest) > 1 && r.rest[0]|0x20 == 't' && !r.named && isDigit(r.rest[1]) {
		r.rest = r.rest[1:]
		return true
	}
	before := r.rest
	spaced := r.skip() || r.named // a named month's reader has taken the space
	if spaced && r.rest != "" && isDigit(r.rest[0]) {
		return true
	}
	r.rest = before
	return false
}

// clock reads HH:MM[:SS[.fraction]].
func (r *reader) clock() error {
	hour := r.digits()
	ok := r.take(':')
	minute, second := r.digits(), number{digits: 2}
	if r.take(':') {
		second = r.digits()
		if second.isPart() && r.take('.') {
			r.micros = r.fraction()
		}
	}
	if !ok || !hour.isPart() || !minute.isPart() || !second.isPart() {
		return unreadable(r.t)
	}
	r.timed, r.seconds = true, hour.value*3600+minute.value*60+second.value
	if minute.value > 59 || second.value > 60 || r.seconds*microsPerSecond+r.micros > microsPerDay {
		return dateRange(r.t)
	}
	return nil
}

// fraction takes the digits behind a point and rounds them to microseconds as the server does: through a double, to
// the nearest even.
func (r *reader) fraction() (micros int64) {
	const exact = 6
	end := 0
	for end < len(r.rest) && isDigit(r.rest[end]) {
		if end < exact {
			micros = micros*10 + int64(r.rest[end]-'0')
		}
		end++
	}
	digits := r.rest[:end]
	r.rest = r.rest[end:]
	if end > exact {
		x, _ := strconv.ParseFloat("0."+digits, 64) // digits only: no error
		return int64(math.RoundToEven(x * microsPerSecond))
	}
	for ; end < exact; end++ {
		micros *= 10
	}
	return micros
}

// zone reads what says how far from UTC the time is, where anything does.
func (r *reader) zone() error {
	before := r.rest
	r.skip()
	switch w := r.word(); {
	case r.rest == "":
		return nil
	case r.rest[0] == '+' || r.rest[0] == '-':
		return r.offsetZone()
	case strings.EqualFold(w, "z"), strings.EqualFold(w, "utc"), strings.EqualFold(w, "gmt"):
		r.zoned, r.rest = true, r.rest[len(w):]
	case strings.Contains(r.s.zone.name, "/") && (r.rest == r.s.zone.name || strings.HasPrefix(r.rest, r.s.zone.name+" ")):
		// Only names with a slash: others may also be abbreviations, which mean another thing.
		r.zoned, r.here, r.rest = true, true, r.rest[len(r.s.zone.name):]
	default:
		r.rest = before
		return nil
	}
	return nil
}

// offsetZone reads +HH, +HHMM, +HH:MM and +HH:MM:SS.
func (r *reader) offsetZone() error {
	sign := int64(1)
	if r.rest[0] == '-' {
		sign = -1
	}
	r.rest = r.rest[1:]
	var parts [3]number
	parts[0] = r.digits()
	if n := parts[0]; n.digits == 3 || n.digits == 4 {
		parts[0], parts[1] = number{n.value / 100, 2}, number{n.value % 100, 2}
	} else {
		for i := 1; i < len(parts) && r.take(':'); i++ {
			if parts[i] = r.digits(); !parts[i].isPart() {
				return unreadable(r.t)
			}
		}
	}
	if !parts[0].isPart() {
		return unreadable(r.t)
	}
	if parts[0].value > 15 || parts[1].value > 59 || parts[2].value > 59 {
		return refuse(r.t, opEncode, "text", stateZone, "out of range: a time zone is at most 15:59:59 away from UTC")
	}
	r.zoned, r.offset = true, sign*(parts[0].value*3600+parts[1].value*60+parts[2].value)
	return nil
}

func (r *reader) era() {
	before := r.rest
	spaced := r.skip()
	switch w := r.word(); {
	case spaced && strings.EqualFold(w, "bc"):
		r.bc, r.rest = true, r.rest[len(w):]
	case spaced && strings.EqualFold(w, "ad"):
		r.rest = r.rest[len(w):]
	default:
		r.rest = before
	}
}

// finish makes the day.
func (r *reader) finish() error {
	c := civil{r.year.value, r.month.value, r.day.value}
	switch {
	case c.year == 0 && (r.bc || r.year.digits != 2):
		return dateRange(r.t)
	case r.bc:
		c.year = 1 - c.year
	case r.year.digits == 2 && c.year < 70:
		c.year += 2000
	case r.year.digits == 2:
		c.year += 1900
	}
	if !c.exists() {
		return dateRange(r.t)
	}
	r.days = c.days()
	return nil
}
