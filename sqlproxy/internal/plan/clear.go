package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// clearUse is a place where a parameter or constant stands in clear.
type clearUse struct {
	// param is the parameter's number; 0 for a constant, of which text is the value.
	param int
	text  string
	// quoted is set for a constant that is written as a string.
	quoted bool
	node   *pg.Node
	from   int
	// null is set where only whether it is NULL matters.
	null bool
}

// inClear notes a parameter or constant that is passed on as it is, unless it is meant
// for a plain column: the text says then that the value may be seen.
func (a *analyzer) inClear(n *pg.Node, w want) {
	if w.column || a.view {
		return
	}
	inner := n
	for inner.GetTypeCast() != nil {
		inner = inner.GetTypeCast().Arg
	}
	u := clearUse{node: n, null: w.count}
	if p := inner.GetParamRef(); p != nil {
		u.param, u.from = int(p.Number), int(p.Location)
	} else if u.text, u.quoted = constText(inner.GetAConst()); u.text != "" {
		u.from = int(inner.GetAConst().Location)
	} else {
		return
	}
	a.uses = append(a.uses, u)
}

// constText is the value of a constant, and whether that is written as a string; "" for NULL.
func constText(c *pg.A_Const) (text string, quoted bool) {
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Sval:
		return v.Sval.Sval, true
	case *pg.A_Const_Bsval:
		return v.Bsval.Bsval, true
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.Ival)), false
	case *pg.A_Const_Fval:
		return v.Fval.Fval, false
	case *pg.A_Const_Boolval:
		return strconv.FormatBool(v.Boolval.Boolval), false
	}
	return "", false
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

// closeClear looks at parameters and constants that are sealed or become terms at one
// place and stand in clear at another. `$1 IS NULL` asks the term instead; all else is
// refused: the server would see, and might log, what is meant for a sealed column.
//
// Constants are compared by their text. Empty strings do not count, nor do numbers
// and truth values of less than minSecret characters (of the constant, or of a column of such a type):
// a text has those at many places, and they say little.
func (a *analyzer) closeClear() {
	if len(a.uses) == 0 {
		return
	}
	sealed := a.sealedTexts()
	for _, u := range a.uses {
		number, what, two := a.cellOf(u), "a parameter", "Pass it as two parameters."
		if u.param == 0 {
			number, what, two = sealed[u.text], "a constant", "Pass them as two parameters."
		}
		if number == 0 || u.param == 0 && !a.tells(u, number) {
			continue
		}
		cell := a.edits.cells[number-1]
		if u.null && a.sameSpace(u, number) {
			if _, from, to, _, ok := a.constant(u.node); ok {
				a.useCell(from, to, number)
				continue
			}
		}
		a.refuse(a.unsupported(cell.Column, what+" that also stands elsewhere in the statement and not beside a plain column",
			"The server would see the value. "+two, u.from))
	}
}

// minSecret is how many characters a number has at least that is told apart from others.
const minSecret = 4

// tells reports whether a constant that is equal to a cell's says what that is.
func (a *analyzer) tells(u clearUse, number int) bool {
	if len(u.text) >= minSecret {
		return true
	}
	oid := a.edits.cells[number-1].Column.Type().OID()
	return u.quoted && !isNumber(oid) && oid != pgtype.BoolOID
}

// sealedTexts finds the cells of constants that the edits use, by the constants' text:
// of an array, by its elements' and its own.
func (a *analyzer) sealedTexts() map[string]int {
	out := map[string]int{}
	for _, d := range a.edits.list {
		if d.cell == 0 {
			continue
		}
		k := a.edits.cells[d.cell-1].From.Const
		if k == nil || k.Null || k.Text == "" {
			continue
		}
		if !a.edits.cells[d.cell-1].OfArray() {
			out[k.Text] = d.cell
			continue
		}
		for _, e := range arrayElements(k.Text) {
			if e != "" {
				out[e], out[k.Text] = d.cell, d.cell
			}
		}
	}
	return out
}

// arrayElements splits an array's text into what may be its elements.
func arrayElements(text string) (out []string) {
	var elem []byte
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			elem = append(elem, text[i])
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}' || c == ','):
			out = append(out, strings.TrimSpace(string(elem)))
			elem = elem[:0]
		default:
			elem = append(elem, c)
		}
	}
	return out
}

// sameSpace reports whether a cell is used in the statement in which something stands in clear.
func (a *analyzer) sameSpace(u clearUse, number int) bool {
	return slices.ContainsFunc(a.edits.list, func(d edit) bool {
		return d.cell == number && a.edits.spaceAt(d.from) == a.edits.spaceAt(u.from)
	})
}

// cellOf returns the cell that a parameter gives elsewhere in the same statement; 0 for none.
func (a *analyzer) cellOf(u clearUse) int {
	if u.param == 0 {
		return 0
	}
	for _, d := range a.edits.list {
		if d.cell != 0 && a.edits.cells[d.cell-1].From.Param == u.param && a.edits.spaceAt(d.from) == a.edits.spaceAt(u.from) {
			return d.cell
		}
	}
	return 0
}
