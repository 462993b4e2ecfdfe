package plan

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"google.golang.org/protobuf/proto"

	"github.com/rowseal/rowseal/field"
)

func (a *analyzer) updateStmt(sc *scope, s *pg.UpdateStmt) ([]column, bool) {
	a.aheadOfWith(sc, s.WithClause)
	if len(s.FromClause) > 0 {
		a.ahead(func() { a.aheadOfUpdate(sc, s) })
	}
	in := &scope{parent: a.with(sc, s.WithClause)}
	w := a.writeTarget(in, s.Relation)
	if w == nil {
		return nil, true
	}
	in.strict = strict(s.WhereClause)
	a.from(in, s.FromClause)
	a.conditions(in, s.WhereClause)
	set := a.settingOf(in, w, s.WhereClause)
	if a.setColumns(in, set, s.TargetList) {
		in.unpin()
	}
	return a.targetList(in, s.ReturningList, nil)
}

// aheadOfUpdate looks for what of FROM flows into sealed columns.
func (a *analyzer) aheadOfUpdate(sc *scope, s *pg.UpdateStmt) {
	in := &scope{parent: a.with(sc, s.WithClause)}
	w := a.writeTarget(in, s.Relation)
	if w == nil || w.table == nil {
		return
	}
	a.from(in, s.FromClause)
	a.aheadOfSet(in, w, s.TargetList)
}

// aheadOfSet looks for what a list of SET puts into sealed columns.
func (a *analyzer) aheadOfSet(sc *scope, w *writing, list []*pg.Node) {
	for _, t := range a.assignments(sc, &setting{writing: w}, list) {
		if c := w.sealed(t.i); c != nil {
			a.flow(sc, c, t.val)
		}
	}
}

// setting is what an UPDATE, of any kind, knows of the rows that it changes.
type setting struct {
	*writing
	tenant, rowID owner
	// several says why there may be more than one row; "" where there is one.
	several string
	// pins are the columns that the condition fixes, and rows those that it compares with
	// columns of VALUES and unnest.
	pins map[int]Source
	rows map[int][]givenPin
	// excluded is the row that was to be inserted; nil outside of ON CONFLICT.
	excluded *relation
	// guard is a condition without which sealed values would get into the row
	// of another tenant; "" for none.
	guard string
}

// settingOf reads from a condition which rows are changed.
func (a *analyzer) settingOf(sc *scope, w *writing, where *pg.Node) *setting {
	set := &setting{writing: w}
	if w.table == nil {
		return set
	}
	pins, rows := a.pins(sc, w, where)
	set.tenant = a.sessions(w.table)
	set.pins, set.rows = pins, rows
	if a.c.Tenant == "" && w.table.Tenant().Column != "" {
		set.tenant = owner{problem: "the tenant is not known"} // the default is for rows that name none
	}
	if src, ok := pins[w.tenantAt()]; ok {
		set.tenant = owner{src: src}
	} else if i := w.tenantAt(); i >= 0 {
		if r := w.rel.cols[i].origin.rel; r != nil && r.pinned && !r.tenant.IsZero() {
			set.tenant = owner{src: r.tenant}
		} else if len(rows[i]) > 0 {
			set.tenant = owner{problem: "the tenant is that of a row of VALUES or unnest, and the value is not of the same", rows: rows[i]}
		}
	}
	if set.tenant.problem == "" && set.tenant.src.IsZero() && w.tenantAt() >= 0 {
		set.guard = a.sessionsRow(w)
	}
	set.rowID = owner{problem: "values are bound to the row's id, which the condition does not name"}
	if src, ok := pins[w.rowIDAt()]; ok {
		set.rowID = owner{src: src}
	} else {
		set.rowID.rows = rows[w.rowIDAt()]
	}
	for at, own := range map[int]*owner{w.tenantAt(): &set.tenant, w.rowIDAt(): &set.rowID} {
		if b := w.baseOrNil(at); b != nil && b.Unfit != "" {
			*own = owner{problem: b.Unfit}
		}
	}
	set.several = "several rows may be changed, and each needs a value of its own"
	if w.oneRow(pins) {
		set.several = ""
	}
	return set
}

// owners are whose rows an UPDATE puts values of VALUES and unnest into.
func (a *analyzer) ownersOf(set *setting) *owners {
	several := func(o origin) string {
		fixed := map[int]Source{}
		for i, src := range set.pins {
			fixed[i] = src
		}
		for i, rows := range set.rows {
			for _, p := range rows {
				if p.of == o.rel && a.identifies(&p) {
					fixed[i] = Source{}
				}
			}
		}
		if set.excluded == nil && set.oneRow(fixed) {
			return ""
		}
		return "a row of VALUES or unnest may get into several rows, and each needs a value of its own"
	}
	return &owners{writing: set.writing, tenant: set.tenant, rowID: set.rowID, several: several}
}

