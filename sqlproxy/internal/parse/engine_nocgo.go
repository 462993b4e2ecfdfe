//go:build !cgo

package parse

import (
	"errors"

	pg "github.com/pganalyze/pg_query_go/v6"
	wasm "github.com/wasilibs/go-pgquery"
	"github.com/wasilibs/go-pgquery/parser"
)

func engineParse(text string) (*pg.ParseResult, error) { return wasm.Parse(text) }

func engineScan(text string) (*pg.ScanResult, error) { return wasm.Scan(text) }

// engineError takes the parser's error apart: its message and the 1-based
// place that it is about, 0 for none.
func engineError(err error) (message string, place int, ok bool) {
	var e *parser.Error
	if !errors.As(err, &e) {
		return "", 0, false
	}
	return e.Message, e.Cursorpos, true
}
