package pgtext

import (
	"encoding/binary"
	"math"

	"github.com/rowseal/rowseal/codec"
)

// convertTime casts among dates, times, timestamps and intervals. The session's zone is between a
// timestamptz and the others.
func (s *Settings) convertTime(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	switch from.OID() {
	case oidTime:
		return fitted(dst, t, span{micros: int64(binary.BigEndian.Uint64(plain))}.appendBinary(nil))
	case oidInterval:
		x, err := readSpan(t, opEncode, plain)
		if err != nil {
			return dst, err
		}
		_, micros := splitStamp(x.micros)
		return fitted(dst, t, binary.BigEndian.AppendUint64(nil, uint64(micros)))
	}
	n, infinite := s.localStamp(t, from, plain)
	switch {
	case isType(t, oidTime) && infinite:
		return dst, refuse(t, opEncode, from.String(), stateNullNotValue, "an infinite "+from.String()+" has no time of day; send NULL")
	case isType(t, oidTime):
		_, micros := splitStamp(n)
		return fitted(dst, t, binary.BigEndian.AppendUint64(nil, uint64(micros)))
	case isType(t, oidDate) && infinite:
		return binary.BigEndian.AppendUint32(dst, infiniteDay(n)), nil
	case isType(t, oidDate):
		day, _ := splitStamp(n)
		return binary.BigEndian.AppendUint32(dst, uint32(day)), nil
	case infinite:
		return binary.BigEndian.AppendUint64(dst, uint64(n)), nil
	}
	if !isType(from, oidTimestamptz) && isType(t, oidTimestamptz) {
		if n < firstStamp-microsPerDay || n > lastStamp+microsPerDay {
			return dst, dateRange(t)
		}
		n -= s.zone.localOffset(unixOf(n)) * microsPerSecond
	}
	return appendFittingStamp(dst, t, n)
}

func infiniteDay(n int64) uint32 {
	if n > 0 {
		return math.MaxInt32
	}
	return 1 << 31
}

// localStamp gives what a clock on the wall shows at a date's or timestamp's moment; the ends of int64 where it is
// infinite. A timestamptz that stays one needs no clock.
func (s *Settings) localStamp(t, from codec.Type, plain []byte) (n int64, infinite bool) {
	if isType(from, oidDate) {
		day := int64(int32(binary.BigEndian.Uint32(plain)))
		switch {
		case day == math.MaxInt32:
			return math.MaxInt64, true
		case day == math.MinInt32:
			return math.MinInt64, true
		case day > lastStampDay:
			return lastStamp + microsPerDay + 1, false // out of every timestamp's range
		}
		return day * microsPerDay, false
	}
	n = int64(binary.BigEndian.Uint64(plain))
	if n == math.MaxInt64 || n == math.MinInt64 {
		return n, true
	}
	if isType(from, oidTimestamptz) && !isType(t, oidTimestamptz) {
		_, offset := s.zone.at(unixOf(n))
		n += offset * microsPerSecond
	}
	return n, false
}
