package plan

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rowseal/rowseal/field"
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

// expands reports whether an expression is (row).*.
func expands(n *pg.Node) bool { return n.GetAIndirection() != nil && isRowStar(n) }

// counted refuses to write sealed columns from values that only the server can count: none of them is seen to be
// theirs, and they would be sent as they are. m is what gives the values.
func (a *analyzer) counted(sc *scope, w *writing, columns []int, m protoreflect.Message, at int) {
	for _, i := range columns {
		c := w.sealed(i)
		if c == nil {
			continue
		}
		a.uncounted(sc, c, m, at)
		return
	}
}

// uncounted is the refusal of values of which it is not known which of them are for the column.
func (a *analyzer) uncounted(sc *scope, c *field.Column, m protoreflect.Message, at int) {
	if rv := a.absent(sc, m); rv != nil {
		a.refuse(&Refusal{
			SQLState: "42P01", Position: int(rv.Location), Message: fmt.Sprintf("relation %q does not exist", rv.Relname),
			Hint: "Where an earlier statement of the same text makes it, send the statements one by one.",
		})
		return
	}
	a.refuseColumn(c, at, "the values come with others that only the server can count",
		"Name the columns in place of *, and give functions in FROM a list of columns.")
}

// absent returns a table that a query names and the catalog does not have; nil for none.
func (a *analyzer) absent(sc *scope, m protoreflect.Message) (found *pg.RangeVar) {
	own := map[string]bool{}
	walk(m, func(m protoreflect.Message) bool {
		if c, ok := m.Interface().(*pg.CommonTableExpr); ok {
			own[c.Ctename] = true
		}
		return true
	})
	walk(m, func(m protoreflect.Message) bool {
		rv, ok := m.Interface().(*pg.RangeVar)
		if ok && a.lookup(rv) == nil && (rv.Schemaname != "" || !own[rv.Relname] && findCTE(sc, rv.Relname) == nil) {
			found = rv
		}
		return found == nil
	})
	return found
}
