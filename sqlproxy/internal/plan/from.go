package plan

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// pendingOn is the condition of a join.
type pendingOn struct {
	sc *scope
	// on is the condition; check, of a USING, is asked for once tenants are known.
	on    *pg.Node
	check func()
	inner bool
	// nullable are the relations of whose rows those that fail the condition do not count.
	nullable []*relation
}

// from reads FROM: its relations get into the scope, and conditions of joins
// wait for a.conditions.
func (a *analyzer) from(sc *scope, items []*pg.Node) {
	if sc.oldest == 0 {
		sc.oldest = a.rels + 1
	}
	for _, n := range items {
		a.fromItem(sc, n)
	}
}

func (a *analyzer) fromItem(sc *scope, n *pg.Node) {
	if a.refusal != nil || !a.step() {
		return
	}
	switch {
	case n.GetRangeVar() != nil:
		if rel := a.table(sc, n.GetRangeVar()); rel != nil {
			sc.add(rel)
		}
	case n.GetRangeSubselect() != nil:
		a.fromSubselect(sc, n.GetRangeSubselect())
	case n.GetRangeFunction() != nil:
		a.fromFunction(sc, n.GetRangeFunction())
	case n.GetJoinExpr() != nil:
		a.join(sc, n.GetJoinExpr())
	case n.GetRangeTableSample() != nil:
		s := n.GetRangeTableSample()
		a.fromItem(sc, s.Relation)
		a.exprs(sc, s.Args, forbid("TABLESAMPLE"))
		a.expr(sc, s.Repeatable, forbid("TABLESAMPLE"))
	case n.GetRangeTableFunc() != nil:
		a.deny(sc, n, "XMLTABLE")
		sc.add(a.unknownRelation(n.GetRangeTableFunc().GetAlias(), "xmltable"))
	case n.GetJsonTable() != nil:
		a.deny(sc, n, "JSON_TABLE")
		sc.add(a.unknownRelation(n.GetJsonTable().GetAlias(), "json_table"))
	default:
		a.deny(sc, n, "this part of FROM")
		sc.add(a.unknownRelation(nil, ""))
	}
}

// unknownRelation stands for something in FROM whose columns only the server knows.
func (a *analyzer) unknownRelation(alias *pg.Alias, name string) *relation {
	if alias.GetAliasname() != "" {
		name = alias.GetAliasname()
	}
	rel := a.newRelation(name)
	rel.unknown = true
	for _, c := range alias.GetColnames() {
		rel.cols = append(rel.cols, column{name: c.GetString_().GetSval()})
	}
	return rel
}

// table makes the relation that a name in FROM, or of a statement that writes,
// stands for: a CTE, a table, or a view. A name that the catalog does not have is the server's to refuse.
func (a *analyzer) table(sc *scope, rv *pg.RangeVar) *relation {
	alias := rv.Relname
	if rv.GetAlias().GetAliasname() != "" {
		alias = rv.Alias.Aliasname
	}
	if rv.Schemaname == "" {
		if c := findCTE(sc, rv.Relname); c != nil {
			a.refuseAbsent(rv.Relname, c, int(rv.Location))
			rel := a.newRelation(alias)
			rel.cols = renamed(a.instance(c.cols), rv.Alias)
			rel.unknown = c.unknown
			return rel
		}
	}
	t := a.lookup(rv)
	if t == nil {
		return a.unknownRelation(rv.Alias, rv.Relname)
	}
	if t.Wrong != "" {
		a.refuse(&Refusal{
			SQLState: notSupported, Position: int(rv.Location), Table: t.Name,
			Message: "table " + t.Name + " cannot be used through the proxy", Detail: t.Wrong,
			Hint: "Run rowseal check, which says how to mend it.",
		})
		return nil
	}
	rel := a.baseRelation(t, alias)
	if t.Table == nil && t.Sensitive {
		rel.cols = a.viewColumns(t)
	}
	if rv.GetAlias().GetAliasname() == "" {
		rel.schema = t.Schema
	}
	a.unrenamed(rel, rv.Alias)
	rel.cols = renamed(rel.cols, rv.Alias)
	return rel
}