// sessionsRow is a condition that a row is of the session's tenant. The plan is
// then of this tenant alone.
func (a *analyzer) sessionsRow(w *writing) string {
	a.ofTenant = true
	column := quoted(w.rel.alias) + "." + quoted(w.rel.cols[w.tenantAt()].name)
	return fmt.Sprintf("CAST(%s AS pg_catalog.text) = pg_catalog.convert_from(pg_catalog.decode('%x', 'hex'), 'UTF8')", column, a.c.Tenant)
}

// oneRow reports whether a unique index has all its columns among the pins. A table's
// index is about partitions, but not about the tables that inherit from it.
func (w *writing) oneRow(pins map[int]Source) bool {
	table := w.rel.table
	if w.view() {
		table = nil
		for _, c := range w.rel.cols {
			if r := c.origin.rel; r != nil && r.table != nil {
				table = r.table
			}
		}
	}
	if table == nil || table.Kind != 'p' && len(table.Children) > 0 && (!w.only || w.view()) {
		return false
	}
	unique := table.Unique
	return slices.ContainsFunc(unique, func(index []int16) bool {
		return len(index) > 0 && !slices.ContainsFunc(index, func(num int16) bool {
			for i := range pins {
				if b := w.base(i); i >= 0 && b != nil && b.Num == num {
					return false
				}
			}
			return true
		})
	})
}

// pins finds the target's columns that a condition compares with constants or
// parameters, in all rows for which it holds, and those that it compares with columns of VALUES and unnest.
func (a *analyzer) pins(sc *scope, w *writing, where *pg.Node) (map[int]Source, map[int][]givenPin) {
	out, rows := map[int]Source{}, map[int][]givenPin{}
	for _, n := range conjuncts(where, nil) {
		x := n.GetAExpr()
		if x == nil || x.Kind != pg.A_Expr_Kind_AEXPR_OP || len(x.Name) != 1 || x.Name[0].GetString_().GetSval() != "=" {
			continue
		}
		for _, side := range [][2]*pg.Node{{x.Lexpr, x.Rexpr}, {x.Rexpr, x.Lexpr}} {
			i := a.ownColumn(sc, w, side[0])
			if i < 0 || side[1] == nil {
				continue
			}
			typ := uint32(pgtype.UnknownOID)
			if b := w.base(i); b != nil {
				typ = b.Type
			}
			if src, ok := a.sourceOf(side[1], typ); ok {
				src.Sought = true
				out[i] = src
			} else if p, ok := a.givenPinOf(sc, side[1], typ); ok {
				p.sought = true
				rows[i] = append(rows[i], p)
			}
		}
	}
	return out, rows
}

// ownColumn returns the target's column that an expression is; -1 for others.
func (a *analyzer) ownColumn(sc *scope, w *writing, n *pg.Node) int {
	ref := n.GetColumnRef()
	if ref == nil {
		return -1
	}
	r := a.reference(sc, ref)
	if r.kind != refColumn || r.rel != w.rel {
		return -1
	}
	names, _ := fields(ref)
	return slices.IndexFunc(w.rel.cols, func(c column) bool { return c.name == names[len(names)-1] })
}

// conjuncts splits a condition at its ANDs.
func conjuncts(n *pg.Node, out []*pg.Node) []*pg.Node {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		for _, arg := range b.Args {
			out = conjuncts(arg, out)
		}
		return out
	}
	if n == nil {
		return out
	}
	return append(out, n)
}

// assignment is one column of SET, with its value.
type assignment struct {
	i   int
	val *pg.Node
	at  int
	// among is, of one of (a, b) = (x, y), how many these are; else 0.
	among int
}

// setColumns analyses the list of SET, and reports whether it gives the row another tenant or bound id.
func (a *analyzer) setColumns(sc *scope, set *setting, list []*pg.Node) (moved bool) {
	todo := a.assignments(sc, set, list)
	if a.refusal != nil {
		return false
	}
	rel := set.rel
	if moved = set.table != nil && a.moves(sc, set, todo); moved {
		rel = nil // values of the row as it was are another tenant's
	}
	row, mark := a.newRow(), a.mark()
	at := -1
	own := a.ownersOf(set)
	for _, t := range todo {
		c := set.sealed(t.i)
		if c == nil {
			a.plainAssignment(sc, set, t)
			continue
		}
		at = t.at
		if set.moving(t.i) {
			a.assignMoving(sc, set, t, &target{tenant: set.tenant.src, rowID: set.rowID.src, row: row, among: t.among})
			continue
		}
		if set.excluded != nil && a.fromExcluded(sc, set, t, c) {
			continue
		}
		before := a.mark()
		a.insertValue(sc, set.writing, t.i, t.val, &target{
			tenant: set.tenant.src, rowID: set.rowID.src, row: row, rel: rel, owners: own,
		})
		if set.guard != "" && (a.changed(before) || a.ofRows(sc, t.val)) {
			a.guarded(sc, set, c, t)
		}
	}
	a.written(mark, row, at, set.tenant, set.rowID, set.several)
	return moved
}

