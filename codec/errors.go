package codec

import (
	"errors"
	"reflect"
)

// ErrNull is matched, with errors.Is, by the error of a Decode that met SQL NULL where the destination has no
// way to say NULL (a plain string, int64, time.Time, struct). The remedy is a pointer or a sql.Null type.
var ErrNull = errors.New("codec: NULL does not fit the destination")

// Error says why a value was refused. It names the logical type, the Go type and what is permitted; it never
// holds the value, any part of it, or an error text of another library (those tend to quote the value).
type Error struct {
	Type     Type   // the logical type; the zero Type where there was none
	GoType   string // the Go type of the value or destination, "text" or "binary" for wire forms
	Op       string // "encode", "decode" or "compare"
	SQLState string // what PostgreSQL would answer, for example "22001" or "22003"
	Reason   string // what is wrong and what is permitted

	null bool
}

// Error gives the parts of e in one line.
func (e *Error) Error() string {
	link := " as "
	switch e.Op {
	case opDecode:
		link = " from "
	case opCompare:
		link = " with "
	}
	return "codec: " + e.Op + " " + e.GoType + link + e.Type.String() + ": " + e.Reason + " (SQLSTATE " + e.SQLState + ")"
}

// Is makes errors.Is(err, ErrNull) true for a NULL without a place to go.
func (e *Error) Is(target error) bool { return target == ErrNull && e.null }

const (
	opEncode  = "encode"
	opDecode  = "decode"
	opCompare = "compare"
)

// SQLSTATE codes, as PostgreSQL gives them (appendix A of its manual).
const (
	stateTooLong      = "22001" // string_data_right_truncation
	stateNull         = "22004" // null_value_not_allowed
	stateRange        = "22003" // numeric_value_out_of_range
	stateDateFormat   = "22007" // invalid_datetime_format
	stateDateRange    = "22008" // datetime_field_overflow
	stateInterval     = "22015" // interval_field_overflow
	stateCharacters   = "22021" // character_not_in_repertoire
	stateZone         = "22009" // invalid_time_zone_displacement_value
	stateParameter    = "22023" // invalid_parameter_value
	stateText         = "22P02" // invalid_text_representation
	stateBinary       = "22P03" // invalid_binary_representation
	stateUntranslated = "22P05" // untranslatable_character
	stateSubscript    = "2202E" // array_subscript_error
	stateMismatch     = "42804" // datatype_mismatch
	stateUndefined    = "42883" // undefined_function
	stateLimit        = "54000" // program_limit_exceeded
	stateTooComplex   = "54001" // statement_too_complex
)

// fault is the inside of an Error. It is a type of its own, and not an error, so that no foreign error, which
// may quote the value, can be returned in its place.
type fault struct {
	state  string
	reason string
	null   bool // on encode: the value is SQL NULL; on decode: NULL has no place to go
}

// nullFault reports SQL NULL from deep inside an encoder.
func nullFault() *fault { return &fault{null: true} }

func (f *fault) isNull() bool { return f != nil && f.null }

func mismatch() *fault {
	return &fault{state: stateMismatch, reason: "the Go type cannot hold values of this type, or the other way round; declare another type= or use a Go type listed in the documentation of package codec"}
}

func malformedBinary(t Type) *fault {
	return &fault{state: stateBinary, reason: "the bytes are not a binary " + t.String()}
}

func malformedText(t Type, want string) *fault {
	return &fault{state: stateText, reason: "the text is not a " + t.String() + "; expected " + want}
}

// encodeError and decodeError dress a fault for the caller.
func encodeError(t Type, goType string, f *fault) error { return newError(t, goType, opEncode, f) }
func decodeError(t Type, goType string, f *fault) error { return newError(t, goType, opDecode, f) }

func newError(t Type, goType, op string, f *fault) error {
	return &Error{Type: t, GoType: goType, Op: op, SQLState: f.state, Reason: f.reason, null: f.null}
}

// goTypeName names the dynamic type of v, never its value.
func goTypeName(v any) string {
	if v == nil {
		return "nil"
	}
	return reflect.TypeOf(v).String()
}