// lookup finds a table by the name that a text gives it.
func (a *analyzer) lookup(rv *pg.RangeVar) *catalog.Relation {
	if rv.Schemaname != "" {
		if rv.Schemaname == "pg_temp" {
			for _, schema := range a.c.Path {
				if strings.HasPrefix(schema, "pg_temp") {
					return a.c.Catalog.Relation(schema, rv.Relname)
				}
			}
			return nil
		}
		return a.c.Catalog.Relation(rv.Schemaname, rv.Relname)
	}
	return a.c.Catalog.Lookup(a.c.Path, rv.Relname)
}

func (a *analyzer) fromSubselect(sc *scope, s *pg.RangeSubselect) {
	outer := sc
	if !s.Lateral {
		outer = sc.parent
	}
	rel := a.newRelation(s.GetAlias().GetAliasname())
	a.nested(func() { rel.cols, rel.unknown = a.subquery(outer, s.Subquery.GetSelectStmt(), nil) })
	if s.Lateral {
		for i := range rel.cols {
			rel.cols[i].origin.given = nil // its rows come anew with each row of others
		}
	}
	rel.cols = renamed(rel.cols, s.Alias)
	sc.add(rel)
}

// single are functions of pg_catalog that return rows of one column.
var single = map[string]bool{
	"generate_series": true, "unnest": true, "generate_subscripts": true, "regexp_split_to_table": true,
	"string_to_table": true, "json_array_elements": true, "jsonb_array_elements": true,
	"json_array_elements_text": true, "jsonb_array_elements_text": true, "json_object_keys": true,
	"jsonb_object_keys": true, "jsonb_path_query": true, "regexp_matches": true, "now": true,
}

func (a *analyzer) fromFunction(sc *scope, f *pg.RangeFunction) {
	if a.fromUnnest(sc, f) {
		return
	}
	alias := f.GetAlias().GetAliasname()
	rel := a.newRelation(alias)
	rel.unknown = len(f.Functions) != 1
	for _, item := range f.Functions {
		list := item.GetList().GetItems()
		if len(list) == 0 {
			continue
		}
		call := list[0].GetFuncCall()
		if call == nil {
			a.expr(sc, list[0], forbid("a function in FROM"))
			rel.unknown = true
			continue
		}
		name := lastName(call.Funcname)
		if alias == "" {
			rel.alias = name
		}
		if rows := a.rowsOf(call); rows != nil && len(f.Functions) == 1 {
			base := a.baseRelation(rows, rel.alias)
			base.table = nil
			if rel.hidden = base.hidden; len(base.hidden) > 0 {
				a.refuse(hiddenColumns(rows, "a function that returns its rows", int(call.Location)))
			}
			rel.cols = append(rel.cols, a.instance(base.cols)...)
			continue
		}
		a.call(sc, list[0], call, forbid("function "+name))
		switch {
		case len(f.Coldeflist) > 0:
			for _, d := range f.Coldeflist {
				rel.cols = append(rel.cols, column{name: d.GetColumnDef().GetColname()})
			}
		case single[name] && len(call.Args) == 1 || single[name] && name != "unnest":
			rel.cols = append(rel.cols, column{name: rel.alias})
		default:
			rel.unknown = true
		}
	}
	if f.Ordinality {
		rel.cols = append(rel.cols, column{name: "ordinality"})
	}
	if rel.unknown {
		rel.cols = nil
		for _, c := range f.GetAlias().GetColnames() {
			rel.cols = append(rel.cols, column{name: c.GetString_().GetSval()})
		}
		if len(rel.cols) == 0 && len(f.Functions) == 1 {
			rel.cols = append(rel.cols, column{name: rel.alias})
		}
	}
	rel.cols = renamed(rel.cols, f.Alias)
	sc.add(rel)
}

