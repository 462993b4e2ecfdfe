package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

const (
	// namePrefix is as much of a message as mostly holds the names at its beginning, maxNames as much as they may take.
	namePrefix = 160
	maxNames   = 8 << 10
)

// namesOf gives the two strings, or the one, at the beginning of the message at hand, behind skip bytes.
func (c *clientSide) namesOf(skip, n int) (first, second []byte, err error) {
	for _, size := range []int{namePrefix, maxNames} {
		prefix, err := c.in.Prefix(size)
		if err != nil {
			return nil, nil, err
		}
		cur := wire.Cursor{Rest: prefix[min(skip, len(prefix)):]}
		if first = cur.String(); n > 1 {
			second = cur.String()
		}
		if !cur.Bad {
			return first, second, nil
		}
	}
	return nil, nil, malformed()
}

// bind carries a Bind.
func (c *clientSide) bind() error {
	if c.follow(); !c.looks {
		c.s.queue.push(expected{kind: expectBind})
		c.in.Pass()
		return nil
	}
	name, stName, err := c.namesOf(0, 2)
	if err != nil {
		return c.answer(err, "", false)
	}
	c.forgetPortals()
	if err := c.makeSure(c.statements.ambiguous(stName, c.pipeline) || c.statements.remade(stName, c.pipeline)); err != nil {
		return c.answer(err, "", false)
	}
	st, skip := c.statements.use(stName, c.pipeline)
	if skip {
		return c.answer(errSkipping, "", false)
	}
	if st == nil {
		return c.bindUnknown(name, stName)
	}
	if err := c.recheck(st); err != nil {
		return c.answer(err, st.text, false)
	}
	if len(stName) > 0 && st.touches() && !st.sure(c) {
		if err := c.confirm(); err != nil {
			return c.answer(err, "", false)
		}
	}
	if st.exchanged {
		return c.answer(errMoved(), "", false)
	}
	if st.touches() {
		return c.bindSealed(st)
	}
	var po *portal
	if st.effects != 0 || c.portals.get(name, c.pipeline) != nil {
		po = &portal{effects: st.effects, text: st.text}
	}
	if st.plan != nil && changesNames(st.plan) {
		po = &portal{effects: st.effects, text: st.text, names: st, seen: st.seen}
	}
	c.s.queue.push(expected{kind: expectBind, made: c.portals.set(name, po, c.pipeline)})
	c.in.Pass()
	return nil
}

// bindUnknown carries a Bind of a statement that was not prepared by Parse. The server knows it
// if SQL prepared it, and then it touches nothing sealed, as long as its text does not. If it does not, the values, which
// may be meant for a statement that was refused, must not be sent: so it is asked first.
func (c *clientSide) bindUnknown(name, stName []byte) error {
	named := string(key(stName))
	out := wire.AppendMessage(c.in.Append(), wire.Describe, "S", named, "\x00")
	out = wire.AppendMessage(out, wire.Close, "S", ownName, "\x00")
	if _, err := c.exchange(out, 1); err != nil {
		return c.answer(err, "", false)
	}
	if err := c.standsUnread(named); err != nil {
		return c.answer(err, "", false)
	}
	c.s.queue.push(expected{kind: expectBind, made: c.portals.set(name, nil, c.pipeline)})
	c.in.Pass()
	return nil
}

// forgetPortals drops what is known of portals that ended with their transaction.
func (c *clientSide) forgetPortals() {
	const many = 64
	if len(c.portals) < many || c.s.status.Load() != 'I' || !c.s.queue.quiet() {
		return
	}
	for name, e := range c.portals {
		if e.value == nil || !e.value.cursor {
			delete(c.portals, name)
		}
	}
}

