package rotate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

var (
	// ErrIncomplete: the walk came to its end, and some keys or values could not be
	// dealt with. The error's text names the first of them.
	ErrIncomplete = errors.New("not everything could be done")
	// ErrGaveUp: so many keys failed one after the other that the key store
	// or the KMS must be at fault; the walk was stopped.
	ErrGaveUp = errors.New("stopped because nothing succeeds any more")
	// ErrNoPrimaryKey: the table has no key to walk it by.
	ErrNoPrimaryKey = errors.New("table has no usable primary key")
	// ErrNoTable: the database has no such table.
	ErrNoTable = errors.New("no such table")
	// ErrNoColumn: the table lacks a column that the policy names, or the
	// column cannot hold sealed values.
	ErrNoColumn = errors.New("no such sealed column")
	// ErrWrongColumn: a value was sealed for another column.
	ErrWrongColumn = errors.New("value belongs to another column; it does not open where it stands")
)

const (
	// maxFailures is how many failures a result lists; all are counted.
	maxFailures = 20
	// maxStreak is how many keys may fail with no success between them.
	maxStreak = 100
)

// Failure is one key or value that could not be rewrapped. It stays as it was.
type Failure struct {
	// At is the value's place, `people.name, row id=42`. It is empty for
	// records of the key store, which Err names.
	At  string
	Err error
}

// Error says where and why. It holds no sealed value's content.
func (f Failure) Error() string {
	if f.At == "" {
		return f.Err.Error()
	}
	return f.At + ": " + f.Err.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f Failure) Unwrap() error { return f.Err }

// incomplete is nil where nothing failed.
func incomplete(failed int, first []Failure) error {
	if failed == 0 {
		return nil
	}
	const shown = 3
	lines := make([]string, 0, shown)
	for _, f := range first[:min(shown, len(first))] {
		lines = append(lines, f.Error())
	}
	more := ""
	if failed > len(lines) {
		more = fmt.Sprintf("; and %d more", failed-len(lines))
	}
	return fmt.Errorf("%w (%d failed): %s%s", ErrIncomplete, failed, strings.Join(lines, "; "), more)
}

// streak counts failures with no success between them.
type streak int

// count takes the result of one key. Its error says that the walk had better
// stop. What is wrong with a key itself is no reason to: a tenant whose keys
// are gone may have any number of rows.
func (s *streak) count(err error) error {
	if err == nil {
		*s = 0
		return nil
	}
	for _, own := range []error{
		keyring.ErrDestroyed, keyring.ErrUnknownKey, keyring.ErrNoRoot, keyring.ErrCommitment,
		keyring.ErrConflict, envelope.ErrOpen,
	} {
		if errors.Is(err, own) {
			return nil
		}
	}
	if *s++; *s >= maxStreak {
		return fmt.Errorf("%w: %d keys failed in a row, the last one so: %w", ErrGaveUp, *s, err)
	}
	return nil
}