func (a *analyzer) plainAssignment(sc *scope, set *setting, t assignment) {
	if t.val.GetSetToDefault() == nil {
		a.shownAs(t.val)
		a.expr(sc, t.val, plainColumn(set.writing, t.i))
	}
}

// assignments lists the columns of SET. What a sub-query gives to several
// columns at once is analysed here.
func (a *analyzer) assignments(sc *scope, set *setting, list []*pg.Node) (out []assignment) {
	for j := 0; j < len(list); j++ {
		t := list[j].GetResTarget()
		i := a.targetColumn(set.writing, t)
		if i < 0 {
			return nil
		}
		a.writable(set.writing, []int{i}, int(t.Location))
		m := t.GetVal().GetMultiAssignRef()
		if m == nil {
			out = append(out, assignment{i: i, val: t.Val, at: int(t.Location)})
			continue
		}
		n := int(m.Ncolumns)
		if args := m.Source.GetRowExpr().GetArgs(); len(args) == n {
			out = append(out, assignment{i: i, val: args[m.Colno-1], at: int(t.Location), among: n})
			continue
		}
		columns := []int{i}
		for _, other := range list[j+1 : min(j+n, len(list))] {
			k := a.targetColumn(set.writing, other.GetResTarget())
			if k < 0 {
				return nil
			}
			columns = append(columns, k)
		}
		a.severalAtOnce(sc, set, m.Source, columns, int(t.Location))
		j += n - 1
	}
	return out
}

// severalAtOnce analyses (a, b) = (SELECT …) and (a, b) = row.
func (a *analyzer) severalAtOnce(sc *scope, set *setting, source *pg.Node, columns []int, at int) {
	sub := source.GetSubLink().GetSubselect().GetSelectStmt()
	if sub == nil {
		a.expr(sc, source, forbid("an assignment to several columns"))
	}
	a.noneMoving(set.writing, columns, "an assignment to several columns", at)
	row, mark := a.newRow(), a.mark()
	wants := make([]want, len(columns))
	for j, i := range columns {
		wants[j] = plainColumn(set.writing, i)
		c := set.sealed(i)
		switch {
		case c != nil && sub == nil:
			a.refuseColumn(c, at, "its value is a part of a row", "Assign each column by itself.")
		case c != nil && set.guard != "":
			a.refuseColumn(c, at, "the row in the table may be another tenant's", "Assign each column by itself.")
		case c != nil:
			wants[j] = assign(&target{column: c, tenant: set.tenant.src, rowID: set.rowID.src, row: row, rel: set.rel.cols[i].origin.rel})
		case set.table != nil && (i == set.tenantAt() || i == set.rowIDAt()):
			a.refuseOwner(set, at)
		}
	}
	if sub != nil {
		if cols, unknown := a.subquery(sc, sub, wants); unknown || len(cols) != len(columns) {
			a.counted(sc, set.writing, columns, sub.ProtoReflect(), at)
		}
	}
	a.written(mark, row, at, set.tenant, set.rowID, set.several)
}

// moves reports whether SET gives the row another tenant or bound id. It then
// has to seal all sealed columns of the row anew, and set says for whom.
func (a *analyzer) moves(sc *scope, set *setting, todo []assignment) bool {
	moved := false
	a.shownOnce(set.writing)
	for _, t := range todo {
		var own *owner
		switch t.i {
		case set.tenantAt():
			own = &set.tenant
		case set.rowIDAt():
			own = &set.rowID
		default:
			if set.sealed(t.i) == nil && set.computesOwner() {
				a.refuseOwner(set, t.at)
				return true
			}
			continue
		}
		if a.ownColumn(sc, set.writing, t.val) == t.i || a.sameAsBefore(sc, set, t) {
			continue
		}
		src, ok := Source{}, false
		if b := set.base(t.i); b != nil && b.Unfit == "" {
			src, ok = a.sourceOf(t.val, b.Type)
		}
		if ok && own.problem == "" && sameSource(src, own.src) && set.guard == "" {
			continue
		}
		if set.excluded != nil && a.excludedColumn(sc, set, t.val) == t.i {
			moved = a.allAnew(sc, set, todo, t.at, true) || moved
			set.guard = ""
			continue
		}
		if !ok || src.Const != nil && src.Const.Null || !a.allAnew(sc, set, todo, t.at, false) {
			a.refuseOwner(set, t.at)
			return true
		}
		*own, moved = owner{src: src}, true
		set.guard = ""
	}
	return moved
}

