package pgtext

import "github.com/rowseal/rowseal/codec"

// casts are the pairs of types, from and to, between which the server casts on assignment, besides those that end
// in a character type, where it casts from all. A test compares them with pg_cast.
var casts = map[uint32][]uint32{
	oidInt2:        {oidInt4, oidInt8, oidFloat4, oidFloat8, oidNumeric},
	oidInt4:        {oidInt2, oidInt8, oidFloat4, oidFloat8, oidNumeric},
	oidInt8:        {oidInt2, oidInt4, oidFloat4, oidFloat8, oidNumeric},
	oidFloat4:      {oidInt2, oidInt4, oidInt8, oidFloat8, oidNumeric},
	oidFloat8:      {oidInt2, oidInt4, oidInt8, oidFloat4, oidNumeric},
	oidNumeric:     {oidInt2, oidInt4, oidInt8, oidFloat4, oidFloat8},
	oidDate:        {oidTimestamp, oidTimestamptz},
	oidTimestamp:   {oidDate, oidTime, oidTimestamptz},
	oidTimestamptz: {oidDate, oidTime, oidTimestamp},
	oidTime:        {oidInterval},
	oidInterval:    {oidTime},
	oidJSON:        {oidJSONB},
	oidJSONB:       {oidJSON},
}

// CanAssign reports whether the server would assign a value of type oid to a column of
// type t without an explicit cast; 705 and 0 (unknown) always. Types that package codec does not
// know, name excepted, are never assigned, though the server may know how.
func CanAssign(oid uint32, t codec.Type) bool {
	if oid == 0 || oid == oidUnknown || oid == t.OID() {
		return t.Valid()
	}
	from, known := baseTypes[oid]
	switch {
	case oid == oidName:
		return isText(t.OID())
	case !known || !t.Valid():
		return false
	case isText(t.OID()):
		return true
	case from.IsArray() != t.IsArray():
		return false
	case from.IsArray() && isText(t.Elem().OID()):
		return true
	}
	for _, to := range casts[from.Elem().OID()] {
		if to == t.Elem().OID() {
			return true
		}
	}
	return false
}

// comparisons are the pairs of a column's type and another type of operand that the server compares by =, and
// whose answer is that of a term: one value of the column's type, if any, equals the operand, and it is
// found without rounding the column's values. So an int8 is not compared with a float here, nor a numeric: many
// values of the column round to one float.
var comparisons = map[uint32][]uint32{
	oidText:        {oidVarchar, oidChar, oidName},
	oidVarchar:     {oidText, oidName},
	oidChar:        {oidText, oidVarchar},
	oidInt2:        {oidInt4, oidInt8, oidFloat4, oidFloat8, oidNumeric},
	oidInt4:        {oidInt2, oidInt8, oidFloat4, oidFloat8, oidNumeric},
	oidInt8:        {oidInt2, oidInt4, oidNumeric},
	oidFloat4:      {oidInt2, oidInt4, oidInt8, oidFloat8, oidNumeric},
	oidFloat8:      {oidInt2, oidInt4, oidInt8, oidFloat4, oidNumeric},
	oidNumeric:     {oidInt2, oidInt4, oidInt8},
	oidDate:        {oidTimestamp},
	oidTimestamp:   {oidDate},
	oidTimestamptz: {oidDate, oidTimestamp},
	oidInterval:    {oidTime},
}

// CanCompare reports whether the server would compare a value of type oid with a column of
// type t by =, and terms answer it as the server would: see [Settings.Comparand]. Arrays are
// compared with arrays of their own type only, as on the server.
func CanCompare(oid uint32, t codec.Type) bool {
	if !t.HasEquality() {
		return false
	}
	if oid == 0 || oid == oidUnknown || oid == t.OID() {
		return true
	}
	for _, operand := range comparisons[t.OID()] {
		if operand == oid {
			return true
		}
	}
	return false
}
