package plan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

// insertion is what an INSERT puts into its target.
type insertion struct {
	*writing
	// columns are the target's columns that it names, by index.
	columns []int
	// owners are the tenants and ids of the rows that VALUES gives; nil for other sources.
	tenants, rowIDs []owner
	// several says why a row of VALUES may become several; "" where none does.
	several string
}

func (a *analyzer) insertStmt(sc *scope, s *pg.InsertStmt) ([]column, bool) {
	a.aheadOfWith(sc, s.WithClause)
	if q := s.SelectStmt.GetSelectStmt(); q != nil && len(q.ValuesLists) == 0 {
		a.ahead(func() { a.aheadOfInsert(sc, s) })
	}
	sc = a.with(sc, s.WithClause)
	in := &scope{parent: sc}
	w := a.writeTarget(in, s.Relation)
	if w == nil {
		return nil, true
	}
	ins := &insertion{writing: w}
	if !a.insertColumns(ins, s.Cols) {
		return nil, true
	}
	a.overriding(w, s.Override, int(s.Relation.Location))
	a.omitted(ins, int(s.Relation.Location))
	switch q := s.SelectStmt.GetSelectStmt(); {
	case q == nil:
		a.listMoving(ins, s.Cols, s.Relation, 0)
	case len(q.ValuesLists) > 0 && q.WithClause == nil && q.SortClause == nil && q.LimitCount == nil && q.LimitOffset == nil:
		a.listMoving(ins, s.Cols, s.Relation, len(q.ValuesLists[0].GetList().GetItems()))
		for _, l := range q.ValuesLists {
			a.insertRow(sc, ins, l.GetList().GetItems(), int(s.Relation.Location))
		}
	default:
		a.noneMoving(w, ins.columns, "INSERT from a query", int(s.Relation.Location))
		if len(s.Cols) == 0 && len(w.rel.hidden) > 0 {
			a.refuse(hiddenColumns(w.rel.table, "INSERT from a query without a list of columns", int(s.Relation.Location)))
		}
		a.insertQuery(sc, ins, q, int(s.Relation.Location))
	}
	a.onConflict(in, ins, s.OnConflictClause)
	return a.targetList(in, s.ReturningList, nil)
}

// overriding refuses to have the server put a number of its own into the row's tenant column or bound id.
func (a *analyzer) overriding(w *writing, kind pg.OverridingKind, at int) {
	if kind != pg.OverridingKind_OVERRIDING_USER_VALUE {
		return
	}
	for _, i := range []int{w.tenantAt(), w.rowIDAt()} {
		if b := w.baseOrNil(i); b != nil && b.Identity {
			a.refuseColumn(w.table.Columns()[0], at, "OVERRIDING USER VALUE has the server give column \""+b.Name+"\", which says whose the values are",
				"Leave it out, or write OVERRIDING SYSTEM VALUE.")
			return
		}
	}
}

// insertColumns finds the columns of the list, or all where there is none.
func (a *analyzer) insertColumns(ins *insertion, list []*pg.Node) bool {
	for _, n := range list {
		i := a.targetColumn(ins.writing, n.GetResTarget())
		if i < 0 {
			return false
		}
		ins.columns = append(ins.columns, i)
	}
	if len(list) == 0 {
		for i := range ins.rel.cols {
			ins.columns = append(ins.columns, i)
		}
	}
	a.writable(ins.writing, ins.columns, -1)
	a.shownOnce(ins.writing)
	return a.refusal == nil
}

// omitted checks the sealed columns that get the server's default.
func (a *analyzer) omitted(ins *insertion, at int) {
	for i := range ins.rel.cols {
		if !slices.Contains(ins.columns, i) {
			a.serverDefault(ins.writing, i, at)
		}
	}
}

// insertRow analyses a row of VALUES, or of MERGE's INSERT.
func (a *analyzer) insertRow(sc *scope, ins *insertion, row []*pg.Node, at int) {
	tenant, rowID := a.rowOwners(sc, ins, row)
	ins.tenants, ins.rowIDs = append(ins.tenants, tenant), append(ins.rowIDs, rowID)
	number, mark := a.newRow(), a.mark()
	if at := slices.IndexFunc(row, isRowStar); at >= 0 {
		a.counted(sc, ins.writing, ins.columns, row[at].ProtoReflect(), locationOf(row[at]))
	}
	own := &owners{writing: ins.writing, tenant: tenant, rowID: rowID, several: func(o origin) string {
		if sc.once(o) {
			return ""
		}
		return "a row of VALUES or unnest may get into several rows, and each needs a value of its own"
	}}
	for j, n := range row {
		a.shownAs(n)
		if j >= len(ins.columns) {
			a.refuse(&Refusal{SQLState: "42601", Position: at, Message: "INSERT has more expressions than target columns"})
			return
		}
		a.insertValue(sc, ins.writing, ins.columns[j], n, &target{tenant: tenant.src, rowID: rowID.src, row: number, owners: own, among: len(row)})
	}
	// A row may be shorter than the table where the list of columns is missing.
	for _, i := range ins.columns[min(len(row), len(ins.columns)):] {
		a.serverDefault(ins.writing, i, at)
	}
	if slices.ContainsFunc(row, func(n *pg.Node) bool { return a.mayGiveRows(n) }) {
		ins.several = "a function in VALUES may return several rows, and each needs a value of its own"
	}
	a.written(mark, number, at, tenant, rowID, ins.several)
}

