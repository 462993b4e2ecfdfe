package rotate

import (
	"fmt"
	"regexp"
)

var (
	// sqlNoise is what a function's text has between its words: comments, and texts in quotes.
	sqlNoise = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'`)
	// wholeRow is NEW as a whole where PL/pgSQL gives it another value.
	wholeRow = regexp.MustCompile(`(?is)(?:^|;|\bbegin|\bthen|\belse|\bloop)\s*new\s*:?=|\binto\s+(?:strict\s+)?new\s*(?:;|\bfrom\b)`)
)

// writes says whether a trigger's function gives a column of the row another value. It is told from the function's text,
// as the database does not know; of another language than PL/pgSQL, whoever names the column is taken to write it.
func (t *catalogTrigger) writes(column string) bool {
	body := sqlNoise.ReplaceAllString(t.body, " ")
	name := `"?` + regexp.QuoteMeta(column) + `"?`
	if t.language != "plpgsql" {
		return regexp.MustCompile(`(?i)(?:^|\W)` + name + `(?:\W|$)`).MatchString(t.body)
	}
	assigns := regexp.MustCompile(`(?is)(?:^|;|\bbegin|\bthen|\belse|\bloop|\bdeclare)\s*new\s*\.\s*` + name + `\s*:?=|\binto\s[^;]*\bnew\s*\.\s*` + name + `(?:\W|$)`)
	return assigns.MatchString(body) || wholeRow.MatchString(body)
}

// writers are triggers that change the plain column's value on its way into the table. What they write behind the move's own
// trigger leaves a sealed value of an older one; and all of them write a value in clear where the sealed one stands after
// the swap.
func (m *Move) writers(c *catalog) (all []Obstacle) {
	own := m.trigger("moving")
	for _, t := range m.triggersOf(c, "moving") {
		own = t.name
	}
	for _, t := range c.triggers {
		if !t.before || t.enabled == "D" || t.function == unquoted(m.function(c, "moving")) || !t.writes(m.plain) {
			continue
		}
		what := fmt.Sprintf("trigger %s calls %s, which writes the column, and would write a value in clear after the swap", t.name, t.function)
		if t.name > own {
			what += "; until then it writes behind the trigger that keeps sealed values from getting stale"
		}
		all = append(all, Obstacle{
			What: what, Fix: "DROP TRIGGER " + quote(t.name) + " ON " + c.table() + ", and let programs write what it wrote; then run the backfill again", Stops: true,
		})
	}
	return all
}