// bindSealed carries a Bind whose values or results are changed.
func (c *clientSide) bindSealed(st *statement) error {
	body, err := c.in.Body(c.s.maxHeld)
	if errors.Is(err, wire.ErrTooLong) {
		err = refusal("54000", fmt.Sprintf("parameters with sealed values are longer than %d bytes", c.s.maxHeld), "")
	}
	if err != nil {
		return c.answer(err, "", false)
	}
	m, err := wire.ReadBind(body)
	if err != nil {
		return c.answer(malformed(), "", false)
	}
	for _, f := range m.Formats {
		if f != 0 && f != 1 {
			return c.answer(refusal("22023", fmt.Sprintf("unsupported format code: %d", f), ""), "", false)
		}
	}
	if want := st.clientParams(); st.plan.Params != nil && len(m.Values) != want {
		return c.answer(refusal("08P01", fmt.Sprintf("bind message supplies %d parameters, but prepared statement \"%s\" requires %d",
			len(m.Values), st.name, want), ""), "", false)
	}
	values := c.view.values
	po := &portal{
		statement: st, effects: st.effects, client: m.Results, server: serverFormats(st.outputs(), m.Results), values: values, seen: c.view,
	}
	if len(m.Portal) > 0 {
		po.stamped = c.madeCursor()
	}
	bound := valuesOf(st, &m)
	if st.plan.Params != nil {
		if bound, err = values.Bind(c.s.ctx, st.plan, bound); err != nil {
			return c.answer(err, "", false)
		}
	}
	out := c.in.Append()
	if !st.asked {
		st.asked = true
		c.s.queue.push(expected{kind: expectStatement, own: true, statement: st})
		out = wire.AppendMessage(out, wire.Describe, "S", st.name, "\x00")
	}
	c.s.queue.push(expected{kind: expectBind, portal: po, made: c.portals.set(m.Portal, po, c.pipeline)})
	out = appendBind(out, &m, bound, po.server)
	c.in.Drop()
	return c.in.Set(out)
}

// serverFormats gives the result formats to ask the server for: binary for what may be
// sealed, whatever the client wants, because that is half as long.
func serverFormats(outputs []plan.Output, client []int16) []int16 {
	if len(client) > 1 && len(client) != len(outputs) {
		return client
	}
	var server []int16
	for i := range outputs {
		if len(outputs[i].Possible) == 0 || wire.Format(client, i) != 0 {
			continue
		}
		if server == nil {
			server = make([]int16, len(outputs))
			for j := range server {
				server[j] = wire.Format(client, j)
			}
		}
		server[i] = 1
	}
	if server == nil {
		return client
	}
	return server
}

