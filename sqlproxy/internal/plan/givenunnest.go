package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// fromUnnest reads unnest over arrays that are constants or parameters: a rowSource. It reports whether it was that.
func (a *analyzer) fromUnnest(sc *scope, f *pg.RangeFunction) bool {
	call := a.unnestOf(f)
	if call == nil {
		return false
	}
	src := a.source(call, [][]*pg.Node{call.Args}, true)
	rel := a.newRelation("unnest")
	if alias := f.GetAlias().GetAliasname(); alias != "" {
		rel.alias = alias
	}
	name := "unnest"
	if len(call.Args) == 1 {
		name = rel.alias
	}
	for i, arg := range call.Args {
		if src.cols[i].column == nil {
			a.expr(sc, arg, forbid("function unnest"))
		}
		rel.cols = append(rel.cols, column{name: name})
	}
	a.giveColumns(src, rel.cols)
	if f.Ordinality {
		rel.cols = append(rel.cols, column{name: "ordinality"})
	}
	rel.cols = renamed(rel.cols, f.Alias)
	sc.add(rel)
	return true
}

// unnestOf returns the call of PostgreSQL's own unnest that stands alone in FROM, its arrays constants or
// parameters of known types; nil for all else.
func (a *analyzer) unnestOf(f *pg.RangeFunction) *pg.FuncCall {
	if a.view || f.Lateral || f.IsRowsfrom || len(f.Functions) != 1 || len(f.Coldeflist) > 0 {
		return nil
	}
	item := f.Functions[0].GetList().GetItems()
	if len(item) == 0 || item[0].GetFuncCall() == nil {
		return nil
	}
	call := item[0].GetFuncCall()
	if lastName(call.Funcname) != "unnest" || !ownFunction(call) || len(a.c.Catalog.Functions(a.c.Path, "", "unnest")) > 0 {
		return nil
	}
	if len(call.Args) == 0 || len(call.AggOrder) > 0 || call.AggFilter != nil || call.AggStar || call.AggDistinct || call.FuncVariadic || call.Over != nil {
		return nil
	}
	for _, arg := range call.Args {
		if l, ok := a.anyLiteral(arg); !ok || elementOID(l.oid) == 0 {
			return nil
		}
	}
	return call
}
