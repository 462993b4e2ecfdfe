package plan

import (
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// expr reads an expression that stands where w says, and returns where its value comes from.
func (a *analyzer) expr(sc *scope, n *pg.Node, w want) origin {
	if n == nil || n.Node == nil || !a.step() {
		return origin{}
	}
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		return a.columnRef(sc, x.ColumnRef, w)
	case *pg.Node_AConst, *pg.Node_ParamRef:
		return a.value(n, w)
	case *pg.Node_TypeCast:
		return a.cast(sc, n, x.TypeCast, w)
	case *pg.Node_AExpr:
		return a.operator(sc, n, x.AExpr, w)
	case *pg.Node_BoolExpr:
		return a.boolean(sc, n, x.BoolExpr, w)
	case *pg.Node_SubLink:
		return a.subLink(sc, n, x.SubLink, w)
	case *pg.Node_CaseExpr:
		return a.caseExpr(sc, n, x.CaseExpr, w)
	case *pg.Node_CoalesceExpr:
		return a.oneOf(sc, x.CoalesceExpr.Args, w, locationOf(n))
	case *pg.Node_FuncCall:
		return a.call(sc, n, x.FuncCall, w)
	case *pg.Node_NullTest:
		a.nullTest(sc, x.NullTest)
		return a.result(n, w)
	case *pg.Node_AIndirection:
		return a.indirection(sc, n, x.AIndirection, w)
	case *pg.Node_SetToDefault:
		return origin{null: true}
	}
	return a.exprOther(sc, n, w)
}

// exprOther reads expressions of which no part may be sealed.
func (a *analyzer) exprOther(sc *scope, n *pg.Node, w want) origin {
	switch x := n.Node.(type) {
	case *pg.Node_MinMaxExpr:
		a.exprs(sc, x.MinMaxExpr.Args, forbid("GREATEST and LEAST"))
	case *pg.Node_BooleanTest:
		a.expr(sc, x.BooleanTest.Arg, forbid("IS TRUE"))
	case *pg.Node_RowExpr:
		a.exprs(sc, x.RowExpr.Args, want{kind: wantForbid, what: "ROW(…)", hint: "Select the columns one by one."})
	case *pg.Node_AArrayExpr:
		a.exprs(sc, x.AArrayExpr.Elements, want{kind: wantForbid, what: "ARRAY[…]", hint: "Select the columns one by one."})
	case *pg.Node_CollateClause:
		a.expr(sc, x.CollateClause.Arg, forbid("COLLATE"))
	case *pg.Node_List:
		a.exprs(sc, x.List.Items, w)
	case *pg.Node_XmlExpr:
		a.exprs(sc, x.XmlExpr.Args, forbid("XML functions"))
		for _, arg := range x.XmlExpr.NamedArgs {
			a.expr(sc, arg.GetResTarget().GetVal(), forbid("XML functions"))
		}
	case *pg.Node_NamedArgExpr:
		a.expr(sc, x.NamedArgExpr.Arg, w)
		return origin{}
	case *pg.Node_GroupingFunc:
		a.exprs(sc, x.GroupingFunc.Args, forbid("GROUPING"))
	case *pg.Node_SqlvalueFunction, *pg.Node_CurrentOfExpr, *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean:
	default:
		a.deny(sc, n, "this expression")
	}
	return a.result(n, w)
}

func (a *analyzer) exprs(sc *scope, list []*pg.Node, w want) {
	for _, n := range list {
		a.expr(sc, n, w)
	}
}

// result is the origin of a value that is computed: it cannot stand where values are written or compared.
func (a *analyzer) result(n *pg.Node, w want) origin {
	switch w.kind {
	case wantAssign:
		a.refuse(a.unsupported(w.target.column, "assigning an expression",
			"Assign a parameter, a constant, or the same column of the same row; the value must be known before it is sealed.", locationOf(n)))
	case wantCompare:
		a.refuse(a.unsupported(w.compare.column, "a comparison with an expression",
			"Compare with a parameter, a constant or a comparable sealed column.", locationOf(n)))
	}
	return origin{}
}

// value reads a constant or parameter.
func (a *analyzer) value(n *pg.Node, w want) origin {
	null := n.GetAConst().GetIsnull()
	if w.kind == wantForbid || w.kind == wantOutput && w.target == nil {
		a.inClear(n, w)
		return origin{null: null}
	}
	src, from, to, oid, ok := a.constantFor(n, w.sealed())
	if !ok {
		return a.result(n, w)
	}
	null = src.Const != nil && src.Const.Null
	if null {
		a.replace(from, to, "NULL::pg_catalog.bytea")
		return origin{null: true}
	}
	if w.kind == wantCompare {
		return a.termValue(w.compare, src, from, to, oid)
	}
	return a.sealValue(w.target, src, from, to, oid)
}

