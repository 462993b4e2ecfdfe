package gormplugin

import "strings"

// How MySQL and MariaDB read a text depends on the session's sql_mode, which is
// not known here. Where the readings differ in where a piece ends, the text is
// not understood.

// mysqlComment skips a comment, if there is one. One that begins with /*! or
// /*M! is run by the server.
func (l *lexer) mysqlComment(rest string) bool {
	switch {
	case rest[0] == '#', strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' ' || rest[2] == 0x7f):
		if end := strings.IndexByte(rest, '\n'); end >= 0 {
			l.pos += end
		} else {
			l.pos = len(l.src)
		}
		return true
	case strings.HasPrefix(rest, "/*!"), strings.HasPrefix(rest, "/*M!"):
		l.broken = true
		l.pos = len(l.src)
		return true
	case strings.HasPrefix(rest, "/*"):
		l.blockComment()
		return true
	}
	return false
}

// mysqlQuoted reads '…' or "…", where \ is an escape or, with
// NO_BACKSLASH_ESCAPES, a letter, and where it may be the second byte of a
// character in front of it.
func (l *lexer) mysqlQuoted(quote byte) string {
	from := l.pos
	text := l.quoted(quote, false)
	inner := l.src[from:l.pos]
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			continue
		}
		end := i
		for end < len(inner) && inner[end] == '\\' {
			end++
		}
		beforeQuote := end < len(inner) && (inner[end] == quote)
		if beforeQuote && ((end-i)%2 == 1 || inner[i-1] >= 0x80) {
			l.broken = true
		}
		i = end
	}
	return text
}

// mysqlNumber reads what begins with a digit: a number, or a name such as 2fa.
func (l *lexer) mysqlNumber() {
	from := l.pos
	word := strings.ToLower(l.take(isMySQLByte))
	if isMySQLNumber(word) {
		l.pos = from
		l.emit(tokenNumber, l.take(isNumberByte))
		return
	}
	l.emit(tokenWord, word)
}

func isMySQLNumber(word string) bool {
	if digits, ok := strings.CutPrefix(word, "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	if digits, ok := strings.CutPrefix(word, "0b"); ok {
		return strings.Trim(digits, "01") == ""
	}
	mantissa, exponent, _ := strings.Cut(word, "e")
	return strings.Trim(mantissa, "0123456789") == "" && strings.Trim(exponent, "0123456789") == ""
}

// mysqlWord reads a keyword or name, or a literal with a prefix: x'…', b'…',
// n'…'. What stands behind _utf8 is a literal by itself.
func (l *lexer) mysqlWord() {
	w := strings.ToLower(l.take(isMySQLByte))
	if l.pos < len(l.src) && l.src[l.pos] == '\'' && (w == "b" || w == "x" || w == "n") {
		l.emit(tokenText, l.mysqlQuoted('\''))
		return
	}
	l.emit(tokenWord, w)
}

// isMySQLByte is isWordByte with the dollar sign, which names may hold.
func isMySQLByte(c byte) bool { return c == '$' || isWordByte(c) }
