package relay

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// refusedName is the name under which statements are prepared that fail in the
// place of refused ones.
const refusedName = "_rowseal_refused"

// refusedText is what the server gets in the place of what is refused. It parses, so
// that the server says first that a transaction has failed, where it has; then it fails.
const refusedText = `SELECT "_rowseal_refused"`

// stateFailed is the SQLSTATE of a statement in a transaction that has failed.
const stateFailed = "25P02"

// appendRefusal appends a refusal as an ErrorResponse. text is what its position is about.
func appendRefusal(dst []byte, severity string, r *plan.Refusal, text string) []byte {
	position := ""
	if r.Position >= 0 && r.Position <= len(text) && text != "" {
		position = strconv.Itoa(utf8.RuneCountInString(text[:r.Position]) + 1)
	}
	return wire.AppendFields(dst, wire.ErrorResponse, []wire.Field{
		{Type: wire.FieldSeverity, Value: severity},
		{Type: wire.FieldSeverityV, Value: severity},
		{Type: wire.FieldSQLState, Value: r.SQLState},
		{Type: wire.FieldMessage, Value: r.Message},
		{Type: wire.FieldDetail, Value: r.Detail},
		{Type: wire.FieldHint, Value: r.Hint},
		{Type: wire.FieldPosition, Value: position},
		{Type: wire.FieldTable, Value: r.Table},
		{Type: wire.FieldColumn, Value: r.Column},
	})
}

// refusalOf gives an error as a refusal.
func refusalOf(err error) (*plan.Refusal, bool) {
	var r *plan.Refusal
	ok := errors.As(err, &r)
	return r, ok
}

func refusal(state, message, hint string) *plan.Refusal {
	return &plan.Refusal{SQLState: state, Message: message, Hint: hint, Position: -1}
}
