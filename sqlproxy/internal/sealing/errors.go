package sealing

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// SQLSTATEs that are not the server's word on a value.
const (
	stateNotSupported = "0A000"
	stateDenied       = "42501"
	stateBadValue     = "22P02"
	stateNotNull      = "23502"
	stateNoParameter  = "08P01"
	stateInternal     = "XX000"
	stateCorrupted    = "XX001"
	stateKeyAway      = "57P03"
)

// refuse says for the client why a value of col was not sealed, found or opened.
func refuse(col *field.Column, err error) *plan.Refusal {
	var ready *plan.Refusal
	if errors.As(err, &ready) {
		return ready
	}
	r := &plan.Refusal{Position: -1, Table: col.Table().Name(), Column: col.Name()}
	if badValue(r, col, err) || notOpened(r, col, err) || wrongRequest(r, col, err) {
		return r
	}
	r.SQLState = stateKeyAway
	r.Message = fmt.Sprintf("the key of column %s cannot be had now", col)
	r.Hint = "Try again; the proxy's operator finds the cause in its log."
	r.Cause = err
	if errors.Is(err, context.Canceled) {
		r.SQLState, r.Message, r.Hint = "57014", "canceling statement due to user request", ""
	}
	return r
}

// badValue: the type does not take the value. The codec's reason names types and
// ranges only; what it says behind a semicolon is the remedy.
func badValue(r *plan.Refusal, col *field.Column, err error) bool {
	var bad *codec.Error
	if !errors.As(err, &bad) {
		return false
	}
	r.SQLState = bad.SQLState
	wrong, permitted, _ := strings.Cut(bad.Reason, "; ")
	r.Message = fmt.Sprintf("invalid value for column %s of type %s: %s", col, col.Type(), wrong)
	r.Hint = sentence(permitted)
	return true
}

// sentence makes a hint of what a reason says behind its semicolon.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// notOpened: what stands in the column is not a value that belongs there. Where one of several root keys is away, it may be the one
// that opens it.
func notOpened(r *plan.Refusal, col *field.Column, err error) bool {
	if kms.Temporary(err) {
		return false
	}
	for _, kind := range []error{
		envelope.ErrNotSealed, envelope.ErrMalformed, envelope.ErrOpen, field.ErrWrongColumn, field.ErrWrongType,
		field.ErrRowMismatch, keyring.ErrUnknownKey, keyring.ErrDestroyed, keyring.ErrCommitment,
		kms.ErrBinding,
	} {
		if errors.Is(err, kind) {
			r.SQLState = stateCorrupted
			r.Message = fmt.Sprintf("a value of column %s does not open: %v", col, kind)
			r.Hint = "\"rowseal inspect\" shows what the header of a value says, without a key."
			r.Cause = err
			return true
		}
	}
	return false
}

// wrongRequest: nothing says whose key it is, two things say different, or the
// policy has no such use of the column.
func wrongRequest(r *plan.Refusal, col *field.Column, err error) bool {
	switch {
	case errors.Is(err, field.ErrTenantUnknown):
		r.SQLState = stateNotSupported
		r.Message = fmt.Sprintf("the tenant of a value of column %s is not known", col)
		r.Hint = "Set the row's tenant column in the same statement, or SET rowseal.tenant."
	case errors.Is(err, field.ErrTenantMismatch):
		r.SQLState = stateDenied
		r.Message = fmt.Sprintf("a value of column %s belongs to another tenant than its row or the session", col)
		r.Hint = "The row's tenant column and rowseal.tenant, where it is set, must name the same tenant."
	case errors.Is(err, field.ErrRowUnknown):
		r.SQLState = stateNotNull
		r.Message = fmt.Sprintf("column %s is bound to the id of its row, %s, which is not set", col, col.Table().RowID())
		r.Hint = "Give the id in the same statement."
	case errors.Is(err, field.ErrNoEquality):
		r.SQLState = stateNotSupported
		r.Message = fmt.Sprintf("column %s cannot be searched by equality", col)
		r.Hint = "Declare search: [equality] for it and reseal its values."
	case errors.Is(err, envelope.ErrTooLong):
		r.SQLState = "54000"
		r.Message = fmt.Sprintf("a value of column %s is too long to seal", col)
	default:
		return false
	}
	return true
}

// broken is a plan that does not fit what came; it is a bug, and nothing is sent.
func broken(what string) *plan.Refusal {
	return &plan.Refusal{SQLState: stateInternal, Message: "rowseal: internal error: " + what, Position: -1}
}
