package plan

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// equalMoving reads an equality between a column in transition and constants or parameters, and reports whether it was that.
// Rows that have a sealed value are found by its term, and the others as the client wrote it, by the value in clear:
//
//	(S IS NOT NULL AND substr(S, 9, 16) = TERM OR S IS NULL AND email = VALUE)
//
// Whatever is NULL, that is NULL, true or false where it is for a plain column.
func (a *analyzer) equalMoving(sc *scope, x *pg.A_Expr, eq bool) bool {
	e := movingEquality{a: a, x: x}
	if !e.column(sc, x.Lexpr, x.Rexpr) && !e.column(sc, x.Rexpr, x.Lexpr) {
		return false
	}
	o, at := e.ref.org, int(x.Location)
	ok := false
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		ok = eq && e.operator(1, lastName(x.Name))
	case pg.A_Expr_Kind_AEXPR_DISTINCT:
		ok = e.operator(3, "IS DISTINCT FROM")
	case pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		ok = e.operator(4, "IS NOT DISTINCT FROM")
	case pg.A_Expr_Kind_AEXPR_IN:
		ok = !e.turned && e.in()
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		ok = eq && !e.turned && e.any()
	default:
		return false
	}
	if !ok && !eq && x.Kind != pg.A_Expr_Kind_AEXPR_DISTINCT && x.Kind != pg.A_Expr_Kind_AEXPR_NOT_DISTINCT && x.Kind != pg.A_Expr_Kind_AEXPR_IN {
		return false
	}
	if !ok {
		a.refuse(a.unsupportedOf(o, "a comparison with anything but constants and parameters, or with parentheses around them,", "", at))
		return true
	}
	if c, known := a.comparand(origin{rel: o.rel, col: o.col, possible: o.possible}, "a comparison", at); known {
		e.write(c)
	}
	return true
}

// movingEquality is such an equality.
type movingEquality struct {
	a   *analyzer
	x   *pg.A_Expr
	ref reference
	// other is what the column is compared with, which stands before it where turned is set.
	other  *pg.Node
	turned bool
	// before and behind stand around the terms of values; list is set where these are one array.
	before, behind string
	list           bool
	values         []*pg.Node
	first, last    int // tokens of the whole
}

// column notes the column in transition.
func (e *movingEquality) column(sc *scope, n, other *pg.Node) bool {
	if n.GetColumnRef() == nil || other == nil {
		return false
	}
	r := e.a.reference(sc, n.GetColumnRef())
	if r.kind != refColumn || !r.org.moving || r.org.bad != nil {
		return false
	}
	e.ref, e.other, e.turned = r, other, n == e.x.Rexpr
	return true
}

// tokens gives the tokens that the column begins and ends with.
func (e *movingEquality) tokens() (first, last int, ok bool) {
	if !e.ref.located {
		return 0, 0, false
	}
	first = e.a.tree.At(e.ref.from)
	for last = first; last >= 0 && last < len(e.a.tree.Tokens) && e.a.tree.Tokens[last].To < e.ref.to; last++ {
	}
	return first, last, first >= 0 && last < len(e.a.tree.Tokens)
}

// operator reads column OP value, or value OP column, with an operator of n tokens.
func (e *movingEquality) operator(n int, op string) bool {
	first, last, ok := e.tokens()
	l, constant := e.a.literal(e.other)
	at := e.a.tree.At(int(e.x.Location))
	if !ok || !constant {
		return false
	}
	e.before, e.values = " "+op+" ", []*pg.Node{e.other}
	if e.turned {
		e.first, e.last = l.first, last
		return l.last+1 == at && at+n == first
	}
	e.first, e.last = first, l.last
	return last+1 == at && at+n == l.first
}

// in reads column [NOT] IN (value, …).
func (e *movingEquality) in() bool {
	a := e.a
	first, last, ok := e.tokens()
	at := a.tree.At(int(e.x.Location))
	open, items := at+1, e.other.GetList().GetItems()
	e.before, e.behind = " IN (", ")"
	if lastName(e.x.Name) == "<>" {
		open, e.before = at+2, " NOT IN ("
	}
	if !ok || last+1 != at || len(items) == 0 {
		return false
	}
	for _, n := range items {
		if _, constant := a.literal(n); !constant {
			return false
		}
	}
	e.values, e.first, e.last = items, first, a.closing(open)
	return true
}

// any reads column = ANY (array) and column <> ALL (array), of one constant or parameter.
func (e *movingEquality) any() bool {
	a := e.a
	first, last, ok := e.tokens()
	_, constant := a.literal(e.other)
	at := a.tree.At(int(e.x.Location))
	if !ok || !constant || last+1 != at || !a.isWord(at+2, "(") {
		return false
	}
	word := " ANY ("
	if e.x.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL {
		word = " ALL ("
	}
	e.before, e.behind, e.list = " "+lastName(e.x.Name)+word, ")", true
	e.values, e.first, e.last = []*pg.Node{e.other}, first, a.closing(at+2)
	return true
}

// write puts the condition on the sealed column before that on the plain one.
func (e *movingEquality) write(c *comparand) {
	a := e.a
	at := a.tree.Tokens[e.first].From
	sealed := sealedOne(e.ref.rel, e.ref.org)
	if e.x.Kind == pg.A_Expr_Kind_AEXPR_IN {
		c = a.ofList(c, e.values)
	}
	a.insert(at, "("+sealed+" IS NOT NULL AND "+termOf(sealed)+e.before)
	for i, n := range e.values {
		if i > 0 {
			a.insert(at, ", ")
		}
		src, from, _, oid, ok := a.constant(n)
		if !ok {
			a.refuse(unlocated())
			return
		}
		// What is written for the value stands before all that the client wrote.
		mark := a.mark()
		if e.list {
			a.termsValue(c, src, from, from, oid)
		} else if src.Const != nil && src.Const.Null {
			a.insert(at, "NULL::pg_catalog.bytea")
		} else {
			a.termValue(c, src, from, from, oid)
		}
		for k := mark; k < len(a.edits.list); k++ {
			a.edits.list[k].from, a.edits.list[k].to = at, at
		}
		e.inClear(n, src)
	}
	a.insert(at, e.behind+" OR "+sealed+" IS NULL AND "+e.ofTenant(c))
	a.insert(a.tree.Tokens[e.last].To, ")")
}

// ofTenant is a condition that a row without a sealed value, which does not say whose it is, is of the tenant
// that the session gives.
func (e *movingEquality) ofTenant(c *comparand) string {
	if !c.session {
		return ""
	}
	e.a.ofTenant = true
	rel, t := e.ref.rel, c.column.Table()
	return fmt.Sprintf("CAST(%s.%s AS pg_catalog.text) = pg_catalog.convert_from(pg_catalog.decode('%x', 'hex'), 'UTF8') AND ",
		quoted(rel.alias), quoted(t.Tenant().Column), e.a.c.Tenant)
}

// inClear notes that the server sees a value that is compared with a column in transition: it must be no other column's.
func (e *movingEquality) inClear(n *pg.Node, src Source) {
	u := clearUse{node: n, param: src.Param, from: locationOf(n), of: e.ref.org.column()}
	if src.Const != nil {
		u.text, u.quoted = src.Const.Text, true
	}
	e.a.uses = append(e.a.uses, u)
}
