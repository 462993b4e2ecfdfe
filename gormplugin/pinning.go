package gormplugin

import (
	"strings"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// tenancy says whose index key a condition's terms are made with.
type tenancy struct {
	model *model // nil where the tenant does not matter
	param int    // of a condition that fixes the tenant column; -1 for none
	text  string // of a literal that does; "" for none
}

// byCondition says whether the statement's own text fixes the tenant, if that
// matters.
func (t tenancy) byCondition() bool { return t.model == nil || t.text != "" || t.param >= 0 }

// shared is a column whose rows' terms are compared with each other: equal
// values have equal terms within one tenant only.
type shared struct {
	column *field.Column
	scope  tenancy
	with   *tenancy // of the other column, where the two must be equal
}

// tenancyOf finds what fixes the tenant of column c, of the table that goes by
// qual, where the condition at i holds.
func (p *parser) tenancyOf(c *field.Column, qual string, i int) tenancy {
	m := p.modelOf(c)
	if c.Scope() == field.ScopeGlobal || m == nil || m.tenant == nil {
		return tenancy{param: -1}
	}
	found := tenancy{model: m, param: -1}
	fixed := func(lo, hi int) bool {
		at := p.fixed(m.tenant.DBName, qual, lo, hi)
		switch t := p.at(at); {
		case at < 0:
			return false
		case t.kind == tokenParam:
			found.param = t.param
		default:
			found.text = t.text
		}
		if p.d.prefixes && m.tenant.GORMDataType == schema.String && !p.edited(at) {
			// Collations take acme, ACME and "acme " for one.
			p.replace(at, at+1, "CAST("+p.textOf(at, at+1)+" AS BINARY)")
		}
		return true
	}
	p.around(i, fixed)
	return found
}

// modelOf returns the model that declares c.
func (p *parser) modelOf(c *field.Column) *model {
	for _, m := range p.models {
		if m.column(c.Name()) == c {
			return m
		}
	}
	return nil
}

// qualOf returns the qualifier of the chain at i.
func (p *parser) qualOf(i int) string {
	parts, _ := p.chain(i)
	if len(parts) < 2 {
		return ""
	}
	qual, _ := split(parts)
	return qual
}

// around calls f with the conditions that hold whenever the one at i does, as
// ranges of tokens joined by AND, from the inside out, until f says that it is
// done. It stays inside of one query. Of a join's condition only the rows count
// that the query's WHERE holds for.
func (p *parser) around(i int, f func(lo, hi int) bool) {
	if where := p.whereOf(i); where >= 0 {
		if lo, hi := p.conjunction(where); !p.at(hi).is("or") && !p.at(hi).is("xor") && f(lo, hi) {
			return
		}
	}
	for i >= 0 {
		lo, hi := p.conjunction(i)
		if f(lo, hi) {
			return
		}
		for i = lo - 1; i >= 0 && p.at(i).depth >= p.at(lo).depth; i-- {
		}
		if inner := p.at(i + 1); i < 0 || !p.at(i).is("(") || inner.is("select") || inner.is("with") || inner.is("values") || inner.is("table") {
			return
		}
	}
}

// between are the words that end a row of conditions joined by AND.
var between = wordSet(`or xor where on having when then else end select from group order limit union intersect except offset
	fetch for window returning left right full inner cross join natural set lock using`)

// conjunction returns the row of conditions, joined by AND, that the token at
// i stands in.
func (p *parser) conjunction(i int) (lo, hi int) {
	depth := p.at(i).depth
	inside := func(j int) bool {
		t := p.at(j)
		return t.kind != 0 && t.depth >= depth && !(t.depth == depth && (t.kind == tokenWord && between[t.text] || t.is(";")))
	}
	for lo = i; lo > 0 && inside(lo-1); lo-- {
	}
	for hi = i; inside(hi + 1); hi++ {
	}
	return lo, hi + 1
}

// conditions calls f with the place of each condition in [lo, hi) that is
// joined to the others by AND, and looks into parentheses around several.
func (p *parser) conditions(lo, hi int, f func(i int) bool) bool {
	depth, betweens := p.at(lo).depth, 0
	for i := lo; i < hi; i++ {
		if p.at(i).depth != depth {
			continue
		}
		if p.at(i).is("between") {
			betweens++
		}
		if i > lo && !p.at(i-1).is("and") {
			continue
		}
		if i > lo && betweens > 0 {
			betweens-- // this AND is a part of BETWEEN
			continue
		}
		if !p.at(i).is("(") {
			if f(i) {
				return true
			}
			continue
		}
		end := p.closing(i)
		if from, to := p.conjunction(i + 1); from == i+1 && to == end && p.ends(end+1) && p.conditions(from, to, f) {
			return true
		}
	}
	return false
}

// fixed finds column = value among the conditions in [lo, hi), for the table
// that goes by qual, and returns the place of the value, or -1.
func (p *parser) fixed(column, qual string, lo, hi int) (value int) {
	found := p.conditions(lo, hi, func(i int) bool {
		parts, next := p.chain(i)
		if len(parts) == 0 || !p.at(next).is("=") || !p.ends(next+2) {
			return false
		}
		q, name := split(parts)
		value = next + 1
		return strings.EqualFold(name, column) && p.sameTable(q, qual, i) &&
			(p.at(value).kind == tokenParam || p.plainLiteral(value))
	})
	if !found {
		return -1
	}
	return value
}

// plainLiteral says whether the token at i is a literal that means what it
// says: text without escapes, or an integer in its usual form.
func (p *parser) plainLiteral(i int) bool {
	switch t := p.at(i); t.kind {
	case tokenText:
		return p.textOf(i, i+1) == "'"+t.text+"'" && !strings.Contains(t.text, `\`)
	case tokenNumber:
		return len(t.text) < 19 && strings.Trim(t.text, "0123456789") == "" && (t.text == "0" || t.text[0] != '0')
	}
	return false
}

// sameTable says whether two qualifiers certainly mean one table, in the query
// that the token at i belongs to.
func (p *parser) sameTable(a, b string, i int) bool {
	if a != "" && b != "" {
		return a == b
	}
	only := p.blockTables()[p.blockOf(i)]
	return len(only) == 1 && (a == "" || a == only[0].name) && (b == "" || b == only[0].name)
}

// alone notes that the values of c, which stands at i, are compared with each
// other, among the rows that the query's WHERE holds for.
func (p *parser) alone(c *field.Column, i int) {
	if t := p.tenancyOf(c, p.qualOf(i), i); t.model != nil {
		p.shares = append(p.shares, shared{column: c, scope: t})
	}
}

// whereOf returns the place of the first condition of the query that the token
// at i belongs to; -1 for none.
func (p *parser) whereOf(i int) int {
	if i < 0 {
		return -1
	}
	block := p.blockOf(i)
	if first := p.at(block); !first.is("select") && !first.is("update") && !first.is("delete") {
		return -1
	}
	if at := p.until(block+1, p.at(block).depth, "where", "union", "intersect", "except"); p.at(at).is("where") {
		return at + 1
	}
	return -1
}

// selectOf returns the place of the SELECT that the token at i belongs to; -1
// for none.
func (p *parser) selectOf(i int) int {
	depth := p.at(i).depth
	for ; i >= 0; i-- {
		if t := p.at(i); t.depth <= depth {
			if depth = t.depth; t.is("select") {
				return i
			}
		}
	}
	return -1
}

// together notes that the values of a and b are compared, at i and j; where is
// the place of the conditions that hold for b. A condition that makes their
// tenants equal will do in place of one that fixes them.
func (p *parser) together(a *field.Column, i int, b *field.Column, j, where int) {
	qa, qb := p.qualOf(i), p.qualOf(j)
	ta, tb := p.tenancyOf(a, qa, i), p.tenancyOf(b, qb, where)
	var both *tenancy
	if ta.model != nil && tb.model != nil {
		same := false
		joined := func(lo, hi int) bool {
			same = same || p.joined(ta.model.tenant.DBName, qa, tb.model.tenant.DBName, qb, lo, hi)
			return same
		}
		p.around(i, joined)
		if p.around(where, joined); same {
			return
		}
		both = &tb
	}
	if ta.model != nil {
		p.shares = append(p.shares, shared{column: a, scope: ta, with: both})
	}
	if tb.model != nil {
		p.shares = append(p.shares, shared{column: b, scope: tb})
	}
}

// joined finds a.x = b.y, either way round, among the conditions in [lo, hi).
func (p *parser) joined(x, a, y, b string, lo, hi int) bool {
	return p.conditions(lo, hi, func(i int) bool {
		left, next := p.chain(i)
		right, end := p.chain(next + 1)
		if len(left) == 0 || len(right) == 0 || !p.at(next).is("=") || !p.ends(end) {
			return false
		}
		lq, lc := split(left)
		rq, rc := split(right)
		return lq == a && strings.EqualFold(lc, x) && rq == b && strings.EqualFold(rc, y) ||
			lq == b && strings.EqualFold(lc, y) && rq == a && strings.EqualFold(rc, x)
	})
}

// selects says whether a condition in [lo, hi) can only select rows: where it
// is not true of a row, that row is not looked at any further. Then it does not
// matter that it is false of other tenants' rows, whatever they hold.
func (p *parser) selects(lo, hi int) bool {
	for {
		if !p.ends(hi) {
			return false
		}
		switch before := p.at(lo - 1); {
		case before.is("("), before.is("and"), before.is("or"), before.is("where"), before.is("on"):
		default:
			return false
		}
		depth := p.at(lo).depth
		for lo--; lo >= 0 && p.at(lo).depth >= depth; lo-- {
			if t := p.at(lo); t.depth == depth && t.kind == tokenWord && between[t.text] && t.text != "or" {
				return p.filters(lo)
			}
		}
		if !p.at(lo).is("(") {
			return false
		}
		hi = p.closing(lo) + 1
	}
}

// filters says whether the WHERE or ON at i decides which rows the statement
// is about: that of the statement itself, or of a sub-query in an IN or EXISTS
// that does so. Behind an outer join, ON does not.
func (p *parser) filters(i int) bool {
	block := p.blockOf(i)
	depth := p.at(block).depth
	switch {
	case p.at(i).depth != depth:
		return false // FILTER (WHERE …)
	case p.at(i).is("on"):
		for j := block; j < len(p.tokens) && p.at(j).depth >= depth; j++ {
			if t := p.at(j); t.depth == depth && (t.is("left") || t.is("right") || t.is("full") || t.is("outer") || t.is("natural")) {
				return false
			}
		}
	case !p.at(i).is("where"):
		return false
	}
	if first, _ := p.verb(); block == first {
		return true
	}
	open := block - 1
	if !p.at(open).is("(") {
		return false // behind UNION
	}
	end := p.closing(open) + 1
	switch before := p.at(open - 1); {
	case before.is("exists"):
		return p.selects(open-1, end)
	case before.is("in") && p.at(open-2).isName():
		at := open - 2
		for p.at(at-1).is(".") && p.at(at-2).isName() {
			at -= 2
		}
		return p.selects(at, end)
	}
	return false
}
