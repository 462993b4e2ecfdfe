package gormplugin

import (
	"errors"
	"strings"
	"testing"
)

func TestEachRefusalSaysWhatToDoInstead(t *testing.T) {
	lookup := searchTables(t)
	for sql, want := range map[string]string{
		`SELECT * FROM members WHERE note = $1`:                                     "declare search=equality",
		`SELECT * FROM members WHERE note LIKE $1`:                                  "filter after reading",
		`SELECT * FROM members WHERE email NOT LIKE $1`:                             "filter after reading",
		`SELECT * FROM members WHERE email ILIKE $1`:                                "filter after reading",
		`SELECT * FROM members WHERE email < $1`:                                    "no order",
		`SELECT * FROM members WHERE $1 >= email`:                                   "no order",
		`SELECT * FROM members WHERE note BETWEEN $1 AND $2`:                        "no order",
		`SELECT * FROM members ORDER BY note`:                                       "no order",
		`SELECT * FROM members ORDER BY role, email DESC`:                           "no order",
		`SELECT * FROM members WHERE lower(email) = $1`:                             "compute in Go",
		`SELECT * FROM members WHERE email::text = $1`:                              "compute in Go",
		`SELECT * FROM members WHERE email = $1::text`:                              "compute in Go",
		`SELECT * FROM members WHERE email || 'x' = $1`:                             "compute in Go",
		`SELECT * FROM members WHERE email = 'literal'`:                             "as a parameter",
		`SELECT * FROM members WHERE email IN ($1, 'x')`:                            "with values as parameters",
		`SELECT * FROM members WHERE email IN ('x', $1)`:                            "as a parameter",
		`SELECT * FROM members WHERE email = ANY($1)`:                               "write IN",
		`SELECT * FROM members WHERE email = role`:                                  "sealed column of the same domain",
		`SELECT * FROM members WHERE (role, email) = ($1, $2)`:                      "one column at a time",
		`SELECT * FROM accounts JOIN logins USING (mail)`:                           "with ON",
		`SELECT * FROM members WHERE email = $1 AND role = $1`:                      "parameter of its own",
		`SELECT * FROM members WHERE id IN (SELECT id FROM plain WHERE email = $1)`: "the table's name or alias in front",
	} {
		a := analyse(sql, dialect{dollars: true}, lookup)
		var e *Error
		if !errors.As(a.err, &e) || !strings.Contains(e.Remedy, want) || e.Column == "" {
			t.Errorf("%s: %v, want a remedy with %q", sql, a.err, want)
		}
	}
}
