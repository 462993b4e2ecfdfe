package pgtext

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
)

const (
	oidText        = pgtype.TextOID
	oidVarchar     = pgtype.VarcharOID
	oidChar        = pgtype.BPCharOID
	oidBytea       = pgtype.ByteaOID
	oidBool        = pgtype.BoolOID
	oidInt2        = pgtype.Int2OID
	oidInt4        = pgtype.Int4OID
	oidInt8        = pgtype.Int8OID
	oidFloat4      = pgtype.Float4OID
	oidFloat8      = pgtype.Float8OID
	oidNumeric     = pgtype.NumericOID
	oidDate        = pgtype.DateOID
	oidTime        = pgtype.TimeOID
	oidTimestamp   = pgtype.TimestampOID
	oidTimestamptz = pgtype.TimestamptzOID
	oidInterval    = pgtype.IntervalOID
	oidUUID        = pgtype.UUIDOID
	oidJSON        = pgtype.JSONOID
	oidJSONB       = pgtype.JSONBOID
	oidInet        = pgtype.InetOID
	oidName        = pgtype.NameOID
	oidUnknown     = pgtype.UnknownOID
	oidTextArray   = pgtype.TextArrayOID
)

// The codes of package codec (see codec.Type.Code) that this package tells apart on the way of every value.
const (
	codeText        = 1
	codeVarchar     = 2
	codeChar        = 3
	codeBytea       = 4
	codeFloat4      = 9
	codeFloat8      = 10
	codeDate        = 12
	codeTimestamp   = 14
	codeTimestamptz = 15
	codeInterval    = 16

	arrayBit = 0x80
)

// baseTypes are package codec's types without modifiers, by OID, arrays included.
var baseTypes = makeBaseTypes()

func makeBaseTypes() map[uint32]codec.Type {
	types := map[uint32]codec.Type{}
	for _, name := range []string{
		"text", "varchar", "bpchar", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric",
		"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet",
	} {
		for _, name := range []string{name, name + "[]"} {
			t, err := codec.ParseType(name)
			if err != nil {
				panic("rowseal: internal error: pgtext: " + err.Error())
			}
			types[t.OID()] = t
		}
	}
	return types
}

// arrayOf gives the array type of an element's OID.
var arrayOf = makeArrayOf()

func makeArrayOf() map[uint32]codec.Type {
	arrays := map[uint32]codec.Type{}
	for _, t := range baseTypes {
		if t.IsArray() {
			arrays[t.Elem().OID()] = t
		}
	}
	return arrays
}

// base is t without its modifiers.
func base(t codec.Type) codec.Type { return baseTypes[t.OID()] }

// Size gives typlen as RowDescription shows it for t: 4 for int4, -1 for text.
func Size(t codec.Type) int16 {
	switch t.OID() {
	case oidBool:
		return 1
	case oidInt2:
		return 2
	case oidInt4, oidFloat4, oidDate:
		return 4
	case oidInt8, oidFloat8, oidTime, oidTimestamp, oidTimestamptz:
		return 8
	case oidInterval, oidUUID:
		return 16
	}
	return -1
}
