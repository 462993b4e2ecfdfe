package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// place in which a query stands, as far as it matters that equality by the session's
// tenant finds only rows of this tenant.
type standing byte

const (
	// counts: what the query does not find may make the statement do more, as behind NOT.
	counts standing = iota
	// finds: what it does not find is only not found, by the query around it too.
	finds
	// shows: its result goes to the client, or into a row, as it is.
	shows
)

// within reads a query that stands in another one, and is no part of its FROM or WITH.
func (a *analyzer) within(s standing, read func()) {
	inside, lacking := a.inside, a.lacking
	if s != shows {
		a.inside++
	}
	if s == counts {
		a.lacking++
	}
	read()
	a.inside, a.lacking = inside, lacking
}

// absently reads what may make the statement do more where rows are not found, if maybe is set.
func (a *analyzer) absently(maybe bool, read func()) {
	lacking := a.lacking
	if maybe {
		a.lacking++
	}
	read()
	a.lacking = lacking
}

// nested reads a query of FROM or WITH.
func (a *analyzer) nested(read func()) {
	a.inside++
	read()
	a.inside--
}

// standingOf is how a sub-query at a place of the text stands.
func (a *analyzer) standingOf(at int) standing {
	switch {
	case a.view:
		return counts
	case a.shown[at]:
		return shows
	case a.positive[at]:
		return finds
	}
	return counts
}

// shownAs notes a sub-query that is a value of the outermost query or of a row that is written.
func (a *analyzer) shownAs(n *pg.Node) {
	if s := n.GetSubLink(); s != nil && a.inside == 0 && !a.view {
		if a.shown == nil {
			a.shown = map[int]bool{}
		}
		a.shown[int(s.Location)] = true
	}
}

// isAbsent reports whether rows that an equality does not find would matter. A look ahead does not ask.
func (a *analyzer) isAbsent() bool { return a.lacking > 0 && a.drying == 0 }

// summarizes reports whether a query may make a row of rows that are not there, as count(*) does.
func (a *analyzer) summarizes(s *pg.SelectStmt) bool {
	if s.HavingClause != nil {
		return true
	}
	for _, n := range append(append([]*pg.Node{}, s.TargetList...), s.SortClause...) {
		if a.aggregates(n) {
			return true
		}
	}
	return false
}

// aggregates reports whether an expression calls a function that may not be one of a row's values. What a
// sub-query calls is its own.
func (a *analyzer) aggregates(m proto.Message) bool {
	switch x := m.(type) {
	case *pg.SubLink:
		return x.Testexpr != nil && a.aggregates(x.Testexpr)
	case *pg.FuncCall:
		if x.Over != nil || !ownFunction(x) || !scalars[lastName(x.Funcname)] {
			return true
		}
	}
	found := false
	children(m, func(c proto.Message) { found = found || a.aggregates(c) })
	return found
}

// strict reports whether a condition certainly does not hold for rows that an outer join fills with NULL, as far as
// it looks at what is NULL. nil looks at nothing.
func strict(n *pg.Node) bool {
	if n == nil {
		return true
	}
	return !contains(n, func(m proto.Message) bool {
		switch x := m.(type) {
		case *pg.NullTest, *pg.BooleanTest, *pg.CaseExpr, *pg.CoalesceExpr, *pg.FuncCall, *pg.SubLink, *pg.RowExpr:
			return true
		case *pg.BoolExpr:
			return x.Boolop == pg.BoolExprType_NOT_EXPR
		case *pg.A_Expr:
			return x.Kind == pg.A_Expr_Kind_AEXPR_DISTINCT || x.Kind == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT
		}
		return false
	})
}

// refuseAbsent refuses a query of WITH that finds rows by the session's tenant, where those that it does not find matter.
func (a *analyzer) refuseAbsent(name string, c *cte, at int) {
	if !c.found.isSealed() {
		return
	}
	a.found = append(a.found, c.found)
	if a.isAbsent() {
		a.refuse(a.tenantNeeded(c.found, "query "+quoted(name)+" of WITH, other than to find rows by it,", at))
	}
}
