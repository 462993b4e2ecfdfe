package codec

import "github.com/jackc/pgx/v5/pgtype"

// kind is a logical type without modifiers. Its value is the stored type code.
type kind byte

// The stored type codes. They are written into sealed values: a number is never changed and never used again.
const (
	kindText        kind = 1
	kindVarchar     kind = 2
	kindChar        kind = 3
	kindBytea       kind = 4
	kindBool        kind = 5
	kindInt2        kind = 6
	kindInt4        kind = 7
	kindInt8        kind = 8
	kindFloat4      kind = 9
	kindFloat8      kind = 10
	kindNumeric     kind = 11
	kindDate        kind = 12
	kindTime        kind = 13
	kindTimestamp   kind = 14
	kindTimestamptz kind = 15
	kindInterval    kind = 16
	kindUUID        kind = 17
	kindJSON        kind = 18
	kindJSONB       kind = 19
	kindInet        kind = 20

	lastKind = kindInet
)

// arrayBit marks an array of the type whose code is in the low seven bits.
const arrayBit = 0x80

func (k kind) valid() bool { return k >= kindText && k <= lastKind }

// name is the canonical word of k, the one String and CodeName write.
func (k kind) name() string {
	return [...]string{
		"invalid", "text", "varchar", "char", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric",
		"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet",
	}[k]
}

// oid is PostgreSQL's type OID; char(n) is bpchar there.
func (k kind) oid() uint32 {
	return [...]uint32{
		0, pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.ByteaOID, pgtype.BoolOID, pgtype.Int2OID,
		pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID, pgtype.DateOID,
		pgtype.TimeOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.IntervalOID, pgtype.UUIDOID,
		pgtype.JSONOID, pgtype.JSONBOID, pgtype.InetOID,
	}[k]
}

func (k kind) arrayOID() uint32 {
	return [...]uint32{
		0, pgtype.TextArrayOID, pgtype.VarcharArrayOID, pgtype.BPCharArrayOID, pgtype.ByteaArrayOID,
		pgtype.BoolArrayOID, pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID, pgtype.Float4ArrayOID,
		pgtype.Float8ArrayOID, pgtype.NumericArrayOID, pgtype.DateArrayOID, pgtype.TimeArrayOID,
		pgtype.TimestampArrayOID, pgtype.TimestamptzArrayOID, pgtype.IntervalArrayOID, pgtype.UUIDArrayOID,
		pgtype.JSONArrayOID, pgtype.JSONBArrayOID, pgtype.InetArrayOID,
	}[k]
}

// isText groups the character types; isJSON the two document types.
func (k kind) isText() bool { return k == kindText || k == kindVarchar || k == kindChar }
func (k kind) isJSON() bool { return k == kindJSON || k == kindJSONB }

// timed says whether k takes a precision of 0 to 6 fractional digits of a second.
func (k kind) timed() bool {
	return k == kindTime || k == kindTimestamp || k == kindTimestamptz || k == kindInterval
}
