package plan

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rowseal/rowseal/envelope"
)

// aheadOfInsert looks for what of a query flows into sealed columns.
func (a *analyzer) aheadOfInsert(sc *scope, s *pg.InsertStmt) {
	sc = a.with(sc, s.WithClause)
	w := a.writeTarget(&scope{parent: sc}, s.Relation)
	if w == nil || w.table == nil {
		return
	}
	ins := &insertion{writing: w}
	if !a.insertColumns(ins, s.Cols) {
		return
	}
	cols := a.query(sc, s.SelectStmt.GetSelectStmt(), nil)
	for j, i := range ins.columns[:min(len(ins.columns), len(cols))] {
		if c := ins.sealed(i); c != nil {
			a.flowsInto(cols[j].origin, c)
		}
	}
}

// rowsOfQuery gives for each column of a query which puts values of VALUES or unnest into a
// sealed column whose rows they get into; nil for others.
func (a *analyzer) rowsOfQuery(sc *scope, ins *insertion, q *pg.SelectStmt, tenant, rowID owner) []*owners {
	out := make([]*owners, len(ins.columns))
	if !slices.ContainsFunc(a.given, (*rowSource).flows) {
		return out
	}
	var cols []column
	a.dry(func() { cols = a.query(sc, q, ins.anything()) })
	for j, i := range ins.columns[:min(len(ins.columns), len(cols))] {
		o := cols[j].origin
		if g := o.givenBy(); g == nil || ins.sealed(i) == nil || g.column != ins.sealed(i) {
			continue
		}
		own := &owners{writing: ins.writing, tenant: tenant, rowID: rowID}
		own.tenant.rows = ins.alongWith(cols, o, ins.tenantAt())
		own.rowID.rows = ins.alongWith(cols, o, ins.rowIDAt())
		once := o.once
		own.several = func(origin) string {
			if once {
				return ""
			}
			return "a row of VALUES or unnest may get into several rows, and each needs a value of its own"
		}
		out[j] = own
	}
	return out
}

// anything lets a query have whatever it has, converted values too.
func (ins *insertion) anything() []want {
	wants := make([]want, len(ins.columns))
	for j, i := range ins.columns {
		if c := ins.sealed(i); c != nil {
			wants[j] = want{kind: wantOutput, anyway: true}
		}
	}
	return wants
}

// alongWith reads what the query gives the target's column at beside o as a column of the same row of VALUES or unnest.
func (ins *insertion) alongWith(cols []column, o origin, at int) []givenPin {
	j := slices.Index(ins.columns, at)
	if at < 0 || j < 0 || j >= len(cols) || ins.base(at) == nil || ins.base(at).Unfit != "" {
		return nil
	}
	if p, ok := cols[j].origin.pin(ins.base(at).Type); ok && p.of == o.rel {
		p.of = nil // the query will be read once more
		return []givenPin{p}
	}
	return nil
}

// insertQuery analyses INSERT … SELECT. Constants and parameters are sealed for
// the tenant that the same list names; a sealed column goes on into itself
// where the row's tenant and id come along.
func (a *analyzer) insertQuery(sc *scope, ins *insertion, q *pg.SelectStmt, at int) {
	leaves := selectLeaves(q, nil)
	tenant, rowID := owner{}, owner{}
	if ins.table != nil {
		tenant, rowID = a.queryOwners(ins, leaves)
	}
	a.keepsDuplicates(ins, q, at)
	number, mark := a.newRow(), a.mark()
	wants := make([]want, len(ins.columns))
	rows := a.rowsOfQuery(sc, ins, q, tenant, rowID)
	for j, i := range ins.columns {
		c := ins.sealed(i)
		switch {
		case c == nil:
			wants[j] = plainColumn(ins.writing, i)
		case rows[j] != nil:
			wants[j] = assign(&target{column: c, tenant: tenant.src, rowID: rowID.src, row: number, owners: rows[j]})
		case passesOn(leaves, j):
			wants[j] = output
		default:
			wants[j] = assign(&target{column: c, tenant: tenant.src, rowID: rowID.src, row: number})
		}
	}
	cols, unknown := a.subquery(sc, q, wants)
	if unknown {
		a.counted(sc, ins.writing, ins.columns, q.ProtoReflect(), at)
	}
	if a.refusal != nil {
		return
	}
	a.missing(ins, len(cols), at)
	a.written(mark, number, at, tenant, rowID, severalRows(leaves))
	a.keepsRows(ins, rows, leaves, mark, number, at)
	for j, i := range ins.columns {
		if j < len(cols) && wants[j].kind == wantOutput {
			a.passedOn(ins, cols, j, i, tenant, rowID, at)
		}
	}
}

