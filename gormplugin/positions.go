package gormplugin

import (
	"strings"
)

const (
	remedySelect = "select the column itself and compute with it after reading"
	remedyInner  = "select sealed columns in the statement's first SELECT only, or all columns with *: what other lists return could not be told apart; or use two statements"
	remedyValue  = "give it a value through a model or a map of GORM's, so that it is sealed"
)

// schemaWords begin statements that carry no rows' values.
var schemaWords = wordSet(`create alter drop truncate comment pragma vacuum analyze reindex savepoint release rollback
	commit begin start set show grant revoke lock attach detach discard reset end listen unlisten notify cluster
	checkpoint refresh deallocate close abort`)

// statement checks the statement by what it begins with.
func (p *parser) statement() {
	first, verb := p.verb()
	if p.d.backslash {
		p.mysqlOnly(first, verb)
	}
	if p.several() {
		if !p.allSchema() {
			p.fail("", ErrStatement, "send statements that name this table one at a time")
		}
		return
	}
	switch {
	case verb.is("select"), verb.is("insert"), verb.is("update"), verb.is("delete"):
		p.onlyReferenced()
	}
	switch {
	case !p.sealed:
		return
	case verb.kind == tokenWord && schemaWords[verb.text]:
		return
	case verb.is("select"):
		p.selectList(first + 1)
	case verb.is("insert"):
		p.insert(first)
	case verb.is("update"):
		p.update(first)
	case verb.is("delete"):
		p.returning(first)
	default:
		p.fail("", ErrStatement, "use SELECT, INSERT, UPDATE or DELETE on a table with sealed columns")
		return
	}
	p.ordinals()
	p.combined()
	p.rest()
}

// verb finds the word that says what the statement does: the first one, or the
// one behind WITH.
func (p *parser) verb() (int, token) {
	i := 0
	for p.at(i).is("(") {
		i++
	}
	if !p.at(i).is("with") {
		return i, p.at(i)
	}
	j := p.until(i, p.at(i).depth, "select", "insert", "update", "delete", "merge", "values")
	return j, p.at(j)
}

// nested refuses statements inside others that write, such as PostgreSQL's
// WITH x AS (INSERT …): they are not looked into.
func (p *parser) nested() {
	first, _ := p.verb()
	for i, t := range p.tokens {
		if i == first || t.kind != tokenWord || p.at(i-1).is(".") {
			continue
		}
		switch t.text {
		case "insert", "delete", "merge":
		case "update":
			if b := p.at(i - 1); b.is("do") || b.is("for") || b.is("key") {
				continue
			}
		default:
			continue
		}
		if first < len(p.tokens) && schemaWords[p.at(first).text] {
			continue // ON DELETE, ON UPDATE, GRANT INSERT
		}
		p.fail("", ErrStatement, "write to this table with a statement of its own")
	}
}

// several says whether there is more than one statement.
func (p *parser) several() bool {
	for i, t := range p.tokens {
		if t.is(";") && i+1 < len(p.tokens) && !p.at(i+1).is(";") {
			return true
		}
	}
	return false
}

func (p *parser) allSchema() bool {
	for i, t := range p.tokens {
		if (i == 0 || p.at(i-1).is(";")) && !t.is(";") && (t.kind != tokenWord || !schemaWords[t.text]) {
			return false
		}
	}
	return true
}

// selectList reads the list behind SELECT.
func (p *parser) selectList(i int) {
	depth := p.at(i - 1).depth
	distinct := false
	if p.at(i).is("all") {
		i++
	} else if p.at(i).is("distinct") {
		i++
		if distinct = !p.at(i).is("on"); !distinct {
			i = p.closing(i+1) + 1
		}
	}
	end := p.until(i, depth, "from", "where", "group", "order", "limit", "union", "intersect", "except", "having", "into")
	p.list(i, end, depth, distinct)
}

// returning reads the list behind RETURNING, if there is one.
func (p *parser) returning(from int) {
	depth := p.at(from).depth
	if i := p.until(from, depth, "returning"); p.at(i).is("returning") {
		p.list(i+1, p.until(i+1, depth), depth, false)
	}
}

