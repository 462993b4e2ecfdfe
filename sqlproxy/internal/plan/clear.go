package plan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// paramUse is a place where a parameter stands in clear.
type paramUse struct {
	param int
	node  *pg.Node
	from  int
	// null is set where only whether it is NULL matters.
	null bool
}

// inClear notes a parameter that is passed on as it is, unless it is meant for
// a plain column: the text says then that the value may be seen.
func (a *analyzer) inClear(n *pg.Node, w want) {
	if w.column || a.view {
		return
	}
	inner := n
	for inner.GetTypeCast() != nil {
		inner = inner.GetTypeCast().Arg
	}
	p := inner.GetParamRef()
	if p == nil {
		return
	}
	u := paramUse{param: int(p.Number), node: n, from: int(p.Location), null: w.count}
	a.uses = append(a.uses, u)
}

// beyond is w for values that stand beside others of which one is a plain column.
func (a *analyzer) beyond(sc *scope, w want, sides ...*pg.Node) want {
	w.column = slices.ContainsFunc(sides, func(n *pg.Node) bool {
		for n.GetTypeCast() != nil {
			n = n.GetTypeCast().Arg
		}
		c := n.GetColumnRef()
		if c == nil {
			return false
		}
		k := a.reference(sc, c).kind
		return k == refColumn || k == refPlain
	})
	return w
}

// closeClear looks at parameters that are sealed or become terms at one place
// and stand in clear at another. `$1 IS NULL` asks the term instead; all else is
// refused: the server would see, and might log, what is meant for a sealed column.
func (a *analyzer) closeClear() {
	for _, u := range a.uses {
		number := a.cellOf(u)
		if number == 0 {
			continue
		}
		col := a.edits.cells[number-1].Column
		if u.null {
			if _, from, to, _, ok := a.constant(u.node); ok {
				a.useCell(from, to, number)
				continue
			}
		}
		a.refuse(a.unsupported(col, "a parameter that also stands elsewhere in the statement and not beside a plain column",
			"The server would see the value. Pass it as two parameters.", u.from))
	}
}

// cellOf returns the cell that a parameter gives elsewhere in the same statement; 0 for none.
func (a *analyzer) cellOf(u paramUse) int {
	for _, d := range a.edits.list {
		if d.cell != 0 && a.edits.cells[d.cell-1].From.Param == u.param && a.edits.spaceAt(d.from) == a.edits.spaceAt(u.from) {
			return d.cell
		}
	}
	return 0
}