// termValue puts the term of a constant or parameter into its place.
func (a *analyzer) termValue(c *comparand, src Source, from, to int, oid uint32) origin {
	src, oid, ok := a.asListed(c, src, from, oid)
	if !ok {
		a.refuse(a.unsupported(c.column, "a list of values of several types", "Cast the values of the list to the column's type.", from))
		return origin{}
	}
	if !pgtext.CanCompare(oid, c.column.Type()) {
		a.refuse(a.typeMismatch(c.column, from))
		return origin{}
	}
	if !c.known {
		a.refuse(a.tenantNeeded(origin{possible: []*field.Column{c.column}}, "equality", from))
		return origin{}
	}
	tenant := c.tenant
	if c.column.Scope() == field.ScopeGlobal {
		tenant = Source{}
	}
	a.useCell(from, to, a.cell(Cell{Do: Term, Column: c.column, From: src, Tenant: tenant}))
	return origin{possible: []*field.Column{c.column}}
}

// sealedCell is the cell of a constant or parameter that is sealed; 0 after a refusal.
func (a *analyzer) sealedCell(t *target, src Source, at int, oid uint32) int {
	switch {
	case t.refusal != nil:
		r := *t.refusal
		r.Position = at
		a.refuse(&r)
		return 0
	case !pgtext.CanAssign(oid, t.column.Type()):
		a.refuse(a.typeMismatch(t.column, at))
		return 0
	}
	return a.cell(Cell{Do: Seal, Column: t.column, From: src, Tenant: t.tenant, RowID: t.rowID, Row: t.row})
}

// sealValue puts the sealed form of a constant or parameter into its place.
func (a *analyzer) sealValue(t *target, src Source, from, to int, oid uint32) origin {
	cell := a.sealedCell(t, src, from, oid)
	if cell == 0 {
		return origin{}
	}
	a.useCell(from, to, cell)
	o := origin{possible: []*field.Column{t.column}}
	if o.as = o.unmodified(); oid == pgtype.TextOID {
		o.as = oid
	}
	return o
}

// beside is w for a place next to which values of a sealed column stand: constants are sealed for it.
func (a *analyzer) beside(sc *scope, w want, o origin) want {
	if !o.isSealed() || w.kind != wantOutput || w.target != nil {
		return w
	}
	col := o.column()
	t := &target{column: col}
	tenant, known := a.tenantOf(o)
	switch {
	case col.Table().RowID() != "":
		t.refusal = a.unsupported(col, "a constant beside its values", "Its values are bound to rows, and the constant has none; replace it in the application.", -1)
	case !known:
		t.refusal = a.tenantNeeded(o, "a constant beside its values", -1)
	}
	tenant.Sought = false // the constant may be there where no row is
	t.tenant, t.row = tenant, a.newRow()
	w.target = t
	return w
}

// columnRef reads a name.
func (a *analyzer) columnRef(sc *scope, c *pg.ColumnRef, w want) origin {
	r := a.reference(sc, c)
	at := int(c.Location)
	switch r.kind {
	case refNone:
		return a.unknownName(sc, c, w)
	case refPlain:
		a.checkPlain(w, at)
		return origin{}
	case refRow, refStar:
		a.wholeRow(sc, r, w, at)
		return origin{}
	}
	if r.org.bad != nil && !r.org.passesTo(w) {
		bad := *r.org.bad
		bad.Position = at
		a.refuse(&bad)
		return r.org
	}
	return a.place(sc, r, w, at)
}

// place writes a column where it stands.
func (a *analyzer) place(sc *scope, r reference, w want, at int) origin {
	switch w.kind {
	case wantForbid:
		if r.org.isSealed() {
			a.refuse(a.unsupportedOf(r.org, w.what, w.hint, at))
			return r.org
		}
	case wantAssign:
		if !a.checkAssign(r.org, w.target, at) {
			return r.org
		}
	case wantCompare:
		if !a.checkCompare(r.org, w.compare, at) {
			return r.org
		}
		if !r.located {
			a.refuse(unlocated())
			return r.org
		}
		a.isGroupedAt(sc, r.org)
		a.replace(r.from, r.to, termOf(r.text))
		return r.org
	}
	text := r.text
	if r.org.isSealed() && !w.count && a.isGroupedAt(sc, r.org) {
		if w.kind == wantOutput || w.kind == wantAssign {
			text, r.write = anyOf(text), true
			r.org.rel, r.org.col = nil, nil
		}
	}
	if r.write {
		if !r.located {
			a.refuse(unlocated())
			return r.org
		}
		a.replace(r.from, r.to, text)
	}
	return r.org.taken()
}

