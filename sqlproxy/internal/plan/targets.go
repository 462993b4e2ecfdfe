package plan

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// targetList reads a list of result columns, of SELECT or of RETURNING. unknown says that there are some which are
// not known, beside which none may be sealed.
func (a *analyzer) targetList(sc *scope, list []*pg.Node, wants []want) (cols []column, unknown bool) {
	for i, n := range list {
		if a.refusal != nil {
			return nil, true
		}
		t := n.GetResTarget()
		star, more := a.star(sc, t, wants, len(cols))
		if star != nil || more {
			cols, unknown = append(cols, star...), unknown || more
			continue
		}
		w := wantAt(wants, len(cols))
		if expands(t.GetVal()) {
			a.expr(sc, t.GetVal().GetAIndirection().Arg, forbid("(…).*"))
			cols, unknown = append(cols, column{}), true
			continue
		}
		before := a.mark()
		var o origin
		if a.view {
			o = a.viewTarget(sc, t.GetVal())
		} else {
			o = a.expr(sc, t.GetVal(), w)
		}
		name := t.GetName()
		if name == "" {
			name = figureName(t.GetVal())
			if w.kind == wantOutput && a.changed(before) && a.unnames(sc, t.GetVal()) {
				a.nameTarget(list, i, name)
			}
		}
		cols = append(cols, column{name: name, origin: o})
	}
	if unknown && anySealedColumn(cols) {
		a.refuse(unknownColumns(-1))
	}
	return cols, unknown
}

// unnames reports whether what was rewritten in an expression takes from its
// result column the name that it has by itself.
func (a *analyzer) unnames(sc *scope, n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	if n.GetAExpr() != nil {
		return n.GetAExpr().Kind == pg.A_Expr_Kind_AEXPR_NULLIF
	}
	if n.GetCaseExpr() != nil || n.GetAConst() != nil {
		return true
	}
	if c := n.GetColumnRef(); c != nil {
		r := a.reference(sc, c)
		return r.kind == refColumn && (r.unnamed || r.org.isSealed() && sc.isGrouped(r.org))
	}
	return false
}

