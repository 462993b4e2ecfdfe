package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// viewInfo is what was learnt of a view from its definition.
type viewInfo struct {
	cols []column
	// bad is why no column of the view can be used; nil where they can.
	bad *Refusal
}

// viewColumns returns the columns of a view that is made of sealed ones.
func (a *analyzer) viewColumns(t *catalog.Relation) []column {
	info, _ := t.Memo(func() any { return readView(a.c.Catalog, t) }).(*viewInfo)
	cols := a.instance(info.cols)
	out := make([]column, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = column{name: c.Name, num: c.Num}
		if info.bad != nil {
			out[i].origin.bad = info.bad
		} else {
			out[i].origin = cols[i].origin
		}
	}
	return out
}

// readView reads a view's definition. Nothing in it can be rewritten, so that
// what would have to be makes it, or a column of it, unusable.
func readView(snapshot *catalog.Snapshot, t *catalog.Relation) *viewInfo {
	bad := func(why string) *viewInfo {
		return &viewInfo{bad: &Refusal{
			SQLState: notSupported, Position: -1, Table: t.Name,
			Message: "view " + t.Name + " cannot be read through the proxy: " + why,
			Hint:    "Query its tables.",
		}}
	}
	if t.Definition == "" {
		return bad("its definition is not known")
	}
	tree, err := parse.Parse(t.Definition)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return bad("its definition is not understood")
	}
	a := &analyzer{c: &Context{Catalog: snapshot, Path: snapshot.Path}, tree: tree, text: t.Definition, view: true}
	cols, unknown := a.subquery(&scope{}, tree.Stmts[0].Stmt.GetSelectStmt(), nil)
	switch {
	case a.refusal != nil:
		return bad(a.refusal.Message)
	case len(a.edits.list) > 0:
		return bad("its definition compares sealed columns, which the server cannot do by itself")
	case unknown || len(cols) != len(t.Columns):
		return bad("its columns are not known")
	}
	for i := range cols {
		if b := cols[i].origin.bad; b != nil {
			r := *b
			r.Message = "column " + t.Columns[i].Name + " of view " + t.Name + " is made of sealed ones: " + b.Message
			r.Hint, r.Table, r.Column = "Select the columns that it is made of.", t.Name, t.Columns[i].Name
			cols[i].origin.bad = &r
		}
	}
	return &viewInfo{cols: cols}
}

// viewTarget reads a result column of a view. One that cannot be followed
// spoils no others.
func (a *analyzer) viewTarget(sc *scope, n *pg.Node) origin {
	if a.refusal != nil {
		return origin{}
	}
	saved := a.edits.saved()
	o := a.expr(sc, n, output)
	bad := a.refusal
	if was := a.peek(sc, n); bad == nil && was.moving {
		bad = a.unsupportedOf(was, "a column of a view", "", -1)
	} else if bad == nil && len(a.edits.list) > len(saved.list) {
		bad = a.unsupported(a.peek(sc, n).column(), "an expression of the server's", "", -1)
	}
	if bad != nil {
		a.edits, a.refusal = saved, nil
		bad.Position = -1
		return origin{bad: bad}
	}
	return o
}
