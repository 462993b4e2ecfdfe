package plan

import (
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// equality reports whether an operator is = or <>, PostgreSQL's own, and gives its name.
func equality(names []*pg.Node) (op string, ok bool) {
	op = lastName(names)
	if len(names) > 2 || len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" {
		return op, false
	}
	return op, op == "=" || op == "<>"
}

// operator reads an operator and what is written like one.
func (a *analyzer) operator(sc *scope, n *pg.Node, x *pg.A_Expr, w want) origin {
	if x.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
		return a.nullIf(sc, n, x, w)
	}
	if x.Lexpr == nil && (w.kind == wantAssign || w.kind == wantCompare) {
		if _, _, _, _, ok := a.constant(n); ok {
			return a.value(n, w)
		}
	}
	op, eq := equality(x.Name)
	if a.c.NullEquals && op == "=" && x.Kind == pg.A_Expr_Kind_AEXPR_OP && (x.Lexpr.GetAConst().GetIsnull() || x.Rexpr.GetAConst().GetIsnull()) {
		a.refuse(&Refusal{
			SQLState: "0A000", Position: int(x.Location), Message: "= NULL beside sealed columns is not supported while transform_null_equals is on",
			Hint: "Write IS NULL, or SET transform_null_equals TO off.",
		})
		return origin{}
	}
	if a.equalMoving(sc, x, eq) {
		return a.result(n, w)
	}
	what := "operator " + op
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if eq && x.Lexpr != nil {
			a.equal(sc, x.Lexpr, x.Rexpr, what, int(x.Location))
			break
		}
		a.forbidden(sc, x, what)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		a.equal(sc, x.Lexpr, x.Rexpr, "IS DISTINCT FROM", int(x.Location))
	case pg.A_Expr_Kind_AEXPR_IN:
		a.inList(sc, x.Lexpr, x.Rexpr.GetList().GetItems(), int(x.Location))
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if eq {
			a.inArray(sc, x, int(x.Location))
			break
		}
		a.forbidden(sc, x, what)
	default:
		a.forbidden(sc, x, strings.ReplaceAll(strings.TrimPrefix(x.Kind.String(), "AEXPR_"), "_", " "))
	}
	return a.result(n, w)
}

func (a *analyzer) forbidden(sc *scope, x *pg.A_Expr, what string) {
	w := a.beyond(sc, forbid(what), x.Lexpr, x.Rexpr)
	a.expr(sc, x.Lexpr, w)
	a.expr(sc, x.Rexpr, w)
}

// equal reads two sides of an equality, of values or of rows.
func (a *analyzer) equal(sc *scope, l, r *pg.Node, what string, at int) {
	left, right := l.GetRowExpr().GetArgs(), r.GetRowExpr().GetArgs()
	switch {
	case left != nil && len(left) == len(right):
		for i := range left {
			a.comparison(sc, []*pg.Node{left[i], right[i]}, what, at)
		}
	case left != nil && r.GetSubLink().GetSubLinkType() == pg.SubLinkType_EXPR_SUBLINK:
		a.within(a.standingOf(at), func() { a.inQuery(sc, left, r.GetSubLink().Subselect.GetSelectStmt(), true, what, at) })
	case right != nil && l.GetSubLink().GetSubLinkType() == pg.SubLinkType_EXPR_SUBLINK:
		a.within(a.standingOf(at), func() { a.inQuery(sc, right, l.GetSubLink().Subselect.GetSelectStmt(), true, what, at) })
	default:
		a.comparison(sc, []*pg.Node{l, r}, what, at)
	}
}

// comparison reads expressions that are compared with one another for
// equality. Where one may give sealed values, all of them become terms.
func (a *analyzer) comparison(sc *scope, sides []*pg.Node, what string, at int) {
	o := a.peekAny(sc, sides)
	if !o.isSealed() {
		a.exprs(sc, sides, a.beyond(sc, forbid(what), sides...))
		return
	}
	compared := a.comparand
	if !slices.ContainsFunc(sides, func(n *pg.Node) bool { return n.GetColumnRef() == nil }) {
		compared = a.comparandOf // whether they are of one tenant is checked
	}
	c, ok := compared(o, what, at)
	if !ok {
		return
	}
	a.expr(sc, sides[0], compare(c))
	if what == "IN" {
		c = a.ofList(c, sides[1:])
	}
	a.exprs(sc, sides[1:], compare(c))
}

