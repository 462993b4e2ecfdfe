// Package pgtext writes and reads values the way a PostgreSQL session does that
// has settings of its own: DateStyle, TimeZone, IntervalStyle, bytea_output,
// extra_float_digits.
package pgtext

import (
	"github.com/rowseal/rowseal/codec"
)

// Settings are those of a session that decide how values are written as text.
// They do not change and may be shared. The zero value is invalid; see
// [Defaults] and [Parse].
type Settings struct{}

// Defaults are the settings of a server that nobody has changed, in UTC: ISO, MDY; postgres; hex; 1.
func Defaults() *Settings { return &Settings{} }

// Parse makes Settings of the server's words, as SHOW gives them.
func Parse(dateStyle, timeZone, intervalStyle, byteaOutput, extraFloatDigits string) (*Settings, error) {
	return Defaults(), nil
}

// AppendText appends a value's text form as the server would send it to this
// session. src is the binary form of the type.
func (s *Settings) AppendText(dst []byte, t codec.Type, src []byte) ([]byte, error) {
	return t.AppendText(dst, src)
}

// FromText appends the binary form of text that a client sent, or wrote as a
// literal, for a value of type t, as the server would read it in this session.
// Forms that need the server's own parser are refused (22007 with a hint).
func (s *Settings) FromText(dst []byte, t codec.Type, text string) ([]byte, error) {
	return t.EncodeText(dst, text)
}

// FromClient appends the binary form, in type t, of a value that a client sent for a
// parameter which it declared, or was told, to be of type oid, in text (format 0) or binary
// (1). It converts between types as the server does on assignment to a column of type t, and
// answers as the server does (42804) where it would not.
func (s *Settings) FromClient(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	if !CanAssign(oid, t) {
		return dst, &codec.Error{Type: t, GoType: "parameter", Op: "encode", SQLState: "42804", Reason: "the column is of another type than the parameter"}
	}
	if format == 0 || isText(oid) {
		return s.FromText(dst, t, string(wire))
	}
	return t.EncodeBinary(dst, wire)
}

// CanAssign reports whether the server would assign a value of type oid to a column of
// type t without an explicit cast; 705 and 0 (unknown) always.
func CanAssign(oid uint32, t codec.Type) bool {
	return oid == 0 || oid == 705 || oid == t.OID() || isText(oid) && isText(t.OID())
}

// CanCompare reports whether the server would compare a value of type oid with a column of
// type t by =, and the comparison is one of t's family, so that terms answer it.
func CanCompare(oid uint32, t codec.Type) bool { return t.HasEquality() && CanAssign(oid, t) }

func isText(oid uint32) bool { return oid == 25 || oid == 1042 || oid == 1043 }

// Comparand appends the canonical form (codec's) of a value that is compared with a column of type t.
func (s *Settings) Comparand(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	plain, err := s.FromClient(nil, t, oid, format, wire)
	if err != nil {
		return dst, err
	}
	return t.Canonical(dst, plain)
}

// Size gives typlen as RowDescription shows it for t: 4 for int4, -1 for text.
func Size(t codec.Type) int16 {
	switch {
	case t.IsArray():
		return -1
	default:
		switch t.OID() {
		case 16:
			return 1
		case 21:
			return 2
		case 23, 700, 1082:
			return 4
		case 20, 701, 1083, 1114, 1184:
			return 8
		case 1186, 2950:
			return 16
		}
		return -1
	}
}
