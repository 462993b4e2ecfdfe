package gormplugin

import (
	"github.com/rowseal/rowseal/field"
)

// operand is a parameter that is compared with a sealed column: its term is
// sent in its place.
type operand struct {
	param  int
	column *field.Column
	scope  tenancy
	ranges [][]byte // headers, where ranges stand for the term; see byRange
	// fenced: other tenants' rows, whose terms all differ, would make the
	// comparison wrong, so that a condition must keep them out.
	fenced bool
}

// equality recognises the sealed column c, whose name stands in [first, next),
// in a place where only its equality matters, and has its term stand there.
func (p *parser) equality(c *field.Column, first, next int) bool {
	if !c.Search().Equality {
		return false
	}
	if moving(c) {
		p.eitherEqual(c, first, next)
		return true
	}
	return p.compared(c, first, next) || p.counted(c, first, next) || p.grouped(c, first, next) ||
		p.conflicting(c, first, next)
}

// compared recognises c = ?, ? = c, c IN (…), and c = other.c.
func (p *parser) compared(c *field.Column, first, next int) bool {
	if p.begins(first) {
		if op, at := p.operator(next); op != "" {
			n := len(p.operands)
			if end := p.right(c, first, at); end > 0 && p.ends(end) {
				p.fence(n, op, next, first, end)
				if p.d.prefixes && p.isValues(at) && op != "<=>" {
					p.allowed[next-1] = true
					p.byRange(c, p.textOf(first, next), op, first, end, p.operands[n:])
					return true
				}
				p.term(first, next)
				return true
			}
		}
	}
	return p.ends(next) && p.reversed(c, first, next)
}

// operator reads one that compares for equality at i; "" for any other. at is
// the token behind it.
func (p *parser) operator(i int) (op string, at int) {
	switch t := p.at(i); {
	case t.is("="):
		if p.adjacent(i, "=") {
			i++ // SQLite
		}
		return "=", i + 1
	case t.is("<") && p.adjacent(i, "="):
		if p.d.prefixes && p.adjacent(i+1, ">") {
			return "<=>", i + 3
		}
	case t.is("<") && p.adjacent(i, ">"), t.is("!") && p.adjacent(i, "="):
		return "<>", i + 2
	case t.is("in"):
		return "in", i + 1
	case t.is("not") && p.at(i+1).is("in"):
		return "not in", i + 2
	case t.is("is"):
		return p.distinctFrom(i + 1)
	}
	return "", 0
}

// distinctFrom reads what stands behind IS: [NOT] DISTINCT FROM, and in SQLite
// a parameter.
func (p *parser) distinctFrom(i int) (op string, at int) {
	not := p.at(i).is("not")
	if not {
		i++
	}
	switch {
	case p.at(i).is("distinct") && p.at(i+1).is("from"):
		return "is", i + 2
	case p.d.brackets && p.at(i).kind == tokenParam:
		return "is", i
	}
	return "", 0
}

// adjacent says whether the symbol s follows the token at i without a space.
func (p *parser) adjacent(i int, s string) bool {
	return p.at(i+1).is(s) && p.at(i+1).from == p.at(i).to
}

// right reads what c is compared with at i: a parameter, a list of them, a
// sub-query, or another column. It returns the end; 0 where it is none of these.
func (p *parser) right(c *field.Column, first, i int) (end int) {
	if p.at(i).kind == tokenParam {
		p.operand(c, i, p.tenancyOf(c, p.qualOf(first), first))
		return i + 1
	}
	if p.at(i).is("(") {
		return p.listed(c, first, i)
	}
	parts, next := p.chain(i)
	if len(parts) == 0 {
		return 0
	}
	other, stands := p.stands(i)
	if stands != standsSealed {
		return 0
	}
	if moving(other) {
		p.failMoving(other, remedyMoving)
		return 0
	}
	if !c.Comparable(other) {
		p.failAt(c, ErrCondition, "it has no terms in common with "+other.String()+"; declare the same domain and scope at both")
		return 0
	}
	p.together(c, first, other, i, i)
	p.term(i, next)
	return next
}

// listed reads (?, …) or (SELECT c …).
func (p *parser) listed(c *field.Column, first, i int) (end int) {
	if end = p.closing(i); end == len(p.tokens) {
		return 0
	}
	if p.at(i + 1).is("select") {
		if !p.selected(c, first, i+1) {
			return 0
		}
		return end + 1
	}
	ok, scope := true, p.tenancyOf(c, p.qualOf(first), first)
	p.commas(i+1, end, p.at(i).depth+1, func(lo, hi int) {
		switch t := p.at(lo); {
		case hi == lo+1 && t.kind == tokenParam:
			p.operand(c, lo, scope)
		case hi == lo+1 && t.is("null"):
		default:
			ok = false
		}
	})
	if !ok {
		return 0
	}
	return end + 1
}

