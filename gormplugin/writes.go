package gormplugin

import (
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// insert reads INSERT INTO t (columns) VALUES (…) ON CONFLICT … RETURNING ….
func (p *parser) insert(first int) {
	depth := p.at(first).depth
	i := p.until(first, depth, "into")
	parts, i := p.chain(i + 1)
	if len(parts) == 0 {
		p.fail("", ErrStatement, "write INSERT INTO and the table's name")
		return
	}
	p.target = p.lookup(strings.Join(parts, "."))
	if p.at(i).is("as") {
		i++
	}
	if p.at(i).isName() {
		i++
	}
	var columns []string
	if p.at(i).is("(") && !p.at(i+1).is("select") && !p.at(i+1).is("with") {
		end := p.closing(i)
		columns = p.insertColumns(i+1, end)
		i = end + 1
	}
	src := p.until(i, depth, "values", "select", "default", "with", "set")
	switch {
	case p.at(src).is("values") && (len(columns) > 0 || len(p.target) == 0):
		p.tuples(src+1, depth, columns)
	case p.at(src).is("select") && len(columns) > 0:
		p.copied(src, columns)
	case p.at(src).is("default") && len(columns) == 0:
	default:
		p.fail("", ErrStatement, "write INSERT INTO table (columns) VALUES (…)")
		return
	}
	p.conflict(i, depth)
	p.items, p.star, p.listEnd = nil, false, 0 // those of INSERT … SELECT
	p.returning(first)
}

// insertColumns returns the columns' names, which are the target's: what goes
// into them is checked row by row. SQLite takes 'name' for a name too.
func (p *parser) insertColumns(lo, hi int) (columns []string) {
	p.commas(lo, hi, p.at(lo).depth, func(lo, hi int) {
		name := strings.ToLower(p.at(hi - 1).text)
		columns = append(columns, name)
		p.allowed[hi-1] = true
	})
	return columns
}

// targetColumn returns the sealed column of the table that is written to.
func (p *parser) targetColumn(name string) *field.Column {
	return columnOf(p.target, name)
}

// tuples checks the rows behind VALUES.
func (p *parser) tuples(i, depth int, columns []string) {
	for ; p.at(i).is("("); i++ {
		end, n := p.closing(i), 0
		p.commas(i+1, end, depth+1, func(lo, hi int) {
			if n < len(columns) {
				if c := p.targetColumn(columns[n]); c != nil {
					p.value(c, lo, hi)
				} else if c := p.replacing(columns[n]); c != nil {
					p.plainValue(c, lo, hi)
				}
			}
			n++
		})
		if i = end + 1; !p.at(i).is(",") {
			return
		}
	}
}

// value checks what is written to a sealed column: a parameter, which must be
// sealed, or NULL.
func (p *parser) value(c *field.Column, lo, hi int) {
	switch t := p.at(lo); {
	case hi == lo+1 && t.kind == tokenParam:
		p.params = append(p.params, paramUse{param: t.param, table: c.Table().Name(), column: c.Name()})
	case hi == lo+1 && t.is("null"):
	case p.sameColumn(c, lo, hi):
		p.allowed[hi-1] = true
		if p.at(hi - 1).is(")") {
			p.allowed[hi-2] = true
		}
	case hi == lo+1 && (t.kind == tokenText || t.kind == tokenNumber):
		p.failAt(c, ErrUnsealed, remedyValue)
	default:
		p.failAt(c, ErrExpression, remedyValue)
	}
}

// sameColumn recognises excluded.c and, in MySQL, VALUES(c): the value that
// the statement would have inserted into the same column.
func (p *parser) sameColumn(c *field.Column, lo, hi int) bool { return p.sameName(c.Name(), lo, hi) }

func (p *parser) sameName(name string, lo, hi int) bool {
	if p.upsert && p.at(lo).is("values") {
		parts, next := p.chain(lo + 2)
		return len(parts) > 0 && next+1 == hi && p.at(next).is(")") && strings.EqualFold(parts[len(parts)-1], name)
	}
	return p.upsert && hi == lo+3 && strings.EqualFold(p.at(lo).text, "excluded") && p.at(lo+1).is(".") && strings.EqualFold(p.at(lo+2).text, name)
}

// copied checks INSERT … SELECT: sealed bytes may move, as they are, into a
// column of the same name, as migrations do that rebuild a table.
func (p *parser) copied(i int, columns []string) {
	p.selectList(i + 1)
	if p.star || len(p.items) != len(columns) {
		p.fail("", ErrStatement, "write out the columns of both tables")
		return
	}
	if !p.simple(i) {
		p.fail("", ErrStatement, "select from tables alone, without WITH, sub-queries or UNION, or read the rows and create them anew")
		return
	}
	for n, it := range p.items {
		from, to := p.sourceColumn(it, i), p.targetColumn(columns[n])
		if c := p.replacing(columns[n]); c != nil && !(it.plain && strings.EqualFold(it.column, columns[n])) {
			p.failPlain(c)
		}
		switch {
		case from == nil && to == nil:
		case from == nil:
			p.failAt(to, ErrUnsealed, remedyValue)
		case !strings.EqualFold(columns[n], from.Name()),
			to != nil && to.Field().ID() != from.Field().ID():
			p.failAt(from, ErrExpression, "sealed bytes open only in the column that they were sealed for; read the rows and create them anew")
		case moving(from) && !p.copiesPlain(from, columns):
			p.failMoving(from, "copy that column in the same statement, into one of the same name")
		}
	}
}

// copiesPlain says whether INSERT … SELECT copies c's plain column too.
func (p *parser) copiesPlain(c *field.Column, columns []string) bool {
	plain := c.Transition().Plain
	for n, it := range p.items {
		if it.plain && strings.EqualFold(it.column, plain) && strings.EqualFold(columns[n], plain) {
			return true
		}
	}
	return false
}

// simple says whether the SELECT at i reads tables and nothing else, so that
// every name in it is a table's column.
func (p *parser) simple(i int) bool {
	for j, t := range p.tokens {
		if t.is("with") || t.is("union") || t.is("values") || (j != i && t.is("select")) ||
			(j > i && t.kind == tokenText && p.tableBefore(j)) {
			return false
		}
	}
	return true
}

// sourceColumn returns the sealed column that an element certainly is: of the
// table that qualifies it, or of every table there is to read from behind the
// SELECT at selected.
func (p *parser) sourceColumn(it item, selected int) *field.Column {
	if !it.plain {
		return nil
	}
	var c *field.Column
	for _, ref := range p.tables {
		if ref.at < selected || (it.qual != "" && ref.name != it.qual) {
			continue
		}
		of := columnOf(ref.found, it.column)
		if of == nil || (c != nil && c.Field().ID() != of.Field().ID()) {
			return nil
		}
		c = of
	}
	return c
}

func columnOf(models []*model, name string) *field.Column {
	var c *field.Column
	for _, m := range models {
		c = preferMoving(c, m.column(name))
	}
	return c
}

// conflict reads ON CONFLICT DO UPDATE SET … and ON DUPLICATE KEY UPDATE ….
func (p *parser) conflict(i, depth int) {
	for {
		i = p.until(i, depth, "conflict", "duplicate")
		i = p.until(i, depth, "update")
		if !p.at(i).is("update") {
			return
		}
		if i++; p.at(i).is("set") {
			i++
		}
		end := p.until(i, depth, "where", "returning", "conflict")
		if p.at(end).is("conflict") && p.at(end-1).is("on") {
			end-- // SQLite may have several
		}
		p.upsert = true
		p.assignments(i, end, depth)
		p.upsert = false
		i = end
	}
}

// update reads UPDATE t SET … FROM … WHERE … RETURNING ….
func (p *parser) update(first int) {
	depth := p.at(first).depth
	set := p.until(first, depth, "set")
	for i := first + 1; i < set; i++ {
		if parts, _ := p.chain(i); len(parts) > 0 && p.table[i] {
			p.target = p.lookup(strings.Join(parts, "."))
			break
		}
	}
	if set > first && !slices.Contains(p.table[first:set], true) {
		p.fail("", ErrStatement, "write UPDATE and the table's name")
	}
	p.assignments(set+1, p.until(set+1, depth, "from", "where", "returning", "order", "limit"), depth)
	p.returning(first)
}

// assignments checks a = b, …: a sealed column gets a parameter or NULL.
func (p *parser) assignments(lo, hi, depth int) {
	var names []string
	p.commas(lo, hi, depth, func(lo, hi int) {
		if p.at(lo).is("(") {
			p.tuple(lo)
			return
		}
		parts, next := p.chain(lo)
		if p.at(lo).kind == tokenText {
			parts, next = []string{strings.ToLower(p.at(lo).text)}, lo+1
		}
		if len(parts) == 0 || !p.at(next).is("=") {
			return
		}
		name := parts[len(parts)-1]
		names = append(names, name)
		if c := p.targetColumn(name); c != nil {
			p.allowed[next-1] = true
			p.value(c, next+1, hi)
		} else if c := p.replacing(name); c != nil {
			p.plainValue(c, next+1, hi)
		}
		p.moving(name)
	})
	for _, name := range names {
		if c := p.targetColumn(name); moving(c) && !containsFold(names, c.Transition().Plain) {
			p.failMoving(c, "assign that column in the same statement, for its old value would be read again")
		}
	}
}

// moving notes that a column is assigned which sealed values belong to.
func (p *parser) moving(name string) {
	for _, m := range p.target {
		if m.owns(name) {
			p.moves, p.moved = m.table.Columns()[0], name
		}
	}
}

// tuple refuses (a, b) = … with a sealed column, which may be quoted as text.
func (p *parser) tuple(lo int) {
	for i := lo + 1; i < p.closing(lo); i++ {
		name := strings.ToLower(p.at(i).text)
		if c := p.targetColumn(name); c != nil && p.at(i).kind != tokenSymbol {
			p.failAt(c, ErrCondition, "assign it by itself, not in a list")
		}
		if c := p.replacing(name); c != nil && p.at(i).kind != tokenSymbol {
			p.failPlain(c)
		}
		p.moving(name)
	}
}
