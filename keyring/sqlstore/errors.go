package sqlstore

import (
	"errors"
	"fmt"
)

// What callers may want to tell apart. Errors of this package are of type
// *[Error] and match one of these with errors.Is, or the driver's error, or
// the context's.
var (
	// ErrNoTable: the table of keys does not exist.
	ErrNoTable = errors.New("the table of keys does not exist")
	// ErrCorrupt: a row does not hold what this package writes.
	ErrCorrupt = errors.New("corrupt key record")
	// ErrInvalid: what the caller gave cannot be stored or looked up.
	ErrInvalid = errors.New("invalid request")
)

// Error says which store failed, at what, and what to do. It holds no wraps.
type Error struct {
	Op     string // "open", "init", "byid", "latest", "create", "restore", "list", "update", "now", "check", "watch", "export"
	Store  string // as Config.Name says
	Err    error
	Remedy string // "" where there is none to name
}

// Error says what failed, where, why, and what to do.
func (e *Error) Error() string {
	s := fmt.Sprintf("sqlstore: %s: %s: %v", e.Store, e.Op, e.Err)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

const (
	remedyInit    = "run `rowseal init`, or call Store.Init"
	remedyCorrupt = "restore the row from a backup of the key store"
)

// fail wraps err, which may come from the driver, for the caller.
func (s *Store) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Store: s.name}
	if errors.Is(err, ErrCorrupt) {
		e.Err, e.Remedy = err, remedyCorrupt
		return e
	}
	e.Remedy, e.Err = s.dialect.explain(err)
	return e
}
