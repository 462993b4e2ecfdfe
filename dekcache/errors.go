package dekcache

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// What a load can do wrong. Errors that a Loader delivers are returned as they
// are; these are the cache's own, to be recognised with errors.Is.
var (
	// ErrLoadTimeout: the load took longer than Config.LoadTimeout. Such an
	// error matches context.DeadlineExceeded too.
	ErrLoadTimeout = errors.New("dekcache: load timed out")
	// ErrNotDelivered: the Loader returned without delivering the key, or
	// delivered neither a value nor an error.
	ErrNotDelivered = errors.New("dekcache: loader returned without delivering the key")
	// ErrExpired: the value's life was over before the value arrived.
	ErrExpired = errors.New("dekcache: loaded value has already expired; use a longer TTL, a faster load or a younger parent key")
	// ErrInvalidKey: the key does not equal itself (a NaN inside), so it could
	// never be found again.
	ErrInvalidKey = errors.New("dekcache: key does not equal itself; leave NaN out of keys")
)

// PanicError is what the waiters of a load get when the Loader panicked. It
// does not hold the panic's value, which might quote key material.
type PanicError struct {
	Reason string // the runtime's own message, or the type of any other value
	At     string // function, file and line that panicked; "" where unknown
}

// Error says that the loader panicked, why and where.
func (e *PanicError) Error() string {
	s := "dekcache: loader panicked: " + e.Reason
	if e.At != "" {
		s += " at " + e.At
	}
	return s
}

// newPanicError describes the value that the calling deferred function has
// recovered, while the panicking frames are still on the stack.
func newPanicError(value any) *PanicError {
	e := &PanicError{Reason: fmt.Sprintf("value of type %T", value)}
	// A runtime error speaks of indexes and types, not of contents.
	if err, ok := value.(runtime.Error); ok {
		e.Reason = err.Error()
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			e.At = fmt.Sprintf("%s (%s:%d)", frame.Function, frame.File, frame.Line)
			return e
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return e
		}
	}
}

// BatchError says which keys of one GetMany or FetchMany failed and why. The
// others were found. errors.Is and errors.As look through all of them.
type BatchError struct {
	Errors map[int]error // by index into the keys; never empty
	Keys   int           // how many keys were asked for
}

// Error counts the failures and quotes the first of them.
func (e *BatchError) Error() string {
	first := e.indexes()[0]
	return fmt.Sprintf("dekcache: %d of %d keys failed, first the one at index %d: %v",
		len(e.Errors), e.Keys, first, e.Errors[first])
}

// Unwrap returns the errors in the order of their indexes.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, 0, len(e.Errors))
	for _, i := range e.indexes() {
		errs = append(errs, e.Errors[i])
	}
	return errs
}

func (e *BatchError) indexes() []int {
	indexes := make([]int, 0, len(e.Errors))
	for i := range e.Errors {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	return indexes
}
