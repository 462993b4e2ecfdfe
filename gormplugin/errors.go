package gormplugin

import (
	"errors"
	"fmt"
	"strings"
)

// Why an operation is refused. Errors are of type *[Error] and match one of
// these, or one of package field (ErrTenantUnknown, ErrTenantMismatch,
// ErrRowUnknown, …), with errors.Is.
var (
	// ErrTag: a model's tags contradict each other or miss something.
	ErrTag = errors.New("the model's tags are wrong")
	// ErrCondition: a sealed column stands where the database would have to
	// understand its value. With search=equality it may stand where equality is
	// all that matters (=, IN, JOIN … ON, GROUP BY, DISTINCT) and be compared
	// with parameters; without, in IS NULL only. ORDER BY, LIKE and < never work.
	ErrCondition = errors.New("the database cannot compare sealed values")
	// ErrExpression: a sealed column would get the result of an expression, or
	// an expression would get a sealed column.
	ErrExpression = errors.New("the database cannot compute with sealed values")
	// ErrUnsealed: a value on its way to or from a sealed column is not sealed.
	ErrUnsealed = errors.New("value of a sealed column is not sealed")
	// ErrManyRows: one sealed value would be written to several rows, or it is
	// not known to how many.
	ErrManyRows = errors.New("one sealed value must not be written to several rows")
	// ErrTransition: a column takes over from a plain one, and what was asked
	// cannot be done to both.
	ErrTransition = errors.New("not while the column is in transition")
	// ErrNotRegistered: a sealed field met a database without this plugin.
	ErrNotRegistered = errors.New("this database is used without the plugin; register it with db.Use(gormplugin.New(cipher))")
	// ErrMigration: a change of the schema would leave sealed values that do not
	// open, or plaintexts in a sealed column.
	ErrMigration = errors.New("the migration would break the column's values")
	// ErrDestination: a value does not fit the Go type that it is read into. The
	// error names the result's column and no table, and stands for one of
	// database/sql or GORM that would quote the value.
	ErrDestination = errors.New("a value does not fit its destination")
	// ErrMoves: a statement written by hand changes the tenant or row id that
	// a row's sealed values are bound to.
	ErrMoves = errors.New("the row's sealed values would not belong to it any more")
	// ErrStatement: a statement that touches a table with sealed columns has a
	// shape that is not understood.
	ErrStatement = errors.New("the statement is not understood")
)

// Error names the table and column that an operation was refused for, and the
// remedy. It never holds a value.
type Error struct {
	Table  string
	Column string // "" where the whole statement is refused
	Err    error  // one of this package's or package field's sentinels
	Remedy string // what to do instead
}

// Error says what was refused, why, and what to do.
func (e *Error) Error() string {
	at := e.Table
	if e.Column != "" {
		at = strings.TrimPrefix(at+"."+e.Column, ".")
	}
	s := fmt.Sprintf("rowseal: %s: %v", at, e.Err)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }
