package parse

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Kind is what a word may name.
type Kind byte

const (
	// NamesSealed: a relation or function that is sealed or made of something sealed.
	NamesSealed Kind = 1 << iota
	// NamesFunction: a function that is not PostgreSQL's own, so that it may do anything
	// to the session's settings.
	NamesFunction
)

// Words is what a scan finds in a text.
type Words struct {
	// Sensitive: a word, quoted or not, is one that may name something sealed,
	// or the text has something that the scan does not read with certainty (U&"…", a
	// backslash where it may be an escape, bytes that are no UTF-8).
	Sensitive bool
	// Effects is what its statements may change.
	Effects Effects
	// Names: the text has PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE, CLOSE or COPY at
	// the beginning of a statement, so that the session must know more.
	Names bool
}

// maxName is the length in bytes that the server cuts names to.
const maxName = 63

// Scanner reads a text's words in one pass, without memory of its own beyond
// the first use. A session has one; it is for one goroutine.
type Scanner struct {
	// Kind says what a word may name, which is folded and cut as PostgreSQL does
	// it. The word is valid during the call only. Required.
	Kind func(word []byte) Kind
	// Conforming says that standard_conforming_strings is known to be on. Otherwise a text
	// with a backslash in a plain string counts as sensitive.
	Conforming bool
	// Coding says what texts are in. Where it is HighBytes, words beyond ASCII count as sensitive, where it is
	// AnyBytes whole texts that are not plain ASCII do.
	Coding Coding

	text   string
	found  Words
	stmt   statement
	bodies bool // words in strings count too
	skip   bool // a string was passed over while bodies was not set
	word   [maxName + 1]byte
}

var scanners = sync.Pool{New: func() any { return new(Scanner) }}

// Scan reads a text's words with a [Scanner] that knows nothing of the session but its encoding.
// Functions of users are not known to it, so that Effects lacks what they change.
func Scan(text string, coding Coding, sensitive func(word string) bool) Words {
	s := scanners.Get().(*Scanner)
	defer scanners.Put(s)
	defer func() { s.Kind = nil }()
	s.Coding = coding
	s.Kind = func(word []byte) Kind {
		if sensitive(string(word)) {
			return NamesSealed
		}
		return 0
	}
	return s.Scan(text)
}

// Scan reads a text's words.
func (s *Scanner) Scan(text string) Words {
	s.text, s.bodies, s.skip = text, false, false
	s.pass()
	if s.bodies && s.skip {
		// A word that makes strings count came behind a string.
		s.skip = false
		s.pass()
	}
	s.text = ""
	return s.found
}

// pass reads the text from its beginning to its end.
func (s *Scanner) pass() {
	s.found, s.stmt = Words{}, statement{}
	if !s.readable() {
		s.found.Sensitive = true
	}
	text := s.text
	for i := 0; i < len(text); {
		switch classes[text[i]] {
		case classLetter:
			i = s.name(i)
		case classQuote:
			i = s.plain(i)
		case classDouble:
			i = s.quoted(i)
		case classDollar:
			i = s.dollar(i)
		case classDash:
			i = s.dash(i)
		case classSlash:
			i = s.slash(i)
		case classEnd:
			s.stmt = statement{}
			i++
		default:
			i++
		}
	}
}

// readable says whether the text's bytes are what the server takes them for.
func (s *Scanner) readable() bool {
	if strings.IndexByte(s.text, 0) >= 0 {
		return false
	}
	switch s.Coding {
	case UTF8:
		return utf8.ValidString(s.text)
	case HighBytes:
		return true
	default:
		return ASCII(s.text)
	}
}

// uncertain notes that the rest of the text may be read in two ways.
func (s *Scanner) uncertain() {
	s.found.Sensitive = true
	s.found.Effects |= anything
}

// name reads a word that begins at i, or a string that begins with a letter.
func (s *Scanner) name(i int) int {
	text, n := s.text, 0
	for i < len(text) && follows[text[i]] {
		if n <= maxName {
			s.word[n] = folded[text[i]]
			n++
		}
		i++
	}
	if n == 1 && i < len(text) {
		switch first := s.word[0]; {
		case text[i] == '\'' && first == 'e':
			return s.escaped(i)
		case text[i] == '\'' && (first == 'b' || first == 'x' || first == 'n'):
			return s.plain(i)
		case first == 'u' && text[i] == '&' && i+1 < len(text) && text[i+1] == '"':
			s.uncertain()
			return s.quoted(i + 1)
		case first == 'u' && text[i] == '&' && i+1 < len(text) && text[i+1] == '\'':
			return s.unicode(i + 1)
		}
	}
	word := s.cut(n)
	s.look(word)
	s.stmt.word(&s.found, word)
	s.code(word)
	return i
}

// cut gives the first n bytes of what was read, as long as names are.
func (s *Scanner) cut(n int) []byte {
	if n > maxName && s.Coding != UTF8 {
		n = maxName
	} else if n > maxName {
		for n = maxName; n > 0 && !utf8.RuneStart(s.word[n]); n-- {
		}
	}
	return s.word[:n]
}

// look notes what a word may name.
func (s *Scanner) look(word []byte) {
	kind := s.Kind(word)
	if kind&NamesSealed != 0 || s.Coding != UTF8 && beyond(word) >= 0 {
		s.found.Sensitive = true
	}
	if kind&NamesFunction != 0 {
		s.found.Effects |= Settings | SettingsAtEnd
		s.bodies = true
	}
	if len(word) < len("ts_stat") {
		return
	}
	switch string(word) {
	case "set_config", "pg_settings": // UPDATE of the latter is SET
		s.found.Effects |= Settings | SettingsAtEnd
	case "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema",
		"table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
		"schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema",
		"cursor_to_xml", "cursor_to_xmlschema", "ts_stat", "ts_rewrite":
		s.bodies = true
	}
}

// code notes words that make the contents of the statement's strings SQL.
func (s *Scanner) code(word []byte) {
	if s.bodies || s.stmt.verb != verbCode && s.stmt.verb != verbDDL {
		return
	}
	switch string(word) {
	case "do", "call", "function", "procedure", "routine", "rule", "trigger":
		s.bodies = true
	}
}

// plain reads a string without escapes, whose quote is at i.
func (s *Scanner) plain(i int) int {
	end := s.closing(i+1, '\'')
	body := s.text[i+1 : max(end-1, i+1)]
	if !s.Conforming && strings.IndexByte(s.text[i+1:end], '\\') >= 0 {
		s.uncertain()
	}
	s.body(body)
	return end
}

// unicode reads the string of U&'…', whose escapes hide no quote.
func (s *Scanner) unicode(i int) int {
	if s.bodies {
		s.found.Sensitive = true
	}
	return s.plain(i)
}

// closing returns what is behind the quote that ends what begins at i, or the
// text's end where it is missing. A doubled quote ends and begins: that makes no
// difference for what is behind.
func (s *Scanner) closing(i int, quote byte) int {
	for {
		n := strings.IndexByte(s.text[i:], quote)
		if n < 0 {
			s.found.Sensitive = true
			return len(s.text)
		}
		i += n + 1
		if i >= len(s.text) || s.text[i] != quote {
			return i
		}
		i++
	}
}

// escaped reads the string of E'…', whose quote is at i.
func (s *Scanner) escaped(i int) int {
	text, from, escapes := s.text, i+1, false
	for i = from; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			escapes = true
			i++
		case text[i] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == '\'':
			s.body(text[from:i])
			if escapes && s.bodies || s.goesOn(i+1) {
				s.uncertain()
			}
			return i + 1
		}
	}
	s.found.Sensitive = true
	return len(text)
}

// goesOn says whether another string follows a string's end. Behind a line break it
// is a part of the same string, with its escapes.
func (s *Scanner) goesOn(i int) bool {
	for i < len(s.text) {
		switch c := s.text[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			i++
		case strings.HasPrefix(s.text[i:], "--"):
			i = s.dash(i)
		default:
			return c == '\''
		}
	}
	return false
}

// quoted reads a quoted name, whose quote is at i.
func (s *Scanner) quoted(i int) int {
	text, n := s.text, 0
	for i++; i < len(text); i++ {
		if text[i] == '"' {
			if i+1 >= len(text) || text[i+1] != '"' {
				s.look(s.cut(n))
				s.stmt.quoted()
				return i + 1
			}
			i++
		}
		if n <= maxName {
			s.word[n] = text[i]
			n++
		}
	}
	s.found.Sensitive = true
	return len(text)
}

// dollar reads a string in dollar quotes, or passes over the sign.
func (s *Scanner) dollar(i int) int {
	text, j := s.text, i+1
	if j < len(text) && classes[text[j]] == classLetter {
		for j < len(text) && follows[text[j]] && text[j] != '$' {
			j++
		}
	}
	if j >= len(text) || text[j] != '$' {
		return i + 1
	}
	tag := text[i : j+1]
	n := strings.Index(text[j+1:], tag)
	if n < 0 {
		s.found.Sensitive = true
		return len(text)
	}
	s.body(text[j+1 : j+1+n])
	return j + 1 + n + len(tag)
}

// dash passes over a comment to the line's end, or over an operator's byte.
func (s *Scanner) dash(i int) int {
	if i+1 >= len(s.text) || s.text[i+1] != '-' {
		return i + 1
	}
	n := strings.IndexAny(s.text[i:], "\r\n")
	if n < 0 {
		return len(s.text)
	}
	return i + n
}

// slash passes over a comment, which may hold others, or over an operator's byte.
func (s *Scanner) slash(i int) int {
	text := s.text
	if i+1 >= len(text) || text[i+1] != '*' {
		return i + 1
	}
	depth := 0
	for ; i+1 < len(text); i++ {
		switch {
		case text[i] == '/' && text[i+1] == '*':
			depth++
			i++
		case text[i] == '*' && text[i+1] == '/':
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	s.found.Sensitive = true
	return len(text)
}

// body looks at the words of a string, where they count. The string is not read as SQL, but as a
// bag of words: within another string's quotes it is not known what is a comment.
func (s *Scanner) body(body string) {
	if !s.bodies {
		s.skip = true
		return
	}
	s.found.Effects |= anything
	if strings.Contains(body, `&"`) {
		s.uncertain()
	}
	for i := 0; i < len(body); {
		if classes[body[i]] != classLetter {
			i++
			continue
		}
		from := i
		for i < len(body) && follows[body[i]] {
			i++
		}
		s.bag(body[from:i])
	}
	for {
		_, rest, ok := strings.Cut(body, `"`)
		if !ok {
			return
		}
		name, _, ok := strings.Cut(rest, `"`)
		if ok {
			s.look(s.cut(copy(s.word[:], name)))
		}
		body = rest
	}
}

// bag looks at a word both as it is, for it may be quoted, and folded.
func (s *Scanner) bag(word string) {
	n := copy(s.word[:], word)
	s.look(s.cut(n))
	for i := range s.word[:n] {
		s.word[i] = folded[s.word[i]]
	}
	s.look(s.cut(n))
}

// Mentions says whether a text that may be SQL, or a program that holds some, has a word for
// which the predicate holds, folded or as it is, or may name one in a way that is not read (U&"…").
func Mentions(text string, names func(word []byte) bool) bool {
	s := Scanner{bodies: true, Kind: func(word []byte) Kind {
		if names(word) {
			return NamesSealed
		}
		return 0
	}}
	s.body(text)
	return s.found.Sensitive
}
