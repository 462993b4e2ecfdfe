package sealing

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// TestOwnersThatDoNotFitTheirColumnAreRefused: the row would have another text, for which its values do not open.
func TestOwnersThatDoNotFitTheirColumnAreRefused(t *testing.T) {
	for _, tt := range []struct {
		text  string
		chars int
		ok    bool
	}{
		{"acme", 0, true},
		{"acme  ", 0, true},
		{"abc", 3, true},
		{"ab ", 3, true},
		{"é€ß", 3, true},
		{"abc ", 3, false},
		{"abcd", 3, false},
		{"abcde", -5, true},
		{"é€ßde", -5, true},
		{"abc", -5, false},
		{"abcd ", -5, false},
		{"abcdef", -5, false},
		{"", -5, false},
	} {
		_, err := fitting(Value{OID: pgtype.TextOID, Data: []byte(tt.text)}, pgtype.TextOID, tt.chars)
		if tt.ok != (err == nil) {
			t.Errorf("%q in %d: %v", tt.text, tt.chars, err)
		}
	}
}