func (p *parser) list(lo, hi, depth int, distinct bool) {
	p.listEnd = hi
	sealed := false
	p.commas(lo, hi, depth, func(lo, hi int) {
		it := p.item(lo, hi)
		p.items = append(p.items, it)
		p.star = p.star || it.star
		if !distinct {
			return
		}
		if c := p.sealedColumn(it.qual, it.column); it.plain && c != nil {
			sealed = true
			if moving(c) {
				p.failMoving(c, remedyMovingList)
			}
			if !c.Search().Equality {
				p.failAt(c, ErrCondition, "DISTINCT would find no two values equal; "+remedySearch)
			}
		}
		if it.star {
			p.fail("", ErrCondition, "DISTINCT would find no two rows equal; name the columns")
		}
	})
	if sealed && p.err == nil {
		p.distinct(lo, hi, depth)
	}
}

// item reads one element: a star, a column with or without an alias, or an
// expression, which must not touch sealed columns.
func (p *parser) item(lo, hi int) item {
	if hi == lo+1 && p.at(lo).is("*") {
		return item{star: true}
	}
	parts, next := p.chain(lo)
	if len(parts) == 0 {
		return p.expression(lo, hi)
	}
	if next+2 == hi && p.at(next).is(".") && p.at(next+1).is("*") {
		return item{star: true, qual: parts[len(parts)-1]}
	}
	qual, column := split(parts)
	it := item{plain: true, qual: qual, column: column, out: column, from: lo, next: next}
	end := next
	named := end < hi && p.at(end).is("as") // any word may follow
	if named {
		end++
	}
	if end < hi && (p.at(end).isName() || p.at(end).kind == tokenText || (named && p.at(end).kind == tokenWord)) {
		it.out = strings.ToLower(p.at(end).text)
		end++
	}
	if end != hi {
		return p.expression(lo, hi)
	}
	c := p.sealedColumn(qual, column)
	if c == nil {
		p.wholeRow(lo, next)
		p.hidden(it.out, column)
		return it
	}
	p.allowed[next-1] = true
	if it.out != column {
		p.aliases = append(p.aliases, it.out)
		p.allowed[hi-1] = true
	}
	return it
}

// expression checks an element that is computed. The count of a column's
// values that are not NULL is the same for sealed ones.
func (p *parser) expression(lo, hi int) item {
	it := item{}
	if p.at(hi-2).is("as") && hi-2 > lo {
		it.out = strings.ToLower(p.at(hi - 1).text)
		p.hidden(it.out, "")
	}
	if p.at(lo).is("count") && p.at(lo+1).is("(") {
		if parts, next := p.chain(lo + 2); len(parts) > 0 && p.at(next).is(")") {
			p.allowed[next-1] = true
			if c := p.sealedColumn(split(parts)); moving(c) && p.meansMoving(c, lo+2) {
				p.countEither(c, lo+2, next)
			}
		}
	}
	for i := lo; i < hi; i++ {
		if p.at(i).is("*") && (p.at(i-1).is(".") || (p.at(i-1).is("(") && !p.at(i-2).is("count"))) {
			p.fail("", ErrExpression, remedySelect)
		}
		if p.at(i).isName() && !p.at(i-1).is(".") && !p.at(i+1).is(".") && !p.at(i+1).is("(") {
			p.wholeRow(i, i+1)
		}
	}
	return it
}

// wholeRow refuses a table's name in place of a column: it means all of them.
func (p *parser) wholeRow(lo, next int) {
	if next != lo+1 || p.table[lo] {
		return
	}
	name := p.at(lo).text
	for _, m := range p.refs[name] {
		if m.schema.FieldsByDBName[name] == nil {
			p.fail("", ErrExpression, remedySelect)
		}
	}
}

// hidden refuses a result column that has a sealed column's name and is
// something else: it would be opened, or taken for opened.
func (p *parser) hidden(out, column string) {
	if out == column {
		return
	}
	if c := p.sealedColumn("", out); c != nil {
		p.failAt(c, ErrExpression, "give the other result column another name")
	}
}

// ordinals refuses ORDER BY 2 where the second result column is sealed.
func (p *parser) ordinals() {
	for i, t := range p.tokens {
		if t.is("by") && (p.at(i-1).is("order") || p.at(i-1).is("group")) {
			end := p.until(i+1, t.depth, "limit", "having", "offset", "order", "for")
			p.commas(i+1, end, t.depth, func(lo, _ int) { p.ordinal(p.at(lo)) })
		}
	}
}

func (p *parser) ordinal(t token) {
	if t.kind != tokenNumber {
		return
	}
	n := atoi(t.text)
	if p.star || n < 1 || n > len(p.items) {
		p.fail("", ErrCondition, "name the columns to sort and group by")
		return
	}
	it := p.items[n-1]
	if c := p.sealedColumn(it.qual, it.column); it.plain && c != nil {
		p.failAt(c, ErrCondition, remedyOf(c))
	}
}

