package sealing

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// TestMalformedCopyDataIsRefused is about data of which no test compares what the server makes of it.
func TestMalformedCopyDataIsRefused(t *testing.T) {
	f := newFixture(t)
	head := copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00"
	const end = "\xff\xff"
	size := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	null := size(0xffffffff)
	for name, c := range map[string]struct{ format, data, says string }{
		"another signature":                {"binary", "PGCOPY\n\xff\r\n\x01\x00\x00\x00\x00\x00\x00\x00\x00" + end, "signature not recognized"},
		"the beginning of another":         {"binary", "acme", "signature not recognized"},
		"an extension that is too long":    {"binary", copySignature + "\x00\x00\x00\x00" + size(maxCopyRow+1), "wrong length"},
		"data behind the end":              {"binary", head + end + "x", "after EOF marker"},
		"too few fields":                   {"binary", head + "\x00\x05" + strings.Repeat(null, 5) + end, "does not fit"},
		"too many fields":                  {"binary", head + "\x00\x07" + strings.Repeat(null, 7) + end, "does not fit"},
		"no fields":                        {"binary", head + "\x00\x00" + end, "does not fit"},
		"a field that is too long":         {"binary", head + "\x00\x06" + size(maxCopyRow+1), "too long"},
		"a quote that does not end":        {"csv", "acme,\"secret78,2020-01-01,x,1,n\n", "unterminated CSV"},
		"a line feed where rows end in CR": {"text", "acme\t1\t\\N\tx\t1\tn\racme\t1\t\\N\tx\t1\tn\nx\r", "literal newline"},
		"a CR where rows end in line feed": {"text", "acme\t1\t\\N\tx\t1\tn\nacme\t1\t\\N\tx\t1\tn\rx\n", "literal carriage return"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cuts := range [][]int{nil, {1}, {len(c.data) / 2}, {len(c.data) - 1}} {
				_, err := through(context.Background(), f.NewCopyIn(f.layout(c.format)), []byte(c.data), cuts)
				var r *plan.Refusal
				if !errors.As(err, &r) || !strings.Contains(r.Message, c.says) || strings.Contains(r.Error()+r.Detail, "secret78") {
					t.Errorf("cut at %v: %v, want %s", cuts, err, c.says)
				}
			}
		})
	}
}

// TestIdentitiesOfAnotherTypeAreRefused is about tenants and row ids that are written in a way that their column would refuse.
func TestIdentitiesOfAnotherTypeAreRefused(t *testing.T) {
	for _, tt := range []struct {
		text string
		as   uint32
	}{
		{"x", 23},
		{"1.0", 20},
		{"", 21},
		{"99999999999999999999", 20},
		{"00112233-4455-6677-8899-aabbccddeef", 2950},
		{"00112233-4455-6677-8899-aabbccddeeff0", 2950},
		{"", 2950},
	} {
		got, err := identity(text(tt.text), tt.as)
		var r *plan.Refusal
		if !errors.As(err, &r) || r.SQLState != stateBadValue || got != nil {
			t.Errorf("%q as %d: %v, %v", tt.text, tt.as, got, err)
		}
	}
}
