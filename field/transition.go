package field

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Transition says that a sealed column takes over from a plain column of the
// same table while the application runs. Reads take the plain value where the
// sealed one is NULL. The zero value is no transition.
type Transition struct {
	// Plain is the plain column's name; "" for no transition.
	Plain string
	// Both has writes go to the plain column too. Else they set it to NULL.
	Both bool
}

var (
	transitionWords = words{accepted: []string{"plain", "write"}}
	writeWords      = words{accepted: []string{"sealed", "both"}}
)

// Transition returns the plain column that c takes over from; the zero value
// where it does not.
func (c *Column) Transition() Transition { return c.transition }

// checkTransitions refuses plain columns that are something else already.
func (t *Table) checkTransitions() error {
	owners := map[string]*Column{}
	for _, c := range t.columns {
		plain := c.transition.Plain
		name := strings.ToLower(plain)
		problem := ""
		switch {
		case plain == "" && c.transition.Both:
			problem = "says what is written, and not which plain column it is about"
		case plain == "":
			continue
		case len(plain) > maxName || !utf8.ValidString(plain):
			problem = fmt.Sprintf("names a plain column that is longer than %d bytes or not UTF-8", maxName)
		case strings.EqualFold(plain, t.tenant.Column), strings.EqualFold(plain, t.rowID):
			problem = "names the tenant or row id; name the column that held the values before"
		case owners[name] != nil:
			problem = "names the plain column of " + owners[name].name + " too; give each column its own"
		}
		for _, other := range t.columns {
			if strings.EqualFold(plain, other.name) {
				problem = "names the sealed column " + other.name + "; name the column that held the values before"
			}
		}
		if problem != "" {
			return fmt.Errorf("column %s: transition %s", c.name, problem)
		}
		owners[name] = c
	}
	return nil
}

// noTransition refuses columns in transition where nothing reads and writes
// their plain columns: values that are still there would be missing.
func noTransition(columns []*Column) error {
	for _, c := range columns {
		if c.transition.Plain != "" {
			return fmt.Errorf("column %s takes over from %s, which is not read and written here; use a table without `transition`, and both columns", c.name, c.transition.Plain)
		}
	}
	return nil
}

// transition reads {plain: COL, write: both|sealed}.
func (r *policyReader) transition(n *yamlNode) (t Transition) {
	known := len(r.problems)
	values := r.mapping(n, transitionWords)
	if v := values["plain"]; v != nil {
		t.Plain, _ = r.id(v)
	} else if len(r.problems) == known {
		r.fail(n, "has no `plain`; name the plain column of the same table, as in {plain: email_clear}")
	}
	if v := values["write"]; v != nil {
		t.Both = r.word(v, writeWords) == 1
	}
	return t
}

// parseTransition reads what a tag says of it: "email_clear" or
// "email_clear/both".
func parseTransition(text string) (t Transition, problem string) {
	plain, write, given := strings.Cut(text, "/")
	t.Plain, t.Both = plain, write == "both"
	switch {
	case plain == "":
		problem = "names no plain column, as in transition=email_clear/both"
	case given:
		problem = writeWords.check(write)
	}
	return t, problem
}

// yaml is the transition's declaration; nil for none.
func (t Transition) yaml() (w []string) {
	if t.Plain == "" {
		return nil
	}
	list := []string{"plain: " + yamlScalar(t.Plain)}
	if t.Both {
		list = append(list, "write: both")
	}
	return []string{"transition: " + yamlBraces(list)}
}
