package parse

import "strings"

// operatorBytes are those that operators are made of.
const operatorBytes = "~!@#^&|`?+-*/%<>="

// tooMuchLook returns where a text has so many `/*` in one row of operator characters that to scan it takes
// time that grows with the square of its length; -1 where it does not. Strings and comments count too.
func tooMuchLook(text string, limit int) int {
	looked := 0
	for i := strings.Index(text, "/*"); i >= 0; {
		end := i
		for end < len(text) && strings.IndexByte(operatorBytes, text[end]) >= 0 {
			end++
		}
		for at := i; at+1 < end; at++ {
			if text[at] != '/' || text[at+1] != '*' {
				continue
			}
			if looked += end - at; looked > limit {
				return at
			}
		}
		next := strings.Index(text[end:], "/*")
		if next < 0 {
			return -1
		}
		i = end + next
	}
	return -1
}
