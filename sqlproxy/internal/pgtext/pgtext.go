// Package pgtext writes and reads values the way a PostgreSQL session does that
// has settings of its own: DateStyle, TimeZone, IntervalStyle, bytea_output,
// extra_float_digits.
package pgtext

import (
	"github.com/rowseal/rowseal/codec"
)

// Settings are those of a session that decide how values are written as text.
// The zero value is invalid; see Defaults.
type Settings struct {
	// more, parsed, fields: made once a change, not once a value
}

// Parse makes Settings of the server's words, as SHOW gives them.
func Parse(dateStyle, timeZone, intervalStyle, byteaOutput, extraFloatDigits string) (*Settings, error) {
	panic("not built")
}

// AppendText appends a value's text form as the server would send it to this
// session. src is the binary form of the type.
func (s *Settings) AppendText(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	panic("not built")
}

// FromText appends the binary form of text that a client sent, or wrote as a
// literal, for a value of type t, as the server would read it in this session.
// Forms that need the server's own parser are refused (22007 with a hint).
func (s *Settings) FromText(dst []byte, t codec.Type, text string) ([]byte, error) {
	panic("not built")
}

// FromClient appends the binary form, in type t, of a value that a client sent for a
// parameter which it declared, or was told, to be of type oid, in text (format 0) or binary
// (1). It converts between types as the server does on assignment to a column of type t, and
// answers as the server does (42804) where it would not.
func (s *Settings) FromClient(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	panic("not built")
}

// CanAssign reports whether the server would assign a value of type oid to a column of
// type t without an explicit cast; 705 and 0 (unknown) always.
func CanAssign(oid uint32, t codec.Type) bool { panic("not built") }

// CanCompare reports whether the server would compare a value of type oid with a column of
// type t by =, and the comparison is one of t's family, so that terms answer it.
func CanCompare(oid uint32, t codec.Type) bool { panic("not built") }

// Comparand appends the canonical form (codec's) of a value that is compared with a column of type t.
func (s *Settings) Comparand(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	panic("not built")
}

// Size gives typlen as RowDescription shows it for t: 4 for int4, -1 for text.
func Size(t codec.Type) int16 { panic("not built") }
