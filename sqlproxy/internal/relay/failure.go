package relay

import (
	"errors"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

const (
	// maxFields is the longest ErrorResponse or NoticeResponse that is looked at.
	maxFields = 8 << 20
	// fieldsPrefix is as much of one as holds what comes before its message.
	fieldsPrefix = 64
)

// failure carries an ErrorResponse, and drops from the queue what the server skips because of it.
func (v *serverSide) failure(e *expected) error {
	if again, err := v.miscounted(e); again || err != nil {
		return err
	}
	instead := v.s.copying.takeRefusal()
	resyncs := v.endCopy(true) // before the client knows
	if err := v.tellFailure(e, instead); err != nil {
		return err
	}
	switch e.kind {
	case expectQuery, expectCall, expectSync: // ReadyForQuery follows
		v.endResult()
		if e.query != nil {
			e.query.failed = true
		}
	default:
		v.endResult()
		v.s.queue.pop(failed)
		v.s.queue.skip()
	}
	if resyncs {
		return v.resync()
	}
	return nil
}

// tellFailure sends the client an error: the server's, or the one that takes its place. data is the one for
// data of a COPY that was refused.
func (v *serverSide) tellFailure(e *expected, data []byte) error {
	if v.swallow || e.ending && e.query != nil && e.query.failed {
		v.in.Drop() // the client was told of one
		return nil
	}
	body, err := v.in.Body(maxFields)
	if errors.Is(err, wire.ErrTooLong) {
		return v.longFailure(e)
	}
	if err != nil {
		return err
	}
	fields, err := wire.ReadFields(body)
	if err != nil {
		return err
	}
	instead := e.refusal
	if data != nil {
		instead = data
	}
	severity := wire.Find(fields, wire.FieldSeverityV)
	own := wire.Find(fields, wire.FieldSQLState) == stateFailed && !e.force || severity != "ERROR"
	switch {
	case instead != nil && !own:
		out := append(v.in.Append(), instead...)
		v.in.Drop()
		return v.in.Set(out)
	case v.outlived(e, fields) || v.rewrite(fields, e.text()):
		out := wire.AppendFields(v.in.Append(), wire.ErrorResponse, fields)
		v.in.Drop()
		return v.in.Set(out)
	}
	v.in.Pass()
	return nil
}

// longFailure carries an error that is too long to be looked at. Where that matters the client gets the beginning of it.
func (v *serverSide) longFailure(e *expected) error {
	if e.refusal == nil && e.planned() == nil && !v.s.cfg.Shared.rules.Load().sealed {
		v.in.Pass()
		return nil
	}
	prefix, err := v.in.Prefix(fieldsPrefix)
	if err != nil {
		return err
	}
	severity, state := "ERROR", "XX000"
	for cur := (wire.Cursor{Rest: prefix}); len(cur.Rest) > 0 && !cur.Bad; {
		typ := cur.Rest[0]
		cur.Rest = cur.Rest[1:]
		switch value := string(cur.String()); {
		case cur.Bad:
		case typ == wire.FieldSeverityV:
			severity = value
		case typ == wire.FieldSQLState:
			state = value
		}
	}
	r := refusal(state, "the server's message is too long to be shown", "")
	out := appendRefusal(v.in.Append(), severity, r, "")
	v.in.Drop()
	return v.in.Set(out)
}

// text gives what the server's positions are about; nil where that is the client's text.
func (e *expected) text() *sealing.Rewritten {
	switch {
	case e.query != nil:
		return e.query.rewritten
	case e.statement != nil:
		return e.statement.rewritten
	case e.portal != nil && e.portal.statement != nil:
		return e.portal.statement.rewritten
	}
	return nil
}

// rewrite maps positions back to the client's text and takes out what would print a row or a
// search term. It reports whether it changed anything.
func (v *serverSide) rewrite(fields []wire.Field, text *sealing.Rewritten) (changed bool) {
	if text != nil && foreignRow(fields) {
		return true
	}
	hide := v.hides(fields)
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Type == wire.FieldPosition && text != nil:
			if p, err := strconv.Atoi(f.Value); err == nil {
				f.Value, changed = strconv.Itoa(text.Position(p)), true
			}
		case f.Type == wire.FieldDetail && hide:
			f.Value, changed = "The values are not shown, because the table has sealed columns.", true
		case f.Type == wire.FieldContext && strings.HasPrefix(f.Value, "COPY "):
			// COPY patients, line 1, column ssn: "…"
			if at := strings.Index(f.Value, `: "`); at > 0 {
				f.Value, changed = f.Value[:at], true
			}
		}
	}
	return changed
}

// foreignRow says in place of the server why a statement failed that would have
// put a sealed value into a row of another tenant. It reports whether that was so.
func foreignRow(fields []wire.Field) bool {
	if wire.Find(fields, wire.FieldSQLState) != "22023" ||
		wire.Find(fields, wire.FieldMessage) != `invalid hexadecimal digit: "`+plan.ForeignRow+`"` {
		return false
	}
	for i := range fields {
		switch f := &fields[i]; f.Type {
		case wire.FieldSQLState:
			f.Value = "42501"
		case wire.FieldMessage:
			f.Value = "a row belongs to another tenant than the value that it would get"
		}
	}
	return true
}

// hides reports whether an error's detail would print a row of a table with sealed columns.
func (v *serverSide) hides(fields []wire.Field) bool {
	if !strings.HasPrefix(wire.Find(fields, wire.FieldSQLState), "23") || wire.Find(fields, wire.FieldDetail) == "" {
		return false
	}
	r := v.s.cfg.Shared.rules.Load()
	if !r.sealed {
		return false
	}
	snapshot, _ := r.databaseOf(v.s).get()
	table := wire.Find(fields, wire.FieldTable)
	return snapshot == nil || table == "" ||
		v.s.cfg.Shared.engine.covered(snapshot, wire.Find(fields, wire.FieldSchema), table)
}

// notice carries a NoticeResponse.
func (v *serverSide) notice() error {
	if !v.s.cfg.Shared.rules.Load().sealed {
		v.in.Pass()
		return nil
	}
	body, err := v.in.Body(maxFields)
	if errors.Is(err, wire.ErrTooLong) {
		v.in.Drop() // what cannot be looked at is not passed; nobody waits for a notice
		return nil
	}
	if err != nil {
		return err
	}
	fields, err := wire.ReadFields(body)
	if err != nil {
		return err
	}
	e := v.expected()
	if e != nil && e.kind == expectOwn {
		v.in.Drop()
		return nil
	}
	if e != nil && v.rewrite(fields, e.text()) {
		out := wire.AppendFields(v.in.Append(), wire.NoticeResponse, fields)
		v.in.Drop()
		return v.in.Set(out)
	}
	v.in.Pass()
	return nil
}
