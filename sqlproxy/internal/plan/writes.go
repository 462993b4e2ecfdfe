package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// writing is the table or view that a statement writes.
type writing struct {
	rel *relation
	// table is the policy's table whose sealed columns it has; nil where none is sealed.
	table *field.Table
	// only is set where the statement leaves out the tables that inherit from it.
	only bool
}

// writing analyses a statement that writes rows, at the top or in a WITH
// clause, and gives the columns of RETURNING.
func (a *analyzer) writing(sc *scope, n *pg.Node) (cols []column, unknown bool) {
	switch {
	case n.GetInsertStmt() != nil:
		cols, unknown = a.insertStmt(sc, n.GetInsertStmt())
	case n.GetUpdateStmt() != nil:
		cols, unknown = a.updateStmt(sc, n.GetUpdateStmt())
	case n.GetDeleteStmt() != nil:
		cols, unknown = a.deleteStmt(sc, n.GetDeleteStmt())
	case n.GetMergeStmt() != nil:
		cols, unknown = a.mergeStmt(sc, n.GetMergeStmt())
	default:
		a.refuse(&Refusal{
			SQLState: "0A000", Position: -1, Message: "a query of WITH that is neither SELECT nor a statement that writes rows",
			Hint: "Write it as a statement of its own.",
		})
		return nil, true
	}
	return severalTimes(cols), unknown
}

// writeTarget puts the table that a statement writes into its scope; nil after a refusal.
func (a *analyzer) writeTarget(sc *scope, rv *pg.RangeVar) *writing {
	if sc.oldest == 0 {
		sc.oldest = a.rels + 1
	}
	rel := a.table(sc, rv)
	if a.refusal != nil {
		return nil
	}
	if rel == nil || rel.table == nil {
		a.refuse(&Refusal{
			SQLState: "42P01", Position: int(rv.GetLocation()),
			Message: fmt.Sprintf("relation %q does not exist, or cannot be written", rv.GetRelname()),
			Hint:    "Where an earlier statement of the same text makes it, send the statements one by one.",
		})
		return nil
	}
	sc.add(rel)
	w := &writing{rel: rel, table: rel.table.Table, only: !rv.Inh}
	for i := range rel.cols {
		if c := w.sealed(i); c != nil {
			w.table = c.Table()
		}
	}
	if w.table == nil && !rel.table.Sensitive {
		return w
	}
	if rel.table.Triggers {
		a.refuse(&Refusal{
			SQLState: "0A000", Position: int(rv.Location), Table: rel.table.Name,
			Message: fmt.Sprintf("%q is written by triggers or rules, which the proxy cannot follow", rel.table.Name),
			Hint:    "Write the table itself.",
		})
		return nil
	}
	return w
}

// sealed returns the sealed column that is written through the i-th column; nil for a plain one.
func (w *writing) sealed(i int) *field.Column { return w.rel.cols[i].origin.column() }

// base returns the i-th column as the catalog knows it: for a view's, the table's. Nil where it cannot be written.
func (w *writing) base(i int) *catalog.Column {
	if c := w.rel.cols[i].origin.col; c != nil {
		return c
	}
	if w.view() {
		return nil
	}
	return w.rel.table.Column(w.rel.cols[i].name)
}

// view reports whether rows are written through a view.
func (w *writing) view() bool { return w.rel.table.Kind == 'v' }

// tenantAt and rowIDAt return the columns that hold the row's tenant and bound
// id; -1 where the table names none, or the view does not show it.
func (w *writing) tenantAt() int {
	if w.table == nil {
		return -1
	}
	return w.baseAt(w.table.Tenant().Column)
}

func (w *writing) rowIDAt() int {
	if w.table == nil {
		return -1
	}
	return w.baseAt(w.table.RowID())
}

func (w *writing) baseAt(name string) int {
	for i := range w.rel.cols {
		if c := w.base(i); name != "" && c != nil && c.Name == name {
			return i
		}
	}
	return -1
}

// baseOrNil is base of a column that may be none, -1.
func (w *writing) baseOrNil(i int) *catalog.Column {
	if i < 0 {
		return nil
	}
	return w.base(i)
}

// computesOwner reports whether the server computes the row's tenant or bound id from other columns.
func (w *writing) computesOwner() bool {
	return slices.ContainsFunc([]int{w.tenantAt(), w.rowIDAt()}, func(i int) bool {
		b := w.baseOrNil(i)
		return b != nil && b.Generated
	})
}

// shownOnce refuses writes through a view that shows the row's tenant or bound id twice: either may be written.
func (a *analyzer) shownOnce(w *writing) {
	if w.table == nil || !w.view() {
		return
	}
	for _, first := range []int{w.tenantAt(), w.rowIDAt()} {
		for i := first + 1; first >= 0 && i < len(w.rel.cols); i++ {
			if b := w.base(i); b != nil && b.Name == w.base(first).Name {
				a.refuse(&Refusal{
					SQLState: "0A000", Position: -1, Table: w.rel.table.Name,
					Message: fmt.Sprintf("view %q shows column %q twice, which says whose the values are", w.rel.table.Name, b.Name),
					Hint:    "Write the table itself, or drop one of the two from the view.",
				})
			}
		}
	}
}