// isGroupedAt reports whether the query that a column belongs to groups by it.
func (a *analyzer) isGroupedAt(sc *scope, o origin) bool {
	if sc.isGrouped(o) {
		return true
	}
	for s := sc.parent; s != nil; s = s.parent {
		if s.isGrouped(o) {
			a.refuse(a.unsupported(o.column(), "GROUP BY, and use in a sub-query of the same query", "Group in a sub-query, and use its result.", -1))
			return false
		}
	}
	return false
}

// unknownName reads a name that means nothing in the query. Where sealed columns are
// in reach the server does not see the text: what stands beside the name may be meant for one of them.
func (a *analyzer) unknownName(sc *scope, c *pg.ColumnRef, w want) origin {
	names, star := fields(c)
	if (len(names) == 2 || len(names) == 1 && star) && (names[0] == "old" || names[0] == "new") && sc.anySealed() {
		a.refuse(&Refusal{
			SQLState: notSupported, Position: int(c.Location),
			Message: "OLD and NEW in RETURNING are not possible on a table with sealed columns",
			Hint:    "Name the columns without them: INSERT and UPDATE return what they wrote, DELETE what it deleted. Read what was there before in a SELECT … FOR UPDATE.",
		})
		return origin{}
	}
	if sc.anySealed() || w.kind == wantAssign || w.kind == wantCompare {
		a.refuse(&Refusal{
			SQLState: "42703", Position: int(c.Location),
			Message: "column " + quoted(lastOf(names)) + " is not known, or not unique, in a statement with sealed columns",
			Hint:    "Check the spelling, and qualify the name with that of its table.",
		})
	}
	return origin{}
}

func lastOf(names []string) string {
	if len(names) == 0 {
		return "*"
	}
	return names[len(names)-1]
}

// wholeRow reads t, t.* or a call t.f in an expression.
func (a *analyzer) wholeRow(sc *scope, r reference, w want, at int) {
	if r.rel != nil && !r.rel.hasSealed() || r.rel == nil && !sc.anySealed() {
		a.checkPlain(w, at)
		return
	}
	if w.count {
		return
	}
	a.refuse(&Refusal{
		SQLState: notSupported, Position: at,
		Message: "a whole row with sealed columns cannot be a value",
		Hint:    "Select the columns one by one.",
		Table:   tableName(r.rel),
	})
}

// checkPlain refuses a plain value where sealed ones are written or compared.
func (a *analyzer) checkPlain(w want, at int) {
	switch w.kind {
	case wantAssign:
		a.checkAssign(origin{}, w.target, at)
	case wantCompare:
		a.checkCompare(origin{}, w.compare, at)
	}
}

// cast reads a cast: of a constant, of a sealed column to its own type, or of something plain.
func (a *analyzer) cast(sc *scope, n *pg.Node, c *pg.TypeCast, w want) origin {
	if a.castToRow(c) {
		return origin{}
	}
	if castConstant(n) {
		if w.kind == wantForbid || w.kind == wantOutput && w.target == nil {
			a.inClear(n, w)
			return origin{null: a.nullCast(n)}
		}
		return a.value(n, w)
	}
	if o := a.peek(sc, c.Arg); o.isSealed() {
		if !a.ownCast(sc, c) {
			a.refuse(a.unsupported(o.column(), "a cast to another type", "Cast it in the application.", int(c.Location)))
			return o
		}
		o = a.expr(sc, c.Arg, w)
		if o.as = 0; len(c.TypeName.Typmods) == 0 {
			o.as, _ = a.typeOID(c.TypeName)
		}
		a.dropCast(c)
		return o
	}
	if w.kind == wantAssign && (c.Arg.GetCaseExpr() != nil || c.Arg.GetCoalesceExpr() != nil) && a.castsTo(w.target.column, c) {
		// Each of the values is brought to the column's type as it is sealed.
		o := a.expr(sc, c.Arg, w)
		a.dropCast(c)
		return o
	}
	if w.kind == wantCompare || w.kind == wantAssign {
		return a.result(n, w)
	}
	return a.castGiven(a.expr(sc, c.Arg, forbid("a cast")), c)
}