// combined refuses what compares whole rows, or columns by their names.
func (p *parser) combined() {
	for i, t := range p.tokens {
		p.combines = p.combines || t.is("union")
		switch {
		case t.is("natural"):
			p.fail("", ErrCondition, "write the join's condition")
		case (t.is("union") && !p.at(i+1).is("all")) || t.is("intersect") || t.is("except"):
			p.fail("", ErrCondition, "it would find no two rows equal; use UNION ALL, or two statements")
		}
	}
}

// rest refuses every sealed column in a place that was not found harmless.
func (p *parser) rest() {
	for i := 0; i < len(p.tokens); i++ {
		parts, next := p.chain(i)
		if len(parts) == 0 {
			p.loose(i)
			continue
		}
		p.wholeRows(i, next)
		p.starRow(i, next)
		last := next - 1
		i = last
		if p.allowed[last] || p.table[last] || p.at(next).is("(") {
			continue
		}
		qual, column := split(parts)
		c := p.sealedColumn(qual, column)
		if c == nil && !(qual == "" && containsFold(p.aliases, column)) {
			continue
		}
		first := last - 2*(len(parts)-1)
		if p.isNull(first, next) {
			if moving(c) && p.meansMoving(c, first) {
				p.eitherNull(c, first, next)
			}
			continue
		}
		if c == nil {
			p.fail(column, ErrCondition, remedySearch)
			return
		}
		meant, stands := p.stands(first)
		switch {
		case stands == standsPlain:
			continue
		case stands == standsSealed:
			c = meant
		case c.Search().Equality:
			p.failAt(c, ErrCondition, remedyQualify)
			return
		}
		switch {
		case p.equality(c, first, next), p.exists(first):
		case p.innerList(first, next):
			p.failAt(c, ErrStatement, remedyInner)
			return
		default:
			p.failAt(c, ErrCondition, p.remedyAt(c, first, next))
			return
		}
	}
}

// exists says whether the column at i stands in the list of a SELECT whose rows
// are only counted: EXISTS (SELECT c …).
func (p *parser) exists(i int) bool {
	at := p.selectOf(i)
	return at >= 0 && p.inList(i, at) && p.at(at-1).is("(") && p.at(at-2).is("exists")
}

// innerList says whether the column [first, next) is an element in the list of
// a SELECT that is not the first, and whose rows are not compared with a value.
func (p *parser) innerList(first, next int) bool {
	at := p.selectOf(first)
	if main, _ := p.verb(); at == main || at < 0 || !p.inList(first, at) {
		return false
	}
	switch before := p.at(at - 2); {
	case !p.at(at - 1).is("("):
	case before.is("in"), before.is("any"), before.is("some"), before.is("all"), before.is("="), before.is(">"), before.is("<"):
		return false
	}
	return p.at(next).is(",") || p.at(next).is("from") || p.at(next).is("as") || p.at(next).isName() || p.at(next).is(")")
}

// inList says whether the token at i stands in the list of the SELECT at at,
// outside of parentheses.
func (p *parser) inList(i, at int) bool {
	depth := p.at(at).depth
	return p.at(i).depth == depth && i < p.until(at+1, depth, "from", "where", "group", "having", "order", "limit", "union", "intersect", "except")
}

// loose refuses what is a sealed column although it is no name: a reserved
// word that is an alias, and text that SQLite takes for a name in SET.
func (p *parser) loose(i int) {
	t, before := p.at(i), p.at(i-1)
	switch {
	case p.allowed[i]:
	case t.kind == tokenWord && (before.is("by") || before.is(",")) && containsFold(p.aliases, t.text):
		p.fail(t.text, ErrCondition, remedySearch)
	case t.kind == tokenText && !p.d.dollars && p.at(i+1).is("="):
		if c := p.targetColumn(t.text); c != nil {
			p.failAt(c, ErrExpression, remedyValue)
		}
	}
}

// isNull says whether the chain in [first, next) stands in IS [NOT] NULL and
// nothing is computed with it before.
func (p *parser) isNull(first, next int) bool {
	switch before := p.at(first - 1); {
	case before.kind == tokenWord:
		switch before.text {
		case "and", "or", "not", "where", "on", "having", "when":
		default:
			return false
		}
	case !before.is("("):
		return false
	}
	if p.at(next).is("isnull") || p.at(next).is("notnull") {
		return true
	}
	if !p.at(next).is("is") {
		return false
	}
	next++
	if p.at(next).is("not") {
		next++
	}
	return p.at(next).is("null")
}

func containsFold(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
