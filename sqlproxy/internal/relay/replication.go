package relay

import (
	"context"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// A connection of the replication protocol sees what the server has: nothing is sealed or opened on it. It takes commands of its
// own and, where it has a database, SQL in Query alone; nothing may be asked between its messages, because some
// commands must be the first of their transaction. So the catalog is read once, at its beginning, and of SQL it lets
// through what sends no value to the server that may be one of a sealed column.

// replicates reports whether the session speaks the replication protocol, and inDatabase whether it takes SQL too.
func (s *session) replicates() (replicates, inDatabase bool) {
	word := s.pair.Options["replication"]
	return login.AsksReplication(word), strings.EqualFold(word, "database")
}

// beginReplication reads the catalog where there is one.
func (c *clientSide) beginReplication(inDatabase bool) error {
	if c.replicates = true; !inDatabase || !c.looks {
		return nil
	}
	snapshot, err := c.engine().load(c.s.ctx, simpleQuerier{c}, c.rules.policy)
	c.snapshot = snapshot
	return err
}

// simpleQuerier asks by Query, where the extended protocol is not spoken.
type simpleQuerier struct{ *clientSide }

var _ catalog.Querier = simpleQuerier{}

// Query runs a query.
func (q simpleQuerier) Query(ctx context.Context, sql string) ([][][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.s.stats.Queries.Add(1)
	a, w := &asked{synced: true}, newWaiter()
	q.s.queue.push(expected{kind: expectOwn, own: true, asked: a, wait: w})
	if err := q.in.Set(wire.AppendMessage(q.in.Append(), wire.Query, sql, "\x00")); err != nil {
		return nil, err
	}
	if err := q.waitFor(w); err != nil {
		return nil, err
	}
	switch {
	case a.failure != nil:
		return nil, &serverError{a.failure}
	case a.bad || w.outcome != done:
		return nil, wire.ErrMalformed
	}
	return a.rows, nil
}

// replicate carries a message of a replication connection. It reports false where that goes like any other's.
func (c *clientSide) replicate(typ byte) (done bool, err error) {
	if c.follow(); !c.rules.sealed {
		return false, nil
	}
	switch typ {
	case wire.Query:
		return true, c.replicateQuery()
	case wire.Parse, wire.Bind, wire.Execute, wire.Describe, wire.Close:
		return true, c.pipes(c.answer(refusal("08P01", "extended query protocol not supported in a replication connection", ""), "", false))
	}
	return false, nil
}

// replicateQuery carries a Query.
func (c *clientSide) replicateQuery() error {
	c.s.stats.Statements.Add(1)
	body, err := c.in.Body(c.s.maxText)
	if err != nil {
		return c.answer(refusal("54000", "statement is too long", ""), "", true)
	}
	text := strings.TrimRight(unsafeString(body), "\x00")
	if !c.replicable(text) {
		return c.answer(refusal("0A000", "a replication connection takes no statement that may hold values of sealed columns",
			"Use another connection for it."), "", true)
	}
	c.s.queue.push(expected{kind: expectQuery, made: c.dropUnnamed()})
	c.in.Pass()
	return nil
}

// replicable reports whether a text is a command of the replication protocol, or SQL that names nothing sealed or has no
// constants.
func (c *clientSide) replicable(text string) bool {
	text = strings.Trim(text, "; \t\r\n")
	word := text[:len(text)-len(strings.TrimLeft(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz_"))]
	switch strings.ToLower(word) {
	case "identify_system", "read_replication_slot", "create_replication_slot", "alter_replication_slot", "drop_replication_slot",
		"start_replication", "timeline_history", "base_backup", "upload_manifest", "show":
		return !strings.Contains(text, ";")
	}
	if text == "" || c.snapshot == nil {
		return text == ""
	}
	sensitive := c.engine().scan(c.snapshot, text, parse.AnyBytes).Sensitive
	if latest, _ := c.database.get(); latest != nil { // what others have made since
		sensitive = sensitive || c.engine().scan(latest, text, parse.AnyBytes).Sensitive
	}
	return !sensitive || withoutConstants(text)
}

// withoutConstants reports whether a text only reads and has no constants, as COPY t (a, b) TO STDOUT.
func withoutConstants(text string) bool {
	for i, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n.,()*\"", r) }) {
		lower := strings.ToLower(word)
		switch {
		case i == 0 && lower != "copy" && lower != "select":
			return false
		case lower == "true" || lower == "false" || lower == "stdin" || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz_0123456789") != "":
			return false
		case lower[0] >= '0' && lower[0] <= '9':
			return false
		}
	}
	return true
}
