package gormplugin

import (
	"strings"
)

// tokenKind tells a statement's tokens apart.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota + 1 // keyword or unquoted name, in lower case
	tokenName                        // quoted name, in lower case
	tokenText                        // string literal, without quotes
	tokenNumber                      // number
	tokenParam                       // placeholder
	tokenSymbol                      // one byte of punctuation
)

// token is a piece of a statement. Names are compared without regard to case
// everywhere: that can refuse a statement too many, but none too few.
type token struct {
	kind  tokenKind
	text  string
	param int // index of the parameter; -1 for a named one
	depth int // parentheses around it
	from  int // where it stands in the text, in bytes
	to    int
}

// isName says whether t can name a column or table.
func (t token) isName() bool {
	return t.kind == tokenName || (t.kind == tokenWord && !reserved[t.text])
}

// is says whether t is the unquoted word or symbol.
func (t token) is(s string) bool {
	return (t.kind == tokenWord || t.kind == tokenSymbol) && t.text == s
}

// dialect is what of a database's syntax matters for finding tokens.
type dialect struct {
	dollars   bool // $1 and $tag$…$tag$ (PostgreSQL); else ? is a placeholder
	brackets  bool // [name] (SQLite, SQL Server)
	backslash bool // MySQL: '\'' and all else in mysqllexer.go
	prefixes  bool // indexes on the first bytes of a column, and none on expressions (MySQL)
}

func dialectOf(name string) dialect {
	switch name {
	case "postgres":
		return dialect{dollars: true}
	case "mysql":
		return dialect{backslash: true, prefixes: true}
	}
	return dialect{brackets: true}
}

// lexer splits a statement into tokens. It knows literals, comments and quoted
// names well enough never to take one for another.
type lexer struct {
	src    string
	pos    int
	depth  int
	params int
	d      dialect
	tokens []token
	broken bool
}

// lex returns the tokens of src; ok is false where a literal or comment does
// not end or names are written in a way that hides them.
func lex(src string, d dialect) (tokens []token, ok bool) {
	l := lexer{src: src, d: d, tokens: make([]token, 0, len(src)/5+4)}
	for l.pos < len(src) && !l.broken {
		from, n := l.pos, len(l.tokens)
		l.next()
		if len(l.tokens) > n {
			l.tokens[n].from, l.tokens[n].to = from, l.pos
		}
	}
	return l.tokens, !l.broken
}

func (l *lexer) next() {
	c := l.src[l.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		l.pos++
	case l.comment():
	case l.d.backslash && c == '\'':
		l.emit(tokenText, l.mysqlQuoted(c))
	case l.d.backslash && c == '"':
		l.emit(tokenName, strings.ToLower(l.mysqlQuoted(c)))
	case l.d.backslash && isDigit(c):
		l.mysqlNumber()
	case l.d.backslash && isMySQLByte(c):
		l.mysqlWord()
	case c == '\'':
		l.emit(tokenText, l.quoted('\'', false))
	case c == '"' || c == '`':
		l.emit(tokenName, strings.ToLower(l.quoted(c, false)))
	case c == '[' && l.d.brackets:
		l.emit(tokenName, strings.ToLower(l.bracketed()))
	case l.placeholder():
	case c >= '0' && c <= '9':
		l.emit(tokenNumber, l.take(isNumberByte))
	case isWordByte(c):
		l.word()
	default:
		l.symbol(c)
	}
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind: kind, text: text, depth: l.depth})
}

func (l *lexer) symbol(c byte) {
	l.pos++
	if c == ')' {
		l.depth--
	}
	l.emit(tokenSymbol, l.src[l.pos-1:l.pos])
	if c == '(' {
		l.depth++
	}
}

// comment skips one, if there is one. In PostgreSQL alone block comments nest
// and a carriage return ends a line comment: reading more or less of a comment
// than the database does would hide what it runs.
func (l *lexer) comment() bool {
	rest := l.src[l.pos:]
	if l.d.backslash {
		return l.mysqlComment(rest)
	}
	switch {
	case strings.HasPrefix(rest, "--"):
		ends := "\n"
		if l.d.dollars {
			ends = "\n\r"
		}
		if end := strings.IndexAny(rest, ends); end >= 0 {
			l.pos += end
		} else {
			l.pos = len(l.src)
		}
		return true
	case strings.HasPrefix(rest, "/*"):
		l.blockComment()
		return true
	}
	return false
}

