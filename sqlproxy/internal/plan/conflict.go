package plan

import (
	"math"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

// onConflict analyses ON CONFLICT. sc has the target, and no more.
func (a *analyzer) onConflict(sc *scope, ins *insertion, oc *pg.OnConflictClause) {
	if oc == nil || a.refusal != nil {
		return
	}
	proven := a.conflictTarget(sc, ins, oc.Infer)
	if oc.Action != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	excluded := a.excludedOf(ins.rel)
	in := &scope{parent: sc.parent, oldest: sc.oldest}
	in.add(ins.rel)
	// Its columns are found by qualified name only: the target's win.
	in.rels = append(in.rels, excluded)
	a.conditions(in, oc.WhereClause)
	set := &setting{writing: ins.writing, excluded: excluded}
	set.tenant, set.rowID, set.several = ins.only()
	if ins.table != nil && !proven {
		set.guard = a.sameOwner(ins.writing)
	}
	a.setColumns(in, set, oc.TargetList)
	in.unpin() // rows that are inserted need not fulfil its condition
}

// unpin forgets what conditions said of tenants.
func (sc *scope) unpin() { sc.unpinTo(0) }

// unpinTo forgets all but the first n things that conditions said, the last one first.
func (sc *scope) unpinTo(n int) {
	for i := len(sc.undo) - 1; i >= n; i-- {
		sc.undo[i](math.MaxInt)
	}
	sc.undo = sc.undo[:n]
}

// excludedOf makes the relation EXCLUDED of a target.
func (a *analyzer) excludedOf(rel *relation) *relation {
	ex := a.newRelation("excluded")
	ex.table = rel.table
	ex.cols = a.instance(rel.cols)
	for i := range ex.cols {
		if ex.cols[i].origin.rel != nil {
			ex.cols[i].origin.rel = ex
		}
	}
	return ex
}

// only returns the owner that all rows of VALUES share.
func (ins *insertion) only() (tenant, rowID owner, several string) {
	if len(ins.tenants) == 0 {
		return owner{problem: "the rows to insert come from a query"}, owner{problem: "the rows to insert come from a query"},
			"the rows to insert come from a query"
	}
	tenant, rowID, several = ins.tenants[0], ins.rowIDs[0], ins.several
	for i, t := range ins.tenants[1:] {
		several = "several rows are inserted, and each needs a value of its own"
		if t.problem != "" || t.src != tenant.src && !sameSource(t.src, tenant.src) {
			tenant = owner{problem: "the rows to insert are not all of one tenant"}
		}
		if !sameSource(ins.rowIDs[i+1].src, rowID.src) {
			rowID = owner{problem: "values are bound to the row's id, and several rows are inserted"}
		}
	}
	return tenant, rowID, several
}

// conflictTarget rewrites the columns between which a conflict is looked for,
// sealed ones to the term that a unique index over them has. It reports
// whether rows that conflict have one tenant and one bound id: the term of a
// column with index keys per tenant says so as well as the tenant's column.
func (a *analyzer) conflictTarget(sc *scope, ins *insertion, infer *pg.InferClause) bool {
	if ins.table == nil {
		for _, e := range infer.GetIndexElems() {
			a.expr(sc, e.GetIndexElem().GetExpr(), forbid("ON CONFLICT"))
		}
		a.expr(sc, infer.GetWhereClause(), forbid("ON CONFLICT"))
		return true
	}
	tenant, rowID := ins.table.Tenant().Column == "", ins.table.RowID() == ""
	var parts []tokenRange
	if infer != nil {
		parts = a.list(a.tree.At(int(infer.Location)))
	}
	for i, n := range infer.GetIndexElems() {
		e := n.GetIndexElem()
		if e.Expr != nil {
			a.expr(sc, e.Expr, forbid("ON CONFLICT"))
			continue
		}
		at := slices.IndexFunc(ins.rel.cols, func(c column) bool { return c.name == e.Name })
		if at < 0 {
			continue // the server's to refuse
		}
		tenant = tenant || at == ins.tenantAt()
		rowID = rowID || at == ins.rowIDAt()
		if c := ins.sealed(at); c != nil {
			if i >= len(parts) {
				a.refuseColumn(c, int(infer.Location), "its place in ON CONFLICT is not understood", "")
				return false
			}
			a.indexed(c, parts[i], e)
			tenant = tenant || c.Scope() == field.ScopeTenant
		}
	}
	a.conditions(sc, infer.GetWhereClause())
	return tenant && rowID
}

// indexed puts the term in place of a sealed column in a list of what an index is over.
func (a *analyzer) indexed(c *field.Column, part tokenRange, e *pg.IndexElem) {
	from := a.tree.Tokens[part.first].From
	if !c.Search().Equality {
		a.refuse(noEquality(c, from))
		return
	}
	if len(e.Collation) > 0 || len(e.Opclass) > 0 || len(e.Opclassopts) > 0 {
		a.refuseColumn(c, from, "terms have neither collation nor operator class", "Leave them out.")
		return
	}
	to := a.tree.Tokens[part.first].To
	a.replace(from, to, "pg_catalog.substr("+a.tree.Text[from:to]+", 9, 16)")
}

func noEquality(c *field.Column, at int) *Refusal {
	return &Refusal{
		SQLState: "0A000", Position: at, Table: c.Table().Name(), Column: c.Name(),
		Message: "sealed column \"" + c.String() + "\" carries no terms for equality",
		Hint:    "Declare `search: [equality]` for it and reseal the values that it has.",
	}
}

// tokenRange is a part of a list: its first and last token.
type tokenRange struct{ first, last int }

// list splits what stands in the parentheses that open at a token, at its commas.
func (a *analyzer) list(open int) (parts []tokenRange) {
	if !a.isWord(open, "(") {
		return nil
	}
	end := a.closing(open)
	depth, first := 0, open+1
	for i := open + 1; i <= end && end < len(a.tree.Tokens); i++ {
		switch t := a.tree.Tokens[i]; a.tree.Text[t.From:t.To] {
		case "(", "[":
			depth++
			continue
		case ")", "]":
			depth--
			if i != end {
				continue
			}
		case ",":
			if depth > 0 {
				continue
			}
		default:
			continue
		}
		if first < i {
			parts = append(parts, tokenRange{first, i - 1})
		}
		first = i + 1
	}
	return parts
}

// sameOwner is a condition that the row in the table and the row to insert have
// one tenant and one bound id.
func (a *analyzer) sameOwner(w *writing) string {
	out := ""
	for _, i := range []int{w.tenantAt(), w.rowIDAt()} {
		if i < 0 {
			continue
		}
		if out != "" {
			out += " AND "
		}
		name := quoted(w.rel.cols[i].name)
		out += quoted(w.rel.alias) + "." + name + " IS NOT DISTINCT FROM excluded." + name
	}
	return out
}
