package relay

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// What a Query returns comes as text, and bytea as text is twice as long: the server writes it, both sides
// carry it, and the proxy reads it back. So a Query of one SELECT that only reads and returns sealed columns is split
// into the messages of the extended protocol, with these columns in binary. The client sees what a Query is
// answered with: to the server's side all these messages are one question, which ends with ReadyForQuery. Where the
// result was small when such a text was last run it is not worth it: see sizes.
//
// It is the same to the server but for the form of the columns: a plan without parameters is made the same way,
// an error has the same text and position, and the Sync that ends it also ends an implicit transaction. Three things a
// Query does are done here on purpose. It leaves neither an unnamed portal nor an unnamed statement: both are
// closed, and an empty Query drops the statement that an error has left. It says that it is complete when the transaction
// is committed: the CommandComplete waits for what comes behind that. And it is right where the catalog has changed meanwhile and *
// stands for other columns: see anew.

// emptyText is a Query that does nothing, except that it drops the unnamed statement.
const emptyText = ";"

// seesItself reports whether a word is the name of what can tell a Query from the messages it is split into: the time
// of the latest message, and the list of portals, which a Query's is not in.
func seesItself(word string) bool {
	switch word {
	case "statement_timestamp", "pg_cursor", "pg_cursors":
		return true
	}
	return false
}

// split decides whether a Query is split, and gives the formats of its columns then.
//
// Within a pipeline it is not: there the server may be skipping messages to a Sync, which would be ours.
func (c *clientSide) split(q *query, l looked, text string) []int16 {
	p := l.plan
	if c.piped || !l.nature.selects || p.NumParams > 0 || len(p.Params) > 0 {
		return nil
	}
	formats := serverFormats(p.Stmts[0].Result, nil)
	if formats == nil {
		return nil
	}
	if q.shape = shapeOf(text); c.s.cfg.Shared.sizes.isSmall(q.shape) {
		return nil
	}
	if l.nature.table || strings.IndexByte(text, '*') >= 0 {
		if c.s.status.Load() != 'I' || !c.s.queue.quiet() {
			return nil
		}
		q.again = strings.Clone(text)
	}
	q.split = true
	return formats
}

// appendSplit appends the messages in place of a Query.
func appendSplit(dst []byte, text string, formats []int16) []byte {
	dst = wire.AppendParse(dst, "", text, nil)
	dst, at := wire.Begin(dst, wire.Bind)
	dst = append(dst, 0, 0, 0, 0, 0, 0) // portal and statement without a name, no parameters
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(formats)))
	for _, f := range formats {
		dst = binary.BigEndian.AppendUint16(dst, uint16(f))
	}
	dst = wire.End(dst, at)
	dst = wire.AppendMessage(dst, wire.Describe, "P\x00")
	dst = wire.AppendMessage(dst, wire.Execute, "\x00\x00\x00\x00\x00")
	dst = wire.AppendMessage(dst, wire.Close, "P\x00")
	dst = wire.AppendMessage(dst, wire.Close, "S\x00")
	return wire.AppendMessage(dst, wire.Sync)
}

// step takes the answer to a message that a Query was split into. It reports whether it was one.
func (v *serverSide) step(e *expected, typ byte) bool {
	q := e.query
	if q == nil || !q.split {
		return false
	}
	switch typ {
	case wire.ParseComplete:
		q.parsed = true
	case wire.BindComplete:
		q.bound = true
	}
	v.in.Drop()
	return true
}

// committed sends the CommandComplete of a Query, if it was held, before what the server sends between
// the end of a transaction and ReadyForQuery. What it sends before the proxy's own COMMIT is held too.
func (v *serverSide) committed(typ byte) (held bool, err error) {
	e := v.expected()
	switch {
	case e == nil || e.query == nil || !e.query.split && !e.bracket:
		return false, nil
	case e.query.split || e.ending:
		return false, v.sendTag(e)
	case e.query.tag == nil:
		return false, nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return false, err
	}
	e.query.late = wire.AppendMessage(e.query.late, typ, string(body))
	v.in.Drop()
	return true, nil
}

// miscounted reports whether an error says that a Query which was split has another number of columns than the
// analysis knows. Then the Query is sent as it was: see anew.
func (v *serverSide) miscounted(e *expected) (bool, error) {
	q := e.query
	if q == nil || !q.split || q.again == "" || !q.parsed || q.bound {
		return false, nil
	}
	body, err := v.in.Body(maxFields)
	if errors.Is(err, wire.ErrTooLong) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fields, err := wire.ReadFields(body)
	if err != nil || wire.Find(fields, wire.FieldSQLState) != "08P01" {
		return false, err
	}
	v.s.moved.Store(true)
	v.in.Drop()
	q.anew = true
	return true, nil
}

// anew sends, in place of messages that had the wrong number of formats, the Query itself. It was outside of a
// transaction block, so that nothing came of the error. It reports whether it did.
func (v *serverSide) anew(e *expected) (bool, error) {
	q := e.query
	if q == nil || !q.anew {
		return false, nil
	}
	text := q.again
	q.split, q.anew, q.again = false, false, ""
	v.in.Drop()
	return true, v.s.down.Send(wire.AppendMessage(nil, wire.Query, text, "\x00"))
}
