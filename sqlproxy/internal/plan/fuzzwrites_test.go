package plan

import (
	"os"
	"strings"
	"testing"
)

// FuzzWrites: no text makes the analysis panic, and no constant that a plan
// seals is left in the text for the server.
func FuzzWrites(f *testing.F) {
	golden, err := os.ReadFile("testdata/writes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range wCases(f, string(golden)) {
		f.Add(c.sql)
	}
	_, base := wServer(f)
	f.Fuzz(func(t *testing.T, sql string) {
		own := base
		own.Prepared = func(string) *Plan { return nil }
		p, err := Analyze(&own, sql)
		if err != nil {
			return
		}
		rendered := wRender(sql, p)
		for _, c := range p.Cells {
			// A short constant may stand elsewhere too, and so may one that the text has twice.
			if k := c.From.Const; k != nil && len(k.Text) > 7 && strings.Count(sql, k.Text) == 1 && strings.Contains(rendered, k.Text) {
				t.Fatalf("%q is left in %s", k.Text, rendered)
			}
		}
	})
}
