package relay

import (
	"errors"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// serverSide reads what the server answers. Its fields are for its goroutine alone.
type serverSide struct {
	s  *session
	in *wire.Stream

	// begun is set while a result's rows are under way; opener is nil where they are passed on.
	begun  bool
	opener *sealing.Opener
	noted  int
	size   int // of the rows so far
	window window
	// copyOut opens a COPY TO STDOUT.
	copyOut copyOpener
	// copying is set while the server takes data, so that it ignores Sync; taking until it says that this has ended.
	copying, taking bool
	// swallow is set when a value did not open, until the client's ReadyForQuery: it was told.
	swallow bool
	// altered is set where a statement of the transaction may have changed the catalog.
	altered bool
}

func (v *serverSide) init(s *session) { v.s, v.in = s, s.up }

// run carries messages until the server ends.
func (v *serverSide) run() error {
	for {
		typ, _, err := v.in.Next()
		if err != nil {
			return err
		}
		if len(v.window.rows) > 0 && (typ != wire.DataRow || v.window.full()) {
			if err := v.openWindow(); err != nil {
				return err
			}
		}
		if err := v.message(typ); err != nil {
			return err
		}
		v.s.copying.answered()
		if len(v.window.rows) > 0 && !v.in.Buffered() {
			if err := v.openWindow(); err != nil {
				return err
			}
		}
	}
}

// message carries one message.
func (v *serverSide) message(typ byte) error {
	switch typ {
	case wire.DataRow:
		return v.row()
	case wire.CopyData:
		return v.copyData()
	case wire.NoticeResponse:
		return v.notice()
	case wire.NotificationResponse, wire.ParameterStatus:
		if held, err := v.committed(typ); held || err != nil {
			return err
		}
		if typ == wire.ParameterStatus {
			if err := v.reported(); err != nil {
				return err
			}
		}
		v.in.Pass()
		return nil
	}
	e := v.expected()
	if typ == wire.ReadyForQuery && (e == nil || !e.endsReady()) {
		return errOutOfStep
	}
	if e == nil {
		v.in.Pass() // the server ends the connection, and says why
		return nil
	}
	if v.copying {
		v.skipInCopy()
	}
	if e.kind == expectOwn {
		return v.own(e, typ)
	}
	return v.answer(e, typ)
}

// errOutOfStep ends a session whose answers cannot be told apart any more.
var errOutOfStep = errors.New("rowseal: internal error: the server is ready where an answer was expected")

// endsReady reports whether ReadyForQuery may be among the answers.
func (e *expected) endsReady() bool {
	switch e.kind {
	case expectSync, expectQuery, expectCall, expectOwn:
		return true
	}
	return false
}

// expected gives what the message at hand belongs to; nil for nothing.
func (v *serverSide) expected() *expected {
	for {
		e := v.s.queue.front()
		if e == nil || e.kind != expectCopyEnd {
			return e
		}
		v.s.queue.pop(done) // the server ignored data that it had not asked for
	}
}

// skipInCopy takes from the queue what the server ignored, or took, while it was reading data.
func (v *serverSide) skipInCopy() {
	for v.copying {
		e := v.s.queue.second()
		if e == nil || e.kind != expectSync && e.kind != expectCopyEnd {
			return
		}
		v.copying = e.kind != expectCopyEnd
		v.s.queue.popSecond()
	}
}

// pass passes the message at hand on, unless it answers the proxy or the client was told
// of an error already.
func (v *serverSide) pass(e *expected) {
	if v.swallow || e.own {
		v.in.Drop()
		return
	}
	v.in.Pass()
}

// answer carries an answer.
func (v *serverSide) answer(e *expected, typ byte) error {
	switch typ {
	case wire.ErrorResponse:
		return v.failure(e)
	case wire.ReadyForQuery:
		return v.ready(e)
	case wire.RowDescription:
		return v.columns(e)
	case wire.ParameterDescription:
		return v.parameters(e)
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete, wire.NoData:
		if v.step(e, typ) {
			return nil
		}
		v.pass(e)
		if e.kind != expectQuery {
			v.s.queue.pop(done)
		}
	case wire.CommandComplete, wire.EmptyQueryResponse, wire.PortalSuspended:
		return v.complete(e)
	case wire.CopyInResponse, wire.CopyBothResponse:
		return v.copyInBegins(e)
	case wire.CopyOutResponse:
		v.copyOutBegins(e)
		v.pass(e)
	default:
		v.pass(e)
	}
	return nil
}

// complete ends a result.
func (v *serverSide) complete(e *expected) error {
	if err := v.noteUnopened(); err != nil {
		return err
	}
	if q := e.query; q != nil && q.shape != 0 && !e.ending {
		v.s.cfg.Shared.sizes.learn(q.shape, v.size, !q.split)
	}
	if kept, err := v.keepTag(e); kept || err != nil {
		return err
	}
	v.pass(e)
	v.endCopy(false)
	v.endResult()
	if e.kind == expectExecute {
		v.altered = v.altered || e.alters
		if v.swallow {
			v.s.queue.pop(unopened)
		} else {
			v.s.queue.pop(done)
		}
	} else if e.query != nil {
		e.query.index++
	}
	return nil
}

func (v *serverSide) endResult() {
	v.begun, v.opener, v.copyOut = false, nil, nil
	v.noted, v.size = 0, 0
}

// ready carries a ReadyForQuery.
func (v *serverSide) ready(e *expected) error {
	body, err := v.in.Body(1)
	if err != nil || len(body) != 1 {
		return wire.ErrFrame
	}
	if e.alters {
		v.altered = true
	}
	if again, err := v.anew(e); again || err != nil {
		return err
	}
	if text := v.afterReady(e, body[0]); text != "" {
		e.ending = true
		v.in.Drop()
		v.endResult()
		v.s.stats.Queries.Add(1)
		return v.s.down.Send(wire.AppendMessage(nil, wire.Query, text, "\x00"))
	}
	if err := v.sendTag(e); err != nil {
		return err
	}
	idle := v.status(body[0])
	v.swallow = false
	v.endCopy(false)
	v.endResult()
	v.in.Pass()
	if v.s.idle != nil {
		v.s.readyAt.Store(int64(time.Since(start)))
	}
	v.s.queue.pop(done)
	if idle && v.s.draining.Load() {
		if err := v.in.Flush(); err != nil {
			return err
		}
		v.s.drainIfIdle()
	}
	return nil
}

// status takes note of the transaction's status and reports whether there is none.
func (v *serverSide) status(status byte) bool {
	v.s.status.Store(int32(status))
	if status != 'I' {
		return false
	}
	v.s.ends.Add(1)
	if v.altered {
		// Others may have looked at the catalog after the change, but before it was committed.
		v.altered = false
		v.s.cfg.Shared.rules.Load().databaseOf(v.s).stale()
	}
	return true
}

// own takes the answers to a query of the proxy's own.
func (v *serverSide) own(e *expected, typ byte) error {
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return err
	}
	over := e.asked.answer(typ, body)
	if typ == wire.ReadyForQuery && len(body) == 1 {
		v.status(body[0])
	}
	failed := typ == wire.ErrorResponse && (!e.asked.synced || fatal(body))
	if failed && !v.swallow {
		v.in.Pass() // it stands in the place of the error that the client's message would have got
	} else {
		v.in.Drop()
	}
	if !over {
		return nil
	}
	v.s.queue.pop(done)
	if failed {
		v.s.queue.skip()
	}
	return nil
}