// comparand is what is compared with the values of a sealed column, where what is not found is only not found.
func (a *analyzer) comparand(o origin, what string, at int) (*comparand, bool) {
	if a.bySession(o) && a.drying == 0 {
		if a.lacking > 0 && a.declaresEquality(o, what, at) {
			a.refuse(a.tenantNeeded(o, what+", other than to find rows by it,", at))
			return nil, false
		}
		a.found = append(a.found, o)
	}
	return a.comparandOf(o, what, at)
}

func (a *analyzer) comparandOf(o origin, what string, at int) (*comparand, bool) {
	if !a.declaresEquality(o, what, at) {
		return nil, false
	}
	if a.bySession(o) && !a.positive[at] {
		a.refuse(a.tenantNeeded(o, what+", other than to find rows by it,", at))
		return nil, false
	}
	return a.selfComparand(o), true
}

func (a *analyzer) selfComparand(o origin) *comparand {
	c := &comparand{column: o.column(), rel: o.rel, known: true, session: a.bySession(o)}
	if c.column.Scope() != field.ScopeGlobal {
		c.tenant, c.known = a.tenantOf(o)
	}
	return c
}

// declaresEquality refuses a comparison of a column that carries no terms.
func (a *analyzer) declaresEquality(o origin, what string, at int) bool {
	for _, col := range o.possible {
		switch {
		case o.moving || o.clear:
			a.refuse(a.unsupportedOf(o, what, "", at))
			return false
		case !col.Search().Equality:
			a.refuse(a.unsupported(col, what, "Declare `search: [equality]` for it and reseal the values that it has.", at))
			return false
		}
	}
	return true
}

// checkCompare refuses to compare terms that are not equal where values are:
// of columns with other index keys, and of rows of other tenants.
func (a *analyzer) checkCompare(o origin, c *comparand, at int) bool {
	if !o.isSealed() {
		a.refuse(a.unsupported(c.column, "a comparison with a plain column or expression",
			"Compare with a parameter, a constant or a comparable sealed column.", at))
		return false
	}
	if o.moving || o.clear {
		a.refuse(a.unsupportedOf(o, "a comparison with "+c.column.String(), "", at))
		return false
	}
	for _, col := range o.possible {
		if !c.column.Comparable(col) {
			a.refuse(a.unsupported(c.column, "a comparison with "+col.String(),
				"Declare `search: [equality]`, one `domain` and one `scope` for both columns, and reseal the values that they have.", at))
			return false
		}
	}
	if c.column.Scope() == field.ScopeGlobal || o.rel != nil && o.rel == c.rel {
		return true
	}
	t, known := a.tenantOf(o)
	known = known && !c.session && !a.bySession(o)
	if known && c.known && equalSource(t, c.tenant) && (!t.IsZero() || a.c.Tenant != "" || sameDefault(o.column(), c.column)) {
		return true
	}
	if a.areSame(o.rel, c.rel) {
		return true
	}
	a.refuse(a.tenantNeeded(o, "a comparison of two columns", at))
	return false
}

func sameDefault(x, y *field.Column) bool {
	return x.Table().Tenant().Default == y.Table().Tenant().Default
}

// inList reads x IN (…), of values or of rows.
func (a *analyzer) inList(sc *scope, l *pg.Node, items []*pg.Node, at int) {
	row := l.GetRowExpr().GetArgs()
	if row == nil {
		a.comparison(sc, append([]*pg.Node{l}, items...), "IN", at)
		return
	}
	for i := range row {
		sides := []*pg.Node{row[i]}
		for _, item := range items {
			args := item.GetRowExpr().GetArgs()
			if len(args) != len(row) {
				a.exprs(sc, items, forbid("IN with rows"))
				a.exprs(sc, row, forbid("IN with rows"))
				return
			}
			sides = append(sides, args[i])
		}
		a.comparison(sc, sides, "IN with rows", at)
	}
}

