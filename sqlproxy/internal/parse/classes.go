package parse

import "unicode/utf8"

// class is what a byte may begin.
type class byte

const (
	classNone class = iota
	classLetter
	classQuote
	classDouble
	classDollar
	classDash
	classSlash
	classEnd
)

var (
	// classes says what each byte may begin.
	classes = makeClasses()
	// follows says which bytes go on a name.
	follows = makeFollows()
	// folded is ASCII's lower case; other bytes are as they are.
	folded = makeFolded()
)

func makeClasses() (t [256]class) {
	for c := range t {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf {
			t[c] = classLetter
		}
	}
	t['\''], t['"'], t['$'], t['-'], t['/'], t[';'] = classQuote, classDouble, classDollar, classDash, classSlash, classEnd
	return t
}

func makeFollows() (t [256]bool) {
	for c, k := range makeClasses() {
		t[c] = k == classLetter || k == classDollar || c >= '0' && c <= '9'
	}
	return t
}

func makeFolded() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}