// castToRow refuses rows of a sealed table that are made of something else: what stands in their sealed columns came from anywhere.
func (a *analyzer) castToRow(c *pg.TypeCast) bool {
	names := c.GetTypeName().GetNames()
	rv := &pg.RangeVar{Relname: lastName(names), Location: c.Location}
	if len(names) > 1 {
		rv.Schemaname = names[len(names)-2].GetString_().GetSval()
	}
	const firstOfUsers = 16384 // a table may have the name of a type of PostgreSQL's own
	r := a.lookup(rv)
	if oid, ok := a.typeOID(c.TypeName); r == nil || r.Table == nil || c.TypeName.PctType || ok && oid < firstOfUsers {
		return false
	}
	a.refuse(&Refusal{
		SQLState: notSupported, Position: int(c.Location), Table: r.Name,
		Message: "a cast to rows of table " + r.Name + ", which has sealed columns",
		Hint:    "Name the columns one by one, as in json_to_record(…) AS r (id int, …).",
	})
	return true
}

func (a *analyzer) nullCast(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetAConst().GetIsnull()
}

// castConstant reports whether an expression is a constant or parameter with casts around it.
func castConstant(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
}

// ownCast reports whether a cast leaves the sealed values in it as they are.
func (a *analyzer) ownCast(sc *scope, c *pg.TypeCast) bool {
	o := a.peek(sc, c.Arg)
	return o.isSealed() && a.castsTo(o.column(), c)
}

// castsTo reports whether a cast is to a column's own type.
func (a *analyzer) castsTo(col *field.Column, c *pg.TypeCast) bool {
	oid, ok := a.typeOID(c.TypeName)
	own := col.Type().OID()
	if mods := c.TypeName.GetTypmods(); len(mods) > 0 {
		mod, known := modifier(oid, mods)
		return ok && known && oid == own && mod == col.Type().Modifier()
	}
	return ok && (oid == own || isText(oid) && isText(own))
}

// dropCast takes a cast away and leaves what is cast.
func (a *analyzer) dropCast(c *pg.TypeCast) {
	at := a.tree.At(int(c.Location))
	tokens := a.tree.Tokens
	switch a.kindAt(at) {
	case pg.Token_TYPECAST:
		if end, ok := a.typeEnd(at + 1); ok {
			a.replace(tokens[at].From, tokens[end].To, "")
			return
		}
	case pg.Token_CAST:
		name := a.tree.At(int(c.TypeName.GetLocation()))
		if name > 0 && tokens[name-1].Kind == pg.Token_AS {
			if end, ok := a.typeEnd(name); ok {
				a.replace(tokens[at].From, tokens[at].To, "")
				a.replace(tokens[name-1].From, tokens[end].To, "")
				return
			}
		}
	}
	a.refuse(unlocated())
}

// castExtentOf returns the bytes of a cast of a name that is written with ::.
func (a *analyzer) castExtentOf(c *pg.TypeCast) (from, to int, ok bool) {
	ref := c.Arg.GetColumnRef()
	at := a.tree.At(int(c.Location))
	if ref == nil || a.kindAt(at) != pg.Token_TYPECAST {
		return 0, 0, false
	}
	from, to, ok = a.extent(int(ref.Location), len(ref.Fields))
	end, typed := a.typeEnd(at + 1)
	if !ok || !typed || to != a.tree.Tokens[at-1].To {
		return 0, 0, false
	}
	return from, a.tree.Tokens[end].To, true
}

// caseExpr reads CASE: what it compares, its conditions and its results.
func (a *analyzer) caseExpr(sc *scope, n *pg.Node, c *pg.CaseExpr, w want) origin {
	var results []*pg.Node
	compared := []*pg.Node{c.Arg}
	for _, when := range c.Args {
		x := when.GetCaseWhen()
		results = append(results, x.GetResult())
		compared = append(compared, x.GetExpr())
		if c.Arg == nil {
			a.expr(sc, x.GetExpr(), forbid("CASE WHEN"))
		}
	}
	if c.Arg != nil {
		a.comparison(sc, compared, "CASE", locationOf(n))
	}
	if c.Defresult != nil {
		results = append(results, c.Defresult)
	}
	out := a.oneOf(sc, results, w, locationOf(n))
	if c.Defresult == nil {
		out.as = out.unmodified() // of NULL, too
	}
	return out
}

// oneOf reads expressions of which one gives the value.
func (a *analyzer) oneOf(sc *scope, list []*pg.Node, w want, at int) origin {
	if w.kind == wantOutput {
		for _, n := range list {
			if o := a.peek(sc, n); o.isSealed() {
				w = a.beside(sc, w, o)
				break
			}
		}
	}
	var out origin
	for i, n := range list {
		o := a.expr(sc, n, w)
		switch {
		case w.kind != wantOutput:
		case i == 0:
			out = o
			out.rel, out.col = nil, nil
		default:
			out = a.merged(out, o, at)
		}
	}
	if w.kind == wantCompare {
		return origin{possible: []*field.Column{w.compare.column}}
	}
	return out
}

