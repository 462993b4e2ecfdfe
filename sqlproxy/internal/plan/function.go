package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// returnsRows reports whether what a function returns as the rows of a sealed table are such: its body is one query, which gives
// for each sealed column this column itself. Bytes from elsewhere would be opened else, for whoever can make a function.
func (a *analyzer) returnsRows(fn *catalog.Function) bool {
	q, path := queryOf(fn, a.c)
	if q == nil {
		return false
	}
	body := &analyzer{c: &Context{Catalog: a.c.Catalog, Path: path}, tree: q.tree, text: q.tree.Text, view: true}
	cols, unknown := body.subquery(&scope{}, q.stmt, nil)
	rows := fn.Returns.Columns
	if body.refusal != nil || len(body.edits.list) > 0 || unknown || len(cols) != len(rows) {
		return false
	}
	for i, c := range cols {
		if c.origin.bad != nil || rows[i].Sealed != nil && !isColumn(c.origin, rows[i].Sealed) {
			return false
		}
	}
	return true
}

// isColumn reports whether a value is that of a sealed column, and of no other.
func isColumn(o origin, c *field.Column) bool { return len(o.possible) == 1 && o.possible[0] == c }

// functionQuery is the query that a function's body is.
type functionQuery struct {
	tree *parse.Tree
	stmt *pg.SelectStmt
}

// queryOf reads a function's body, and says where names in it are looked for; nil where it is not one query.
func queryOf(fn *catalog.Function, c *Context) (*functionQuery, []string) {
	tree, err := parse.Parse(fn.Query)
	if fn.Query == "" || err != nil || len(tree.Stmts) != 1 {
		return nil, nil
	}
	n, path := tree.Stmts[0].Stmt, c.Path
	if made := n.GetCreateFunctionStmt(); made != nil {
		// The server has resolved these names, and prints them as the catalog was read.
		list := made.SqlBody.GetList().GetItems()
		if len(list) != 1 || len(list[0].GetList().GetItems()) != 1 {
			return nil, nil
		}
		n, path = list[0].GetList().GetItems()[0], c.Catalog.Path
	}
	if n.GetSelectStmt() == nil {
		return nil, nil
	}
	return &functionQuery{tree: tree, stmt: n.GetSelectStmt()}, path
}
