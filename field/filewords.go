package field

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// words are the keys of a section, or the words of a value.
type words struct {
	accepted []string
	// later are words of the language that this version does not carry out.
	// To accept and ignore one would be a silent failure, so they are refused.
	later []string
}

// check says what is wrong with word; "" where it is accepted.
func (w words) check(word string) string {
	list := "; accepted: " + strings.Join(w.accepted, ", ")
	switch {
	case slices.Contains(w.accepted, word):
		return ""
	case slices.Contains(w.later, word):
		return fmt.Sprintf("this version does not support %q%s", word, list)
	}
	return "unknown word " + shown(word) + hint(word, w.accepted) + list
}

// hint proposes the candidate that word may be a slip of.
func hint(word string, candidates []string) string {
	if near := nearest(word, candidates); near != "" && near != word {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// maxShown is the longest word of the user's that an error repeats.
const maxShown = 40

// shown quotes a word of the user's for an error. What could be a URL, a
// connection string or a key, put in the wrong place, is not repeated.
func shown(s string) string {
	if scheme, _, ok := strings.Cut(s, "://"); ok && validScheme(scheme) && len(scheme) <= maxShown {
		return `"` + scheme + `://…"`
	}
	n := utf8.RuneCountInString(s)
	if n > maxShown || strings.ContainsAny(s, "@=") || strings.Contains(s, "://") {
		return fmt.Sprintf("(of %d characters)", n)
	}
	return fmt.Sprintf("%q", s)
}

// nearest returns the candidate that word may be a slip of; "" for none.
func nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, found := "", 3
	for _, c := range candidates {
		// In short words two slips leave too little to recognise.
		if d := editDistance(word, c); d < found && d <= max(1, len(c)/3) {
			best, found = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, changes and swaps of
// neighbours that lead from a to b (optimal string alignment).
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			change := 1
			if x[i] == y[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// validScheme reports whether s is a URL scheme in lower case.
func validScheme(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}