// nullTest reads IS NULL and IS NOT NULL, which sealed columns know as they are.
func (a *analyzer) nullTest(sc *scope, t *pg.NullTest) {
	w := output
	w.count = !a.grouping(sc)
	if row := t.Arg.GetRowExpr(); row != nil {
		a.exprs(sc, row.Args, w)
		return
	}
	a.expr(sc, t.Arg, w)
}

func (a *analyzer) grouping(sc *scope) bool { return len(sc.grouped) > 0 }

// indirection reads (x).f and x[i].
func (a *analyzer) indirection(sc *scope, n *pg.Node, x *pg.A_Indirection, w want) origin {
	if expands(n) && sc.anySealed() {
		// As one of several it moves those behind it to other places.
		a.refuse(unknownColumns(locationOf(n)))
		return origin{}
	}
	for _, i := range x.Indirection {
		if s := i.GetAIndices(); s != nil {
			a.expr(sc, s.Lidx, forbid("a subscript"))
			a.expr(sc, s.Uidx, forbid("a subscript"))
		}
	}
	if r, ok := a.rowField(sc, x); ok {
		if r.org.bad == nil && !r.org.moving && (!r.org.isSealed() || w.kind == wantOutput && !a.isGroupedAt(sc, r.org)) {
			a.checkPlainIf(r.org, w, locationOf(n))
			return r.org
		}
		if r.org.bad == nil {
			a.refuse(a.unsupported(r.org.column(), "(row).column", "Write table.column.", locationOf(n)))
		} else {
			a.refuse(r.org.bad)
		}
		return r.org
	}
	a.expr(sc, x.Arg, forbid("a subscript or field"))
	return a.result(n, w)
}

func (a *analyzer) checkPlainIf(o origin, w want, at int) {
	if !o.isSealed() {
		a.checkPlain(w, at)
	}
}

// rowField resolves (t).column for a relation t.
func (a *analyzer) rowField(sc *scope, x *pg.A_Indirection) (reference, bool) {
	c := x.Arg.GetColumnRef()
	if c == nil || len(x.Indirection) != 1 || x.Indirection[0].GetString_() == nil {
		return reference{}, false
	}
	r := a.reference(sc, c)
	if r.kind != refRow || r.rel == nil {
		return reference{}, false
	}
	name := x.Indirection[0].GetString_().Sval
	i := slices.IndexFunc(r.rel.cols, func(c column) bool { return c.name == name })
	if i < 0 {
		return reference{}, false
	}
	return reference{kind: refColumn, org: r.rel.cols[i].origin, rel: r.rel}, true
}

// peek finds the sealed column whose values an expression may give, and
// rewrites and refuses nothing.
func (a *analyzer) peek(sc *scope, n *pg.Node) origin {
	if n == nil || n.Node == nil || !a.step() {
		return origin{}
	}
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		o, _ := a.resolve(sc, n)
		return o
	case *pg.Node_TypeCast:
		return a.peek(sc, x.TypeCast.Arg)
	case *pg.Node_CollateClause:
		return a.peek(sc, x.CollateClause.Arg)
	case *pg.Node_CaseExpr:
		list := []*pg.Node{x.CaseExpr.Defresult}
		for _, when := range x.CaseExpr.Args {
			list = append(list, when.GetCaseWhen().GetResult())
		}
		return a.peekAny(sc, list)
	case *pg.Node_CoalesceExpr:
		return a.peekAny(sc, x.CoalesceExpr.Args)
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return a.peek(sc, x.AExpr.Lexpr)
		}
	case *pg.Node_AIndirection:
		if r, ok := a.rowField(sc, x.AIndirection); ok {
			return r.org
		}
	case *pg.Node_FuncCall:
		if passes(x.FuncCall) {
			return a.peek(sc, x.FuncCall.Args[0])
		}
	case *pg.Node_SubLink:
		return a.peekSub(sc, x.SubLink)
	}
	return origin{}
}

func (a *analyzer) peekAny(sc *scope, list []*pg.Node) origin {
	for _, n := range list {
		if o := a.peek(sc, n); o.isSealed() {
			return o
		}
	}
	return origin{}
}

func (a *analyzer) peekSub(sc *scope, s *pg.SubLink) origin {
	if s.SubLinkType != pg.SubLinkType_EXPR_SUBLINK {
		return origin{}
	}
	cols := a.peekQuery(sc, s.Subselect.GetSelectStmt())
	if len(cols) != 1 {
		return origin{}
	}
	return cols[0].origin
}