// insertValue analyses a value for the i-th column of w.
func (a *analyzer) insertValue(sc *scope, w *writing, i int, n *pg.Node, t *target) {
	c := w.sealed(i)
	if c != nil && w.moving(i) {
		a.writeMoving(w, i, n, t, besides{at: -1})
		return
	}
	if d := n.GetSetToDefault(); d != nil {
		a.serverDefault(w, i, int(d.Location))
		return
	}
	if c == nil {
		a.expr(sc, n, plainColumn(w, i))
		return
	}
	own := *t
	own.column = c
	if r := w.rel.cols[i].origin.rel; own.rel != nil && r != nil {
		own.rel = r // that of the table below a view
	}
	a.expr(sc, n, assign(&own))
}

// rowOwners finds the tenant and the bound id of a row among its values.
func (a *analyzer) rowOwners(sc *scope, ins *insertion, row []*pg.Node) (tenant, rowID owner) {
	if ins.table == nil {
		return owner{}, owner{}
	}
	value := func(i int) *pg.Node {
		if j := slices.Index(ins.columns, i); i >= 0 && j >= 0 && j < len(row) {
			return row[j]
		}
		return nil
	}
	if ins.table.Tenant().Column == "" {
		tenant = a.sessions(ins.table)
	} else {
		tenant = a.tenantValue(ins.writing, value(ins.tenantAt()))
	}
	if ins.table.RowID() != "" {
		rowID = a.rowIDValue(ins.writing, value(ins.rowIDAt()))
	}
	tenant.rows = a.ownerColumn(sc, ins, ins.tenantAt(), value(ins.tenantAt()))
	rowID.rows = a.ownerColumn(sc, ins, ins.rowIDAt(), value(ins.rowIDAt()))
	return tenant, rowID
}

// ownerColumn reads what a row has in its tenant column or bound id as a column of VALUES or unnest.
func (a *analyzer) ownerColumn(sc *scope, ins *insertion, at int, n *pg.Node) []givenPin {
	if n == nil || at < 0 || ins.base(at) == nil || ins.base(at).Unfit != "" {
		return nil
	}
	if p, ok := a.givenPinOf(sc, n, ins.base(at).Type); ok {
		return []givenPin{p}
	}
	return nil
}

// tenantValue reads what a row has in its tenant column; nil where it says nothing.
func (a *analyzer) tenantValue(w *writing, n *pg.Node) owner {
	at := w.tenantAt()
	if n == nil || n.GetSetToDefault() != nil {
		if b := w.rel.table.Column(w.table.Tenant().Column); at < 0 || b != nil && (b.HasDefault || b.Generated || b.Identity) {
			return owner{problem: serverDecides}
		}
		return a.tenantless(w.table)
	}
	if unfit := w.base(at).Unfit; unfit != "" {
		return owner{problem: unfit}
	}
	src, ok := a.sourceOf(n, w.base(at).Type)
	if !ok {
		return owner{problem: "the tenant of the row is neither a constant nor a parameter"}
	}
	if src.Const != nil && src.Const.Null {
		return a.tenantless(w.table)
	}
	return owner{src: src}
}

const serverDecides = "the server decides of which tenant the row is"

// tenantless is the owner of a row whose tenant column is NULL: the table's default. The
// session's tenant is none, since who reads the row learns its tenant from the column.
func (a *analyzer) tenantless(t *field.Table) owner {
	if a.c.Tenant != "" {
		return owner{problem: "the tenant's column is NULL, and the row would not say of which tenant it is"}
	}
	return a.sessions(t)
}

func (a *analyzer) rowIDValue(w *writing, n *pg.Node) owner {
	at := w.rowIDAt()
	if n == nil || n.GetSetToDefault() != nil || at < 0 {
		return owner{problem: "values are bound to the row's id, which the server would give"}
	}
	if unfit := w.base(at).Unfit; unfit != "" {
		return owner{problem: unfit}
	}
	src, ok := a.sourceOf(n, w.base(at).Type)
	if !ok || src.Const != nil && src.Const.Null {
		return owner{problem: "values are bound to the row's id, which is neither a constant nor a parameter"}
	}
	return owner{src: src}
}
