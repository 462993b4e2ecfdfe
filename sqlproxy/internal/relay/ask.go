package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// ownName is the statement and the portal of the proxy's own queries.
const ownName = "_rowseal_query"

// errGone says that the server's side has ended.
var errGone = errors.New("connection to the server has ended")

// errSkipping says that the server ignores what comes before the client's next Sync.
var errSkipping = errors.New("server skips to the next Sync")

// asked is a query of the proxy's own. The server's side fills it.
type asked struct {
	// synced is set where a Sync of the proxy's follows, so that a ReadyForQuery belongs to the answer.
	synced bool
	// closes is how many answers to Close are still to come.
	closes int
	rows   [][][]byte
	// failure is the body of the server's ErrorResponse.
	failure []byte
	// bad is set where the answer was not understood.
	bad bool
}

// serverError is an error with which the server answered a query of the proxy's own.
type serverError struct{ body []byte }

// Error gives SQLSTATE and message.
func (e *serverError) Error() string {
	fields, err := wire.ReadFields(e.body)
	if err != nil {
		return "server answered with a malformed error"
	}
	return fmt.Sprintf("server answered a query of the proxy's own: %s (SQLSTATE %s)",
		wire.Find(fields, wire.FieldMessage), wire.Find(fields, wire.FieldSQLState))
}

var _ catalog.Querier = (*clientSide)(nil)

// Query runs a query on the client's session, between its messages. Where the
// client stands at the end of a pipeline a Sync follows; within one it must not, because it would
// end the client's implicit transaction.
func (c *clientSide) Query(ctx context.Context, sql string) ([][][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.s.stats.Queries.Add(1)
	out := c.in.Append()
	out = wire.AppendParse(out, ownName, sql, nil)
	out = wire.AppendMessage(out, wire.Bind, ownName, "\x00", ownName, "\x00", "\x00\x00", "\x00\x00", "\x00\x00")
	out = wire.AppendMessage(out, wire.Execute, ownName, "\x00", "\x00\x00\x00\x00")
	out = wire.AppendMessage(out, wire.Close, "P", ownName, "\x00")
	out = wire.AppendMessage(out, wire.Close, "S", ownName, "\x00")
	return c.exchange(out, 2)
}

// makeSure waits, where it is not sure what a name stands for, until the server has answered
// all that was sent. What it sends does nothing, in a failed transaction too.
func (c *clientSide) makeSure(unsure bool) error {
	if !unsure {
		return nil
	}
	_, err := c.exchange(wire.AppendMessage(c.in.Append(), wire.Close, "S", ownName, "\x00"), 1)
	return err
}

// exchange sends messages of the proxy's own, the last of which are as many of
// Close, and waits for the answers.
func (c *clientSide) exchange(out []byte, closes int) ([][][]byte, error) {
	a := &asked{synced: !c.piped, closes: closes}
	w := newWaiter()
	c.s.queue.push(expected{kind: expectOwn, own: true, asked: a, wait: w})
	end := byte(wire.Flush)
	if a.synced {
		end = wire.Sync
	}
	if err := c.in.Set(wire.AppendMessage(out, end)); err != nil {
		return nil, err
	}
	if err := c.waitFor(w); err != nil {
		return nil, err
	}
	switch {
	case w.outcome == skipped || a.failure != nil && !a.synced:
		return nil, errSkipping
	case a.failure != nil:
		return nil, &serverError{a.failure}
	case a.bad:
		return nil, wire.ErrMalformed
	}
	return a.rows, nil
}

// waitFor writes what was gathered and waits until the server's side came to the answer.
func (c *clientSide) waitFor(w *waiter) error {
	if err := c.in.Flush(); err != nil {
		return err
	}
	<-w.done // settled in any case: abandon does it when the server is gone
	if c.s.ctx.Err() != nil && w.outcome == skipped {
		return errGone
	}
	return nil
}

// answer takes a message that answers a query of the proxy's own. over is set when it was the last.
func (a *asked) answer(typ byte, body []byte) (over bool) {
	switch typ {
	case wire.DataRow:
		a.row(body)
	case wire.CloseComplete:
		a.closes--
		return a.closes == 0 && !a.synced
	case wire.ErrorResponse:
		a.failure = append([]byte{}, body...)
		return !a.synced
	case wire.ReadyForQuery:
		return a.synced
	}
	return false
}

func (a *asked) row(body []byte) {
	c := wire.Cursor{Rest: body}
	row := make([][]byte, c.Uint16())
	for i := range row {
		if v := c.Value(); v != nil {
			row[i] = append([]byte{}, v...)
		}
	}
	a.bad = a.bad || c.Bad
	a.rows = append(a.rows, row)
}
