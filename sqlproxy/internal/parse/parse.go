// Package parse reads SQL: with PostgreSQL's own parser where a text must be
// understood, with a quick scan of its words where it only must be known whether
// it names anything sealed.
package parse

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// Token is a token of a text: its bytes From to To. Comments are not tokens.
type Token struct {
	Kind     pg.Token
	From, To int
}

// Tree is a parsed text.
type Tree struct {
	Text   string
	Stmts  []*pg.RawStmt
	Tokens []Token
}

// Parse parses a text. The error has PostgreSQL's message and the position, and
// is made for texts that are longer or nested deeper than the limits too.
func Parse(text string) (*Tree, error) { panic("not built") }

// At returns the index in Tokens of the token that begins at a byte offset, -1 where none does.
func (t *Tree) At(offset int) int { panic("not built") }

// Words is what Scan finds in a text.
type Words struct {
	// Sensitive: a word, quoted or not, is one for which the predicate holds,
	// or the text has something that the scan does not read with certainty (U&"…", a
	// backslash where it may be an escape, bytes that are no UTF-8).
	Sensitive bool
	// Effects is what its statements may change.
	Effects Effects
	// Names: the text has PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE, CLOSE or COPY at
	// the beginning of a statement, so that the session must know more.
	Names bool
}

// Scan reads a text's words in one pass, without memory of its own.
func Scan(text string, sensitive func(word string) bool) Words { panic("not built") }
