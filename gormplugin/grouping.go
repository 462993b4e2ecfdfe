package gormplugin

import (
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// grouped recognises c as an element of GROUP BY or DISTINCT ON: rows are
// grouped by its term.
func (p *parser) grouped(c *field.Column, first, next int) bool {
	if !p.element(first, next) {
		return false
	}
	if list := p.enclosing(first); p.at(list-1).is("on") && p.at(list-2).is("distinct") {
		p.alone(c, first)
		p.term(first, next)
		return true
	}
	by := p.listHead(first)
	if !p.at(by).is("by") || !p.at(by-1).is("group") {
		return false
	}
	p.alone(c, first)
	p.term(first, next)
	p.anyOf(c, p.at(by).depth, by)
	return true
}

// element says whether the tokens [first, next) are one of a list.
func (p *parser) element(first, next int) bool {
	before := p.at(first - 1)
	return (before.is("by") || before.is(",") || before.is("(")) && (p.at(next).is(",") || p.ends(next))
}

// enclosing returns the parenthesis around the token at i, or -1.
func (p *parser) enclosing(i int) int {
	depth := p.at(i).depth
	for i--; i >= 0 && p.at(i).depth >= depth; i-- {
	}
	return i
}

// listHead returns the word that the list around the token at i begins with.
func (p *parser) listHead(i int) int {
	depth := p.at(i).depth
	for i--; i >= 0 && p.at(i).depth >= depth; i-- {
		if t := p.at(i); t.depth == depth && t.kind == tokenWord && reserved[t.text] || p.at(i).is("group") {
			return i
		}
	}
	return -1
}

// anyOf has one value of the group stand for the column c in the list of the
// SELECT whose GROUP BY stands at by.
func (p *parser) anyOf(c *field.Column, depth, by int) {
	i := by
	for i--; i >= 0 && p.at(i).depth >= depth && !(p.at(i).depth == depth && p.at(i).is("select")); i-- {
	}
	if !p.at(i).is("select") || p.inner(i) {
		return
	}
	from := p.until(i, depth, "from")
	p.commas(i+1, from, depth, func(lo, hi int) {
		parts, next := p.chain(lo)
		if len(parts) == 0 {
			return
		}
		qual, column := split(parts)
		if p.sealedColumn(qual, column) != c || !p.allowed[next-1] || p.edited(lo) {
			return
		}
		name := ""
		if next == hi {
			name = " AS " + p.textOf(next-1, next)
		}
		p.replace(lo, next, p.oneOf(p.textOf(lo, next))+name)
	})
}

// inner says whether the SELECT at i is a sub-query whose list has been
// replaced by terms.
func (p *parser) inner(i int) bool { return p.at(i-1).is("(") && p.at(i-2).is("in") }

// oneOf is SQL for any one value of a group.
func (p *parser) oneOf(column string) string {
	if p.d.dollars {
		return fmt.Sprintf("(array_agg(%s))[1]", column) // PostgreSQL 15 has no min(bytea)
	}
	return fmt.Sprintf("min(%s)", column)
}

// edited says whether the token at i is replaced already.
func (p *parser) edited(i int) bool {
	for _, e := range p.edits {
		if e.from == p.at(i).from {
			return true
		}
	}
	return false
}

// distinct turns SELECT DISTINCT, whose list in [lo, hi) holds sealed columns,
// into GROUP BY: the values are grouped by their terms.
func (p *parser) distinct(lo, hi, depth int) {
	end := p.until(hi, depth, "group", "having", "order", "limit", "union", "intersect", "except", "offset", "fetch", "for", "window", "lock", "into")
	if p.at(end).is("group") {
		p.fail("", ErrCondition, "write either DISTINCT or GROUP BY")
		return
	}
	var keys []string
	p.commas(lo, hi, depth, func(lo, hi int) {
		parts, next := p.chain(lo)
		if len(parts) == 0 || (next < hi && !p.at(next).is("as") && !p.at(next).isName()) {
			p.fail("", ErrCondition, "beside a sealed column, DISTINCT takes plain columns only; use GROUP BY")
			return
		}
		qual, column := split(parts)
		c := p.sealedColumn(qual, column)
		if c == nil {
			keys = append(keys, p.textOf(lo, next))
			return
		}
		keys = append(keys, termOf(p.textOf(lo, next)))
		p.alone(c, lo)
		name := ""
		if next == hi {
			name = " AS " + p.textOf(next-1, next)
		}
		p.replace(lo, next, p.oneOf(p.textOf(lo, next))+name)
	})
	p.replace(lo-1, lo, "")
	p.put(end, " GROUP BY "+strings.Join(keys, ", ")+" ")
}
