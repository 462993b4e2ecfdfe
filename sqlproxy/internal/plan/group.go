package plan

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

func itoa(i int) string { return strconv.Itoa(i) }

// isGrouped reports whether the query of this scope groups by a sealed column.
func (sc *scope) isGrouped(o origin) bool {
	return slices.ContainsFunc(sc.grouped, func(g origin) bool { return sameColumn(g, o) })
}

// sameColumn reports whether two origins are one column of one row.
func sameColumn(x, y origin) bool {
	if x.rel != nil || y.rel != nil {
		return x.rel == y.rel && x.col == y.col && x.given == y.given
	}
	return len(x.possible) > 0 && sameColumns(x, y)
}

// groupBy reads GROUP BY: sealed columns are grouped by their terms.
func (a *analyzer) groupBy(sc *scope, s *pg.SelectStmt) {
	var plain []origin
	for _, n := range s.GroupClause {
		if r, ok := a.keyReference(sc, n, s.TargetList, true); ok && !r.org.isSealed() {
			plain = append(plain, r.org)
		}
	}
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			a.groupingSet(sc, n.GetGroupingSet(), s.TargetList)
			continue
		}
		r, ok := a.keyReference(sc, n, s.TargetList, true)
		if !ok || !r.org.isSealed() {
			if !a.isOrdinal(n) && (!ok || r.write || r.org.bad != nil) && !a.isAlias(sc, n, s.TargetList) {
				a.expr(sc, n, forbid("GROUP BY"))
			}
			a.groupedExpression(sc, n, s.TargetList, "GROUP BY")
			continue
		}
		if !a.groupable(r.org, plain, "GROUP BY", locationOf(n)) {
			return
		}
		from, to, located := a.keyExtent(n)
		if !located || r.text == "" {
			a.refuse(unlocated())
			return
		}
		a.replace(from, to, termOf(r.text))
		sc.grouped = append(sc.grouped, r.org)
	}
}

// groupedExpression refuses to group by a result column, named by its number or
// its name, which is an expression with sealed values.
func (a *analyzer) groupedExpression(sc *scope, n *pg.Node, list []*pg.Node, what string) {
	if !a.isOrdinal(n) && !a.isAlias(sc, n, list) {
		return
	}
	if t := a.keyTarget(sc, n, list, true); t != nil && t.GetColumnRef() == nil {
		if o := a.peek(sc, t); o.isSealed() {
			a.refuse(a.unsupported(o.column(), what+" an expression", "Group by the column itself.", locationOf(n)))
		}
	}
}

// groupingSet refuses grouping sets over sealed columns: columns that a set
// leaves out would have to become NULL, which one of a group's values does not.
func (a *analyzer) groupingSet(sc *scope, g *pg.GroupingSet, list []*pg.Node) {
	for _, n := range g.Content {
		if n.GetGroupingSet() != nil {
			a.groupingSet(sc, n.GetGroupingSet(), list)
			continue
		}
		if r, ok := a.keyReference(sc, n, list, true); ok {
			if r.org.isSealed() {
				a.refuse(a.unsupported(r.org.column(), "GROUPING SETS, ROLLUP and CUBE", "Group by it in a query of its own, and join with UNION ALL.", locationOf(n)))
			}
			if a.isOrdinal(n) || a.isAlias(sc, n, list) {
				continue
			}
		}
		a.expr(sc, n, forbid("GROUPING SETS, ROLLUP and CUBE"))
	}
}

// isOrdinal reports whether a key is the number of a result column.
func (a *analyzer) isOrdinal(n *pg.Node) bool { return n.GetAConst().GetIval() != nil }

// isAlias reports whether a key is the name of a result column and of no column in FROM.
func (a *analyzer) isAlias(sc *scope, n *pg.Node, list []*pg.Node) bool {
	name, ok := simpleName(n)
	if !ok || !hasAlias(list, name) {
		return false
	}
	return a.unqualified(&scope{rels: sc.rels, visible: sc.visible}, name).kind != refColumn
}

func simpleName(n *pg.Node) (string, bool) {
	c := n.GetColumnRef()
	if c == nil {
		return "", false
	}
	names, star := fields(c)
	if star || len(names) != 1 {
		return "", false
	}
	return names[0], true
}

func hasAlias(list []*pg.Node, name string) bool { return aliased(list, name) != nil }

// aliased finds a result column by its name.
func aliased(list []*pg.Node, name string) *pg.Node {
	for _, n := range list {
		t := n.GetResTarget()
		if t.GetName() == name || t.GetName() == "" && t.GetVal() != nil && !isStar(t.Val) && figureName(t.Val) == name {
			return t.Val
		}
	}
	return nil
}

func isStar(n *pg.Node) bool {
	c := n.GetColumnRef()
	return c != nil && len(c.Fields) > 0 && c.Fields[len(c.Fields)-1].GetAStar() != nil
}

