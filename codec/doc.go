// Package codec turns values into the bytes that Rowseal seals, and back.
//
// A sealed column is a bytea to the database, so what it would have been otherwise, its logical type, is declared
// or follows from the Go type. The bytes are the PostgreSQL binary form of that logical type: the ones that the
// server itself would send for the value. So an application with GORM, one with pgx and a proxy between any client
// and the server agree on them, and a proxy can hand them through to clients that read binary results.
//
// # Use
//
// [ParseType] reads a type as people write it ("varchar(45)", "numeric(10,2)", "timestamptz", "int4[]"); [TypeOf]
// gives the default for a Go type. A [Type] is a small comparable value. With it:
//
//   - [Type.Encode] and [Type.Decode] go between Go values and bytes;
//   - [Type.Natural] gives what database/sql would give for such a column;
//   - [Type.EncodeText], [Type.EncodeBinary] and [Type.AppendText] go between PostgreSQL's wire formats and bytes.
//
// All functions are safe for concurrent use. Encoders append to a buffer of the caller's; decoders never keep a
// reference to their input. NULL is not a value: Encode reports it, Decode takes it as a nil slice, and an empty
// value is a slice that is empty but not nil.
//
// # What happens to a value
//
// The rules are the server's on assignment to a column of the logical type, and tests compare the two:
//
//   - varchar(n) and char(n) count characters. Text that is too long is refused (SQLSTATE 22001) unless the excess
//     is spaces only, which are cut off. char(n) pads with spaces.
//   - Text is valid UTF-8 without U+0000 (22021).
//   - Integers, floats and numerics are range-checked (22003). numeric(p,s) rounds half away from zero. A float is
//     taken for an integer only when it is one.
//   - Times are cut off below the microsecond when they come as time.Time, rounded when they come as text, and
//     rounded to the precision of the type where it has one. Years are those of the server (22008).
//   - A timestamp is the wall clock that a time.Time shows in its own location; a timestamptz is its instant.
//     Either way Decode gives UTC.
//   - jsonb is normalised: spaces, order of keys, duplicates, numbers, escapes. json is checked and kept as it is.
//   - A Go string is text. For json and jsonb it is the document itself, for bytea its bytes (without a meaning of
//     \x), for every other type its text form, dates and times in ISO 8601.
//   - Text for a timestamptz must have a zone, since there is no session here whose zone could be meant.
//
// Different inputs that mean the same value of a type make the same bytes, but equality in SQL reaches further than
// that: 1.0 and 1.00 are different numerics here, as they are on the server until they are compared. For comparing
// there are canonical forms, which are equal bytes exactly where the server says equal: [Type.Canonical] of a stored
// value, [Type.Comparand] of the operand that is compared with it.
//
// # Errors
//
// Failures are of type *[Error], with the SQLSTATE that the server would give. They name types and permitted
// ranges, never the value, and never wrap an error of a driver, a Valuer, a Scanner or a marshaler, because such
// errors quote values.
//
// # What stays
//
// Two things are written into sealed values and will not change: the codes of [Type.Code], and the binary forms,
// which are PostgreSQL's. Nor will the canonical forms, from which search terms are made. A value that any released version encoded is decoded by every later one. Codes for new
// types may be added.
package codec