// nameTarget writes the name behind the i-th of the result columns.
func (a *analyzer) nameTarget(list []*pg.Node, i int, name string) {
	at := a.tree.At(int(list[i].GetResTarget().GetLocation()))
	if at < 0 {
		a.refuse(unlocated())
		return
	}
	depth := 0
	for ; at < len(a.tree.Tokens); at++ {
		word := a.tree.Text[a.tree.Tokens[at].From:a.tree.Tokens[at].To]
		switch word {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
		switch a.tree.Tokens[at].Kind {
		case pg.Token_CASE:
			depth++
		case pg.Token_END_P:
			depth--
		}
		if depth < 0 || depth == 0 && (word == "," || word == ";" || a.endsTargets(at)) {
			break
		}
	}
	a.insert(a.tree.Tokens[at-1].To, " AS "+quoted(name))
}

// endsTargets reports whether a word that stands in no parentheses and no CASE ends the list of result columns.
func (a *analyzer) endsTargets(at int) bool {
	switch a.kindAt(at) {
	case pg.Token_FROM:
		return a.kindAt(at-1) != pg.Token_DISTINCT
	case pg.Token_INTO, pg.Token_WHERE, pg.Token_GROUP_P, pg.Token_HAVING, pg.Token_WINDOW,
		pg.Token_ORDER, pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_LIMIT, pg.Token_OFFSET,
		pg.Token_FETCH, pg.Token_FOR:
		return true
	}
	return false
}

// star gives the columns of * and t.*; nil for all else. more says that the
// relation has columns which are not known.
func (a *analyzer) star(sc *scope, t *pg.ResTarget, wants []want, at int) (cols []column, more bool) {
	c := t.GetVal().GetColumnRef()
	if c == nil {
		return nil, false
	}
	r := a.reference(sc, c)
	if r.kind == refNone && len(c.Fields) > 0 && c.Fields[len(c.Fields)-1].GetAStar() != nil {
		a.unknownName(sc, c, wantAt(wants, at)) // old.* and new.* may be the sealed row
		return nil, true
	}
	if r.kind != refStar {
		return nil, false
	}
	var seen []visible
	if r.rel != nil {
		more = r.rel.unknown
		for _, col := range r.rel.cols {
			seen = append(seen, visible{name: col.name, rel: r.rel, org: col.origin})
		}
	} else {
		seen = sc.visible
		for _, rel := range sc.rels {
			more = more || rel.unknown
		}
	}
	rewrite := false
	for i, v := range seen {
		w := wantAt(wants, at+i)
		rewrite = rewrite || v.write != "" || v.org.isSealed() && (w.kind == wantCompare || sc.isGrouped(v.org))
		cols = append(cols, column{name: v.name, origin: v.org})
		if !a.view && v.org.bad != nil && !v.org.passesTo(w) {
			a.refuse(v.org.bad)
		}
		a.starColumn(sc, v, w, r)
	}
	if rewrite {
		a.expandStar(sc, r, seen, wants, at, more)
	}
	if cols == nil {
		cols = []column{}
	}
	return cols, more
}

// starColumn checks one of the columns that * stands for.
func (a *analyzer) starColumn(sc *scope, v visible, w want, r reference) {
	switch w.kind {
	case wantForbid:
		if v.org.isSealed() {
			a.refuse(a.unsupported(v.org.column(), w.what, w.hint, r.from))
		}
	case wantAssign:
		a.checkAssign(v.org, w.target, r.from)
	case wantCompare:
		a.checkCompare(v.org, w.compare, r.from)
	}
}

// expandStar writes out the columns that * stands for, because some of them are written otherwise.
func (a *analyzer) expandStar(sc *scope, r reference, seen []visible, wants []want, at int, more bool) {
	if more || !r.located {
		a.refuse(&Refusal{
			SQLState: notSupported, Position: -1,
			Message: "* cannot stand for sealed columns here",
			Hint:    "Write the names of the columns.",
		})
		return
	}
	parts := make([]string, len(seen))
	for i, v := range seen {
		text := v.text()
		switch w := wantAt(wants, at+i); {
		case v.org.isSealed() && w.kind == wantCompare:
			text = termOf(text)
		case v.org.isSealed() && sc.isGrouped(v.org):
			text = anyOf(text) + " AS " + quoted(v.name)
		case v.unnamed:
			text += " AS " + quoted(v.name)
		}
		parts[i] = text
	}
	a.replace(r.from, r.to, strings.Join(parts, ", "))
}

// termOf is the equality term in a sealed value.
func termOf(text string) string { return "pg_catalog.substr(" + text + ", 9, 16)" }

// anyOf is one of the values of a group whose terms are equal.
func anyOf(text string) string { return "(pg_catalog.array_agg(" + text + "))[1]" }

// figureName is the name that PostgreSQL gives to a result column without AS.
func figureName(n *pg.Node) string {
	if name, _ := figure(n); name != "" {
		return name
	}
	return "?column?"
}

// figure returns the name and how much it is worth: a column's or function's 2, a type's 1.
func figure(n *pg.Node) (string, int) {
	switch {
	case n.GetColumnRef() != nil:
		names, _ := fields(n.GetColumnRef())
		if len(names) > 0 {
			return names[len(names)-1], 2
		}
	case n.GetAIndirection() != nil:
		x := n.GetAIndirection()
		for i := len(x.Indirection) - 1; i >= 0; i-- {
			if s := x.Indirection[i].GetString_(); s != nil {
				return s.Sval, 2
			}
		}
		return figure(x.Arg)
	case n.GetFuncCall() != nil:
		return lastName(n.GetFuncCall().Funcname), 2
	case n.GetAExpr().GetKind() == pg.A_Expr_Kind_AEXPR_NULLIF:
		return "nullif", 2
	case n.GetTypeCast() != nil:
		if name, worth := figure(n.GetTypeCast().Arg); worth > 1 {
			return name, worth
		}
		return lastName(n.GetTypeCast().GetTypeName().GetNames()), 1
	case n.GetCollateClause() != nil:
		return figure(n.GetCollateClause().Arg)
	case n.GetSubLink() != nil:
		return figureSub(n.GetSubLink())
	case n.GetCaseExpr() != nil:
		if name, worth := figure(n.GetCaseExpr().Defresult); worth > 1 {
			return name, worth
		}
		return "case", 1
	}
	return figureKeyword(n)
}

func figureSub(s *pg.SubLink) (string, int) {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg.SubLinkType_EXPR_SUBLINK:
		q := s.Subselect.GetSelectStmt()
		for q.GetOp() != pg.SetOperation_SETOP_NONE && q.GetLarg() != nil {
			q = q.Larg
		}
		if len(q.GetValuesLists()) > 0 {
			return "column1", 2
		}
		if list := q.GetTargetList(); len(list) > 0 {
			t := list[0].GetResTarget()
			if t.GetName() != "" {
				return t.Name, 2
			}
			return figure(t.GetVal())
		}
	}
	return "", 0
}

func figureKeyword(n *pg.Node) (string, int) {
	switch {
	case n.GetCoalesceExpr() != nil:
		return "coalesce", 2
	case n.GetAArrayExpr() != nil:
		return "array", 2
	case n.GetRowExpr() != nil:
		return "row", 2
	case n.GetGroupingFunc() != nil:
		return "grouping", 2
	case n.GetMinMaxExpr() != nil:
		if n.GetMinMaxExpr().Op == pg.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case n.GetSqlvalueFunction() != nil:
		name, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(n.GetSqlvalueFunction().Op.String(), "SVFOP_")), "_n")
		return name, 2
	}
	return "", 0
}
