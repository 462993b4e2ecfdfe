package field

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxID bounds namespaces, tenants and the names and ids of tables and
// columns, in bytes: they are bound into values behind their length.
const maxID = 255

// mapping returns the values of a mapping by key, having refused keys that are
// unknown or without a value, and an empty mapping.
func (r *fileReader) mapping(n *yamlNode, w words) map[string]*yamlNode {
	values := map[string]*yamlNode{}
	if n.kind != yamlMapping {
		r.fail(n, "is %s, not a mapping; accepted: %s", n.kind, strings.Join(w.accepted, ", "))
		return values
	}
	if len(n.entries) == 0 {
		r.fail(n, "is empty; accepted: %s", strings.Join(w.accepted, ", "))
	}
	for _, e := range r.distinct(n) {
		if problem := w.check(e.name); problem != "" {
			r.fail(e.at, "%s", problem)
			continue
		}
		if e.value.kind == yamlNull {
			r.fail(e.at, "has no value; write one or remove the key")
			continue
		}
		values[e.name] = e.value
	}
	return values
}

// distinct returns the entries of a mapping whose keys are text, each once.
func (r *fileReader) distinct(n *yamlNode) []yamlEntry {
	first := make(map[string]*yamlNode, len(n.entries))
	entries := make([]yamlEntry, 0, len(n.entries))
	for _, e := range n.entries {
		switch other := first[e.name]; {
		case e.at.kind != yamlText:
			r.fail(e.at, "the key is %s, not text; write it in quotes", e.at.kind)
		case other != nil:
			r.fail(e.at, "is written twice, first on line %d; keep one", other.line)
		default:
			first[e.name] = e.at
			entries = append(entries, e)
		}
	}
	return entries
}

// text reads text of any length but zero.
func (r *fileReader) text(n *yamlNode) (string, bool) {
	switch {
	case n.kind == yamlNumber || n.kind == yamlBool:
		r.fail(n, "is %s, not text; write it in quotes", n.kind)
	case n.kind != yamlText:
		r.fail(n, "is %s, not text", n.kind)
	case n.text == "":
		r.fail(n, "is empty; write a value or remove the key")
	default:
		return n.text, true
	}
	return "", false
}

// id reads a name that is bound into values or finds a column.
func (r *fileReader) id(n *yamlNode) (string, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	return s, r.checkID(n, s)
}

func (r *fileReader) checkID(n *yamlNode, s string) bool {
	if len(s) == 0 || len(s) > maxID || !utf8.ValidString(s) {
		r.fail(n, "has %d bytes; accepted: 1 to %d bytes of UTF-8", len(s), maxID)
		return false
	}
	return true
}

// word reads one of w and returns its place; -1 for an error.
func (r *fileReader) word(n *yamlNode, w words) int {
	if n.kind != yamlText {
		r.fail(n, "is %s, not a word; accepted: %s", n.kind, strings.Join(w.accepted, ", "))
		return -1
	}
	if problem := w.check(n.text); problem != "" {
		r.fail(n, "%s", problem)
		return -1
	}
	return slices.Index(w.accepted, n.text)
}

func (r *fileReader) boolean(n *yamlNode) bool {
	if n.kind != yamlBool {
		r.fail(n, "is %s, not a boolean; accepted: true, false", n.kind)
	}
	return n.kind == yamlBool && strings.EqualFold(n.text, "true")
}

// integer reads a number in plain decimal digits: 010, 0x10 and 1_000 mean
// different things to different readers of YAML.
func (r *fileReader) integer(n *yamlNode, low, high int) int {
	i, problem := parseInteger(n.text, low, high)
	// The YAML parser takes numbers beyond 64 bits for text.
	if n.kind != yamlNumber && (n.kind != yamlText || n.quoted || problem == "" || !isDecimal(n.text)) {
		problem = fmt.Sprintf("is %s, not a number; accepted: %d to %d", n.kind, low, high)
	}
	if problem != "" {
		r.fail(n, "%s", problem)
	}
	return i
}