// selected reads the sub-query at i, which must return a column whose terms
// can be compared with those of c, and nothing else.
func (p *parser) selected(c *field.Column, first, i int) bool {
	depth := p.at(i).depth
	i++
	if p.at(i).is("distinct") || p.at(i).is("all") {
		i++
	}
	parts, next := p.chain(i)
	if len(parts) == 0 || !p.at(next).is("from") || p.at(next).depth != depth {
		return false
	}
	other, stands := p.stands(i)
	if stands == standsSealed && moving(other) {
		p.failMoving(other, remedyMoving)
	}
	if stands != standsSealed || !c.Comparable(other) {
		return false
	}
	if end := p.until(next, depth, "union", "intersect", "except"); !p.at(end).is(")") {
		return false
	}
	p.together(c, first, other, i, p.whereOf(i))
	p.term(i, next)
	return true
}

// reversed recognises ? = c.
func (p *parser) reversed(c *field.Column, first, next int) bool {
	symbol, param := p.reversedAt(first)
	if symbol == "" {
		return false
	}
	p.operand(c, param, p.tenancyOf(c, p.qualOf(first), first))
	p.fence(len(p.operands)-1, symbol, next, param, next)
	if p.d.prefixes {
		p.allowed[next-1] = true
		p.byRange(c, p.textOf(first, next), symbol, param, next, p.operands[len(p.operands)-1:])
		return true
	}
	p.term(first, next)
	return true
}

// reversedAt reads ? = in front of first; symbol is "" for anything else.
func (p *parser) reversedAt(first int) (symbol string, param int) {
	op, symbol := first-1, "="
	switch {
	case p.at(op).is(">") && p.at(op-1).is("<"), p.at(op).is("=") && p.at(op-1).is("!"):
		op, symbol = op-1, "<>"
	case !p.at(op).is("="):
		return "", 0
	case p.at(op - 1).is("="):
		op--
	}
	if param = op - 1; p.at(param).kind != tokenParam || !p.begins(param) {
		return "", 0
	}
	return symbol, param
}

// operand notes that the parameter at i is compared with c.
func (p *parser) operand(c *field.Column, i int, scope tenancy) {
	p.operands = append(p.operands, operand{param: p.at(i).param, column: c, scope: scope})
}

// fence marks the operands from n on of the comparison in [lo, hi), whose
// operator op stands at next, if it is true of rows that are not equal.
func (p *parser) fence(n int, op string, next, lo, hi int) {
	if _, not := p.positive(op, next); !not && p.selects(lo, hi) {
		return
	}
	for i := n; i < len(p.operands); i++ {
		p.operands[i].fenced = true
	}
}

// begins says whether a condition may begin at i.
func (p *parser) begins(i int) bool {
	switch before := p.at(i - 1); before.kind {
	case tokenWord:
		switch before.text {
		case "and", "or", "not", "where", "on", "having", "when":
			return true
		}
	case tokenSymbol:
		return before.text == "("
	}
	return false
}

// endWords may follow a condition.
var endWords = wordSet(`and or group order limit having union intersect except offset fetch for window returning then
	end left right full inner cross join natural where on lock`)

// ends says whether a condition may end in front of i.
func (p *parser) ends(i int) bool {
	switch t := p.at(i); t.kind {
	case 0:
		return true
	case tokenWord:
		return endWords[t.text]
	case tokenSymbol:
		return t.text == ")" || t.text == ";"
	}
	return false
}

// counted recognises count(c), which counts values that are not NULL, and
// count(DISTINCT c).
func (p *parser) counted(c *field.Column, first, next int) bool {
	if p.counts(first, next) {
		return true
	}
	i, end := first-1, next
	for p.at(i).is("(") && p.at(end).is(")") {
		i, end = i-1, end+1
	}
	if !p.at(i).is("distinct") || !p.at(i-1).is("(") || !p.at(i-2).is("count") || !p.at(end).is(")") {
		return false
	}
	p.alone(c, first)
	p.term(first, next)
	return true
}

// counts says whether the name in [first, next) stands in count(…).
func (p *parser) counts(first, next int) bool {
	i, end := first-1, next
	for p.at(i).is("(") && p.at(end).is(")") && !p.at(i-1).is("count") {
		i, end = i-1, end+1
	}
	return p.at(i).is("(") && p.at(end).is(")") && p.at(i-1).is("count")
}

// conflicting recognises ON CONFLICT (c), which finds the unique index on c's
// term.
func (p *parser) conflicting(_ *field.Column, first, next int) bool {
	depth, i := p.at(first).depth, first
	for i--; i >= 0 && p.at(i).depth >= depth; i-- {
	}
	if !p.at(i).is("(") || !p.at(i-1).is("conflict") || !p.at(i-2).is("on") {
		return false
	}
	if (!p.at(first-1).is("(") && !p.at(first-1).is(",")) || (!p.at(next).is(")") && !p.at(next).is(",")) {
		return false
	}
	p.term(first, next)
	return true
}
