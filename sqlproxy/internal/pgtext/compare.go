package pgtext

import (
	"bytes"
	"math"
	"strings"

	"github.com/rowseal/rowseal/codec"
)

// Comparand appends the canonical form (codec's) of a value that is compared with a column of type t.
//
// The value is read as its declared type, without modifiers, and then brought to the column's family exactly:
// a text is not cut to a varchar's length, and 1.5, which no integer equals, gives
// the family byte alone, which no stored value has. oid 0 and 705 (unknown) stand for the column's
// type. Errors are *[codec.Error] with Op "encode" or "compare"; dst is then returned as it was.
func (s *Settings) Comparand(dst []byte, t codec.Type, oid uint32, format int16, wire []byte) ([]byte, error) {
	if format != 0 && format != 1 {
		return dst, refuse(t, opCompare, "parameter", stateProtocol, "its format is neither text (0) nor binary (1)")
	}
	if !CanCompare(oid, t) {
		return dst, refuse(t, opCompare, typeName(oid), stateNoOperator,
			"no term answers "+t.String()+" = "+typeName(oid)+"; declare the parameter as the column's type")
	}
	if oid == 0 || oid == oidUnknown {
		oid = t.OID()
	}
	if isText(oid) {
		return compareText(dst, t, oid, wire)
	}
	from := baseTypes[oid]
	plain, err := s.receive(nil, from, format, wire)
	if err != nil {
		return dst, err
	}
	defer clear(plain)
	return s.comparand(dst, t, from, plain)
}

// Comparands calls each for every element of an array that = ANY compares with a column of type t; oid is
// the array's type, or 0 or 705 for an array of the column's type. canonical is nil for NULL, and is valid only
// during the call. An error of each ends the walk and is returned.
func (s *Settings) Comparands(t codec.Type, oid uint32, format int16, wire []byte, each func(canonical []byte) error) error {
	elem := base(t)
	if oid != 0 && oid != oidUnknown {
		elem = baseTypes[oid].Elem()
	}
	if t.IsArray() || (oid != 0 && oid != oidUnknown && !baseTypes[oid].IsArray()) || !CanCompare(elem.OID(), t) {
		return refuse(t, opCompare, typeName(oid), stateNoOperator,
			"no terms answer "+t.String()+" = ANY ("+typeName(oid)+"); declare the parameter as an array of the column's type")
	}
	list, err := s.receive(nil, arrayOf[elem.OID()], format, wire)
	if err != nil {
		return err
	}
	defer clear(list)
	a, ok := openArray(list)
	if !ok {
		return malformed(t, opCompare)
	}
	var canonical []byte
	for a.n > 0 {
		item, ok := a.next()
		switch {
		case !ok:
			return malformed(t, opCompare)
		case item == nil:
			canonical = nil
		case isText(elem.OID()):
			canonical, err = compareText(canonical[:0], t, elem.OID(), item)
		default:
			canonical, err = s.comparand(canonical[:0], t, elem, item)
		}
		if err == nil {
			err = each(canonical)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compareText takes the character types, whose two wire formats are one. Of a char spaces at the end do not
// count; nor do they of a varchar that is compared with a char, since the server then takes both for char.
func compareText(dst []byte, t codec.Type, oid uint32, wire []byte) ([]byte, error) {
	if oid == oidChar || oid == oidVarchar && isType(t, oidChar) {
		wire = bytes.TrimRight(wire, " ")
	}
	if oid == oidName && len(wire) > maxName {
		return dst, refuse(t, opCompare, "name", stateTooLong, "a name has at most 63 bytes")
	}
	text := baseTypes[oidText]
	if !validText(wire) { // for the error
		_, err := text.EncodeText(nil, view(wire))
		return dst, asType(err, t)
	}
	return text.Canonical(dst, wire)
}

// comparand brings a value of a type that CanCompare allows to the canonical form of t's family.
func (s *Settings) comparand(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	if from.Family() == t.Family() {
		return from.Canonical(dst, plain)
	}
	to := base(t)
	switch t.OID() {
	case oidInt2, oidInt4, oidInt8:
		to = baseTypes[oidInt8]
		if !isWhole(from, plain) {
			return append(dst, t.Family()), nil
		}
	case oidFloat4:
		to = baseTypes[oidFloat8]
	case oidDate:
		return s.compareDay(dst, t, from, plain)
	}
	converted, err := s.convert(nil, to, from, plain)
	switch {
	case isState(err, stateDateRange): // the server compares it all the same, and it equals nothing
		return append(dst, t.Family()), nil
	case err != nil:
		return dst, asType(err, t)
	}
	defer clear(converted)
	return to.Canonical(dst, converted)
}

// isWhole says whether a float or numeric is a number that int8 has.
func isWhole(from codec.Type, plain []byte) bool {
	if isFloat(from.OID()) {
		x := floatOf(plain)
		return x == math.Trunc(x) && x >= -1<<63 && x < 1<<63
	}
	text, err := from.AppendText(nil, plain)
	if err != nil || !isDigit(text[len(text)-1]) {
		return false
	}
	_, fraction, _ := strings.Cut(view(text), ".")
	if strings.Trim(fraction, "0") != "" {
		return false
	}
	_, err = roundNumeric(from, view(text))
	return err == nil
}

// compareDay compares a timestamp with dates: a date equals the midnight that it begins with.
func (s *Settings) compareDay(dst []byte, t, from codec.Type, plain []byte) ([]byte, error) {
	n, infinite := s.localStamp(t, from, plain)
	if _, micros := splitStamp(n); !infinite && micros != 0 {
		return append(dst, t.Family()), nil
	}
	day, err := s.convert(nil, base(t), from, plain)
	if err != nil {
		return dst, asType(err, t)
	}
	defer clear(day)
	return t.Canonical(dst, day)
}