func parseInteger(s string, low, high int) (i int, problem string) {
	i, err := strconv.Atoi(s)
	switch {
	case !isDecimal(s):
		return 0, fmt.Sprintf("is not a whole number in decimal digits; accepted: %d to %d", low, high)
	case strings.HasPrefix(s, "-"):
		return 0, fmt.Sprintf("is negative; accepted: %d to %d", low, high)
	case err != nil || i > high:
		return 0, fmt.Sprintf("is too large; accepted: %d to %d", low, high)
	case i < low:
		return 0, fmt.Sprintf("is too small; accepted: %d to %d", low, high)
	}
	return i, ""
}

// isDecimal reports whether s is -?(0|[1-9][0-9]*).
func isDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// duration reads a duration of 1s to high.
func (r *fileReader) duration(n *yamlNode, high time.Duration) time.Duration {
	if n.kind == yamlNumber {
		r.fail(n, "is a number without a unit; accepted: %s", acceptedDurations(high))
		return 0
	}
	s, ok := r.text(n)
	if !ok {
		return 0
	}
	d, problem := parseDuration(s, high)
	if problem != "" {
		r.fail(n, "%s", problem)
	}
	return d
}

func acceptedDurations(high time.Duration) string {
	return "a duration from 1s to " + formatDuration(high) + ", such as 30s or 1m30s"
}

const day = 24 * time.Hour

// parseDuration reads Go's form, before which whole days may stand: "1d12h".
func parseDuration(s string, high time.Duration) (d time.Duration, problem string) {
	accepted := "; accepted: " + acceptedDurations(high)
	head, rest, found := strings.Cut(s, "d")
	if !found {
		head, rest = "0", s
	}
	days, err := strconv.ParseInt(head, 10, 32)
	switch {
	case !isDecimal(head) || !found && rest == "" || found && strings.ContainsAny(rest, "+-"):
		return 0, "is not a duration" + accepted
	case strings.HasPrefix(head, "-"):
		return 0, "is negative" + accepted
	case err != nil || time.Duration(days) > high/day:
		return 0, "is too long" + accepted
	}
	if rest != "" {
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, "is not a duration" + accepted
		}
	}
	switch whole := time.Duration(days) * day; {
	case d < 0:
		return 0, "is negative" + accepted
	case d > high-whole:
		return 0, "is too long" + accepted
	case d+whole == 0:
		return 0, "is zero" + accepted
	case d+whole < time.Second: // a slow KMS could not answer within it
		return 0, "is too short" + accepted
	default:
		return d + whole, ""
	}
}

// size reads a number of bytes of low to high, which are powers of two.
func (r *fileReader) size(n *yamlNode, low, high int) int {
	if n.kind == yamlNumber {
		r.fail(n, "is a number without a unit; accepted: %s", acceptedSizes(low, high))
		return 0
	}
	s, ok := r.text(n)
	if !ok {
		return 0
	}
	size, problem := parseSize(s, low, high)
	if problem != "" {
		r.fail(n, "%s; accepted: %s", problem, acceptedSizes(low, high))
	}
	return size
}

// sizeUnits are the server's, in which each is 1024 of the one before.
var sizeUnits = []string{"kB", "MB", "GB"}

// parseSize reads a whole number with a unit: "16MB".
func parseSize(s string, low, high int) (size int, problem string) {
	for i, unit := range sizeUnits {
		digits, found := strings.CutSuffix(s, unit)
		if !found || !isDecimal(digits) {
			continue
		}
		n, err := strconv.Atoi(digits)
		shift := 10 * (i + 1)
		switch {
		case strings.HasPrefix(digits, "-"):
			return 0, "is negative"
		case err != nil || n > high>>shift:
			return 0, "is too large"
		case n < (low+1<<shift-1)>>shift:
			return 0, "is too small"
		}
		return n << shift, ""
	}
	return 0, "is not a size"
}

func acceptedSizes(low, high int) string {
	return "a size from " + formatSize(low) + " to " + formatSize(high) + ", such as 512kB or 16MB"
}

// formatSize writes a size in the largest unit that divides it.
func formatSize(n int) string {
	i := 0
	for n >>= 10; n >= 1024 && n%1024 == 0 && i+1 < len(sizeUnits); i++ {
		n >>= 10
	}
	return strconv.Itoa(n) + sizeUnits[i]
}

// formatDuration is Go's form without the zero parts at its end: "1h", "5m".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