// keyTarget returns the expression that a key of GROUP BY, DISTINCT ON or ORDER BY stands
// for: that of a result column for its number or name, else the key itself.
// input says that columns in FROM come before names of result columns.
func (a *analyzer) keyTarget(sc *scope, n *pg.Node, list []*pg.Node, input bool) *pg.Node {
	if a.isOrdinal(n) {
		_, t := a.ordinalTarget(sc, n, list)
		return t
	}
	if name, ok := simpleName(n); ok {
		if !input || a.isAlias(sc, n, list) {
			if t := aliased(list, name); t != nil {
				return t
			}
		}
	}
	return n
}

// keyReference resolves a key that is, or stands for, a column or its cast to its own type.
func (a *analyzer) keyReference(sc *scope, n *pg.Node, list []*pg.Node, input bool) (reference, bool) {
	if a.isOrdinal(n) {
		if v, _ := a.ordinalTarget(sc, n, list); v != nil {
			return reference{kind: refColumn, org: v.org, rel: v.rel, text: v.text()}, true
		}
	}
	t := a.keyTarget(sc, n, list, input)
	if t == nil {
		return reference{}, false
	}
	if cast := t.GetTypeCast(); cast != nil && a.ownCast(sc, cast) {
		t = cast.Arg
	}
	if t.GetColumnRef() == nil {
		return reference{}, false
	}
	r := a.reference(sc, t.GetColumnRef())
	return r, r.kind == refColumn
}

// ordinalTarget resolves the number of a result column: a column that * stands for, or an expression.
func (a *analyzer) ordinalTarget(sc *scope, n *pg.Node, list []*pg.Node) (*visible, *pg.Node) {
	i := int(n.GetAConst().GetIval().GetIval())
	for _, target := range list {
		t := target.GetResTarget()
		if !isStar(t.GetVal()) {
			if i--; i == 0 {
				return nil, t.GetVal()
			}
			continue
		}
		for _, v := range a.starVisible(sc, t.GetVal().GetColumnRef()) {
			if i--; i == 0 {
				return &v, nil
			}
		}
	}
	return nil, nil
}

func (a *analyzer) starVisible(sc *scope, c *pg.ColumnRef) []visible {
	r := a.reference(sc, c)
	if r.rel == nil {
		return sc.visible
	}
	var out []visible
	for _, col := range r.rel.cols {
		out = append(out, visible{name: col.name, rel: r.rel, org: col.origin})
	}
	return out
}

// text is what means the column anywhere in its query.
func (v visible) text() string {
	switch {
	case v.write != "":
		return v.write
	case v.rel == nil: // merged by FULL JOIN … USING
		return quoted(v.name)
	}
	return quoted(v.rel.alias) + "." + quoted(v.name)
}

// keyExtent returns the bytes of a key: a number, a name or a cast.
func (a *analyzer) keyExtent(n *pg.Node) (from, to int, ok bool) {
	switch {
	case n.GetAConst() != nil:
		i := a.tree.At(int(n.GetAConst().Location))
		if i < 0 {
			return 0, 0, false
		}
		return a.tree.Tokens[i].From, a.tree.Tokens[i].To, true
	case n.GetColumnRef() != nil:
		return a.extent(int(n.GetColumnRef().Location), len(n.GetColumnRef().Fields))
	case n.GetTypeCast() != nil:
		return a.castExtentOf(n.GetTypeCast())
	}
	return 0, 0, false
}

// groupable checks that equal values of a sealed column have equal terms: that
// it declares equality, and that only rows of one tenant meet, or rows are kept apart by tenant.
func (a *analyzer) groupable(o origin, others []origin, what string, at int) bool {
	col := o.column()
	if !a.declaresEquality(o, what, at) {
		return false
	}
	if col.Scope() == field.ScopeGlobal {
		return true
	}
	if _, known := a.tenantOf(o); known && !a.bySession(o) {
		return true
	}
	for _, p := range others {
		if o.rel != nil && p.rel == o.rel && isTenantColumn(p) {
			return true
		}
	}
	a.refuse(a.tenantNeeded(o, what, at))
	return false
}