func (l *lexer) blockComment() {
	for depth := 0; l.pos < len(l.src); {
		switch rest := l.src[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			l.pos += 2
			if depth == 0 || l.d.dollars {
				depth++
			}
		case strings.HasPrefix(rest, "*/"):
			l.pos += 2
			if depth--; depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
	l.broken = true
}

// quoted reads a literal or name up to its closing quote; a doubled quote
// stands for itself.
func (l *lexer) quoted(quote byte, backslash bool) string {
	var b strings.Builder
	for l.pos++; l.pos < len(l.src); l.pos++ {
		c := l.src[l.pos]
		if backslash && c == '\\' && l.pos+1 < len(l.src) {
			l.pos++
			c = l.src[l.pos]
		} else if c == quote {
			if l.pos+1 >= len(l.src) || l.src[l.pos+1] != quote {
				l.pos++
				return b.String()
			}
			l.pos++
		}
		b.WriteByte(c)
	}
	l.broken = true
	return ""
}

func (l *lexer) bracketed() string {
	end := strings.IndexByte(l.src[l.pos:], ']')
	if end < 0 {
		l.broken = true
		return ""
	}
	name := l.src[l.pos+1 : l.pos+end]
	l.pos += end + 1
	return name
}

// placeholder reads $1, ?, ?3, :name, @name, or PostgreSQL's $tag$ literal.
func (l *lexer) placeholder() bool {
	c := l.src[l.pos]
	switch {
	case c == '$' && l.d.dollars:
		return l.dollar()
	case c == '?' && !l.d.dollars:
		l.pos++
		at := l.params
		if digits := l.take(isDigit); digits != "" {
			at = atoi(digits) - 1
			l.params = max(l.params, at+1) // as SQLite counts
		} else {
			l.params++
		}
		l.param(at)
		return true
	case (c == ':' || c == '@') && !l.d.dollars && l.pos+1 < len(l.src) && isWordByte(l.src[l.pos+1]):
		l.pos++
		l.take(isWordByte)
		l.param(-1)
		return true
	}
	return false
}

func (l *lexer) param(at int) {
	l.tokens = append(l.tokens, token{kind: tokenParam, param: at, depth: l.depth})
}

func (l *lexer) dollar() bool {
	l.pos++
	if digits := l.take(isDigit); digits != "" {
		l.param(atoi(digits) - 1)
		return true
	}
	tag := "$" + l.take(isWordByte) + "$"
	if l.pos >= len(l.src) || l.src[l.pos] != '$' {
		l.broken = true
		return true
	}
	l.pos++
	end := strings.Index(l.src[l.pos:], tag)
	if end < 0 {
		l.broken = true
		return true
	}
	l.emit(tokenText, l.src[l.pos:l.pos+end])
	l.pos += end + len(tag)
	return true
}

// word reads a keyword or name, or PostgreSQL's prefixed literals: E'…' has
// backslash escapes, and U&"…" spells names with escapes, which is refused.
func (l *lexer) word() {
	w := strings.ToLower(l.take(func(c byte) bool { return isWordByte(c) || c == '$' }))
	if l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\'' && w == "e":
			l.emit(tokenText, l.quoted('\'', true))
			l.continued()
			return
		case c == '\'' && (w == "b" || w == "x" || w == "n"):
			l.emit(tokenText, l.quoted('\'', false))
			return
		case c == '&' && w == "u" && l.pos+1 < len(l.src) && (l.src[l.pos+1] == '"' || l.src[l.pos+1] == '\''):
			l.broken = true
			return
		}
	}
	l.emit(tokenWord, w)
}

// continued refuses a second piece of an E'…' literal on a line of its own: it
// has escapes too, which is not to be seen in it.
func (l *lexer) continued() {
	rest := strings.TrimLeft(l.src[l.pos:], " \t\n\r\f\v")
	l.broken = l.broken || (strings.HasPrefix(rest, "'") && strings.ContainsAny(l.src[l.pos:len(l.src)-len(rest)], "\n\r"))
}

func (l *lexer) take(ok func(byte) bool) string {
	from := l.pos
	for l.pos < len(l.src) && ok(l.src[l.pos]) {
		l.pos++
	}
	return l.src[from:l.pos]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNumberByte(c byte) bool { return isWordByte(c) || c == '.' }

// isWordByte takes every byte of a multi-byte character for a letter, as
// databases do.
func isWordByte(c byte) bool {
	return c == '_' || c >= 0x80 || isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

// atoi reads a placeholder's number; one too large for any statement gives an
// index that no parameter has.
func atoi(digits string) int {
	n := 0
	for i := range len(digits) {
		if n = n*10 + int(digits[i]-'0'); n > 1<<20 {
			return 0
		}
	}
	return n
}

// reserved are the words that name nothing unless they are quoted.
var reserved = wordSet(`all and as asc between by case cross default desc distinct do else end except excluded exists
	for from full group having in inner insert intersect into is join lateral left like limit natural not null nothing
	offset on or order outer returning right select set straight_join then union unique update using values when where
	window with delete collate conflict isnull notnull ilike similar fetch only of`)

func wordSet(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
