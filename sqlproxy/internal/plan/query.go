package plan

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// query reads a SELECT, VALUES or TABLE and returns its result columns.
// wants say what may stand in each of them; nil passes everything on.
func (a *analyzer) query(sc *scope, s *pg.SelectStmt, wants []want) []column {
	cols, _ := a.subquery(sc, s, wants)
	return cols
}

// subquery is query, and says too whether there may be more columns, or others, than those returned.
func (a *analyzer) subquery(outer *scope, s *pg.SelectStmt, wants []want) (cols []column, unknown bool) {
	if s == nil || a.refusal != nil || !a.step() {
		return nil, true
	}
	same := len(a.same)
	sc := &scope{parent: a.with(outer, s.WithClause), oldest: a.rels + 1}
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		cols, unknown = a.setOperation(sc, s, wants)
	case len(s.ValuesLists) > 0:
		cols = a.values(sc, s, wants)
		unknown = slices.ContainsFunc(s.ValuesLists, func(row *pg.Node) bool {
			return slices.ContainsFunc(row.GetList().GetItems(), isRowStar)
		})
		if unknown && anySealedColumn(cols) {
			a.refuse(unknownColumns(-1))
		}
	default:
		cols, unknown = a.simple(sc, s, wants)
	}
	for i := len(sc.undo) - 1; i >= 0; i-- {
		sc.undo[i](sc.oldest)
	}
	a.same = a.same[:same]
	a.expr(sc, s.LimitCount, forbid("LIMIT"))
	a.expr(sc, s.LimitOffset, forbid("OFFSET"))
	if s.IntoClause != nil {
		a.into(cols, s)
	}
	if i := slices.IndexFunc(wants, want.changes); unknown && i >= 0 {
		a.uncounted(outer, wants[i].sealed(), s.ProtoReflect(), a.firstLocation(s))
	}
	return cols, unknown
}

// into refuses to make a table of sealed values: nobody would know that its columns are sealed.
func (a *analyzer) into(cols []column, s *pg.SelectStmt) {
	a.intoListed(s.IntoClause.GetRel())
	for _, c := range cols {
		if o := c.origin; o.isSealed() {
			a.refuse(a.unsupported(o.column(), "SELECT INTO", "Create the table first, list its column in the policy, and use INSERT … SELECT.",
				int(s.IntoClause.GetRel().GetLocation())))
		}
	}
}

// wantAt is what is wanted of the i-th column.
func wantAt(wants []want, i int) want {
	if i < len(wants) {
		return wants[i]
	}
	return output
}

// simple reads SELECT … FROM … without set operations.
func (a *analyzer) simple(sc *scope, s *pg.SelectStmt, wants []want) ([]column, bool) {
	sc.strict = a.inside == 0 && strict(s.WhereClause)
	a.absently(a.inside > 0 && a.summarizes(s), func() {
		a.from(sc, s.FromClause)
		a.conditions(sc, s.WhereClause)
	})
	a.groupBy(sc, s)
	for _, n := range s.TargetList {
		a.shownAs(n.GetResTarget().GetVal())
	}
	cols, unknown := a.targetList(sc, s.TargetList, wants)
	if a.refusal != nil {
		return nil, true
	}
	a.expr(sc, s.HavingClause, forbid("HAVING"))
	for _, w := range s.WindowClause {
		a.window(sc, w.GetWindowDef())
	}
	several := a.mayGiveSeveral(s)
	for i := range cols {
		cols[i].origin.once = !several && sc.once(cols[i].origin)
	}
	a.distinct(sc, s, cols, wants)
	a.orderBy(sc, s, cols)
	if len(sc.grouped) > 0 {
		// A group has no row of its own.
		cols = lostSealed(cols)
	}
	return cols, unknown
}

// mayGiveSeveral reports whether a result column may make several rows of one.
func (a *analyzer) mayGiveSeveral(s *pg.SelectStmt) bool {
	return slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool { return a.mayGiveRows(n) })
}

