package plan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// isRowStar reports whether an expression in a list of values is (row).* or t.*, of which the server makes as many
// values as the row has columns. What stands behind it is then not where it seems to be.
func isRowStar(n *pg.Node) bool {
	parts := n.GetAIndirection().GetIndirection()
	if c := n.GetColumnRef(); c != nil {
		parts = c.Fields
	}
	return len(parts) > 0 && parts[len(parts)-1].GetAStar() != nil
}

// counted refuses to write sealed columns from values that only the server can count: none of them is seen to be
// theirs, and they would be sent as they are.
func (a *analyzer) counted(w *writing, columns []int, unknown bool, at int) {
	if !unknown {
		return
	}
	for _, i := range columns {
		if c := w.sealed(i); c != nil {
			a.refuseColumn(c, at, "the values come with others that only the server can count",
				"Name the columns in place of *, and give functions in FROM a list of columns.")
			return
		}
	}
}

// countedRow is counted for a row of VALUES.
func (a *analyzer) countedRow(w *writing, columns []int, row []*pg.Node, at int) {
	a.counted(w, columns, slices.ContainsFunc(row, isRowStar), at)
}