// distinct reads SELECT DISTINCT: sealed columns are told apart by their terms.
func (a *analyzer) distinct(sc *scope, s *pg.SelectStmt, cols []column, wants []want) {
	if len(s.DistinctClause) == 0 || a.refusal != nil {
		return
	}
	if s.DistinctClause[0].GetNode() != nil {
		a.distinctOn(sc, s)
		return
	}
	sealed := false
	var plain []origin
	for i, c := range cols {
		if c.origin.isSealed() && wantAt(wants, i).kind == wantOutput {
			sealed = true
			continue
		}
		plain = append(plain, c.origin)
	}
	if !sealed {
		return
	}
	at := a.tree.At(int(s.TargetList[0].GetResTarget().GetLocation())) - 1
	if a.kindAt(at) != pg.Token_DISTINCT {
		a.refuse(unlocated())
		return
	}
	keys := make([]string, len(cols))
	for i, c := range cols {
		keys[i] = itoa(i + 1)
		if !c.origin.isSealed() {
			continue
		}
		r, ok := a.keyReference(sc, ordinal(i+1), s.TargetList, true)
		if !ok || !r.org.isSealed() || r.text == "" {
			a.refuse(a.unsupported(c.origin.column(), "DISTINCT over an expression", "Select the expression in a sub-query, and DISTINCT outside of it.", a.firstLocation(s)))
			return
		}
		if !a.groupable(r.org, plain, "DISTINCT", a.firstLocation(s)) {
			return
		}
		keys[i] = termOf(r.text)
	}
	a.insert(a.tree.Tokens[at].To, " ON ("+strings.Join(keys, ", ")+")")
}

// ordinal is the number of a result column as a key.
func ordinal(i int) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{
		Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: int32(i)}}, Location: -1, //nolint:gosec // a result has at most 1,664 columns
	}}}
}

// distinctOn reads the keys of SELECT DISTINCT ON.
func (a *analyzer) distinctOn(sc *scope, s *pg.SelectStmt) {
	var plain []origin
	for _, n := range s.DistinctClause {
		if r, ok := a.keyReference(sc, n, s.TargetList, false); ok && !r.org.isSealed() {
			plain = append(plain, r.org)
		}
	}
	for _, n := range s.DistinctClause {
		r, ok := a.keyReference(sc, n, s.TargetList, false)
		if ok && r.org.isSealed() {
			from, to, located := a.keyExtent(n)
			if !a.groupable(r.org, plain, "DISTINCT ON", locationOf(n)) {
				return
			}
			if !located || r.text == "" {
				a.refuse(unlocated())
				return
			}
			a.replace(from, to, termOf(r.text))
			continue
		}
		a.key(sc, n, s.TargetList, nil, "DISTINCT ON")
	}
}

// orderBy reads ORDER BY, where nothing sealed may stand: terms have no order that means anything.
func (a *analyzer) orderBy(sc *scope, s *pg.SelectStmt, cols []column) {
	for _, n := range s.SortClause {
		a.key(sc, n.GetSortBy().GetNode(), s.TargetList, cols, "ORDER BY")
	}
}

// key reads a key that may be the number or the name of a result column.
func (a *analyzer) key(sc *scope, n *pg.Node, list []*pg.Node, cols []column, what string) {
	if a.isOrdinal(n) {
		if i := int(n.GetAConst().GetIval().GetIval()); i >= 1 && i <= len(cols) {
			a.plainKey(cols[i-1].origin, what, locationOf(n))
		} else if t := a.keyTarget(sc, n, list, false); t != nil && t != n {
			a.plainKey(a.peek(sc, t), what, locationOf(n))
		}
		return
	}
	if name, ok := simpleName(n); ok {
		found := false
		for _, c := range cols {
			if c.name == name {
				a.plainKey(c.origin, what, locationOf(n))
				found = true
			}
		}
		if found {
			return
		}
		if cols == nil && hasAlias(list, name) {
			a.plainKey(a.peek(sc, aliased(list, name)), what, locationOf(n))
			return
		}
	}
	a.expr(sc, n, forbid(what))
}

func (a *analyzer) plainKey(o origin, what string, at int) {
	if o.bad != nil {
		a.refuse(o.bad)
	}
	if o.isSealed() {
		a.refuse(a.unsupported(o.column(), what, "", at))
	}
}

// window reads PARTITION BY, which compares, and ORDER BY, which sealed columns do not have.
func (a *analyzer) window(sc *scope, w *pg.WindowDef) {
	if w == nil {
		return
	}
	var plain []origin
	for _, n := range w.PartitionClause {
		if o, ok := a.resolve(sc, n); ok && !o.isSealed() {
			plain = append(plain, o)
		}
	}
	for _, n := range w.PartitionClause {
		o := a.peek(sc, n)
		if !o.isSealed() {
			a.expr(sc, n, forbid("PARTITION BY"))
			continue
		}
		if !a.groupable(o, plain, "PARTITION BY", locationOf(n)) {
			return
		}
		a.expr(sc, n, compare(a.selfComparand(o)))
	}
	for _, n := range w.OrderClause {
		a.expr(sc, n.GetSortBy().GetNode(), forbid("ORDER BY of a window"))
	}
	a.expr(sc, w.StartOffset, forbid("a window's frame"))
	a.expr(sc, w.EndOffset, forbid("a window's frame"))
}