// sameAsBefore reports whether SET gives a column what the condition compares it with.
func (a *analyzer) sameAsBefore(sc *scope, set *setting, t assignment) bool {
	b := set.base(t.i)
	if b == nil {
		return false
	}
	p, ok := a.givenPinOf(sc, t.val, b.Type)
	return ok && slices.ContainsFunc(set.rows[t.i], func(had givenPin) bool {
		return had.by == p.by && had.of == p.of && had.cast == p.cast && a.identifies(&p)
	})
}

// ofRows reports whether an expression may give a value of VALUES or unnest.
func (a *analyzer) ofRows(sc *scope, n *pg.Node) bool {
	return contains(n, func(m proto.Message) bool {
		c, ok := m.(*pg.ColumnRef)
		return ok && a.reference(sc, c).org.givenBy() != nil
	})
}

// allAnew reports whether SET has values of their own for all sealed columns;
// with excluded set, those of the row that was to be inserted.
func (a *analyzer) allAnew(sc *scope, set *setting, todo []assignment, at int, excluded bool) bool {
	for _, c := range set.table.Columns() {
		if a.unbegun(c) {
			continue
		}
		if !slices.ContainsFunc(todo, func(t assignment) bool {
			if excluded {
				return set.sealed(t.i) == c && a.excludedColumn(sc, set, t.val) == t.i
			}
			return set.sealed(t.i) == c && t.val.GetColumnRef() == nil
		}) {
			a.refuseOwner(set, at)
			return false
		}
	}
	return true
}

func (a *analyzer) refuseOwner(set *setting, at int) {
	a.refuse(&Refusal{
		SQLState: "0A000", Position: at, Table: set.table.Name(),
		Message: "a row of \"" + set.table.Name() + "\" cannot get another tenant or id while it keeps sealed values",
		Hint:    "Assign constants or parameters to the tenant's column, the bound id and all sealed columns in one statement.",
	})
}

// excludedColumn returns the column of EXCLUDED that an expression is; -1 for others.
func (a *analyzer) excludedColumn(sc *scope, set *setting, n *pg.Node) int {
	ref := n.GetColumnRef()
	if ref == nil {
		return -1
	}
	r := a.reference(sc, ref)
	if r.kind != refColumn || r.rel != set.excluded {
		return -1
	}
	names, _ := fields(ref)
	return slices.IndexFunc(set.excluded.cols, func(c column) bool { return c.name == names[len(names)-1] })
}

// fromExcluded handles col = EXCLUDED.col, and reports whether it was that.
func (a *analyzer) fromExcluded(sc *scope, set *setting, t assignment, c *field.Column) bool {
	i := a.excludedColumn(sc, set, t.val)
	if i < 0 {
		return false
	}
	if i != t.i {
		a.refuseColumn(c, t.at, "it would get another column's value", "Assign the same column of EXCLUDED.")
		return true
	}
	if set.guard != "" {
		a.guarded(sc, set, c, t)
	}
	return true
}

// ForeignRow is no hex digit. Where the server complains of it, a row of another
// tenant was to get a sealed value; see guarded.
const ForeignRow = "~"

// guarded lets an assigned value only into a row of the tenant that it was
// sealed for, and makes the statement fail otherwise: a wrong row would not
// open any more. concat is not immutable, so that the server does not work out
// the error before it knows whether it gets there.
func (a *analyzer) guarded(sc *scope, set *setting, c *field.Column, t assignment) {
	from, to, ok := 0, 0, false
	if ref := t.val.GetColumnRef(); ref != nil {
		if set.excluded == nil && !a.ofRows(sc, t.val) {
			return // of the same row, or it is refused
		}
		from, to, ok = a.extent(int(ref.Location), len(ref.Fields))
	} else if _, f, e, _, constant := a.constantFor(t.val, c); constant {
		from, to, ok = f, e, true
	}
	if !ok {
		a.refuseColumn(c, t.at, "the row in the table may be another tenant's",
			"Name the tenant's column in the condition, or in ON CONFLICT, or assign EXCLUDED's value.")
		return
	}
	a.insertBefore(from, "CASE WHEN "+set.guard+" THEN ")
	a.insert(to, " ELSE pg_catalog.decode(pg_catalog.concat('"+ForeignRow+"'), 'hex') END")
}
