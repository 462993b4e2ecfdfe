package gormplugin

import (
	"slices"
	"strings"
)

// remedyColumns is for sub-queries whose columns cannot be told apart any more.
const remedyColumns = "select the sealed columns by their own names, without a list of column aliases"

// findRows finds the sub-queries, in FROM and WITH, that return all columns of
// a table, and refuses other names for these: the sealed ones among them would
// not be recognised.
func (p *parser) findRows() {
	for i, t := range p.tokens {
		if !t.is("(") || p.at(i-1).is("count") {
			continue
		}
		end := p.closing(i)
		if !p.whole(i, end) {
			continue
		}
		if name, list := p.rowsName(i, end); name >= 0 {
			p.rows[p.at(name).text] = true
			if list || p.joinsRows(i, end) {
				p.fail("", ErrStatement, remedyColumns)
			}
		}
	}
}

// stranger looks at the name behind a function in FROM, or behind parentheses
// that may hold one. If it is a table's, any column of the result may hold
// sealed values, and so may the name in place of a column.
func (p *parser) stranger(i int) {
	if p.at(i).is("with") {
		i += 2 // WITH ORDINALITY
	}
	if p.at(i).is("as") {
		i++
	}
	if t := p.at(i); t.isName() && len(p.lookup(t.text)) > 0 {
		p.strange, p.rows[t.text] = true, true
	}
}

// rowsName returns the place of the name that the parentheses from i to end go
// by, in FROM (…) AS name or WITH name AS (…), and whether a list of columns
// follows it; -1 where they have none.
func (p *parser) rowsName(i, end int) (name int, list bool) {
	j := end + 1
	if p.at(j).is("as") {
		j++
	}
	if p.at(j).isName() {
		return j, p.at(j + 1).is("(")
	}
	for j = i - 1; p.at(j).is("materialized") || p.at(j).is("not"); j-- {
	}
	if !p.at(j).is("as") {
		return -1, false
	}
	if j--; p.at(j).isName() {
		return j, false
	}
	if !p.at(j).is(")") {
		return -1, false
	}
	for depth := p.at(j).depth; j >= 0; j-- {
		if p.at(j).is("(") && p.at(j).depth == depth {
			break
		}
	}
	if p.at(j - 1).isName() {
		return j - 1, true
	}
	return -1, false
}

// whole says whether the parentheses from i to end hold a query with a star, a
// TABLE command or a join of tables.
func (p *parser) whole(i, end int) bool {
	first := p.at(i + 1)
	if first.isName() {
		return p.at(i-1).is("from") || p.at(i-1).is("join") || p.at(i-1).is(",") || p.at(i-1).is("lateral")
	}
	if !first.is("select") && !first.is("with") && !first.is("table") && !first.is("(") {
		return false
	}
	for j := i + 1; j < end; j++ {
		switch before := p.at(j - 1); {
		case p.at(j).is("table"):
			return true
		case p.at(j).is("*") && !(before.is("(") && p.at(j-2).is("count")):
			return true
		}
	}
	return false
}

// columnAliases refuses FROM t AS x(a, b), which renames a table's columns.
func (p *parser) columnAliases(from int) {
	for _, ref := range p.tables {
		if ref.at < from || len(ref.found) == 0 || !p.table[ref.at] || !p.at(ref.at+1).is("(") {
			continue
		}
		if before := p.at(ref.at - 1); before.is("as") || (p.table[ref.at-1] && !before.is(".")) {
			p.fail("", ErrStatement, remedyColumns)
		}
	}
}

// wholeRows refuses a table's or sub-query's name that stands in place of a
// column anywhere: it means all of its columns.
func (p *parser) wholeRows(at, next int) {
	if next != at+1 || p.table[at] || p.at(next).is("(") || p.at(next).is(".") || p.isNull(at, next) {
		return
	}
	if before := p.at(at - 1); before.is("as") || before.is("of") || before.is("delete") || before.is(".") {
		return
	}
	p.wholeRow(at, next)
	if p.rows[p.at(at).text] && !p.at(next).is("as") {
		p.fail("", ErrExpression, remedySelect)
	}
}

// joinsRows says whether a UNION or the like stands in the parentheses from i
// to end: it takes columns by their places, and not by their names.
func (p *parser) joinsRows(i, end int) bool {
	for j := i + 1; j < end; j++ {
		if t := p.at(j); t.depth == p.at(i).depth+1 && (t.is("union") || t.is("intersect") || t.is("except")) {
			return true
		}
	}
	return false
}

// starRow refuses t.*, behind the name in [first, next), anywhere but in the
// list of a SELECT or RETURNING and in count(…): it means all of t's columns.
func (p *parser) starRow(first, next int) {
	if !p.at(next).is(".") || !p.at(next+1).is("*") {
		return
	}
	name := p.at(next - 1).text
	if len(p.refs[name]) == 0 && !p.rows[name] && !p.written(name) {
		return
	}
	before, after := p.at(first-1), p.at(next+2)
	if before.is("(") && p.at(first-2).is("count") && after.is(")") {
		return
	}
	begins := before.is("select") || before.is("distinct") || before.is("all") || before.is("returning") || before.is(",") || before.is(")")
	ends := after.kind == 0 || after.is(",") || after.is("from") || after.is(")") || after.is(";") || after.is("into") || after.is("where") || after.is("union")
	if at := p.selectOf(first); begins && ends && ((at >= 0 && p.inList(first, at)) || p.at(p.listHead(first)).is("returning") || before.is("returning")) {
		return
	}
	p.fail("", ErrExpression, remedySelect)
}

// written says whether name is the table that the statement writes to.
func (p *parser) written(name string) bool {
	return slices.ContainsFunc(p.target, func(m *model) bool { return strings.EqualFold(m.schema.Table, name) })
}
