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
		words := parse.Scan(a.tree.Text[from:to], parse.UTF8, a.c.Catalog.Sensitive)
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
		case makes(raw.Stmt):
			made, sensitive = i, sensitive || words.Sensitive
		case words.Effects&^(parse.Begins|parse.Discards) != 0 && settings < 0:
			settings = i
		}
	}
}

// makes reports whether all that a statement changes are tables and what belongs to them.
func makes(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_CreateStmt, *pg.Node_AlterTableStmt, *pg.Node_IndexStmt, *pg.Node_ViewStmt, *pg.Node_CreateTableAsStmt,
		*pg.Node_CommentStmt, *pg.Node_GrantStmt, *pg.Node_CreateSeqStmt, *pg.Node_AlterSeqStmt, *pg.Node_CreateTrigStmt,
		*pg.Node_CreateFunctionStmt, *pg.Node_CreateEnumStmt, *pg.Node_CreateStatsStmt, *pg.Node_AlterOwnerStmt, *pg.Node_RenameStmt:
		return true
	}
	return false
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
