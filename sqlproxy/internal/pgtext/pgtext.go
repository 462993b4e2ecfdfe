// Package pgtext writes and reads values the way a PostgreSQL session does that
// has settings of its own: DateStyle, TimeZone, IntervalStyle, bytea_output,
// extra_float_digits.
//
// [Parse] makes [Settings] of what the server says; they are made once a change
// and serve all values. Texts are UTF-8.
//
// # What is read
//
// [Settings.FromText] reads a text as the server would, or refuses it. It never
// gives another value than the server's; where the server would have to be asked,
// it refuses with SQLSTATE 22007. Read are, besides what package codec reads:
//
//   - dates as 2020-03-04, 20200304, 03/04/2020, 03-04-2020 and 04.03.2020 in the session's order of
//     fields (years of two digits too), with a month's name (Mar 4, 2020; 04-Mar-2020; Wed Mar 04
//     10:00:00 2020), epoch, infinity;
//   - times of day in 24 hours, zones as +01, +0130, +01:30:00, Z, UTC, GMT or the session's own name;
//   - a timestamptz without a zone in the session's;
//   - intervals in all four styles.
//
// Refused are now, today, tomorrow, yesterday, allballs, abbreviations of zones (the server's list of them is not
// known here, and need not agree with the session's zone), names of other zones, AM and PM, Julian days, days
// of the year, and intervals with fractions of anything but seconds, and with centuries and the like.
// Numbers with underscores or in hexadecimal, which PostgreSQL reads since version 16, are refused (22P02).
//
// Go's time zone database stands in for the server's: where they are of different releases, they may
// differ for days that one of them does not know the rules of.
package pgtext

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/rowseal/rowseal/codec"
)

// AppendText appends a value's text form as the server would send it to this
// session. src is the binary form of the type. Errors are *[codec.Error] with Op
// "decode"; dst is then returned as it was.
func (s *Settings) AppendText(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	if isPlainText(t) && validText(src) {
		return appendBytes(dst, src), nil
	}
	switch {
	case !s.decides(t):
		return t.AppendText(dst, src)
	case t.IsArray():
		return s.appendArray(dst, t, src)
	}
	return s.appendScalar(dst, t, src)
}

// decides says whether values of t are written here and not by package codec.
func (s *Settings) decides(t codec.Type) bool {
	switch t.Code() &^ arrayBit {
	case codeFloat4, codeFloat8, codeDate, codeTimestamp, codeTimestamptz:
		return true
	case codeBytea:
		return s.escape
	case codeInterval:
		return s.interval != intervalPostgres
	}
	return false
}

func (s *Settings) appendScalar(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	switch t.Code() {
	case codeFloat4, codeFloat8:
		return s.appendFloat(dst, t, src)
	case codeBytea:
		return appendEscape(dst, src), nil
	case codeDate:
		return s.appendDate(dst, t, src)
	case codeTimestamp, codeTimestamptz:
		return s.appendStamp(dst, t, src)
	default: // interval
		return s.appendInterval(dst, t, src)
	}
}

// FromText appends the binary form of text that a client sent, or wrote as a
// literal, for a value of type t, as the server would read it in this session.
// Forms that need the server's own parser are refused (22007 with a hint).
// Errors are *[codec.Error] and never hold the value; dst is then returned as
// it was.
func (s *Settings) FromText(dst []byte, t codec.Type, text string) ([]byte, error) {
	if !s.nullsAreText || !t.IsArray() {
		return s.fromText(dst, t, text)
	}
	out, err := s.fromText(nil, t, text)
	if err != nil {
		return dst, err
	}
	defer clear(out)
	if len(out) >= 8 && binary.BigEndian.Uint32(out[4:]) != 0 {
		return dst, refuse(t, opEncode, "text", stateUnsupported, "the array has the word NULL while array_nulls is off; SET array_nulls TO on, or put the word into quotes")
	}
	return appendBytes(dst, out), nil
}

func (s *Settings) fromText(dst []byte, t codec.Type, text string) ([]byte, error) {
	switch t.Code() {
	case codeInterval:
		return s.readInterval(dst, t, text)
	case codeDate:
		return s.readDate(dst, t, text)
	case codeTimestamp, codeTimestamptz:
		return s.readStamp(dst, t, text)
	case codeInterval | arrayBit, codeDate | arrayBit, codeTimestamp | arrayBit, codeTimestamptz | arrayBit:
		return s.readArray(dst, t, text)
	}
	return t.EncodeText(dst, text)
}

// isPlainText says whether the two forms of t's values are the same.
func isPlainText(t codec.Type) bool {
	c := t.Code()
	return c == codeText || c == codeVarchar || c == codeChar
}

// validText says whether the server, with encoding UTF8, can hold a text.
func validText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// appendBytes keeps an empty value apart from NULL, which is nil.
func appendBytes(dst, b []byte) []byte {
	if dst == nil {
		dst = []byte{}
	}
	return append(dst, b...)
}