// column finds a column of the target by name; -1 after a refusal.
func (a *analyzer) targetColumn(w *writing, t *pg.ResTarget) int {
	for i, c := range w.rel.cols {
		if c.name != t.Name {
			continue
		}
		if c := w.sealed(i); c != nil && len(t.Indirection) > 0 {
			a.refuseColumn(c, int(t.Location), "only a part of it is assigned", "Assign the whole value.")
		}
		return i
	}
	if slices.Contains(w.rel.hidden, t.Name) {
		a.refuse(hiddenColumn(t.Name))
	}
	a.refuse(&Refusal{
		SQLState: "42703", Position: int(t.Location), Column: t.Name,
		Message: fmt.Sprintf("column %q of relation %q does not exist", t.Name, w.rel.table.Name),
	})
	return -1
}

// writable refuses columns that are not as the policy has them.
func (a *analyzer) writable(w *writing, columns []int, at int) {
	for _, i := range columns {
		if bad := w.rel.cols[i].origin.bad; bad != nil {
			own := *bad
			own.Position = at
			a.refuse(&own)
		}
	}
}

// owner is the tenant or the bound id of the rows that a statement writes: a
// source, or why there is none.
type owner struct {
	src     Source
	problem string
	// rows are columns of VALUES and unnest that say so, for values of the same row of these.
	rows []givenPin
}

// remedy is what a statement can do about the problem, or the table where a statement can do nothing.
func (own owner) remedy(statement string) string {
	switch {
	case own.problem == serverDecides:
		return "Name the tenant's column with a constant or parameter in the same statement."
	case strings.HasPrefix(own.problem, "column "):
		return "Make it a column of type text, varchar, integer, bigint or uuid, with a deterministic collation, that programs write."
	}
	return statement
}

// sessions is the owner where the row does not say: the session's tenant, or the table's default.
func (a *analyzer) sessions(t *field.Table) owner {
	if a.c.Tenant == "" && t.Tenant().Default == "" {
		return owner{problem: "the tenant is not known"}
	}
	return owner{}
}

// written checks what was sealed since mark for a row against whom the row belongs to.
func (a *analyzer) written(mark, row, at int, tenant, rowID owner, several string) {
	for _, d := range a.edits.list[mark:] {
		if d.cell == 0 {
			continue
		}
		c := a.edits.cells[d.cell-1]
		if c.Do != Seal || c.Row != row {
			continue
		}
		switch bound := c.Column.Table().RowID() != ""; {
		case tenant.problem != "":
			a.refuseColumn(c.Column, at, tenant.problem, tenant.remedy("Name the tenant's column with a constant or parameter in the same statement, or set rowseal.tenant."))
		case bound && rowID.problem != "":
			a.refuseColumn(c.Column, at, rowID.problem, rowID.remedy("Name the row's id with a constant or parameter in the same statement."))
		case several != "" && (bound || c.Column.Mode() == envelope.ModeRow || c.Column.Mode() == envelope.ModeKMS):
			a.refuseColumn(c.Column, at, several, "Write row by row: compare all columns of a unique index with constants or parameters.")
		}
		return
	}
}

// refuseColumn refuses a statement for a sealed column.
func (a *analyzer) refuseColumn(c *field.Column, at int, why, hint string) {
	a.refuse(&Refusal{
		SQLState: "0A000", Position: at, Table: c.Table().Name(), Column: c.Name(),
		Message: fmt.Sprintf("sealed column %q: %s", c.String(), why),
		Hint:    hint,
	})
}

// plainColumn is what may stand in a column that is not sealed.
func plainColumn(w *writing, i int) want {
	to := forbid(fmt.Sprintf("assignment to the plain column %q", w.rel.cols[i].name))
	to.column = true
	return to
}

// serverDefault refuses DEFAULT for a sealed column that has one on the server:
// the server would store it in clear.
func (a *analyzer) serverDefault(w *writing, i, at int) {
	c := w.sealed(i)
	if b, own := w.base(i), w.rel.table.Column(w.rel.cols[i].name); c != nil &&
		(b == nil || b.HasDefault || b.Generated || b.Identity || own != nil && own.HasDefault) {
		a.refuseColumn(c, at, "its default is the server's, which does not seal",
			"Drop the column's DEFAULT, and give the value in the statement.")
	}
}

func sameSource(x, y Source) bool {
	if x.Const != nil && y.Const != nil {
		return *x.Const == *y.Const
	}
	x.Sought, y.Sought = false, false
	return x == y && !x.IsZero()
}

// sourceOf returns a constant or parameter that is written to, or compared
// with, a plain column of a type. It must have one spelling there: 1.0 is not
// the id 1 that the column has.
func (a *analyzer) sourceOf(n *pg.Node, typ uint32) (Source, bool) {
	src, _, _, oid, ok := a.constant(n)
	switch {
	case !ok:
		return Source{}, false
	case oid == 0, oid == pgtype.UnknownOID, oid == typ:
	case isText(oid) && isText(typ), isInteger(oid) && isInteger(typ):
	default:
		return Source{}, false
	}
	if src.Const != nil && src.Const.OID == pgtype.UnknownOID {
		k := *src.Const
		k.OID = typ
		src.Const = &k
	}
	return src, true
}

func isInteger(oid uint32) bool {
	return oid == pgtype.Int2OID || oid == pgtype.Int4OID || oid == pgtype.Int8OID
}

// deleteStmt analyses DELETE.
func (a *analyzer) deleteStmt(sc *scope, s *pg.DeleteStmt) ([]column, bool) {
	in := &scope{parent: a.with(sc, s.WithClause)}
	if a.writeTarget(in, s.Relation) == nil {
		return nil, true
	}
	in.strict = strict(s.WhereClause)
	a.from(in, s.UsingClause)
	a.conditions(in, s.WhereClause)
	return a.targetList(in, s.ReturningList, nil)
}
