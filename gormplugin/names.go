package gormplugin

import (
	"slices"

	"github.com/rowseal/rowseal/field"
)

// standing is what a name that may mean a sealed column does mean.
type standing uint8

const (
	standsUnclear standing = iota // it may be another table's column
	standsSealed
	standsPlain
)

const remedyQualify = "write the table's name or alias in front of the column: it may be another table's column of that name"

// stands says what the name at i means, which a table of the statement has for
// a sealed column, and which column it is. Names are looked up as databases do
// it: in the tables of the query that they stand in, then in those of the
// query around that.
func (p *parser) stands(i int) (*field.Column, standing) {
	parts, _ := p.chain(i)
	qual, name := split(parts)
	if qual == "excluded" && len(p.target) > 0 {
		if c := columnOf(p.target, name); c != nil {
			return c, standsSealed
		}
	}
	unknown := false
	for at := p.blockOf(i); ; at = p.blockOf(at - 1) {
		c, plain := p.inBlock(at, qual, name)
		switch {
		case c != nil && !unknown && (!plain || qual == ""):
			return c, standsSealed // the database refuses what is ambiguous
		case c != nil:
			return c, standsUnclear
		case plain && qual != "":
			return nil, standsPlain
		}
		unknown = unknown || plain
		if at <= 0 {
			break
		}
	}
	if unknown && qual == "" && !slices.ContainsFunc(p.tokens, func(t token) bool { return t.is("with") }) {
		return nil, standsPlain
	}
	return nil, standsUnclear
}

// inBlock looks a name up in the tables of the query that begins at block;
// plain says that a table may have it that does not seal it.
func (p *parser) inBlock(block int, qual, name string) (c *field.Column, plain bool) {
	for _, ref := range p.tables {
		if p.blockOf(ref.at) != block || (qual != "" && ref.name != qual) {
			continue
		}
		models := ref.found
		if p.rows[ref.name] {
			models = p.models // it has all columns of one of them
		}
		switch found := columnOf(models, name); {
		case found == nil:
			plain = true
		case c == nil:
			c = found
		}
	}
	return c, plain
}

// blockOf returns the place of the word that begins the query which the token
// at i stands in: its SELECT, or the statement's first word.
func (p *parser) blockOf(i int) int {
	first, _ := p.verb()
	depth := p.at(i).depth
	for ; i > first; i-- {
		t := p.at(i)
		if t.depth < depth {
			depth = t.depth
		}
		if t.depth == depth && t.is("select") {
			return i
		}
	}
	return first
}