// inArray reads x = ANY (…) and x <> ALL (…) over an array.
func (a *analyzer) inArray(sc *scope, x *pg.A_Expr, at int) {
	r := x.Rexpr
	for r.GetTypeCast() != nil {
		r = r.GetTypeCast().Arg
	}
	elements := r.GetAArrayExpr().GetElements()
	o := a.peek(sc, x.Lexpr)
	if !o.isSealed() {
		o = a.peekAny(sc, elements)
	}
	if !o.isSealed() {
		a.forbidden(sc, x, "ANY")
		return
	}
	c, ok := a.comparand(o, "ANY", at)
	if !ok {
		return
	}
	a.expr(sc, x.Lexpr, compare(c))
	src, from, to, oid, ok := a.constant(x.Rexpr)
	switch {
	case ok:
		a.termsValue(c, src, from, to, oid)
	case r.GetAArrayExpr() != nil:
		a.exprs(sc, elements, compare(a.ofArray(c, x.Rexpr.GetTypeCast(), elements)))
		a.retype(x.Rexpr, r, c)
	case r == x.Rexpr && r.GetSubLink().GetSubLinkType() == pg.SubLinkType_ARRAY_SUBLINK:
		a.within(a.standingOf(int(r.GetSubLink().Location)), func() {
			if cols, unknown := a.subquery(sc, r.GetSubLink().Subselect.GetSelectStmt(), []want{ofQuery(compare(c))}); unknown || len(cols) != 1 {
				a.result(r, compare(c))
			}
		})
	default:
		a.refuse(a.unsupported(c.column, "ANY over an expression", "Pass the array as one parameter.", at))
	}
}

// termsValue puts the terms of an array's elements into its place.
func (a *analyzer) termsValue(c *comparand, src Source, from, to int, oid uint32) {
	if src.Const != nil && src.Const.Null {
		a.replace(from, to, "NULL::pg_catalog.bytea[]")
		return
	}
	elem := elementOID(oid)
	if elem == 0 && oid != 0 && oid != pgtype.UnknownOID || !pgtext.CanCompare(elem, c.column.Type()) {
		a.refuse(a.typeMismatch(c.column, from))
		return
	}
	if !c.known {
		a.refuse(a.tenantNeeded(origin{possible: []*field.Column{c.column}}, "equality", from))
		return
	}
	tenant := c.tenant
	if c.column.Scope() == field.ScopeGlobal {
		tenant = Source{}
	}
	a.useCell(from, to, a.cell(Cell{Do: Terms, Column: c.column, From: src, Tenant: tenant}))
}

// elementOID returns the type of an array type's elements; 0 for others.
func elementOID(oid uint32) uint32 {
	for elem, array := range arrays {
		if array == oid {
			return elem
		}
	}
	return 0
}

// retype gives the casts around ARRAY[…] the type that terms have.
func (a *analyzer) retype(n, inner *pg.Node, c *comparand) {
	for ; n != inner; n = n.GetTypeCast().Arg {
		cast := n.GetTypeCast()
		oid, ok := a.typeOID(cast.TypeName)
		at := a.tree.At(int(cast.TypeName.GetLocation()))
		end, located := a.typeEnd(at)
		switch {
		case !ok || len(cast.TypeName.GetTypmods()) > 0 || !pgtext.CanCompare(elementOID(oid), c.column.Type()):
			a.refuse(a.typeMismatch(c.column, int(cast.Location)))
			return
		case at < 0 || !located:
			a.refuse(unlocated())
			return
		}
		a.replace(a.tree.Tokens[at].From, a.tree.Tokens[end].To, "pg_catalog.bytea[]")
	}
}