// appendBind appends a Bind with other values and result formats.
func appendBind(dst []byte, m *wire.BindMessage, values []sealing.Value, results []int16) []byte {
	dst, at := wire.Begin(dst, wire.Bind)
	dst = append(append(dst, m.Portal...), 0)
	dst = append(append(dst, m.Statement...), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for i := range values {
		dst = binary.BigEndian.AppendUint16(dst, uint16(values[i].Format))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for i := range values {
		dst = wire.AppendBytes(dst, values[i].Data)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(results)))
	for _, f := range results {
		dst = binary.BigEndian.AppendUint16(dst, uint16(f))
	}
	return wire.End(dst, at)
}

// execute carries an Execute.
func (c *clientSide) execute() error {
	if len(c.portals) == 0 {
		if err := c.beforeCode("", 0); err != nil {
			return c.answer(err, "", false)
		}
		c.ran()
		c.executed(nil, nil)
		c.s.queue.push(expected{kind: expectExecute})
		c.in.Pass()
		return nil
	}
	name, _, err := c.namesOf(0, 1)
	if err != nil {
		return c.answer(err, "", false)
	}
	if err := c.makeSure(c.portals.ambiguous(name, c.pipeline)); err != nil {
		return c.answer(err, "", false)
	}
	po, skip := c.portals.use(name, c.pipeline)
	if skip {
		return c.answer(errSkipping, "", false)
	}
	if po != nil && len(name) > 0 && po.opens() && !po.sure(c) {
		if err := c.confirm(); err != nil {
			return c.answer(err, "", false)
		}
		po = c.portals.get(name, c.pipeline)
	}
	if err := c.beforeCode(po.code()); err != nil {
		return c.answer(err, "", false)
	}
	c.ran()
	if po == nil {
		c.executed(nil, nil)
		c.s.queue.push(expected{kind: expectExecute})
		c.in.Pass()
		return nil
	}
	return c.executeKnown(po, name)
}

// code gives the text that runs, as far as it is known, and its effects.
func (p *portal) code() (string, parse.Effects) {
	switch {
	case p == nil:
		return "", 0
	case p.statement == nil:
		return p.text, p.effects
	}
	return p.statement.text, p.effects
}

// executeKnown carries an Execute of what has effects, or touches something sealed.
func (c *clientSide) executeKnown(po *portal, name []byte) error {
	c.note(po.effects)
	l := looked{effects: po.effects, view: po.seen}
	e := expected{kind: expectExecute, portal: po, alters: alters(po.effects)}
	if po.statement != nil {
		l.plan = po.statement.plan
		l.text, l.prepared = po.statement.text, true
	}
	if po.names != nil {
		l.plan, l.text, l.prepared = po.names.plan, po.names.text, true
	}
	if po.statement == nil && !po.cursor {
		e.portal = nil
	}
	learns := l.effects&parse.Discards != 0 || l.plan != nil && changesNames(l.plan)
	if learns {
		e.wait = newWaiter()
	}
	c.executed(po, &e)
	if po.cursor && !po.asked {
		po.asked = true
		c.s.queue.push(expected{kind: expectPortal, own: true, portal: po})
		if err := c.in.Set(wire.AppendMessage(c.in.Append(), wire.Describe, "P", string(name), "\x00")); err != nil {
			return err
		}
	}
	c.s.queue.push(e)
	c.in.Pass()
	if !learns {
		return nil
	}
	if err := c.in.Set(wire.AppendMessage(c.in.Append(), wire.Flush)); err != nil {
		return err
	}
	if err := c.waitFor(e.wait); err != nil {
		return err
	}
	switch e.wait.outcome {
	case done:
		c.learn(l, 1, false)
	case failed, skipped:
		c.skipping = true // what follows may use the name that was not made
	}
	return nil
}

// describe carries a Describe.
func (c *clientSide) describe() error {
	e := expected{kind: expectStatement}
	prefix, err := c.in.Prefix(1)
	if err != nil {
		return err
	}
	what := byte('S')
	if len(prefix) > 0 {
		what = prefix[0]
	}
	name, _, err := c.namesOf(1, 1)
	if err != nil {
		return c.answer(err, "", false)
	}
	unsure := c.statements.ambiguous(name, c.pipeline)
	if what == 'P' {
		unsure = c.portals.ambiguous(name, c.pipeline)
	}
	if err := c.makeSure(unsure); err != nil {
		return c.answer(err, "", false)
	}
	var skip bool
	if what == 'P' {
		e.kind = expectPortal
		var po *portal
		if po, skip = c.portals.use(name, c.pipeline); po != nil && (po.statement != nil || po.cursor) {
			e.portal = po
		}
	} else {
		var st *statement
		if st, skip = c.statements.use(name, c.pipeline); st != nil && st.touches() {
			e.statement = st
		}
	}
	if skip {
		return c.answer(errSkipping, "", false)
	}
	c.s.queue.push(e)
	c.in.Pass()
	return nil
}

// close carries a Close.
func (c *clientSide) close() error {
	prefix, err := c.in.Prefix(1)
	if err != nil {
		return err
	}
	isPortal := bytes.Equal(prefix[:min(1, len(prefix))], []byte("P"))
	name, _, err := c.namesOf(1, 1)
	if err != nil {
		return c.answer(err, "", false)
	}
	e := expected{kind: expectClose}
	if isPortal {
		e.made = c.portals.set(name, nil, c.pipeline)
	} else {
		e.made = c.statements.set(name, nil, c.pipeline)
	}
	c.s.queue.push(e)
	c.in.Pass()
	return nil
}
