package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

const (
	// windowRows and windowBytes bound the rows that wait while keys are loaded.
	windowRows  = 256
	windowBytes = 1 << 20
)

// window holds rows, in order, of which the first lacks a key.
type window struct {
	rows  [][]byte
	bytes int
}

func (w *window) full() bool { return len(w.rows) >= windowRows || w.bytes >= windowBytes }

func (w *window) add(body []byte) {
	w.rows = append(w.rows, append([]byte{}, body...))
	w.bytes += len(body)
}

// row carries a DataRow.
func (v *serverSide) row() error {
	if !v.begun {
		if own, err := v.beginRows(); own || err != nil {
			return err
		}
	}
	switch {
	case v.swallow:
		v.in.Drop()
		return nil
	case v.opener == nil:
		v.in.PassAll()
		return nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return v.unopened(tooLong(err, v.s.maxHeld))
	}
	v.size += len(body)
	if len(v.window.rows) > 0 {
		v.window.add(body)
		v.in.Drop()
		return nil
	}
	out, at := wire.Begin(v.in.Append(), wire.DataRow)
	out, ok, err := v.opener.Row(v.s.ctx, out, body)
	switch {
	case err != nil:
		return v.unopened(err)
	case !ok:
		v.window.add(body)
		v.in.Drop()
		return nil
	}
	v.in.Drop()
	v.s.stats.Rows.Add(1)
	return v.in.Set(wire.End(out, at))
}

// beginRows makes ready for the rows of an Execute. own is set where the row was the proxy's own.
func (v *serverSide) beginRows() (own bool, err error) {
	e := v.expected()
	if e != nil && e.kind == expectOwn {
		return true, v.own(e, wire.DataRow)
	}
	v.begun = true
	if e == nil || e.kind != expectExecute || e.portal == nil {
		return false, nil
	}
	po := e.portal
	columns, err := po.described()
	if err != nil {
		return false, err
	}
	uniform := len(po.client) <= 1
	k := openerKey{values: po.values, format: wire.Format(po.client, 0)}
	if st := po.statement; st != nil && uniform && st.openerOf == k {
		v.opener = st.opener
	} else {
		outputs := po.result()
		if v.foreign(columns, outputs, po.seen, po.analysed()) {
			return false, v.tell(errForeign())
		}
		v.opener = v.newOpener(columns, outputs, po.values, po.seen, po.server, po.client)
		if st != nil && uniform {
			st.opener, st.openerOf = v.opener, k
		}
	}
	if v.opener != nil {
		v.noted = v.opener.Noted()
	}
	return false, nil
}

// errNotDescribed is an internal fault: rows came of a statement that was never described.
var errNotDescribed = errors.New("rowseal: internal error: rows of a statement whose columns are not known")

// described gives the server's columns.
func (p *portal) described() ([]wire.ColumnInfo, error) {
	switch {
	case p.statement != nil && p.statement.described:
		return p.statement.columns, nil
	case p.statement == nil && p.columns != nil:
		return p.columns, nil
	}
	return nil, errNotDescribed
}

// result gives the result's columns as the analysis knows them.
func (p *portal) result() []plan.Output {
	if p.statement != nil {
		return p.statement.outputs()
	}
	return p.outputs
}

// newOpener makes what opens the rows of these columns; nil where nothing is to be opened or watched.
func (v *serverSide) newOpener(
	columns []wire.ColumnInfo, outputs []plan.Output, values *sealing.Session, seen *view, server, client []int16,
) *sealing.Opener {
	list := make([]sealing.Column, len(columns))
	needed := false
	for i := range columns {
		list[i] = sealing.Column{
			Output: v.output(columns, outputs, seen, i), OID: columns[i].Type,
			Server: wire.Format(server, i), Client: wire.Format(client, i),
		}
		sealed := len(list[i].Possible) > 0
		list[i].Watch = !sealed && columns[i].Type == pgtype.ByteaOID
		needed = needed || sealed || list[i].Watch
	}
	if !needed {
		return nil
	}
	return values.NewOpener(list)
}

// output says which sealed columns may stand in a result column: what the analysis proved, or
// the column of a table that the server names.
func (v *serverSide) output(columns []wire.ColumnInfo, outputs []plan.Output, seen *view, i int) plan.Output {
	if len(outputs) == len(columns) && len(outputs[i].Possible) > 0 {
		return outputs[i]
	}
	none := plan.Output{TenantAt: -1, RowIDAt: -1}
	if columns[i].Table == 0 || columns[i].Type != pgtype.ByteaOID || seen == nil {
		return none
	}
	if col := v.s.cfg.Shared.engine.column(seen.snapshot, columns[i].Table, columns[i].Num); col != nil {
		none.Possible = append(none.Possible, col)
	}
	return none
}

