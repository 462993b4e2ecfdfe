package plan

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// command analyses a statement of the text that is no SELECT.
func (a *analyzer) command(n *pg.Node) Stmt {
	for _, raw := range a.tree.Stmts {
		if raw.Stmt == n {
			return a.anyStatement(raw, n)
		}
	}
	panic("rowseal: internal error: a statement that is none of the text's")
}

// anyStatement analyses a statement that stands in a text by itself, or in EXPLAIN.
func (a *analyzer) anyStatement(raw *pg.RawStmt, n *pg.Node) Stmt {
	switch {
	case n.GetSelectStmt() != nil:
		s := n.GetSelectStmt()
		if s.IntoClause != nil {
			return a.makeTable(s.IntoClause, n)
		}
		return a.stmtOf(KindOther, "", a.query(&scope{}, s, nil), n)
	case n.GetInsertStmt() != nil, n.GetUpdateStmt() != nil, n.GetDeleteStmt() != nil, n.GetMergeStmt() != nil:
		cols, _ := a.writing(&scope{}, n) // what is not known is refused beside sealed columns
		return a.stmtOf(KindOther, "", cols, n)
	case n.GetCopyStmt() != nil:
		return a.copyStmt(n.GetCopyStmt())
	case n.GetExplainStmt() != nil:
		// Its result is a text about the plan, which shows terms and no values.
		a.anyStatement(raw, n.GetExplainStmt().Query)
		return Stmt{}
	case n.GetPrepareStmt() != nil:
		return a.prepare(raw, n.GetPrepareStmt())
	case n.GetExecuteStmt() != nil:
		return a.execute(raw, n.GetExecuteStmt())
	case n.GetDeallocateStmt() != nil:
		return Stmt{Kind: KindDeallocate, Name: n.GetDeallocateStmt().Name}
	case n.GetDeclareCursorStmt() != nil:
		d := n.GetDeclareCursorStmt()
		st := a.stmtOf(KindDeclare, d.Portalname, a.query(&scope{}, d.Query.GetSelectStmt(), nil), d.Query)
		if a.cursors == nil {
			a.cursors = map[string][]Output{}
		}
		a.cursors[d.Portalname] = st.Result
		return st
	case n.GetFetchStmt() != nil:
		return a.fetch(n.GetFetchStmt())
	case n.GetClosePortalStmt() != nil:
		return Stmt{Kind: KindClose, Name: n.GetClosePortalStmt().Portalname}
	case n.GetCreateTableAsStmt() != nil:
		return a.makeTable(n.GetCreateTableAsStmt().Into, n.GetCreateTableAsStmt().Query)
	case n.GetCallStmt() != nil:
		return a.callStmt(n.GetCallStmt())
	case n.GetDoStmt() != nil:
		a.code(raw, "a DO block")
		return Stmt{}
	}
	a.ddl(raw, n)
	return Stmt{}
}

func (a *analyzer) stmtOf(kind Kind, name string, cols []column, n *pg.Node) Stmt {
	return Stmt{Kind: kind, Name: name, Result: a.outputs(cols, n)}
}

func (a *analyzer) fetch(s *pg.FetchStmt) Stmt {
	var out Stmt
	made, here := a.cursors[s.Portalname]
	switch {
	case s.Ismove:
	case here:
		out.Result = made
	case a.c.Cursor != nil:
		out.Result = a.c.Cursor(s.Portalname)
	}
	return out
}

// makeTable analyses CREATE TABLE AS, CREATE MATERIALIZED VIEW and SELECT INTO.
// What they make is not in the policy, so nothing sealed may get into it.
func (a *analyzer) makeTable(into *pg.IntoClause, n *pg.Node) Stmt {
	name := into.GetRel().GetRelname()
	a.intoListed(into.GetRel())
	if x := n.GetExecuteStmt(); x != nil {
		p := a.preparedPlan(x.Name, int(into.GetRel().GetLocation()))
		a.isPrepared(x, p, int(into.GetRel().GetLocation()))
		if p != nil && p.Touches {
			a.refuseDDL(name, "a table cannot be made from a prepared statement that touches sealed columns", "Write the query itself.", into.GetRel())
		}
		a.exprs(&scope{}, x.Params, forbid("EXECUTE"))
		return Stmt{}
	}
	mark := a.mark()
	s := n.GetSelectStmt()
	if s == nil {
		a.refuseDDL(name, "a table cannot be made from this statement", "Create the table first.", into.GetRel())
		return Stmt{}
	}
	for _, c := range a.query(&scope{}, s, nil) {
		if c.origin.isSealed() || c.origin.bad != nil {
			a.refuseDDL(name, fmt.Sprintf("column %q of the new table would hold sealed values, which nothing could open", c.name),
				"Leave sealed columns out, or create a table that the policy lists and INSERT into it.", into.GetRel())
		}
	}
	if into.GetViewQuery() != nil || n != nil && a.materialized(into) && a.changed(mark) {
		a.refuseDDL(name, "the query of a materialized view cannot compare sealed columns", "Make a table in its place.", into.GetRel())
	}
	return Stmt{}
}

// intoListed refuses to make a table of the policy from a query, whose values nobody would seal.
func (a *analyzer) intoListed(rv *pg.RangeVar) {
	if t := a.listed(rv); t != nil {
		a.refuseDDL(t.Name(), "a table of the policy cannot be made from a query", "Create the table first, then INSERT into it.", rv)
	}
}

// materialized reports whether what is made keeps its query.
func (a *analyzer) materialized(into *pg.IntoClause) bool {
	i := a.tree.At(int(into.GetRel().GetLocation()))
	for back := i - 1; back >= 0 && back > i-6; back-- {
		if a.kindAt(back) == pg.Token_MATERIALIZED {
			return true
		}
	}
	return false
}

func (a *analyzer) refuseDDL(table, why, hint string, rv *pg.RangeVar) {
	at := -1
	if rv != nil {
		at = int(rv.Location)
	}
	a.refuse(&Refusal{SQLState: "0A000", Position: at, Table: table, Message: why, Hint: hint})
}

// callStmt analyses CALL.
func (a *analyzer) callStmt(s *pg.CallStmt) Stmt {
	f := s.GetFunccall()
	names := f.GetFuncname()
	schema := ""
	if len(names) > 1 {
		schema = names[len(names)-2].GetString_().GetSval()
	}
	for _, p := range a.c.Catalog.Functions(a.c.Path, schema, lastName(names)) {
		if p.Sensitive {
			a.refuse(&Refusal{
				SQLState: "0A000", Position: int(f.GetLocation()),
				Message: fmt.Sprintf("procedure %q uses sealed tables, where the proxy does not see what it does", p.Name),
				Hint:    "Send its statements one by one, or connect to the server without the proxy.",
			})
		}
	}
	a.exprs(&scope{}, f.GetArgs(), forbid("CALL"))
	return Stmt{}
}

// code refuses code that names something sealed: the server runs it out of the
// proxy's sight. Strings within strings count too, since EXECUTE may run them.
func (a *analyzer) code(raw *pg.RawStmt, what string) {
	from, to := a.stmtRange(raw)
	if !parse.Scan(a.tree.Text[from:to], parse.UTF8, a.c.Catalog.Sensitive).Sensitive {
		return
	}
	a.refuse(&Refusal{
		SQLState: "0A000", Position: from,
		Message: what + " that names a sealed table cannot be checked by the proxy",
		Hint:    "Send its statements one by one, or connect to the server without the proxy.",
	})
}
