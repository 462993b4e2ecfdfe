package relay

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// columns carries a RowDescription: the client sees logical types.
func (v *serverSide) columns(e *expected) error {
	if e.statement == nil && e.portal == nil && (e.query == nil || e.query.plan == nil) {
		v.pass(e)
		v.begun, v.opener = true, nil
		if e.kind != expectQuery {
			v.begun = false
			v.s.queue.pop(done)
		}
		return nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return err
	}
	columns, err := wire.ReadColumns(nil, body)
	if err != nil {
		return err
	}
	if v.remember(e, columns) {
		v.in.Drop()
		v.s.queue.pop(done)
		return nil
	}
	outputs, seen := e.known()
	switch foreign := v.foreign(columns, outputs, seen); {
	case foreign && e.kind == expectQuery:
		return v.unopened(errForeign())
	case foreign:
		outputs = nil // its rows are not opened either
	}
	if e.kind == expectQuery {
		v.openQuery(e.query, columns, outputs)
	}
	changed := false
	logical := append([]wire.ColumnInfo{}, columns...)
	for i := range columns {
		out := v.output(columns, outputs, seen, i)
		if len(out.Possible) == 0 {
			continue
		}
		t := out.Possible[0].Type()
		logical[i].Type, logical[i].Size, logical[i].Mod = t.OID(), pgtext.Size(t), t.Modifier()
		if out.As != 0 { // as wide: text in the place of varchar, or the type itself
			logical[i].Type, logical[i].Mod = out.As, -1
		}
		switch {
		case e.kind == expectPortal:
			logical[i].Format = wire.Format(e.portal.client, i)
		case e.kind == expectQuery && e.query.split:
			logical[i].Format = 0
		}
		changed = true
	}
	return v.sendColumns(e, body, logical, changed)
}

// sendColumns passes a RowDescription, or sends one with other types in its place.
func (v *serverSide) sendColumns(e *expected, body []byte, columns []wire.ColumnInfo, changed bool) error {
	var err error
	if changed && !v.swallow {
		out := wire.AppendColumns(v.in.Append(), body, columns)
		v.in.Drop()
		err = v.in.Set(out)
	} else {
		v.pass(e)
	}
	if e.kind != expectQuery {
		v.s.queue.pop(done)
	}
	return err
}

// remember keeps the answer to a Describe of the proxy's own.
func (v *serverSide) remember(e *expected, columns []wire.ColumnInfo) bool {
	if !e.own {
		return false
	}
	if e.statement != nil {
		e.statement.described, e.statement.columns = true, columns
	}
	if e.portal != nil {
		e.portal.columns = columns
	}
	return true
}

// known gives the columns as the analysis knows them, and what it was made with.
func (e *expected) known() ([]plan.Output, *view) {
	switch {
	case e.query != nil && e.query.index < len(e.query.plan.Stmts):
		return e.query.plan.Stmts[e.query.index].Result, e.query.seen
	case e.query != nil:
		return nil, e.query.seen
	case e.portal != nil:
		return e.portal.result(), e.portal.seen
	}
	return e.statement.outputs(), e.statement.analysed
}

// openQuery makes ready for the rows of a Query.
func (v *serverSide) openQuery(q *query, columns []wire.ColumnInfo, outputs []plan.Output) {
	server := make([]int16, len(columns))
	for i := range columns {
		server[i] = columns[i].Format
	}
	client := server
	if q.split {
		client = nil // all in text
	}
	v.begun, v.noted = true, 0
	v.opener = v.newOpener(columns, outputs, q.values, q.seen, server, client)
}

// parameters carries a ParameterDescription: the client sees its own parameters,
// in logical types.
func (v *serverSide) parameters(e *expected) error {
	if e.own || v.swallow || e.statement == nil {
		v.pass(e)
		return nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return err
	}
	oids, err := wire.ReadParameters(body)
	if err != nil {
		return err
	}
	out := wire.AppendParameters(v.in.Append(), e.statement.logical(oids))
	v.in.Drop()
	return v.in.Set(out)
}

// logical gives the client's parameter types for the server's.
func (s *statement) logical(server []uint32) []uint32 {
	oids := server
	if s.plan.Params != nil {
		oids = make([]uint32, s.clientParams())
		copy(oids, s.oids)
		for i, p := range s.plan.Params {
			if p.Client > 0 && p.Client <= len(oids) && i < len(server) {
				oids[p.Client-1] = server[i]
			}
		}
	}
	for i := range oids {
		if i < len(s.plan.Logical) && s.plan.Logical[i] != 0 {
			oids[i] = s.plan.Logical[i]
		}
		if oids[i] == 0 {
			oids[i] = pgtype.TextOID
		}
	}
	return oids
}