// foreign reports whether a column that may be sealed, as the analysis has it, comes from a relation that
// the analysis cannot have meant: the name has come to mean another table. The next statement is analysed anew then.
// The columns may have been described under any of the views.
func (v *serverSide) foreign(columns []wire.ColumnInfo, outputs []plan.Output, views ...*view) bool {
	if len(outputs) != len(columns) {
		return false
	}
	for i := range columns {
		if columns[i].Table == 0 || len(outputs[i].Possible) == 0 {
			continue
		}
		if !v.meant(&columns[i], outputs[i].Possible, views) {
			v.s.moved.Store(true)
			return true
		}
	}
	return false
}

func (v *serverSide) meant(column *wire.ColumnInfo, possible []*field.Column, views []*view) bool {
	for _, seen := range views {
		if seen != nil && holds(seen.snapshot, column, possible) {
			return true
		}
	}
	// A table that was made anew since, in the place of the old one.
	latest, _ := v.s.cfg.Shared.rules.Load().databaseOf(v.s).get()
	return latest != nil && holds(latest, column, possible)
}

// holds reports whether one of the sealed columns may stand in a column that the server names.
func holds(s *catalog.Snapshot, column *wire.ColumnInfo, possible []*field.Column) bool {
	r := s.ByOID(column.Table)
	switch {
	case r == nil:
		return false
	case r.Table == nil:
		return r.Sensitive && (r.Kind == 'v' || r.Kind == 'm')
	}
	for i := range r.Columns {
		if sealed := r.Columns[i].Sealed; r.Columns[i].Num == column.Num && sealed != nil {
			return slices.ContainsFunc(possible, func(p *field.Column) bool { return p == sealed || p.String() == sealed.String() })
		}
	}
	return false
}

// errForeign is told in the place of such a result.
func errForeign() error {
	return refusal("XX001", "the result comes from another table than the statement was analysed for",
		"Try again; the proxy reads the catalog anew.")
}

// openWindow loads the keys of the rows that wait, and sends these.
func (v *serverSide) openWindow() error {
	rows := v.window.rows
	v.window = window{}
	if v.swallow {
		return nil
	}
	if err := v.opener.Load(v.s.ctx, rows); err != nil {
		return v.tell(err)
	}
	for _, body := range rows {
		out, at := wire.Begin(v.in.Append(), wire.DataRow)
		out, ok, err := v.opener.Row(v.s.ctx, out, body)
		if err == nil && !ok {
			err = refusal("57P03", "a key of a sealed value cannot be had at the moment", "")
		}
		if err != nil {
			return v.tell(err)
		}
		v.s.stats.Rows.Add(1)
		if err := v.in.Set(wire.End(out, at)); err != nil {
			return err
		}
	}
	return nil
}

// unopened drops the message at hand, a value of which does not open, and tells the client.
func (v *serverSide) unopened(err error) error {
	v.in.Drop()
	return v.tell(err)
}

// tell tells the client that a value did not open, and swallows the rest of what
// its statement gives.
func (v *serverSide) tell(err error) error {
	r, ok := refusalOf(err)
	if !ok {
		return err
	}
	v.s.stats.RowErrors.Add(1)
	v.s.blame(r)
	e := v.expected()
	if e == nil || !e.guarded && (e.kind != expectExecute || e.wait == nil) {
		done := *r
		done.Detail, done.Hint = "The statement itself was carried out.", strings.TrimPrefix(r.Hint, "Try again; ")
		r = &done
	}
	if e != nil && e.kind == expectExecute && e.portal != nil && e.portal.statement != nil {
		e.portal.statement.openerOf = openerKey{} // it may hold rows that were not taken
	}
	v.opener, v.copyOut, v.swallow = nil, nil, true
	return v.in.Set(appendRefusal(v.in.Append(), "ERROR", r, ""))
}

// tooLong gives the error for a row that cannot be held.
func tooLong(err error, limit int) error {
	if errors.Is(err, wire.ErrTooLong) {
		return refusal("54000", fmt.Sprintf("a row with sealed values is longer than %d bytes", limit), "")
	}
	return err
}

// noteUnopened tells the client, once for a statement, of values that look sealed and were passed on.
func (v *serverSide) noteUnopened() error {
	if v.opener == nil || v.swallow || v.opener.Noted() == v.noted {
		return nil
	}
	n := v.opener.Noted() - v.noted
	v.s.stats.Unopened.Add(int64(n))
	return v.in.Set(wire.AppendFields(v.in.Append(), wire.NoticeResponse, []wire.Field{
		{Type: wire.FieldSeverity, Value: "WARNING"},
		{Type: wire.FieldSeverityV, Value: "WARNING"},
		{Type: wire.FieldSQLState, Value: "01000"},
		{Type: wire.FieldMessage, Value: fmt.Sprintf("%d values of columns that are not sealed look sealed, and were not opened", n)},
	}))
}