// nullIf reads NULLIF. A sealed value stays sealed, and is compared by its term.
func (a *analyzer) nullIf(sc *scope, n *pg.Node, x *pg.A_Expr, w want) origin {
	l, r := a.peek(sc, x.Lexpr), a.peek(sc, x.Rexpr)
	switch {
	case w.kind == wantCompare:
		a.expr(sc, x.Lexpr, w)
		a.expr(sc, x.Rexpr, w)
		return origin{possible: []*field.Column{w.compare.column}}
	case !l.isSealed() && !r.isSealed():
		a.forbidden(sc, x, "NULLIF")
		return a.result(n, w)
	case !l.isSealed() || w.kind != wantOutput || x.Lexpr.GetColumnRef() == nil:
		col := l.column()
		if col == nil {
			col = r.column()
		}
		a.refuse(a.unsupported(col, "this form of NULLIF", "Write CASE WHEN column = value THEN NULL ELSE column END.", locationOf(n)))
		return origin{}
	}
	ref := a.reference(sc, x.Lexpr.GetColumnRef())
	open := a.tree.At(locationOf(n)) + 1
	c, ok := a.comparand(l, "NULLIF", locationOf(n))
	if !ok || a.refusal != nil {
		return origin{}
	}
	name := a.tree.At(ref.from)
	comma := name + 2*len(x.Lexpr.GetColumnRef().Fields) - 1
	if !ref.located || !a.isWord(open, "(") || name != open+1 || !a.isWord(comma, ",") {
		a.refuse(unlocated())
		return origin{}
	}
	tokens := a.tree.Tokens
	value := ref.text
	if a.isGroupedAt(sc, l) {
		value = anyOf(value)
	}
	a.replace(tokens[open-1].From, tokens[comma].To, "CASE WHEN "+termOf(ref.text)+" =")
	a.expr(sc, x.Rexpr, compare(c))
	if end := a.closing(open); end < len(tokens) {
		a.replace(tokens[end].From, tokens[end].To, " THEN NULL ELSE "+value+" END")
	}
	if isText(l.column().Type().OID()) {
		l.as = pgtype.TextOID // PostgreSQL compares varchar as text
	}
	return l
}

// boolean reads AND, OR and NOT. What one part of a conjunction says of a
// tenant holds for the others.
func (a *analyzer) boolean(sc *scope, n *pg.Node, b *pg.BoolExpr, w want) origin {
	if b.Boolop == pg.BoolExprType_AND_EXPR {
		undo := a.pin(sc, conjuncts(n, nil), nil)
		defer undo(math.MaxInt)
	}
	for _, arg := range b.Args {
		a.expr(sc, arg, forbid("a condition"))
	}
	return a.result(n, w)
}

// subLink reads a sub-query in an expression.
func (a *analyzer) subLink(sc *scope, n *pg.Node, s *pg.SubLink, w want) (o origin) {
	a.within(a.standingOf(int(s.Location)), func() { o = a.subLinkWithin(sc, n, s, w) })
	return o
}

func (a *analyzer) subLinkWithin(sc *scope, n *pg.Node, s *pg.SubLink, w want) origin {
	q := s.Subselect.GetSelectStmt()
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		a.subquery(sc, q, nil)
	case pg.SubLinkType_EXPR_SUBLINK:
		cols, unknown := a.subquery(sc, q, []want{ofQuery(w)})
		if len(cols) != 1 || unknown {
			return a.result(n, w)
		}
		return cols[0].origin
	case pg.SubLinkType_ARRAY_SUBLINK:
		a.subquery(sc, q, []want{{kind: wantForbid, what: "ARRAY(…)", hint: "Select the values as rows."}})
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		op, eq := "=", true
		if len(s.OperName) > 0 {
			op, eq = equality(s.OperName)
		}
		tests := []*pg.Node{s.Testexpr}
		if row := s.Testexpr.GetRowExpr(); row != nil {
			tests = row.Args
		}
		a.inQuery(sc, tests, q, eq, "operator "+op+" over a sub-query", int(s.Location))
	default:
		a.deny(sc, n, "this form of sub-query")
	}
	return a.result(n, w)
}

// inQuery reads expressions that are compared with the columns of a sub-query.
func (a *analyzer) inQuery(sc *scope, tests []*pg.Node, q *pg.SelectStmt, eq bool, what string, at int) {
	wants := make([]want, len(tests))
	comparing := false
	var peeked []column
	for i, test := range tests {
		o := a.peek(sc, test)
		if !o.isSealed() {
			if peeked == nil {
				peeked = a.peekQuery(sc, q)
			}
			if i < len(peeked) {
				o = peeked[i].origin
			}
		}
		wants[i] = forbid(what)
		if o.isSealed() && !eq {
			a.refuse(a.unsupported(o.column(), what, "", at))
			return
		}
		if o.isSealed() {
			c, ok := a.comparand(o, what, at)
			if !ok {
				return
			}
			wants[i], comparing = compare(c), true
		}
		a.expr(sc, test, wants[i])
		wants[i] = ofQuery(wants[i])
	}
	cols, unknown := a.subquery(sc, q, wants)
	if comparing && (unknown || len(cols) != len(tests)) {
		a.refuse(unknownColumns(at))
	}
}