// missing checks the sealed columns that a query has nothing for: they get the server's default.
func (a *analyzer) missing(ins *insertion, n, at int) {
	for _, i := range ins.columns[min(n, len(ins.columns)):] {
		if ins.sealed(i) != nil {
			a.serverDefault(ins.writing, i, at)
		}
	}
}

// keepsDuplicates refuses UNION and its kin without ALL for sealed columns:
// equal values are not equal once they are sealed.
func (a *analyzer) keepsDuplicates(ins *insertion, q *pg.SelectStmt, at int) {
	if q.Op == pg.SetOperation_SETOP_NONE {
		return
	}
	if q.Op != pg.SetOperation_SETOP_UNION || !q.All {
		for _, i := range ins.columns {
			if c := ins.sealed(i); c != nil {
				a.refuseColumn(c, at, "UNION, INTERSECT and EXCEPT without ALL compare values", "Use UNION ALL.")
				return
			}
		}
	}
	a.keepsDuplicates(ins, q.Larg, at)
	a.keepsDuplicates(ins, q.Rarg, at)
}

// keepsRows refuses DISTINCT over values that are sealed one by one.
func (a *analyzer) keepsRows(ins *insertion, rows []*owners, leaves []*pg.SelectStmt, mark, number, at int) {
	for _, l := range leaves {
		if len(l.DistinctClause) > 0 {
			for j, own := range rows {
				if own != nil {
					a.refuseColumn(ins.sealed(ins.columns[j]), at, "DISTINCT compares values", "Leave DISTINCT out.")
				}
			}
			a.written(mark, number, at, owner{problem: "DISTINCT compares values"}, owner{}, "")
		}
	}
}

// selectLeaves returns the queries that UNION and its kin join.
func selectLeaves(q *pg.SelectStmt, out []*pg.SelectStmt) []*pg.SelectStmt {
	if q.Larg != nil {
		out = selectLeaves(q.Larg, out)
	}
	if q.Rarg != nil {
		return selectLeaves(q.Rarg, out)
	}
	return append(out, q)
}

// item returns the expression that gives the j-th column of a query; nil where
// a * stands before it, or VALUES gives it.
func item(q *pg.SelectStmt, j int) *pg.Node {
	if j >= len(q.TargetList) {
		return nil
	}
	for _, t := range q.TargetList[:j+1] {
		for _, f := range t.GetResTarget().GetVal().GetColumnRef().GetFields() {
			if f.GetAStar() != nil {
				return nil
			}
		}
	}
	return q.TargetList[j].GetResTarget().GetVal()
}

// passesOn reports whether the j-th column of all leaves is a column, or cannot be told from here.
func passesOn(leaves []*pg.SelectStmt, j int) bool {
	for _, l := range leaves {
		if len(l.ValuesLists) > 0 {
			return false
		}
		if n := item(l, j); n != nil && n.GetColumnRef() == nil {
			return false
		}
	}
	return true
}