// once reports whether a value is of a row of VALUES or unnest that comes once in this scope.
func (sc *scope) once(o origin) bool {
	return o.once && len(sc.rels) == 1 && owns(sc.rels, o.rel)
}

// severalTimes returns columns of rows that may come several times.
func severalTimes(cols []column) []column {
	for i := range cols {
		cols[i].origin.once = false
	}
	return cols
}

// lostSealed is lost for columns with sealed values.
func lostSealed(cols []column) []column {
	for i := range cols {
		if cols[i].origin.isSealed() {
			cols[i].origin.rel, cols[i].origin.col = nil, nil
		}
	}
	return cols
}

// values reads VALUES: a column may be sealed in some rows and a constant in others.
func (a *analyzer) values(sc *scope, s *pg.SelectStmt, wants []want) []column {
	var cols []column
	inner := make([]want, len(s.ValuesLists[0].GetList().GetItems()))
	for i := range inner {
		inner[i] = wantAt(wants, i)
		if inner[i].kind == wantOutput {
			inner[i] = a.beside(sc, inner[i], a.peekColumn(sc, s.ValuesLists, i))
		}
	}
	src := a.valuesSource(s, wants)
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		for i, n := range items {
			var o origin
			a.shownAs(n)
			if src == nil || src.cols[i].column == nil {
				o = a.expr(sc, n, wantAt(inner, i))
			}
			if i == len(cols) {
				cols = append(cols, column{name: valuesName(i), origin: o})
				continue
			}
			if i < len(cols) {
				cols[i].origin = a.merged(cols[i].origin, o, locationOf(n))
			}
		}
	}
	if len(s.ValuesLists) > 1 {
		cols = lost(cols)
	}
	if src != nil && a.refusal == nil {
		a.giveColumns(src, cols)
	}
	a.orderBy(sc, s, cols)
	return cols
}

// peekColumn returns the first sealed origin of a column of VALUES.
func (a *analyzer) peekColumn(sc *scope, rows []*pg.Node, i int) origin {
	for _, row := range rows {
		if items := row.GetList().GetItems(); i < len(items) {
			if o := a.peek(sc, items[i]); o.isSealed() {
				return o
			}
		}
	}
	return origin{}
}

func valuesName(i int) string { return "column" + itoa(i+1) }

// setOperation reads UNION, INTERSECT and EXCEPT.
func (a *analyzer) setOperation(sc *scope, s *pg.SelectStmt, wants []want) ([]column, bool) {
	first := a.peekSet(sc, s)
	inner := make([]want, max(len(wants), len(first)))
	for i := range inner {
		inner[i] = wantAt(wants, i)
		if i >= len(first) || inner[i].kind != wantOutput || !first[i].origin.isSealed() {
			continue
		}
		o := first[i].origin
		if !(s.Op == pg.SetOperation_SETOP_UNION && s.All) {
			a.refuse(a.unsupported(o.column(), "UNION, INTERSECT and EXCEPT without ALL",
				"Use UNION ALL, or compare the columns with IN, EXISTS or a join.", a.firstLocation(s)))
			return nil, true
		}
		inner[i] = a.beside(sc, output, lost(first[i : i+1])[0].origin)
	}
	left, u1 := a.subquery(sc, s.Larg, inner)
	var right []column
	var u2 bool
	a.absently(s.Op == pg.SetOperation_SETOP_EXCEPT, func() { right, u2 = a.subquery(sc, s.Rarg, inner) })
	if a.refusal != nil {
		return nil, true
	}
	if (u1 || u2) && (anySealedColumn(left) || anySealedColumn(right)) {
		a.refuse(unknownColumns(a.firstLocation(s)))
		return nil, true
	}
	cols := left
	for i := range cols {
		if i < len(right) {
			cols[i].origin = a.merged(left[i].origin, right[i].origin, a.firstLocation(s))
		}
	}
	cols = lost(cols)
	a.orderBy(sc, s, cols)
	return cols, u1 || u2
}

