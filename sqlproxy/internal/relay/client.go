package relay

import (
	"errors"
	"io"
	"time"
	"unsafe"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// clientSide reads what the client sends. Its fields are for its goroutine alone.
type clientSide struct {
	s  *session
	in *wire.Stream

	// piped is set once the first message of the extended protocol was sent, to the Sync that ends the
	// pipeline. While it is at hand the proxy's own queries still may be followed by a Sync, and must: VACUUM and its
	// like run only where nothing came before them.
	piped bool
	// pipeline numbers pipelines: each Sync begins another.
	pipeline int
	// writes is set where an Execute of the pipeline may have changed something, inBlock where the pipeline began in a
	// transaction block for certain and none of its statements ended it.
	writes, inBlock bool
	// held is what some messages wait for, because a result under way may not open: its end, or with heldToEnd the
	// ReadyForQuery behind it. See before.
	held      *waiter
	heldToEnd bool
	// skipping drops everything up to the client's Sync: a message before it was refused, so the
	// server would ignore it, and it may hold what must not be sent.
	skipping bool

	statements names[statement]
	portals    names[portal]
	// sealedNames is set once a statement or cursor that touches something sealed got a name that SQL may
	// use.
	sealedNames bool
	// kept has the texts of prepared statements that statements does not have, since they were not analysed.
	kept kept

	rules    *rules
	database *database
	// looks is set once a policy listed a column: statements are looked at from then on.
	looks bool
	// snapshot is the catalog as last seen, with its fingerprint. ownCatalog is set where
	// the session made temporary tables, so that nobody else's snapshot is right for it.
	snapshot   *catalog.Snapshot
	print      string
	ownCatalog bool
	// temporary is set where they may have changed since snapshot was loaded.
	temporary bool
	catalog   known
	settings  known
	view      *view
	// viewUntil is when the settings must be asked for again, since start: other sessions may make a schema that
	// search_path names, or change a role's settings.
	viewUntil time.Duration

	// unsure is set where the analysis asked for a name whose meaning the server did not confirm yet.
	// moved is set where it asked for a statement that would mean something else now, again while that is found out.
	unsure, moved, again bool
	// exchanged is set where it asked for a name that may stand for something else now, usesNames where for any that
	// stands for something sealed.
	exchanged, usesNames bool
	// skips is set where it asked for a name that was not made because the server skips to the next Sync, unknown has
	// the names that neither statements nor kept has.
	skips   bool
	unknown []string
	// named is set once something sealed got a name, unstamped while the server was not asked about the latest of them.
	// confirmed is what coded had for cursors when it was last asked.
	named, unstamped bool
	coded            coded
	confirmed        int64

	copyIn copyIn
	// replicates is set where the client speaks the replication protocol.
	replicates bool
}

func (c *clientSide) init(s *session) {
	c.s, c.in = s, s.down
	c.statements, c.portals = names[statement]{}, names[portal]{}
}

func (c *clientSide) engine() *engine { return &c.s.cfg.Shared.engine }

// run carries messages until the client ends.
func (c *clientSide) run() error {
	if err := c.begin(); err != nil {
		return err
	}
	for {
		typ, _, err := c.in.Next()
		if errors.Is(err, io.EOF) {
			// What still has to be sent for what came before is sent first, as before a Terminate.
			return errors.Join(c.before(wire.Terminate), c.in.Flush(), err)
		}
		if err != nil {
			return err
		}
		if err := c.before(typ); err != nil {
			return err
		}
		if typ == wire.Terminate {
			c.in.Pass()
			return c.in.Flush()
		}
		if c.skipping && typ != wire.Sync {
			c.in.Drop()
			continue
		}
		if err := c.message(typ); err != nil {
			return err
		}
	}
}

// begin learns what the catalog is like, and tells the client that it may begin.
func (c *clientSide) begin() error {
	c.follow()
	if replicates, inDatabase := c.s.replicates(); replicates {
		if err := c.beginReplication(inDatabase); err != nil {
			c.tellFatal(refusal("58000", "the proxy cannot read the database's catalog", "See the proxy's log."))
			return err
		}
	} else if c.looks {
		var told *fatalError
		if err := c.currentCatalog(); errors.As(err, &told) || errors.Is(err, errGone) {
			return err // the client knows why
		} else if err != nil {
			c.tellFatal(refusal("58000", "the proxy cannot read the database's catalog", "See the proxy's log."))
			return err
		}
	}
	return c.s.up.Send(wire.AppendMessage(nil, wire.ReadyForQuery, "I"))
}

// message carries one message.
func (c *clientSide) message(typ byte) error {
	if c.copyIn.synced {
		if over, err := c.behindSync(typ); over || err != nil {
			return err
		}
	}
	switch typ {
	case wire.Sync, wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
	default:
		c.copyIn.state = copyAsk
	}
	if c.replicates {
		if done, err := c.replicate(typ); done {
			return err
		}
	}
	switch typ {
	case wire.Query:
		return c.query()
	case wire.Parse:
		return c.pipes(c.parse())
	case wire.Bind:
		return c.pipes(c.bind())
	case wire.Execute:
		return c.pipes(c.execute())
	case wire.Describe:
		return c.pipes(c.describe())
	case wire.Close:
		return c.pipes(c.close())
	case wire.Sync:
		if c.midData() {
			c.in.Drop()
			return nil
		}
		c.sync()
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		return c.copyMessage(typ)
	case wire.FunctionCall:
		return c.call()
	default: // Flush, and what the server will not know
		c.in.Pass()
	}
	return nil
}

// behindSync is called with a message behind a Sync amid data. over is set where the message was carried.
func (c *clientSide) behindSync(typ byte) (over bool, err error) {
	switch typ {
	case wire.Sync, wire.Flush, wire.CopyData:
		return false, nil
	}
	over = (typ == wire.CopyDone || typ == wire.CopyFail) && c.s.copying.takes()
	return over, c.resync(typ, over)
}

// pipes says that a message of the extended protocol was carried.
func (c *clientSide) pipes(err error) error {
	c.piped = true
	return err
}

func (c *clientSide) sync() {
	e := expected{kind: expectSync}
	if c.held != nil {
		c.guard(&e)
	}
	c.s.queue.push(e)
	c.in.Pass()
	c.piped, c.skipping = false, false
	c.pipeline++
}

// call forwards or refuses a FunctionCall.
func (c *clientSide) call() error {
	if c.follow(); c.rules.sealed && c.s.cfg.FunctionCalls == RefuseFunctionCalls {
		return c.answer(refusal("0A000", "function calls of the protocol are not allowed by this proxy",
			"Call the function in a SELECT."), "", true)
	}
	if err := c.beforeCode("", anyCode); err != nil {
		return c.answer(err, "", true)
	}
	c.settings.change()
	c.s.queue.push(expected{kind: expectCall})
	c.in.Pass()
	return nil
}

// answer has an error answered in the place of the message at hand, whose bytes are
// dropped, where it is one that the session survives. simple is set for Query and
// FunctionCall, text is what a refusal's position is about.
func (c *clientSide) answer(err error, text string, simple bool) error {
	return c.answerAs(err, text, simple, refusedName)
}

// answerParse is answer for a Parse. One of the unnamed statement drops that even where it
// fails: so does what stands for it, or else a Bind would run the old one once more.
func (c *clientSide) answerParse(err error, text string, unnamed bool) error {
	if unnamed {
		return c.answerAs(err, text, false, "")
	}
	return c.answer(err, text, false)
}

// answerAs is answer with the name of the statement that stands for what is refused.
func (c *clientSide) answerAs(err error, text string, simple bool, name string) error {
	if err == nil {
		return nil
	}
	var server *serverError
	r, refused := refusalOf(err)
	switch {
	case errors.Is(err, errSkipping):
		c.in.Drop()
		c.skipping = true
		return nil
	case errors.As(err, &server):
		message := wire.AppendMessage(nil, wire.ErrorResponse, string(server.body))
		c.in.Drop()
		return c.refuse(message, simple, true, name)
	case refused:
		c.s.blame(r)
		message := appendRefusal(nil, "ERROR", r, text)
		c.in.Drop()
		return c.refuse(message, simple, false, name)
	}
	return err
}

// refuse puts a statement that fails in the place of the message at hand; its error is
// replaced by message. name is the failing statement's. force has message stand even where the transaction has failed.
func (c *clientSide) refuse(message []byte, simple, force bool, name string) error {
	c.s.stats.Refused.Add(1)
	e := expected{kind: expectQuery, refusal: message, force: force}
	out := c.in.Append()
	if simple {
		e.made = c.dropUnnamed()
		out = wire.AppendMessage(out, wire.Query, refusedText, "\x00")
	} else {
		e.kind, e.own, c.skipping = expectParse, true, true
		if name == "" {
			e.made, e.drops = c.dropUnnamed(), true
		}
		out = wire.AppendParse(out, name, refusedText, nil)
	}
	c.s.queue.push(e)
	return c.in.Set(out)
}

// unsafeString gives bytes as a string as long as they stay what they are.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
