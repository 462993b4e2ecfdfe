package plan_test

import (
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// TestWideAndDeepTexts analyses texts that are large in one way or another.
// Work that grew faster than they do would not end within the test's time.
func TestWideAndDeepTexts(t *testing.T) {
	c := worldContext(t)
	for name, text := range map[string]string{
		"a long list":         "select id from users where ssn in ('x'" + strings.Repeat(", 'x'", 50000) + ")",
		"many casts":          "select id from users where ssn in ('x'" + strings.Repeat(", $1::text", 20000) + ")",
		"many rows of VALUES": "select * from (values (1, 'a')" + strings.Repeat(", (1, 'a')", 20000) + ") v, users",
		"many unions":         "select ssn from users" + strings.Repeat(" union all select ssn from people", 300),
		"nested sub-queries":  "select id from users where ssn = " + strings.Repeat("(select ssn from people where 'x' = ", 60) + "ssn" + strings.Repeat(")", 60),
		"nested WITH":         strings.Repeat("with a as (", 40) + "select ssn from users" + strings.Repeat(") select ssn from a union all select ssn from people", 40),
		"nested FROM":         strings.Repeat("select * from (", 60) + "select ssn from users" + strings.Repeat(" union all select ssn from people) q", 60),
		"nested COALESCE":     "select " + strings.Repeat("coalesce(", 200) + "ssn" + strings.Repeat(", 'x')", 200) + " from users",
		"many conditions":     "select id from users where ssn = 'x'" + strings.Repeat(" or ssn = 'x'", 900),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := plan.Analyze(c, text); err != nil {
				t.Error(err)
			}
		})
	}
}
