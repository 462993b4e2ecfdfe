package plan

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// order refuses a text in which a statement changes what the names of a later
// one mean: the analysis knows only how things are before the first.
func (a *analyzer) order() {
	if len(a.tree.Stmts) < 2 {
		return
	}
	settings, made, sensitive := -1, -1, false
	for i, raw := range a.tree.Stmts {
		from, to := a.stmtRange(raw)
		words := parse.Scan(a.tree.Text[from:to], a.c.Catalog.Sensitive)
		before := -1
		switch {
		case settings >= 0 && words.Sensitive:
			before = settings
		case made >= 0 && readsOrWrites(raw.Stmt) && (sensitive || words.Sensitive):
			before = made
		}
		if before >= 0 {
			a.refuse(&Refusal{
				SQLState: "0A000", Position: from,
				Message: fmt.Sprintf("statement %d of the text may change what the names in statement %d mean", before+1, i+1),
				Hint:    "Send the statements one by one.",
			})
			return
		}
		switch {
		case words.Effects&(parse.Settings|parse.SettingsAtEnd|parse.Ends) != 0 && settings < 0:
			settings = i
		case words.Effects&(parse.Catalog|parse.TempCatalog) != 0:
			made, sensitive = i, sensitive || words.Sensitive
		}
	}
}

// readsOrWrites reports whether a statement is about rows. Those that make
// tables are analysed by the policy, which no statement changes.
func readsOrWrites(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt,
		*pg.Node_CopyStmt, *pg.Node_PrepareStmt, *pg.Node_ExecuteStmt, *pg.Node_DeclareCursorStmt, *pg.Node_ExplainStmt,
		*pg.Node_CreateTableAsStmt, *pg.Node_ViewStmt, *pg.Node_CallStmt, *pg.Node_DoStmt:
		return true
	}
	return false
}
