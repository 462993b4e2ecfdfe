package field

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxNesting is how deep a file may nest; six levels are used. The parser
	// recurses, and its time grows with the square of the depth.
	maxNesting = 16
	// maxSiblings is how many keys a mapping may have. The parser's time and
	// its stack grow with the square of their number too.
	maxSiblings = 1000
)

// parse returns the tree of data, or nil after recording what is wrong.
func (r *fileReader) parse(data []byte) *yamlNode {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !r.readable(data) {
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	check := tokenCheck{r: r}
	for _, tk := range tokens {
		if check.token(tk); len(r.problems) > 0 {
			return nil
		}
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntaxError(err)
		return nil
	}
	for _, d := range f.Docs {
		if root := newNode(d.Body, nil, ""); root.kind != yamlNull {
			return root
		}
	}
	r.failAt(1, 1, "the file is empty; accepted: "+strings.Join(fileWords.accepted, ", "))
	return nil
}

// readable refuses what is not text. The parser does not check it.
func (r *fileReader) readable(data []byte) bool {
	if len(data) > maxFile {
		r.failAt(1, 1, fmt.Sprintf("the file is larger than %d bytes; is it the right one?", maxFile))
		return false
	}
	line, column := 1, 1
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		switch {
		case c == utf8.RuneError && size == 1:
			r.failAt(line, column, "is not UTF-8; save the file as UTF-8")
			return false
		case c < ' ' && !strings.ContainsRune("\t\r\n", c), c == 0x7f, c >= 0x80 && c < 0xa0 && c != 0x85:
			r.failAt(line, column, fmt.Sprintf("holds the control character U+%04X; remove it", c))
			return false
		case c == '\n':
			line, column = line+1, 0
		}
		column++
		data = data[size:]
	}
	return true
}

// syntaxError keeps the parser's message and place. Its full text would show
// the lines around, and with them the credentials in a URL.
func (r *fileReader) syntaxError(err error) {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &e) {
		r.failAt(1, 1, "is not YAML")
		return
	}
	at := &yamlNode{line: 1, column: 1}
	at.place(e.GetToken())
	r.failAt(at.line, at.column, "is not YAML: "+syntaxProblem(e.GetMessage()))
}

// syntaxProblem is the parser's message up to where it may repeat the file.
func syntaxProblem(message string) string {
	if strings.Contains(message, "\t") || strings.Contains(message, "tab character") {
		return "a tab cannot stand here; indent with spaces"
	}
	message, _, _ = strings.Cut(message, ": ")
	message, _, _ = strings.Cut(message, `"`)
	if strings.Contains(message, "'}'") || strings.Contains(message, "flow map") {
		message += `; inside braces, text with a bracket, brace or comma goes in quotes, as in {type: "int4[]"}`
	}
	return message
}

// tokenCheck refuses, before the parser sees it, what a policy never needs and
// what would let the parser run long.
type tokenCheck struct {
	r      *fileReader
	last   *token.Token
	begun  bool    // anything but comments was seen
	ended  bool    // "..." was seen
	blocks []block // around the token, without brackets
	flows  []block // around the token, in brackets; their column is not used
}

// block is a mapping or list.
type block struct {
	column, entries int
}

func (c *tokenCheck) token(tk *token.Token) {
	if tk.Type == token.CommentType {
		return
	}
	at := tk
	if tk.Type == token.MappingValueType && c.last != nil {
		at = c.last // the key
	}
	depth, siblings := c.enter(tk.Type, at.Position.Column)
	problem := ""
	switch {
	case c.ended, tk.Type == token.DocumentHeaderType && c.begun:
		problem = "a second YAML document begins here; keep one"
	case refusedTokens[tk.Type] != "":
		problem = refusedTokens[tk.Type]
	case depth > maxNesting:
		problem = fmt.Sprintf("is nested more than %d levels deep", maxNesting)
	case siblings > maxSiblings:
		problem = fmt.Sprintf("is one of more than %d keys or list entries side by side", maxSiblings)
	case isScalar(tk.Type) && strings.ContainsAny(strings.TrimSpace(tk.Origin), "\r\n"):
		problem = "a value goes over several lines here; write it on one, and check the indentation"
	}
	if problem != "" {
		c.r.failAt(at.Position.Line, at.Position.Column, problem)
	}
	c.begun, c.ended, c.last = true, tk.Type == token.DocumentEndType, tk
}

// enter takes a token into the blocks around it and returns their number, or
// at least half of it (a list may stand in the column of its key), and how
// many entries the innermost has so far.
func (c *tokenCheck) enter(t token.Type, column int) (depth, siblings int) {
	switch t {
	case token.SequenceStartType, token.MappingStartType:
		c.flows = append(c.flows, block{entries: 1})
	case token.SequenceEndType, token.MappingEndType:
		c.flows = c.flows[:max(0, len(c.flows)-1)]
	case token.CollectEntryType:
		if n := len(c.flows); n > 0 {
			c.flows[n-1].entries++
		}
	case token.MappingValueType, token.SequenceEntryType:
		if len(c.flows) == 0 {
			c.enterBlock(column)
		}
	}
	for _, around := range [][]block{c.flows, c.blocks} {
		if n := len(around); n > 0 {
			return len(c.flows) + len(c.blocks), around[n-1].entries
		}
	}
	return 0, 0
}

// enterBlock notes a key or list entry in a column, which ends the blocks that
// were opened to the right of it.
func (c *tokenCheck) enterBlock(column int) {
	n := len(c.blocks)
	for n > 0 && c.blocks[n-1].column > column {
		n--
	}
	c.blocks = c.blocks[:n]
	if n == 0 || c.blocks[n-1].column < column {
		c.blocks = append(c.blocks, block{column: column})
		n++
	}
	c.blocks[n-1].entries++
}

var refusedTokens = map[token.Type]string{
	token.AnchorType:     "anchors (&name) are not supported; write the value out",
	token.AliasType:      "aliases (*name) are not supported; write the value out",
	token.MergeKeyType:   "merge keys (<<) are not supported; write the values out",
	token.TagType:        "tags (!name) are not supported; remove it",
	token.DirectiveType:  "directives (%NAME) are not supported; remove the line",
	token.MappingKeyType: "complex keys (?) are not supported; write \"key: value\"",
	token.LiteralType:    "block text (|) is not supported; write the value on one line",
	token.FoldedType:     "block text (>) is not supported; write the value on one line",
}

func isScalar(t token.Type) bool {
	switch t {
	case token.StringType, token.SingleQuoteType, token.DoubleQuoteType, token.NullType, token.InfinityType,
		token.NanType, token.IntegerType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType,
		token.FloatType, token.BoolType:
		return true
	}
	return false
}
