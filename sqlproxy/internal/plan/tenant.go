package plan

import (
	"math"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

// tenantOf returns what gives the tenant of the rows that a sealed value is
// of: what the query compares their tenant column with, else the session's
// tenant, else the table's default. known is false where nothing does.
func (a *analyzer) tenantOf(o origin) (tenant Source, known bool) {
	if o.rel != nil && o.rel.pinned {
		return o.rel.tenant, true
	}
	if a.c.Tenant != "" {
		return Source{}, true
	}
	for _, col := range o.possible {
		if t := col.Table().Tenant(); t.Column != "" || t.Default == "" {
			return Source{}, false
		}
	}
	return Source{}, true
}

// bySession reports whether nothing but the session says of which tenant the rows
// of a sealed value are, while its table has rows of several: terms of other
// tenants' rows differ where the values are equal, so that only what finds rows by equality may compare them.
func (a *analyzer) bySession(o origin) bool {
	if a.c.Tenant == "" || o.rel != nil && o.rel.pinned {
		return false
	}
	return slices.ContainsFunc(o.possible, func(c *field.Column) bool {
		return c.Scope() != field.ScopeGlobal && c.Table().Tenant().Column != ""
	})
}

// finds notes the equalities in a condition that no NOT stands before.
func (a *analyzer) finds(n *pg.Node) {
	if b := n.GetBoolExpr(); b != nil && b.Boolop != pg.BoolExprType_NOT_EXPR {
		for _, arg := range b.Args {
			a.finds(arg)
		}
		return
	}
	at := -1
	if x := n.GetAExpr(); x != nil {
		switch x.Kind {
		case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_OP_ANY,
			pg.A_Expr_Kind_AEXPR_OP_ALL, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
			if op, _ := equality(x.Name); op == "=" {
				at = int(x.Location)
				a.findsSides(x)
			}
		}
	} else if s := n.GetSubLink(); s != nil {
		op, _ := equality(s.OperName)
		if s.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK || s.SubLinkType == pg.SubLinkType_ANY_SUBLINK && (len(s.OperName) == 0 || op == "=") {
			at = int(s.Location)
		}
	}
	a.findsAt(at)
}

// findsSides notes sub-queries that give what an equality compares.
func (a *analyzer) findsSides(x *pg.A_Expr) {
	for _, side := range []*pg.Node{x.Lexpr, x.Rexpr} {
		for side.GetTypeCast() != nil {
			side = side.GetTypeCast().Arg
		}
		s := side.GetSubLink()
		switch {
		case s == nil:
		case x.Kind == pg.A_Expr_Kind_AEXPR_OP && s.SubLinkType == pg.SubLinkType_EXPR_SUBLINK,
			x.Kind == pg.A_Expr_Kind_AEXPR_OP_ANY && s.SubLinkType == pg.SubLinkType_ARRAY_SUBLINK:
			a.findsAt(int(s.Location))
		}
	}
}

func (a *analyzer) findsAt(at int) {
	if at < 0 || a.view {
		return
	}
	if a.positive == nil {
		a.positive = map[int]bool{}
	}
	a.positive[at] = true
}

// isTenantColumn reports whether a value is that of its row's tenant column.
func isTenantColumn(o origin) bool {
	return o.rel != nil && o.col != nil && o.rel.table != nil && o.rel.table.Table != nil &&
		o.rel.table.Table.Tenant().Column == o.col.Name
}

func isRowID(o origin) bool {
	return o.rel != nil && o.col != nil && o.rel.table != nil && o.rel.table.Table != nil &&
		o.rel.table.Table.RowID() == o.col.Name
}

// areSame reports whether rows of two relations meet only where their tenants are equal.
func (a *analyzer) areSame(x, y *relation) bool {
	if x == nil || y == nil {
		return false
	}
	group := []*relation{x}
	for i := 0; i < len(group); i++ {
		for _, p := range a.same {
			other := p.to
			if p.to == group[i] {
				other = p.from
			}
			if (p.from == group[i] || p.to == group[i]) && !slices.Contains(group, other) {
				group = append(group, other)
			}
		}
	}
	return slices.Contains(group, y)
}

// pin notes which tenants a conjunction fixes: `tenant = constant` for a
// relation, `tenant = tenant` for two. only, where not nil, are the relations whose rows
// the conjunction decides over; of others it says nothing outside of itself.
// undo forgets it for relations older than oldest.
func (a *analyzer) pin(sc *scope, conj []*pg.Node, only []*relation) (undo func(oldest int)) {
	same := len(a.same)
	var pinned []*relation
	sought := false
	set := func(rel *relation, src Source) {
		src.Sought = src.Sought || sought
		if src.isNull() && !src.Sought {
			return
		}
		if !rel.pinned && (only == nil || owns(only, rel)) {
			rel.pinned, rel.tenant = true, src
			pinned = append(pinned, rel)
		}
	}
	for _, n := range conj {
		x := n.GetAExpr()
		if op, eq := equality(x.GetName()); x == nil || !eq || op != "=" {
			continue
		}
		// Where it is not fulfilled, nor is what it stands in.
		sought = only == nil && a.positive[int(x.Location)]
		switch items := x.Rexpr.GetList().GetItems(); {
		case x.Kind == pg.A_Expr_Kind_AEXPR_OP:
			a.pinSides(sc, x.Lexpr, x.Rexpr, only, set)
		case x.Kind == pg.A_Expr_Kind_AEXPR_IN && len(items) == 1:
			a.pinSides(sc, x.Lexpr, items[0], only, set)
		}
	}
	sought = false
	for again := only == nil; again; {
		again = false
		for _, p := range a.same {
			switch {
			case p.from.pinned && !p.to.pinned && !p.loose:
				set(p.to, p.from.tenant)
				again = true
			case p.to.pinned && !p.from.pinned && p.both:
				set(p.from, p.to.tenant)
				again = true
			}
		}
	}
	return func(oldest int) {
		for _, rel := range pinned {
			if rel.id < oldest {
				rel.pinned, rel.tenant = false, Source{}
			}
		}
		a.same = a.same[:same]
	}
}

// pinSides reads one equality, of rows too.
func (a *analyzer) pinSides(sc *scope, x, y *pg.Node, only []*relation, set func(*relation, Source)) {
	left, right := []*pg.Node{x}, []*pg.Node{y}
	if l, r := x.GetRowExpr(), y.GetRowExpr(); l != nil && r != nil && len(l.Args) == len(r.Args) {
		left, right = l.Args, r.Args
	}
	for i := range left {
		l, _ := a.resolve(sc, left[i])
		r, _ := a.resolve(sc, right[i])
		switch {
		case isTenantColumn(l) && isTenantColumn(r):
			a.pairUp(l.rel, r.rel, only)
		case isTenantColumn(l):
			a.pinValue(l, right[i], set)
		case isTenantColumn(r):
			a.pinValue(r, left[i], set)
		}
	}
}

func (a *analyzer) pinValue(o origin, n *pg.Node, set func(*relation, Source)) {
	if src, ok := a.sourceOf(n, o.col.Type); ok && o.col.Unfit == "" {
		set(o.rel, src)
	}
}

// pairUp notes that rows of two relations meet only where their tenants are
// equal. Rows of the preserved side of an outer join stay without meeting any,
// so that nothing that is known of the other side holds for them.
func (a *analyzer) pairUp(x, y *relation, only []*relation) {
	p := pair{from: x, to: y, both: only == nil}
	if only != nil {
		switch {
		case owns(only, y):
		case owns(only, x):
			p.from, p.to = y, x
		default:
			p.loose = true
		}
	}
	a.same = append(a.same, p)
}

// owns reports whether rows of rel stand in one of the relations.
func owns(rels []*relation, rel *relation) bool {
	return slices.ContainsFunc(rels, func(r *relation) bool {
		return r == rel || slices.ContainsFunc(r.cols, func(c column) bool { return c.origin.rel == rel })
	})
}

// conditions reads WHERE, which may be nil, and the conditions of the joins in
// the scope. What they say of tenants holds for the whole query.
func (a *analyzer) conditions(sc *scope, n *pg.Node) {
	if a.refusal != nil {
		return
	}
	a.finds(n)
	for _, p := range sc.pending {
		a.finds(p.on)
	}
	for _, p := range sc.pending {
		if p.on == nil {
			continue
		}
		only := p.nullable
		if p.inner {
			only = nil
		} else if only == nil {
			only = []*relation{}
		}
		a.keep(sc, a.pin(p.sc, conjuncts(p.on, nil), only))
	}
	a.keep(sc, a.pin(sc, conjuncts(n, nil), nil))
	for _, p := range sc.pending {
		if p.check != nil {
			p.check()
		}
		if p.on != nil {
			undo := a.pin(p.sc, conjuncts(p.on, nil), nil)
			if !a.looking {
				a.absently(!p.inner && !sc.strict, func() { a.expr(p.sc, p.on, forbid("ON")) })
			}
			undo(math.MaxInt)
		}
	}
	if !a.looking {
		a.expr(sc, n, forbid("WHERE"))
	}
}

// keep leaves what a conjunction says in force until the query ends, and for
// the query's own relations behind it: all rows that come out of it are such.
func (a *analyzer) keep(sc *scope, undo func(oldest int)) { sc.undo = append(sc.undo, undo) }
