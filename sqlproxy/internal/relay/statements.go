package relay

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// reservedPrefix begins the names of the proxy's own statements and portals.
const reservedPrefix = "_rowseal_"

// query carries a Query.
func (c *clientSide) query() error {
	c.s.stats.Statements.Add(1)
	body, err := c.heldText(expectQuery)
	if body == nil {
		return c.answer(err, "", true)
	}
	if len(body) == 0 || bytes.IndexByte(body, 0) != len(body)-1 {
		return c.answer(malformed(), "", true)
	}
	text := unsafeString(body[:len(body)-1])
	l, err := c.look(text, nil, false)
	if err != nil {
		return c.answer(err, text, true)
	}
	if err := c.beforeCode(text, l.effects); err != nil {
		return c.answer(err, text, true)
	}
	c.note(l.effects)
	c.ran()
	if l.plan == nil && l.effects&parse.Discards == 0 {
		c.s.queue.push(expected{kind: expectQuery, alters: alters(l.effects), made: c.dropUnnamed()})
		c.in.Pass()
		return nil
	}
	return c.queryPlanned(text, l)
}

// dropUnnamed takes note that a Query drops the unnamed statement.
func (c *clientSide) dropUnnamed() *atomic.Int32 { return c.statements.set(nil, nil, c.pipeline) }

// alters reports whether other sessions' catalog may be another after a text.
func alters(e parse.Effects) bool { return e&parse.Catalog != 0 }

// heldText gives the body of a message with a text, which is answered by a kind. It is nil where the
// message needs no more: it was passed on, or err says how it is answered.
func (c *clientSide) heldText(k kind) ([]byte, error) {
	body, err := c.in.Body(c.s.maxText)
	if !errors.Is(err, wire.ErrTooLong) {
		return body, err
	}
	if c.follow(); c.looks {
		return nil, refusal("54000", fmt.Sprintf("statement is longer than %d bytes", c.s.maxText),
			"Send values as parameters, or use COPY.")
	}
	// With nothing to look for the text need not be held. What it prepares may come to name something sealed.
	e := expected{kind: k}
	if k == expectParse {
		name, _, err := c.namesOf(0, 1)
		if err != nil {
			return nil, err
		}
		e.drops, e.made = len(name) == 0, c.statements.set(name, &statement{name: string(name), exchanged: true}, c.pipeline)
	}
	c.s.queue.push(e)
	c.in.Pass()
	return nil, nil
}

func malformed() error { return refusal("08P01", "invalid message format", "") }

// queryPlanned carries a Query that touches something sealed, or changes names.
func (c *clientSide) queryPlanned(text string, l looked) error {
	q := &query{plan: l.plan, seen: l.view}
	e := expected{kind: expectQuery, query: q, alters: alters(l.effects), made: c.dropUnnamed()}
	if l.view != nil {
		q.values = l.view.values
	}
	var err error
	if l.plan != nil && len(l.plan.Pieces) > 0 {
		if q.rewritten, err = q.values.Text(c.s.ctx, l.plan, text); err != nil {
			return c.answer(err, text, true)
		}
	}
	guarded, bracket, err := c.guardQuery(l)
	if err != nil {
		return c.answer(err, text, true)
	}
	learns := l.effects&parse.Discards != 0 || l.plan != nil && changesNames(l.plan)
	if e.bracket = bracket; bracket {
		if err := c.beginBracket(); err != nil {
			return err
		}
	}
	if guarded {
		c.guard(&e)
	} else if learns {
		e.wait = newWaiter()
	}
	if err := c.sendQuery(e, l, text); err != nil || !learns {
		return err
	}
	if err := c.waitFor(e.wait); err != nil {
		return err
	}
	if e.wait.outcome == skipped {
		c.skipping = true // what follows may use the names that were not made
		return nil
	}
	c.learn(l, q.index, q.failed)
	return nil
}

// sendQuery sends a Query that was planned: as it was, with another text, or split.
func (c *clientSide) sendQuery(e expected, l looked, text string) error {
	if e.query.rewritten != nil {
		text = e.query.rewritten.Text
	}
	formats := c.split(e.query, l, text)
	c.s.queue.push(e)
	if formats == nil && e.query.rewritten == nil {
		c.in.Pass()
		return nil
	}
	out := c.in.Append()
	if formats != nil {
		out = appendSplit(out, text, formats)
	} else {
		out = wire.AppendMessage(out, wire.Query, text, "\x00")
	}
	c.in.Drop()
	return c.in.Set(out)
}

// changesNames reports whether a text makes or drops prepared statements or cursors by name.
func changesNames(p *plan.Plan) bool {
	for i := range p.Stmts {
		switch p.Stmts[i].Kind {
		case plan.KindPrepare, plan.KindDeallocate, plan.KindDeclare, plan.KindClose:
			return true
		}
	}
	return false
}

