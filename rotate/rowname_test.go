package rotate

import "testing"

// TestRowNamesEndNoLinesAndCommandNoTerminals: a primary key may hold anything.
func TestRowNamesEndNoLinesAndCommandNoTerminals(t *testing.T) {
	target := target{key: []keyColumn{{name: "id"}, {name: "n"}}}
	for want, key := range map[string][]any{
		"id=7, n=00ff":                               {int64(7), []byte{0, 255}},
		"id=Zoë B., n=x":                             {"Zoë B.", "x"},
		`id="a\n  clean: all", n="\x1b[2J"`:          {"a\n  clean: all", "\x1b[2J"},
		`id="1, n=2", n="\u202e"`:                    {"1, n=2", "\u202e"},
		`id="\"7\"", n=2026-01-02 03:04:05.000006+0`: {`"7"`, "2026-01-02 03:04:05.000006+0"},
	} {
		if got := target.rowName(row{key: key}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
