package gormplugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// edit replaces the bytes [from, to) of a statement's text.
type edit struct {
	from, to int
	text     string
}

// termOf is the SQL for the equality term inside of a sealed column. It is
// also the expression of the indexes that the plugin makes.
func termOf(column string) string {
	return fmt.Sprintf("substr(%s, %d, %d)", column, envelope.EqualityOffset+1, blindindex.EqualitySize)
}

// term has the term of the column whose name is the tokens [first, next) stand
// in the column's place.
func (p *parser) term(first, next int) {
	p.allowed[next-1] = true
	p.replace(first, next, termOf(p.textOf(first, next)))
}

// textOf returns the text of the tokens [first, next) as it is written.
func (p *parser) textOf(first, next int) string {
	return p.sql[p.at(first).from:p.at(next-1).to]
}

// replace has text stand in the place of the tokens [first, next).
func (p *parser) replace(first, next int, text string) {
	p.edits = append(p.edits, edit{from: p.at(first).from, to: p.at(next - 1).to, text: text})
}

// insert has text stand in front of the token at i.
func (p *parser) put(i int, text string) {
	at := len(p.sql)
	if i < len(p.tokens) {
		at = p.at(i).from
	}
	p.edits = append(p.edits, edit{from: at, to: at, text: text})
}

// rewritten returns the statement's text with its edits.
func (p *parser) rewritten() string {
	if len(p.edits) == 0 {
		return p.sql
	}
	slices.SortStableFunc(p.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at := 0
	for _, e := range p.edits {
		b.WriteString(p.sql[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(p.sql[at:])
	return b.String()
}

// withoutLiterals returns a statement's text without what stands in its
// literals, which may be what a sealed column was to be compared with.
func withoutLiterals(sql string, d dialect) string {
	tokens, ok := lex(sql, d)
	if !ok {
		return hidden
	}
	p := &parser{sql: sql, tokens: tokens}
	for i, t := range tokens {
		if t.kind == tokenText || t.kind == tokenNumber {
			p.replace(i, i+1, "'"+hidden+"'")
		}
	}
	return p.rewritten()
}

// single refuses a parameter that stands for a term in one place and for
// something else, or another term, in another.
func (p *parser) single() {
	if len(p.shares) > 0 {
		p.logic()
	}
	if len(p.operands) == 0 {
		return
	}
	uses := map[int]int{}
	for _, t := range p.tokens {
		if t.kind == tokenParam {
			uses[t.param]++
		}
	}
	terms, of := map[int]int{}, map[int]operand{}
	for _, o := range p.operands {
		before, seen := of[o.param]
		if o.param < 0 || (seen && (before.column != o.column || before.scope != o.scope)) {
			p.failAt(o.column, ErrCondition, remedyOwn)
		}
		terms[o.param]++
		of[o.param] = o
	}
	if uses[-1] > 0 {
		p.failAt(p.operands[0].column, ErrCondition, "write ? for each value, without names")
	}
	p.logic()
	for param, o := range of {
		if uses[param] != terms[param] {
			p.failAt(o.column, ErrCondition, remedyOwn)
		}
	}
}

const remedyOwn = "give the value as a parameter of its own"

// logic refuses operators that MySQL alone has, or reads as sql_mode says, in
// a statement whose conditions decide what is compared.
func (p *parser) logic() {
	for i, t := range p.tokens {
		if p.d.prefixes && (t.is("xor") || ((t.is("|") || t.is("&")) && p.adjacent(i, t.text))) {
			p.fail("", ErrCondition, "write OR and AND in words, and no XOR")
		}
	}
}
