package field

import (
	"errors"
	"fmt"
)

// Why a value is not sealed or opened. Errors are of type *[Error] and match
// one of these, or one of packages envelope, codec and keyring, with errors.Is.
var (
	// ErrTenantUnknown: sealing needs a tenant, and nothing gives one.
	ErrTenantUnknown = errors.New("tenant is not known")
	// ErrTenantMismatch: the value belongs to another tenant than the row, or
	// the row to another than the context.
	ErrTenantMismatch = errors.New("value or row belongs to another tenant")
	// ErrRowUnknown: the table binds values to rows, and the row's id is not set.
	ErrRowUnknown = errors.New("row id is not known; values of this table are bound to it, so set it before sealing")
	// ErrRowMismatch: the value belongs to another row.
	ErrRowMismatch = errors.New("value belongs to another row")
	// ErrWrongColumn: the value was sealed for another column.
	ErrWrongColumn = errors.New("value belongs to another column")
	// ErrNoEquality: a condition compares a column whose values carry no
	// equality terms.
	ErrNoEquality = errors.New("column cannot be searched by equality; declare `search: [equality]` " +
		"(in a struct tag search=equality) and reseal the values that it has")
	// ErrWrongType: the value was sealed as another logical type than the
	// policy declares now.
	ErrWrongType = errors.New("value was sealed as another type; reseal the column after changing its type")
)

// Error says which column failed, and in a page which row. It never holds the
// value.
type Error struct {
	Op     string // "seal", "open" or "search"
	Table  string
	Column string
	Row    int // index into the page; -1 for a single value
	Err    error
}

// Error names table, column, row and cause.
func (e *Error) Error() string {
	at := ""
	if e.Row >= 0 {
		at = fmt.Sprintf(" (row %d of the page)", e.Row)
	}
	return fmt.Sprintf("rowseal: %s %s.%s%s: %v%s", e.Op, e.Table, e.Column, at, e.Err, remedyOf(e.Err))
}

// remedyOf says what to do about an error whose cause is not in the value.
func remedyOf(err error) string {
	switch {
	case errors.Is(err, ErrTenantUnknown):
		return "; set the row's tenant column, use field.WithTenant, or declare a default tenant"
	case errors.Is(err, ErrTenantMismatch):
		return "; the tenant of the value, of its row's tenant column and of the context (field.WithTenant) must be one"
	}
	return ""
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

func (c *Column) fail(op string, row int, err error) error {
	return &Error{Op: op, Table: c.table.name, Column: c.name, Row: row, Err: err}
}
