package relay

import (
	"slices"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// outlived says in place of the server that a column's transition was finished, or taken back, since a statement was
// analysed. It reports whether that was so: the next statement is analysed anew then. It is analysed anew too where the
// server takes a value for one of another type, which may be the statement's own fault.
func (v *serverSide) outlived(e *expected, fields []wire.Field) bool {
	p := e.planned()
	if p == nil {
		return false
	}
	switch wire.Find(fields, wire.FieldSQLState) {
	case "42703": // a column is gone, which the text for the server has
		message, hidden := wire.Find(fields, wire.FieldMessage), false
		for _, name := range p.Hidden {
			hidden = hidden || strings.Contains(message, name)
		}
		if !hidden {
			return false
		}
	case "23514": // a sealed value for what is a plain column again
		if !strings.HasPrefix(wire.Find(fields, wire.FieldConstraint), guard.MovingClear) {
			return false
		}
	case "42804", "42883":
		if slices.ContainsFunc(p.Cells, func(c plan.Cell) bool { return c.Column != nil && c.Column.Transition().Plain != "" }) {
			v.s.moved.Store(true)
		}
		return false
	default:
		return false
	}
	v.s.moved.Store(true)
	// What was prepared is prepared again by drivers, and what was not is tried again by applications.
	r := refusal("40001", "could not serialize access: a column's transition was finished or taken back meanwhile", "Try the transaction again.")
	if e.kind == expectBind || e.kind == expectExecute {
		r, _ = refusalOf(errMoved())
	}
	for i := range fields {
		switch f := &fields[i]; f.Type {
		case wire.FieldSQLState:
			f.Value = r.SQLState
		case wire.FieldMessage:
			f.Value = r.Message
		case wire.FieldHint:
			f.Value = r.Hint
		case wire.FieldPosition:
			f.Value = ""
		}
	}
	return true
}

// planned gives the plan of what the server answers; nil where nothing sealed is in it.
func (e *expected) planned() *plan.Plan {
	switch {
	case e.query != nil:
		return e.query.plan
	case e.statement != nil:
		return e.statement.plan
	case e.portal != nil:
		return e.portal.plan()
	}
	return nil
}