// learn takes over what the first n statements of a text made or dropped. Where one
// failed it is not known whether that came before all names were dropped: then they are kept, since a
// name that is forgotten might be bound to values that would not be sealed.
func (c *clientSide) learn(l looked, n int, failed bool) {
	if l.effects&parse.Discards != 0 && n > 0 && !failed {
		deallocateAll(c.statements)
		c.kept = kept{}
		if l.effects&parse.Closes != 0 {
			clear(c.portals)
			c.sealedNames = false
		}
	}
	if l.plan == nil {
		return
	}
	for i := range min(n, len(l.plan.Stmts)) {
		c.learnName(&l.plan.Stmts[i], l)
	}
}

func (c *clientSide) learnName(st *plan.Stmt, l looked) {
	name, v := []byte(st.Name), l.view
	switch st.Kind {
	case plan.KindPrepare:
		c.sealedNames = true
		settle(c.statements.set(name, &statement{
			name: st.Name, text: l.text, inner: true, repeats: l.prepared,
			sensitive: true, seen: v, analysed: v, snapshot: v.snapshot, plan: st.Inner, stamped: c.madeStatement(),
		}, c.pipeline))
	case plan.KindDeclare:
		c.sealedNames = true
		settle(c.portals.set(name, &portal{cursor: true, outputs: st.Result, values: v.values, seen: v, stamped: c.madeCursor()}, c.pipeline))
	case plan.KindDeallocate:
		if len(name) == 0 {
			deallocateAll(c.statements)
			c.kept = kept{}
			return
		}
		c.kept.drop(st.Name)
		settle(c.statements.set(name, nil, 0))
	case plan.KindClose:
		forgetCursor(c.portals, name)
	}
}

// forgetCursor drops one name, or all where it is "".
func forgetCursor(n names[portal], name []byte) {
	if len(name) == 0 {
		clear(n)
	}
	settle(n.set(name, nil, 0))
}

// parse carries a Parse.
func (c *clientSide) parse() error {
	c.s.stats.Statements.Add(1)
	prefix, err := c.in.Prefix(1)
	if err != nil {
		return err
	}
	unnamed := len(prefix) > 0 && prefix[0] == 0
	body, err := c.heldText(expectParse)
	if body == nil {
		return c.answerParse(err, "", unnamed)
	}
	m, err := wire.ReadParse(body)
	if err != nil || bytes.HasPrefix(m.Name, []byte(reservedPrefix)) {
		return c.answerParse(malformed(), "", unnamed)
	}
	text := unsafeString(m.Text)
	l, err := c.look(text, m.OIDs, true)
	if err != nil {
		return c.answerParse(err, text, unnamed)
	}
	st := &statement{
		name: string(m.Name), text: strings.Clone(text), oids: m.OIDs, repeats: true, effects: l.effects,
		sensitive: l.plan != nil, seen: l.view, analysed: l.view, snapshot: c.snapshot, plan: l.plan, nature: l.nature,
	}
	if !st.touches() {
		c.s.queue.push(expected{kind: expectParse, drops: len(m.Name) == 0, made: c.statements.set(m.Name, st, c.pipeline)})
		c.in.Pass()
		return nil
	}
	return c.parseSealed(st)
}

// parseSealed prepares a statement whose text or values are changed, and asks
// what its columns are: the client may never ask.
func (c *clientSide) parseSealed(st *statement) error {
	text := st.text
	if len(st.plan.Pieces) > 0 {
		var err error
		if st.rewritten, err = st.seen.values.Text(c.s.ctx, st.plan, text); err != nil {
			return c.answerParse(err, text, st.name == "")
		}
		text = st.rewritten.Text
	}
	if st.name != "" {
		c.sealedNames = true
		st.stamped = c.madeStatement()
	}
	st.asked = true
	c.s.queue.push(expected{kind: expectParse, statement: st, drops: st.name == "", made: c.statements.set([]byte(st.name), st, c.pipeline)})
	c.s.queue.push(expected{kind: expectStatement, own: true, statement: st})
	out := c.in.Append()
	c.in.Drop()
	out = wire.AppendParse(out, st.name, text, declared(st))
	return c.in.Set(wire.AppendMessage(out, wire.Describe, "S", st.name, "\x00"))
}

// declared gives the types to declare to the server.
func declared(st *statement) []uint32 {
	if st.plan.Params == nil {
		return st.oids
	}
	oids := make([]uint32, len(st.plan.Params))
	for i, p := range st.plan.Params {
		oids[i] = p.OID
		if p.OID == 0 && p.Client > 0 && p.Client <= len(st.oids) {
			oids[i] = st.oids[p.Client-1]
		}
	}
	return oids
}

// clientParams is how many parameters the client must send.
func (s *statement) clientParams() int { return max(s.plan.NumParams, len(s.oids)) }

// paramType gives the type that the client's i-th parameter is taken to have; 0 for unknown.
func (s *statement) paramType(i int) uint32 {
	if i < len(s.oids) && s.oids[i] != 0 {
		return s.oids[i]
	}
	if i < len(s.plan.Logical) {
		return s.plan.Logical[i]
	}
	return 0
}

// valuesOf gives the client's parameters as sealing wants them.
func valuesOf(st *statement, m *wire.BindMessage) []sealing.Value {
	values := make([]sealing.Value, len(m.Values))
	for i := range values {
		values[i] = sealing.Value{OID: st.paramType(i), Format: wire.Format(m.Formats, i), Data: m.Values[i]}
	}
	return values
}
