package relay

import (
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// outlived says in place of the server that a column's transition was finished since a statement was analysed, whose text
// for the server names the hidden column. It reports whether that was so: the next statement is analysed anew then.
func (v *serverSide) outlived(e *expected, fields []wire.Field) bool {
	p := e.planned()
	if p == nil || wire.Find(fields, wire.FieldSQLState) != "42703" {
		return false
	}
	message, hidden := wire.Find(fields, wire.FieldMessage), false
	for _, name := range p.Hidden {
		hidden = hidden || strings.Contains(message, name)
	}
	if !hidden {
		return false
	}
	v.s.moved.Store(true)
	// What was prepared is prepared again by drivers, and what was not is tried again by applications.
	r := refusal("40001", "could not serialize access: a column's transition was finished meanwhile", "Try the transaction again.")
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
