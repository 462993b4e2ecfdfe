package pgtext

import (
	"errors"

	"github.com/rowseal/rowseal/codec"
)

// SQLSTATE codes, as PostgreSQL gives them (appendix A of its manual).
const (
	stateTooLong      = "22001" // string_data_right_truncation
	stateRange        = "22003" // numeric_value_out_of_range
	stateDateFormat   = "22007" // invalid_datetime_format
	stateDateRange    = "22008" // datetime_field_overflow
	stateZone         = "22009" // invalid_time_zone_displacement_value
	stateInterval     = "22015" // interval_field_overflow
	stateBinary       = "22P03" // invalid_binary_representation
	stateUnsupported  = "0A000" // feature_not_supported
	stateMismatch     = "42804" // datatype_mismatch
	stateNoOperator   = "42883" // undefined_function
	stateProtocol     = "08P01" // protocol_violation
	stateNullNotValue = "22004" // null_value_not_allowed
)

func refuse(t codec.Type, op, from, state, reason string) error {
	return &codec.Error{Type: t, GoType: from, Op: op, SQLState: state, Reason: reason}
}

// malformed is the error of a stored or sent value that is not the binary form of its type.
func malformed(t codec.Type, op string) error {
	return refuse(t, op, "binary", stateBinary, "the bytes are not a binary "+t.String())
}

const (
	opEncode  = "encode"
	opDecode  = "decode"
	opCompare = "compare"
)

// unreadable is the error of a text that the server may understand, or may not.
func unreadable(t codec.Type) error {
	want := "an ISO 8601 date or time (2001-02-03 04:05:06.789+00), the session's DateStyle with a numeric zone, infinity or epoch; " +
		"words such as now and today, and names of zones, are only the server's to evaluate"
	if isType(t.Elem(), oidInterval) {
		want = "an interval as the server writes it in any IntervalStyle, such as 1 year 2 mons -3 days 04:05:06.789"
	}
	return refuse(t, opEncode, "text", stateDateFormat, "the text is not read as "+t.String()+"; expected "+want)
}

func dateRange(t codec.Type) error {
	limits := "4714-11-24 00:00:00 BC to 294276-12-31 23:59:59.999999"
	if isType(t.Elem(), oidDate) {
		limits = "4714-11-24 BC to 5874897-12-31"
	}
	return refuse(t, opEncode, "text", stateDateRange, "out of range: "+t.String()+" holds "+limits)
}

func isState(err error, state string) bool {
	var e *codec.Error
	return errors.As(err, &e) && e.SQLState == state
}
