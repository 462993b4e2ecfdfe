package gormplugin

import (
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// A column in transition has a plain column of the same table beside it, which
// holds the values of rows that have no sealed one yet.

// hiddenPrefix begins the names of result columns that are added for plain
// columns, and hidden from the application.
const hiddenPrefix = "rowseal_plain_"

// moving says whether c takes over from a plain column.
func moving(c *field.Column) bool { return c != nil && c.Transition().Plain != "" }

// preferMoving returns the column that is in transition, of two that one name
// may mean.
func preferMoving(a, b *field.Column) *field.Column {
	if a == nil || (moving(b) && !moving(a)) {
		return b
	}
	return a
}

// failMoving refuses what cannot be done to two columns at once.
func (p *parser) failMoving(c *field.Column, remedy string) {
	p.failAt(c, ErrTransition, "it takes over from "+c.Transition().Plain+"; "+remedy)
}

const (
	remedyMoving     = "until that ends, only =, <>, IN, IS NULL and COUNT work on it, with values as parameters"
	remedyMovingList = "until that ends, select it from the table itself, without UNION, GROUP BY and DISTINCT"
)

// plainText returns the plain column of c with the qualifier that c has, whose
// name is the tokens [first, next).
func (p *parser) plainText(c *field.Column, first, next int) string {
	return p.beside(c.Transition().Plain, first, next)
}

// beside returns another column of the table whose column is named by the
// tokens [first, next).
func (p *parser) beside(column string, first, next int) string {
	quote := `"`
	if p.d.backslash {
		quote = "`"
	}
	return p.sql[p.at(first).from:p.at(next-1).from] + quote + strings.ReplaceAll(column, quote, quote+quote) + quote
}

// bring has the statement return the plain column of each column in transition
// that it returns. A star brings it by itself.
func (p *parser) bring() {
	if p.err != nil || p.listEnd == 0 {
		return
	}
	if p.transits = moving(p.starMoving("")); !p.transits {
		return
	}
	for i, it := range p.items[:len(p.items):len(p.items)] {
		c := p.sealedColumn(it.qual, it.column)
		if it.star {
			c = p.starMoving(it.qual)
		}
		if !moving(c) || (!it.star && !it.plain) {
			continue
		}
		if p.combining() || (!it.star && p.groups()) {
			p.failMoving(c, remedyMovingList)
			return
		}
		if it.star {
			continue
		}
		p.items[i].clear = len(p.items) + 1
		name := hiddenPrefix + strconv.Itoa(p.items[i].clear)
		at := p.at(p.listEnd - 1).to
		p.edits = append(p.edits, edit{from: at, to: at, text: ", " + p.plainText(c, it.from, it.next) + " AS " + name})
		p.items = append(p.items, item{out: name, hidden: true})
	}
}

// starMoving returns a column in transition that a star brings, if any.
func (p *parser) starMoving(qual string) (c *field.Column) {
	for _, m := range p.modelsOf(qual) {
		for _, of := range m.cols {
			c = preferMoving(c, of)
		}
	}
	return c
}

// combining says whether several SELECTs make one result.
func (p *parser) combining() bool {
	for _, t := range p.tokens {
		if t.is("union") || t.is("intersect") || t.is("except") {
			return true
		}
	}
	return false
}

// groups says whether GROUP BY follows the list that the statement returns.
func (p *parser) groups() bool {
	return p.at(p.until(p.listEnd, p.at(p.listEnd-1).depth, "group")).is("group")
}