// queryOwners finds tenant and id where all leaves name the same constant or parameter.
func (a *analyzer) queryOwners(ins *insertion, leaves []*pg.SelectStmt) (tenant, rowID owner) {
	for n, l := range leaves {
		row := make([]*pg.Node, len(ins.columns))
		for j := range row {
			if row[j] = item(l, j); row[j] == nil {
				row[j] = &pg.Node{} // something, which is no constant
			}
		}
		if len(l.ValuesLists) > 0 {
			return owner{problem: "VALUES is ordered or limited"}, owner{problem: "VALUES is ordered or limited"}
		}
		t, r := a.rowOwners(&scope{}, ins, row)
		if n == 0 {
			tenant, rowID = t, r
			continue
		}
		if t.problem != "" || !t.src.IsZero() && !sameSource(t.src, tenant.src) {
			tenant = owner{problem: "the rows are not all of one tenant"}
		}
		rowID = owner{problem: "values are bound to the row's id, and there are several rows"}
	}
	return tenant, rowID
}

// severalRows says why a query may give several rows; "" where it gives one.
func severalRows(leaves []*pg.SelectStmt) string {
	const why = "the query may give several rows, and each needs a value of its own"
	if len(leaves) != 1 || len(leaves[0].FromClause) > 0 || len(leaves[0].ValuesLists) > 0 {
		return why
	}
	for _, t := range leaves[0].TargetList {
		if contains(t, func(m proto.Message) bool { _, ok := m.(*pg.FuncCall); return ok }) {
			return why // it may be a set-returning one
		}
	}
	return ""
}

// passedOn checks a sealed value that goes from the query's j-th column into
// the target's i-th: it must be the same column's, and tenant and id the same row's.
func (a *analyzer) passedOn(ins *insertion, cols []column, j, i int, tenant, rowID owner, at int) {
	c, o := ins.sealed(i), cols[j].origin
	if o.null {
		return
	}
	if o.bad != nil {
		a.refuse(o.bad)
		return
	}
	if len(o.possible) != 1 || o.possible[0] != c {
		a.refuseColumn(c, at, "the query gives something else than the column's own values",
			"Select a constant, a parameter, or the same sealed column.")
		return
	}
	t := c.Table()
	if c.Mode() == envelope.ModeRow || c.Mode() == envelope.ModeKMS {
		a.refuseColumn(c, at, "rows have keys of their own, and two would share one", "Read the value and insert it.")
	}
	if name := t.Tenant().Column; name != "" && !a.comesAlong(ins, cols, o, ins.tenantAt(), name, tenant) {
		a.refuseColumn(c, at, "it may come from a row of another tenant",
			fmt.Sprintf("Select %q of the same row for the tenant's column.", name))
	}
	if name := t.RowID(); name != "" && !a.comesAlong(ins, cols, o, ins.rowIDAt(), name, owner{problem: "-"}) {
		a.refuseColumn(c, at, "values are bound to the row's id, and the new row has another",
			"Read the value and insert it.")
	}
}

// comesAlong reports whether the target's column at gets the column name of the
// row that o comes from, or a constant that this row's column was compared with.
func (a *analyzer) comesAlong(ins *insertion, cols []column, o origin, at int, name string, own owner) bool {
	if o.rel == nil {
		return false
	}
	if own.problem == "" && o.rel.pinned && sameSource(o.rel.tenant, own.src) {
		return true
	}
	j := slices.Index(ins.columns, at)
	if at < 0 || j < 0 || j >= len(cols) {
		return false
	}
	k := cols[j].origin
	return k.rel == o.rel && k.col != nil && k.col.Name == name
}

// contains reports whether is holds for a message or one inside it.
func contains(m proto.Message, is func(proto.Message) bool) bool {
	if is(m) {
		return true
	}
	found := false
	children(m, func(c proto.Message) { found = found || contains(c, is) })
	return found
}

// children calls f with the messages that a message holds.
func children(m proto.Message, f func(proto.Message)) {
	m.ProtoReflect().Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case d.Kind() != protoreflect.MessageKind:
		case d.IsList():
			for i := range v.List().Len() {
				f(v.List().Get(i).Message().Interface())
			}
		default:
			f(v.Message().Interface())
		}
		return true
	})
}