// fatal reports whether an ErrorResponse says that the server ends the session.
func fatal(body []byte) bool {
	fields, err := wire.ReadFields(body)
	severity := wire.Find(fields, wire.FieldSeverityV)
	return err == nil && (severity == "FATAL" || severity == "PANIC")
}

// plan gives a portal's plan; nil for none.
func (p *portal) plan() *plan.Plan {
	if p.statement == nil {
		return nil
	}
	return p.statement.plan
}

// copyOf gives the COPY that the server is at; nil for one without sealed columns.
func (e *expected) copyOf() (*plan.Copy, *sealing.Session) {
	switch {
	case e.query != nil && e.query.plan != nil && e.query.index < len(e.query.plan.Stmts):
		return e.query.plan.Stmts[e.query.index].Copy, e.query.values
	case e.portal != nil && e.portal.plan() != nil && len(e.portal.plan().Stmts) > 0:
		return e.portal.plan().Stmts[0].Copy, e.portal.values
	}
	return nil, nil
}

// copyInBegins carries a CopyInResponse.
func (v *serverSide) copyInBegins(e *expected) error {
	v.copying, v.taking = true, true
	v.pass(e)
	if v.swallow {
		// The client was told of an error: it sends no data.
		v.s.queue.insertSecond(expected{kind: expectCopyEnd})
		return v.s.down.Send(wire.AppendMessage(nil, wire.CopyFail, "result could not be opened\x00"))
	}
	p, values := e.copyOf()
	if p != nil && !p.In {
		p = nil
	}
	v.s.copying.begin(p, values)
	return nil
}

// endCopy takes note that the server takes no more data. It reports whether a Sync amid that was one to heed, see resync.
func (v *serverSide) endCopy(failed bool) (resyncs bool) {
	if v.taking {
		v.taking = false
		resyncs = v.s.copying.over(failed)
	}
	v.copying = false
	return resyncs
}

// resync sends the Sync that the client sent before it was known that the COPY has failed. Until then the client's
// side sends nothing that is answered otherwise than a Sync.
func (v *serverSide) resync() error {
	defer v.s.copying.wasSynced()
	if err := v.in.Flush(); err != nil {
		return err
	}
	v.s.queue.addSync()
	return v.s.down.Send(wire.AppendMessage(nil, wire.Sync))
}

// copyOutBegins makes ready for what COPY TO STDOUT sends.
func (v *serverSide) copyOutBegins(e *expected) {
	if p, values := e.copyOf(); p != nil && !p.In {
		v.copyOut = v.s.cfg.Shared.engine.copyOut(values, p)
	}
}

// copyData carries a CopyData.
func (v *serverSide) copyData() error {
	switch {
	case v.swallow:
		v.in.Drop()
		return nil
	case v.copyOut == nil:
		v.in.Pass()
		return nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return v.unopened(tooLong(err, v.s.maxHeld))
	}
	out := v.in.Append()
	opened, at := wire.Begin(out, wire.CopyData)
	opened, err = v.copyOut.Row(v.s.ctx, opened, body)
	if err != nil {
		return v.unopened(err)
	}
	v.in.Drop()
	v.s.stats.Rows.Add(1)
	if len(opened) == at+4 {
		return nil
	}
	return v.in.Set(wire.End(opened, at))
}