func anySealedColumn(cols []column) bool {
	return slices.ContainsFunc(cols, func(c column) bool { return c.origin.isSealed() || c.origin.bad != nil })
}

// merged is the origin of a value that comes from either of two places.
func (a *analyzer) merged(x, y origin, at int) origin {
	switch {
	case x.bad != nil:
		return x
	case y.bad != nil:
		return y
	case x.null && y.isSealed():
		x = origin{possible: y.possible, as: y.unmodified()}
	case y.null && x.isSealed():
		y = origin{possible: x.possible, as: x.unmodified()}
	}
	if x.isSealed() != y.isSealed() {
		col := x.column()
		if col == nil {
			col = y.column()
		}
		a.refuse(a.unsupported(col, "one result column with plain values",
			"Give the sealed and the plain values result columns of their own.", at))
		return origin{}
	}
	out := origin{possible: slices.Clone(x.possible), null: x.null && y.null, as: commonType(x.as, y.as), clear: x.clear || y.clear}
	for _, c := range y.possible {
		if !slices.Contains(out.possible, c) {
			out.possible = append(out.possible, c)
		}
		if c.Type() != out.possible[0].Type() {
			a.refuse(a.unsupported(c, "one result column with "+out.possible[0].String(),
				"The logical types differ; give them result columns of their own.", at))
		}
	}
	return out
}

// commonType is the type of a value that is of one type or of the other, as origin has them.
func commonType(x, y uint32) uint32 {
	if y == 0 || x == pgtype.TextOID {
		return x
	}
	return y
}

// peekQuery returns the result columns of a query without rewriting anything, and without refusing anything.
func (a *analyzer) peekQuery(sc *scope, s *pg.SelectStmt) []column {
	if s == nil {
		return nil
	}
	if cols, ok := a.peeked[s]; ok {
		return cols
	}
	var cols []column
	if s.Op != pg.SetOperation_SETOP_NONE {
		cols = a.peekSet(a.peekWith(sc, s.WithClause), s)
	} else {
		a.dry(func() { cols = a.query(sc, s, nil) })
	}
	if a.peeked == nil {
		a.peeked = map[*pg.SelectStmt][]column{}
	}
	a.peeked[s] = cols
	return cols
}

// peekSet is peekQuery for the two sides of a set operation, in its own scope.
func (a *analyzer) peekSet(sc *scope, s *pg.SelectStmt) []column {
	cols := slices.Clone(a.peekQuery(sc, s.Larg))
	for i, c := range a.peekQuery(sc, s.Rarg) {
		if i < len(cols) && !cols[i].origin.isSealed() && c.origin.isSealed() {
			cols[i].origin = c.origin
		}
	}
	return cols
}

func (a *analyzer) peekWith(sc *scope, w *pg.WithClause) *scope {
	inner := sc
	a.dry(func() { inner = a.with(sc, w) })
	return inner
}

// dry runs a step of the analysis and forgets what it would have changed.
func (a *analyzer) dry(step func()) {
	saved, refusal, same, uses := a.edits.saved(), a.refusal, len(a.same), len(a.uses)
	a.drying++
	step()
	a.drying--
	if a.steps <= maxSteps {
		a.refusal = refusal
	}
	a.edits, a.same, a.uses = saved, a.same[:same], a.uses[:uses]
}

// saved are the edits as it is now; what is added to it later does not show.
func (e *edits) saved() edits {
	s := *e
	s.list, s.cells = slices.Clip(e.list), slices.Clip(e.cells)
	s.reads = maps.Clone(e.reads)
	return s
}

// maxSteps bounds the work for one text; it is far beyond what any statement of an application needs.
const maxSteps = 2_000_000

// step counts a step and reports whether the analysis may go on.
func (a *analyzer) step() bool {
	if a.steps++; a.steps > maxSteps {
		a.refuse(&Refusal{
			SQLState: "54001", Position: -1,
			Message: "statement is too complex to be analysed",
			Hint:    "Split it into several statements.",
		})
		return false
	}
	return a.refusal == nil
}
