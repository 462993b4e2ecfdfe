// Package parse reads SQL: with PostgreSQL's own parser where a text must be
// understood ([Parse]), with a quick scan of its words where it only must be known
// whether it names anything sealed ([Scanner]).
package parse

import (
	"sort"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

const (
	// MaxText is the length in bytes of the longest text that Parse takes:
	// room for INSERTs of tens of thousands of rows in one text.
	MaxText = 16 << 20
	// MaxTokens bounds the tokens of a text, and with them time and memory:
	// at the bound, of one-digit numbers, the parser takes some 2.5 seconds and 370 MB.
	MaxTokens = 1 << 20
	// MaxDepth bounds how deep a text is nested. The parser recurses in C; at
	// this depth it uses a small part of a thread's stack.
	MaxDepth = 1000
	// maxLook bounds how many bytes the scanner looks at again: behind each `/*` it reads to the end
	// of what might be an operator. At the bound it takes a good part of a second.
	maxLook = 1 << 28
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

// Error says why a text was not parsed.
type Error struct {
	// Message is the parser's, without what it quotes of the text, so that it
	// holds no constant.
	Message string
	// SQLState is "42601" for errors of syntax, "54001" or "54000" for a text
	// beyond a limit, "22021" for bytes that are no UTF-8.
	SQLState string
	// Position is the byte offset that it is about; -1 for none.
	Position int
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// Parse parses a text. The error is an [*Error]; it is made for texts beyond
// [MaxText], [MaxTokens] and [MaxDepth] too. The text is read as with
// standard_conforming_strings on.
func Parse(text string) (*Tree, error) {
	if err := checkBytes(text); err != nil {
		return nil, err
	}
	if at := tooMuchLook(text, maxLook); at >= 0 {
		return nil, &Error{Message: "statement has comments nested too deeply to be analysed", SQLState: "54001", Position: at}
	}
	tokens, err := scanTokens(text)
	if err != nil {
		return nil, err
	}
	if at := tooDeep(tokens, MaxDepth); at >= 0 {
		return nil, &Error{Message: "statement is nested too deeply to be analysed", SQLState: "54001", Position: tokens[at].From}
	}
	result, err := engineParse(text)
	if err != nil {
		return nil, parserError(text, err)
	}
	return &Tree{Text: text, Stmts: result.GetStmts(), Tokens: tokens}, nil
}

// At returns the index in Tokens of the token that begins at a byte offset, -1 where none does.
func (t *Tree) At(offset int) int {
	i := sort.Search(len(t.Tokens), func(i int) bool { return t.Tokens[i].From >= offset })
	if i < len(t.Tokens) && t.Tokens[i].From == offset {
		return i
	}
	return -1
}

func checkBytes(text string) error {
	if len(text) > MaxText {
		return &Error{Message: "statement is too long to be analysed", SQLState: "54000", Position: -1}
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		return &Error{Message: "invalid byte sequence for encoding \"UTF8\"", SQLState: "22021", Position: at}
	}
	if utf8.ValidString(text) {
		return nil
	}
	at := strings.IndexRune(text, utf8.RuneError)
	return &Error{Message: "invalid byte sequence for encoding \"UTF8\"", SQLState: "22021", Position: at}
}

func scanTokens(text string) ([]Token, error) {
	result, err := engineScan(text)
	if err != nil {
		return nil, parserError(text, err)
	}
	if len(result.GetTokens()) > MaxTokens {
		return nil, &Error{Message: "statement has too many parts to be analysed", SQLState: "54000", Position: -1}
	}
	tokens := make([]Token, 0, len(result.GetTokens()))
	for _, t := range result.GetTokens() {
		if t.GetToken() == pg.Token_SQL_COMMENT || t.GetToken() == pg.Token_C_COMMENT {
			continue
		}
		tokens = append(tokens, Token{Kind: t.GetToken(), From: int(t.GetStart()), To: int(t.GetEnd())})
	}
	return tokens, nil
}

// parserError makes an Error of the parser's own. What that quotes of the text
// stands at the end, behind "at or near".
func parserError(text string, err error) *Error {
	message, place, ok := engineError(err)
	if !ok {
		// The answer could not be read: it is nested deeper than its reader allows.
		return &Error{Message: "statement is nested too deeply to be analysed", SQLState: "54001", Position: -1}
	}
	message, _, _ = strings.Cut(message, " at or near ")
	return &Error{Message: message, SQLState: "42601", Position: byteOffset(text, place)}
}

// byteOffset gives the offset of the place-th character, counted from 1.
func byteOffset(text string, place int) int {
	if place <= 0 {
		return -1
	}
	for offset := range text {
		if place--; place == 0 {
			return offset
		}
	}
	return len(text)
}
