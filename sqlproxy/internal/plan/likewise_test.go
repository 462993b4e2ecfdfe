package plan

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestParametersFareAsLiteralsDo: each statement that writes, with its literals
// made parameters, is refused if it was refused, and seals as many values.
func TestParametersFareAsLiteralsDo(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/writes.txt")
	if err != nil {
		t.Fatal(err)
	}
	conn, base := wServer(t)
	literal := regexp.MustCompile(`'secret-[0-9n]'`)
	tried := 0
	for _, c := range wCases(t, string(golden)) {
		word, _, _ := strings.Cut(c.sql, " ")
		if strings.Contains(c.sql, "$") || !strings.Contains("INSERT UPDATE DELETE MERGE WITH", word) || !literal.MatchString(c.sql) ||
			strings.Contains(c.sql, ";") || regexp.MustCompile(`\w+(\(\d+\))? 'secret`).MatchString(strings.NewReplacer("THEN '", "THEN+'", "ELSE '", "ELSE+'", "SELECT '", "SELECT+'").Replace(c.sql)) {
			continue
		}
		tried++
		t.Run(c.name, func(t *testing.T) {
			own := c.context(t, base)
			first, firstErr := Analyze(&own, c.sql)
			n := 0
			sql := literal.ReplaceAllStringFunc(c.sql, func(string) string { n++; return "$" + strconv.Itoa(n) })
			second, secondErr := Analyze(&own, sql)
			if (firstErr == nil) != (secondErr == nil) {
				t.Fatalf("%s: %v\n%s: %v", c.sql, firstErr, sql, secondErr)
			}
			if firstErr != nil {
				return
			}
			if len(first.Cells) != len(second.Cells) {
				t.Errorf("%s\ngives %d cells\n%s\ngives %d", c.sql, len(first.Cells), sql, len(second.Cells))
			}
			c.sql = sql
			wRun(t, conn, base, c, second)
		})
	}
	if tried < 80 {
		t.Errorf("%d statements with literals, want at least 80", tried)
	}
}