// rowsOf returns the table whose rows a function returns, where they have
// sealed columns and nothing is passed to the function that it could compare with them.
func (a *analyzer) rowsOf(call *pg.FuncCall) *catalog.Relation {
	if len(call.Args) > 0 || len(call.Funcname) == 0 {
		return nil
	}
	schema := ""
	if len(call.Funcname) > 1 {
		schema = call.Funcname[0].GetString_().GetSval()
	}
	functions := a.c.Catalog.Functions(a.c.Path, schema, lastName(call.Funcname))
	if len(functions) != 1 || functions[0].Returns == nil || functions[0].Returns.Table == nil || !a.returnsRows(functions[0]) {
		return nil
	}
	return functions[0].Returns
}

// lastName is the last part of a qualified name.
func lastName(names []*pg.Node) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1].GetString_().GetSval()
}

// join reads both sides of a join. Columns that USING or NATURAL merge come first.
func (a *analyzer) join(sc *scope, j *pg.JoinExpr) {
	rels, start := len(sc.rels), len(sc.visible)
	outer := j.Jointype != pg.JoinType_JOIN_INNER && !sc.strict
	a.absently(outer && j.Jointype != pg.JoinType_JOIN_LEFT, func() { a.fromItem(sc, j.Larg) })
	middle, middleRels := len(sc.visible), len(sc.rels)
	a.absently(outer && j.Jointype != pg.JoinType_JOIN_RIGHT, func() { a.fromItem(sc, j.Rarg) })
	if a.refusal != nil {
		return
	}
	p := pendingOn{inner: j.Jointype == pg.JoinType_JOIN_INNER}
	switch j.Jointype {
	case pg.JoinType_JOIN_LEFT:
		p.nullable = append(p.nullable, sc.rels[middleRels:]...)
	case pg.JoinType_JOIN_RIGHT:
		p.nullable = append(p.nullable, sc.rels[rels:middleRels]...)
	}
	switch {
	case j.IsNatural || len(j.UsingClause) > 0:
		merge := merging{a: a, sc: sc, j: j, left: sc.visible[start:middle], right: sc.visible[middle:]}
		merge.start, merge.rightRels = start, sc.rels[middleRels:]
		merge.run(&p)
	case j.Quals != nil:
		// The condition sees the two sides of its join, and what is outside of the query.
		p.on = j.Quals
	}
	p.sc = &scope{parent: sc.parent, oldest: sc.oldest}
	p.sc.rels = append(p.sc.rels, sc.rels[rels:]...)
	p.sc.visible = append(p.sc.visible, sc.visible[start:]...)
	if p.on != nil || p.check != nil {
		sc.pending = append(sc.pending, p)
	}
	if j.Alias != nil {
		a.joinAlias(sc, j.Alias, rels, start)
	}
}

// joinAlias hides what a join is made of behind its name.
func (a *analyzer) joinAlias(sc *scope, alias *pg.Alias, rels, start int) {
	rel := a.newRelation(alias.Aliasname)
	for _, r := range sc.rels[rels:] {
		if len(r.hidden) > 0 {
			a.refuse(hiddenColumns(r.table, "a name for the whole join", -1))
			return
		}
	}
	for _, v := range sc.visible[start:] {
		if v.write != "" {
			a.refuse(&Refusal{
				SQLState: notSupported, Position: -1,
				Message: "a join that merges sealed columns by USING or NATURAL cannot have a name of its own",
				Hint:    "Write the join with ON, or without AS.",
			})
			return
		}
		rel.cols = append(rel.cols, column{name: v.name, origin: v.org})
	}
	rel.cols = severalTimes(rel.cols)
	for _, r := range sc.rels[rels:] {
		rel.unknown = rel.unknown || r.unknown
	}
	rel.cols = renamed(rel.cols, alias)
	sc.rels = sc.rels[:rels:rels]
	sc.visible = sc.visible[:start:start]
	sc.add(rel)
}
