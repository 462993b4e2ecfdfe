package gormplugin

import (
	"regexp"
	"strings"
)

// Errors of database/sql and of GORM about a value that its destination does
// not take quote the value, which may be an opened one.
var (
	scanError = regexp.MustCompile(`sql: Scan error on column index \d+, name "([^"]*)": (converting driver\.Value type|sql/driver: couldn't convert|unsupported Scan)`)
	setError  = "failed to set value "
)

// withoutValue returns err, or what it says without the value.
func withoutValue(err error) error {
	found := scanError.FindStringSubmatch(err.Error())
	if found == nil && !strings.Contains(err.Error(), setError) {
		return err
	}
	e := &Error{Err: ErrDestination, Remedy: "give each column a field of the Go type that its logical type has"}
	if found != nil {
		e.Column = found[1]
	}
	return e
}
