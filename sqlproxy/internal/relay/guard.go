package relay

import (
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// Whether a value opens is known only when the server has carried out the statement that gives it. That what
// does not open is an error like the server's own, three things see to it: what could not be taken back is not sent
// before the result was opened (before); the proxy fails the transaction block of such a result
// (afterReady); and a Query that writes outside of a block is put into one of the proxy's own (guardQuery).

const (
	beginText    = "BEGIN"
	commitText   = "COMMIT"
	rollbackText = "ROLLBACK"
)

// nature is what a text with sealed values in its results does besides.
type nature struct {
	// opens is set where its results hold sealed values; the rest is known only then.
	opens bool
	// reads is set where nothing that it does could have to be taken back.
	reads bool
	// several is set for more statements than one, copies where one of them may be COPY FROM STDIN.
	several, copies bool
	// selects is set for one SELECT, VALUES or TABLE that cannot tell whether it is a Query, table where the word TABLE
	// may stand for columns.
	selects, table bool
}

// opens reports whether a plan's results hold values that must be opened.
func opens(p *plan.Plan) bool {
	if p == nil {
		return false
	}
	for i := range p.Stmts {
		st := &p.Stmts[i]
		switch st.Kind {
		case plan.KindPrepare, plan.KindDeallocate, plan.KindDeclare, plan.KindClose:
			continue
		}
		if st.Copy != nil && !st.Copy.In {
			return true
		}
		for j := range st.Result {
			if len(st.Result[j].Possible) > 0 {
				return true
			}
		}
	}
	return false
}

// natureOf reads a text's words once more for what is to be known of one whose results are opened. What
// it is not sure of it takes for writing.
func natureOf(text string, p *plan.Plan, v *view) nature {
	if !opens(p) {
		return nature{}
	}
	n := nature{opens: true, several: len(p.Stmts) != 1}
	var first, last string
	writes, stdin, copies, itself := false, false, false, false
	scanner := parse.Scanner{Conforming: !v.noBackslash}
	scanner.Kind = func(word []byte) parse.Kind {
		w := string(word)
		if first == "" {
			first = w
		}
		writes = writes || writing(w, last) || n.several && mayWrite(w)
		copies, stdin = copies || w == "copy", stdin || w == "stdin"
		itself, n.table = itself || seesItself(w), n.table || w == "table"
		last = w
		return v.snapshot.Kind(word)
	}
	effects := scanner.Scan(text).Effects
	switch first {
	case "fetch", "move":
		n.reads = !writes && !n.several
	case "select", "with", "values", "table", "copy":
		n.reads = !writes && effects&^(parse.Begins|parse.Ends) == 0
	case "begin", "start", "commit", "end", "rollback", "abort":
		n.reads = !writes && n.several && effects&^(parse.Begins|parse.Ends) == 0
	}
	n.copies = copies && stdin
	n.selects = n.reads && !n.several && !itself && first != "fetch" && first != "move" && first != "copy"
	return n
}

// writing reports whether a word is one of a statement that writes, or of a function of
// PostgreSQL's that does.
func writing(word, last string) bool {
	switch word {
	case "update": // SELECT … FOR [NO KEY] UPDATE locks only
		return last != "for" && last != "key"
	case "insert", "delete", "merge", "into", "execute", "pg_notify", "lowrite":
		return true
	}
	return strings.HasPrefix(word, "lo_")
}

// mayWrite reports whether a word may begin a further statement of a text that does more than to read.
func mayWrite(word string) bool {
	switch word {
	case "truncate", "copy", "notify", "refresh", "comment", "cluster", "reindex", "vacuum", "analyze",
		"listen", "unlisten", "security", "lock", "savepoint", "release", "checkpoint", "reassign", "deallocate":
		return true
	}
	return false
}

// before is called before a message is carried. It waits where that could not be taken back if the
// result that is under way does not open; if it did not, the server is made to skip to the Sync.
func (c *clientSide) before(typ byte) error {
	if !c.piped {
		c.writes, c.inBlock = false, c.s.status.Load() == 'T' && c.s.queue.quiet()
	}
	if c.held == nil || c.skipping && typ != wire.Sync {
		return nil
	}
	switch typ {
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
		return nil
	}
	if c.heldToEnd {
		w := c.held
		c.held = nil
		return c.waitFor(w)
	}
	if typ == wire.Sync && (c.inBlock || !c.writes) {
		return nil // the server's side sees to it when ReadyForQuery comes
	}
	if harmless, err := c.harmless(typ); harmless || err != nil {
		return err
	}
	return c.awaitOpened()
}

// harmless reports whether a message leaves nothing behind when the server takes it although it
// ought to have skipped it.
func (c *clientSide) harmless(typ byte) (bool, error) {
	switch typ {
	case wire.Bind, wire.Describe:
		return true, nil
	case wire.Parse:
		prefix, err := c.in.Prefix(1)
		return len(prefix) > 0 && prefix[0] == 0, err
	case wire.Execute:
		name, _, err := c.namesOf(0, 1)
		if err != nil || c.portals.ambiguous(name, c.pipeline) {
			return false, nil // execute says what is wrong with it
		}
		po := c.portals.get(name, c.pipeline)
		return po != nil && po.reads(), nil
	}
	return false, nil
}

// awaitOpened waits until the result that is under way was opened. If it was not, a statement that
// fails goes before all that follows, so that the server does with it what it does behind an error.
func (c *clientSide) awaitOpened() error {
	w := c.held
	c.held = nil
	if err := c.in.Set(wire.AppendMessage(c.in.Append(), wire.Flush)); err != nil {
		return err
	}
	if err := c.waitFor(w); err != nil || w.outcome != unopened {
		return err
	}
	c.skipping = true
	c.s.queue.push(expected{kind: expectParse, own: true})
	return c.in.Set(wire.AppendParse(c.in.Append(), refusedName, refusedText, nil))
}

// executed takes note of an Execute. po is nil for one of which nothing is known.
func (c *clientSide) executed(po *portal, e *expected) {
	switch {
	case po == nil:
		c.writes = true
		return
	case po.effects&parse.Ends != 0:
		c.inBlock = false
	}
	begins := po.statement == nil && po.effects == parse.Begins
	c.writes = c.writes || !begins && !po.reads()
	if po.opens() {
		if e.wait == nil {
			e.wait = newWaiter()
		}
		c.held, c.heldToEnd = e.wait, false
	}
}

func (p *portal) opens() bool { return p.cursor || p.statement != nil && p.statement.nature.opens }

func (p *portal) reads() bool { return p.cursor || p.statement != nil && p.statement.nature.reads }

// guard has the server's side see to the transaction when the ReadyForQuery comes that e ends with, and the
// next message wait for that.
func (c *clientSide) guard(e *expected) {
	if e.wait == nil {
		e.wait = newWaiter()
	}
	e.guarded = true
	c.held, c.heldToEnd = e.wait, true
}

// guardQuery decides how a Query is sent whose results may not open.
func (c *clientSide) guardQuery(l looked) (guarded, bracket bool, err error) {
	n := l.nature
	switch {
	case !n.opens:
		return false, false, nil
	case n.several && n.copies:
		return false, false, refusal("0A000", "a text cannot both return sealed columns and have COPY FROM STDIN", "Send the statements one by one.")
	case n.several && l.effects&parse.Ends != 0:
		if n.reads && !c.piped {
			outside, err := c.outside()
			if outside || err != nil {
				return false, false, err // nothing is written
			}
		}
		return false, false, refusal("0A000", "a text cannot both return sealed columns and end a transaction",
			"Send COMMIT, ROLLBACK and their like in a text of their own.")
	case n.reads || l.effects&parse.Begins != 0:
		return true, false, nil
	case c.piped:
		return false, false, refusal("0A000", "a statement that writes and returns sealed columns cannot be a simple query within a pipeline",
			"Send a Sync before it.")
	}
	bracket, err = c.outside()
	return err == nil, bracket, err
}

// outside reports whether the session is in no transaction block, for which it may have to wait until
// all that was sent is answered. It must not be asked within a pipeline.
func (c *clientSide) outside() (bool, error) {
	err := c.makeSure(!c.s.queue.quiet())
	return err == nil && c.s.status.Load() == 'I', err
}

// beginBracket sends the BEGIN before a Query that is put into a transaction block.
func (c *clientSide) beginBracket() error {
	c.s.stats.Queries.Add(1)
	c.s.queue.push(expected{kind: expectOwn, own: true, asked: &asked{synced: true}})
	return c.in.Set(wire.AppendMessage(c.in.Append(), wire.Query, beginText, "\x00"))
}

// afterReady gives what the proxy still has to have carried out before the client learns that the server is
// ready; "" for nothing. The client's side waits, so nothing can come between.
func (v *serverSide) afterReady(e *expected, status byte) string {
	switch {
	case !e.guarded || e.ending:
		return ""
	case e.bracket && status == 'T' && !v.swallow:
		return commitText
	case e.bracket && status != 'I':
		return rollbackText
	case status == 'T' && v.swallow:
		return refusedText
	case e.query != nil && e.query.split && e.query.parsed && e.query.failed:
		return emptyText
	}
	return ""
}

// keepTag keeps the answer to the last statement of a bracketed Query until it is committed. It reports
// whether it did.
func (v *serverSide) keepTag(e *expected) (bool, error) {
	if e.ending { // the answer to the proxy's own
		v.in.Drop()
		return true, nil
	}
	if !e.bracket && (e.query == nil || !e.query.split) || v.swallow || e.query.index != len(e.query.plan.Stmts)-1 {
		return false, nil
	}
	body, err := v.in.Body(v.s.maxHeld)
	if err != nil {
		return false, err
	}
	e.query.tag = append([]byte{}, body...)
	e.query.index++
	v.in.Drop()
	v.endResult()
	return true, nil
}

// sendTag sends what keepTag kept, unless the transaction failed after all.
func (v *serverSide) sendTag(e *expected) error {
	if e.query == nil || e.query.tag == nil || e.query.failed || v.swallow {
		return nil
	}
	out := wire.AppendMessage(v.in.Append(), wire.CommandComplete, string(e.query.tag))
	out = append(out, e.query.late...)
	e.query.tag, e.query.late = nil, nil
	return v.in.Set(out)
}
