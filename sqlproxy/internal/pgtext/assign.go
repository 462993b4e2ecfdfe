package pgtext

import (
	"bytes"
	"errors"
	"unicode/utf8"
	"unsafe"

	"github.com/rowseal/rowseal/codec"
)

// view is b as a string, for calls that do not keep it and while b does not change: values are read once, and a copy
// would be one more place in memory to hold them.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// asType names type t in an error that package codec made for another one.
func asType(err error, t codec.Type) error {
	var e *codec.Error
	if !errors.As(err, &e) {
		return err
	}
	return refuse(t, e.Op, e.GoType, e.SQLState, e.Reason)
}

// FromClient appends the binary form, in type t, of a value that a client sent for a
// parameter which it declared, or was told, to be of type oid, in text (format 0) or binary
// (1). It converts between types as the server does on assignment to a column of type t, and
// answers as the server does (42804) where it would not. oid 0 and 705 (unknown) stand for t
// itself. Errors are *[codec.Error] and never hold the value; dst is then returned as it was.
func (s *Settings) FromClient(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	if format != 0 && format != 1 {
		return dst, refuse(t, opEncode, "parameter", stateProtocol, "its format is neither text (0) nor binary (1)")
	}
	if fitsUnchanged(t, oid, wire) {
		return appendBytes(dst, wire), nil
	}
	if !CanAssign(oid, t) {
		return dst, refuse(t, opEncode, typeName(oid), stateMismatch,
			"the column is of type "+t.String()+" but the parameter is of type "+typeName(oid)+"; declare the parameter as the column's type, or leave its type open")
	}
	if oid == 0 || oid == oidUnknown || oid == t.OID() {
		return s.receive(dst, t, format, wire)
	}
	if isText(oid) && isText(t.OID()) {
		return s.receiveText(dst, t, oid, wire)
	}
	from := baseTypes[oid]
	plain, err := s.receive(nil, from, format, wire)
	if err != nil {
		return dst, err
	}
	defer clear(plain)
	return s.convert(dst, t, from, plain)
}

// fitsUnchanged says of a text that it is its own binary form, whatever the format: for text, or a varchar that
// cannot be too long because it has no more bytes than characters allowed.
func fitsUnchanged(t codec.Type, oid uint32, wire []byte) bool {
	switch code := t.Code(); {
	case code != codeText && code != codeVarchar:
		return false
	case oid != 0 && oid != oidUnknown && oid != oidText && oid != oidVarchar:
		return false
	}
	const header = 4 // VARHDRSZ, which is part of a character type's modifier
	limit := t.Modifier()
	return (limit < 0 || len(wire) <= int(limit)-header) && validText(wire)
}

// receive reads a value of type t itself.
func (s *Settings) receive(dst []byte, t codec.Type, format int16, wire []byte) ([]byte, error) {
	if format == 1 {
		return t.EncodeBinary(dst, wire)
	}
	return s.FromText(dst, t, view(wire))
}

// isText says whether values of a type are characters.
func isText(oid uint32) bool {
	return oid == oidText || oid == oidVarchar || oid == oidChar || oid == oidName
}

// receiveText casts among the character types, whose two wire formats are one: a char loses the spaces at its
// end, a name is cut off at 63 bytes.
func (s *Settings) receiveText(dst []byte, t codec.Type, oid uint32, wire []byte) ([]byte, error) {
	switch oid {
	case oidChar:
		wire = bytes.TrimRight(wire, " ")
	case oidName:
		if n := maxName; len(wire) > n {
			for n > 0 && !utf8.RuneStart(wire[n]) {
				n--
			}
			wire = wire[:n]
		}
	}
	return t.EncodeText(dst, view(wire))
}

const maxName = 63 // NAMEDATALEN - 1

// typeName names a type in messages.
func typeName(oid uint32) string {
	if t, ok := baseTypes[oid]; ok {
		return t.String()
	}
	return "another kind"
}

// convert brings plain, which is of type from, to type t.
func (s *Settings) convert(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	switch {
	case isText(t.OID()):
		return s.convertToText(dst, t, from, plain)
	case t.IsArray():
		return mapArray(dst, t, plain, func(dst, elem []byte) ([]byte, error) {
			return s.convertElement(dst, t.Elem(), from.Elem(), elem)
		})
	case isNumber(t.OID()):
		return convertNumber(dst, t, from, plain)
	case isType(t, oidJSON):
		return from.AppendText(dst, plain)
	case isType(t, oidJSONB):
		return t.EncodeText(dst, view(plain))
	}
	return s.convertTime(dst, t, from, plain)
}

func (s *Settings) convertElement(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	if t.OID() == from.OID() {
		return t.EncodeBinary(dst, plain)
	}
	if isText(t.OID()) && isText(from.OID()) {
		return s.receiveText(dst, t, from.OID(), plain)
	}
	return s.convert(dst, t, from, plain)
}

// convertToText casts by a type's output, except for the two that have a cast of their own.
func (s *Settings) convertToText(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	text, err := s.AppendText(nil, from, plain)
	defer func() { clear(text) }()
	switch {
	case err != nil:
		return dst, err
	case isType(from, oidBool) && text[0] == 't':
		text = []byte("true")
	case isType(from, oidBool):
		text = []byte("false")
	case isType(from, oidInet) && !bytes.ContainsRune(text, '/'):
		if bytes.ContainsRune(text, ':') {
			text = append(text, "/128"...)
		} else {
			text = append(text, "/32"...)
		}
	}
	return t.EncodeText(dst, view(text))
}
