package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// cte is a query of a WITH clause.
type cte struct {
	cols    []column
	unknown bool
	// found is a column by which it finds rows of the session's tenant alone; the zero origin for none.
	found origin
}

func findCTE(sc *scope, name string) *cte {
	for s := sc; s != nil; s = s.parent {
		if c := s.ctes[name]; c != nil {
			return c
		}
	}
	return nil
}

// with reads a WITH clause and returns the scope in which the rest of its
// statement stands. Without one it is sc itself.
func (a *analyzer) with(sc *scope, w *pg.WithClause) *scope {
	if w == nil {
		return sc
	}
	a.aheadOfWith(sc, w)
	inner := &scope{parent: sc, ctes: map[string]*cte{}}
	if w.Recursive {
		return a.withRecursive(inner, w)
	}
	for _, n := range w.Ctes {
		a.commonTable(inner, n.GetCommonTableExpr(), w.Recursive)
	}
	return inner
}

// withRecursive reads queries that may name themselves. They may also name
// one another in any order, which is refused where one that is not read yet may be meant.
func (a *analyzer) withRecursive(inner *scope, w *pg.WithClause) *scope {
	for i, n := range w.Ctes {
		for _, later := range w.Ctes[i+1:] {
			name := later.GetCommonTableExpr().GetCtename()
			if namesTable(n.ProtoReflect(), name) && a.sensitive(inner, w.ProtoReflect()) {
				a.refuse(&Refusal{
					SQLState: notSupported, Position: int(n.GetCommonTableExpr().GetLocation()),
					Message: "a query of WITH RECURSIVE that names a later one cannot touch sealed columns",
					Hint:    "Put the queries of WITH into the order in which they name one another.",
				})
			}
		}
	}
	for _, n := range w.Ctes {
		a.commonTable(inner, n.GetCommonTableExpr(), w.Recursive)
	}
	return inner
}

func (a *analyzer) commonTable(sc *scope, c *pg.CommonTableExpr, recursive bool) {
	if a.refusal != nil || c == nil {
		return
	}
	out := &cte{}
	s := c.Ctequery.GetSelectStmt()
	a.inside++
	had := len(a.found)
	switch {
	case s == nil:
		out.cols, out.unknown = a.writing(sc, c.Ctequery)
	case recursive && namesTable(c.Ctequery.ProtoReflect(), c.Ctename) && s.Op != pg.SetOperation_SETOP_NONE && s.Larg != nil:
		out = a.recursive(sc, c, s)
	default:
		out.cols, out.unknown = a.subquery(sc, s, nil)
	}
	a.inside--
	if len(a.found) > had {
		out.found = a.found[had]
	}
	if c.SearchClause != nil || c.CycleClause != nil {
		out.unknown = true
		a.searchCycle(c, out.cols)
	}
	out.cols = renamed(out.cols, &pg.Alias{Colnames: c.Aliascolnames})
	sc.ctes[c.Ctename] = out
}

// searchCycle refuses SEARCH and CYCLE over sealed columns: both compare values as they are stored.
func (a *analyzer) searchCycle(c *pg.CommonTableExpr, cols []column) {
	for i := range cols {
		if o := cols[i].origin; o.isSealed() {
			a.refuse(a.unsupported(o.column(), "SEARCH and CYCLE", "Leave the column out of the recursive query, and join it to the result.", int(c.Location)))
		}
	}
}

// recursive reads a query that may name itself: its columns are those of its first part.
func (a *analyzer) recursive(sc *scope, c *pg.CommonTableExpr, s *pg.SelectStmt) *cte {
	first := a.peekQuery(sc, s.Larg)
	self := &cte{cols: lost(first)}
	self.cols = renamed(self.cols, &pg.Alias{Colnames: c.Aliascolnames})
	inner := &scope{parent: sc, ctes: map[string]*cte{c.Ctename: self}}
	cols, unknown := a.subquery(inner, s, nil)
	for i := range cols {
		if i < len(first) && !sameColumns(cols[i].origin, first[i].origin) {
			a.refuse(&Refusal{
				SQLState: notSupported, Position: int(c.Location),
				Message: "the parts of recursive query \"" + c.Ctename + "\" have different sealed columns in one place",
				Hint:    "Select the same sealed column in both parts.",
			})
		}
	}
	return &cte{cols: lost(cols), unknown: unknown}
}

// lost returns columns that do not tell any more which row they are of.
func lost(cols []column) []column {
	out := make([]column, len(cols))
	for i, c := range cols {
		out[i] = c
		out[i].origin.rel, out[i].origin.col = nil, nil
	}
	return out
}

func sameColumns(a, b origin) bool {
	if len(a.possible) != len(b.possible) {
		return false
	}
	for i, c := range a.possible {
		if b.possible[i] != c {
			return false
		}
	}
	return true
}
