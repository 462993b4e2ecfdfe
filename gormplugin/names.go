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
	for _, ref := range p.blockTables()[block] {
		if qual != "" && ref.name != qual {
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

// blockTables returns the tables of each query.
func (p *parser) blockTables() map[int][]tableRef {
	if p.tablesIn == nil {
		p.tablesIn = map[int][]tableRef{}
		for _, ref := range p.tables {
			at := p.blockOf(ref.at)
			p.tablesIn[at] = append(p.tablesIn[at], ref)
		}
	}
	return p.tablesIn
}

// blockOf returns the place of the word that begins the query which the token
// at i stands in: its SELECT, or the statement's first word.
func (p *parser) blockOf(i int) int {
	if p.blocks == nil {
		p.findBlocks()
	}
	if i < 0 || i >= len(p.blocks) {
		return 0
	}
	return p.blocks[i]
}

// findBlocks finds the query of every token.
func (p *parser) findBlocks() {
	first, _ := p.verb()
	p.blocks = make([]int, len(p.tokens))
	open := []int{first} // the queries around a token
	for i, t := range p.tokens {
		for len(open) > 1 && t.depth < p.at(open[len(open)-1]).depth {
			open = open[:len(open)-1]
		}
		if t.is("select") && i > first {
			if last := open[len(open)-1]; len(open) > 1 && p.at(last).depth == t.depth {
				open[len(open)-1] = i // behind UNION
			} else {
				open = append(open, i)
			}
		}
		p.blocks[i] = open[len(open)-1]
	}
}
