package relay

import (
	"errors"
	"sync"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// copies tells the client's side which COPY FROM STDIN the server began, for
// statements of which one may write sealed columns.
type copies struct {
	mu   sync.Mutex
	cond sync.Cond
	// begun is set when the server asks for data; copy and values are of the statement that
	// asks, copy nil for one without sealed columns.
	begun  bool
	copy   *plan.Copy
	values *sealing.Session
	// open counts messages that were sent with such statements, of which the server's side
	// did not see the end.
	open int
	// refusal is the ErrorResponse in the place of the server's, for data that was refused.
	refusal []byte
	ended   bool
}

func (c *copies) init() { c.cond.L = &c.mu }

// begin is called when the server asks for data.
func (c *copies) begin(p *plan.Copy, values *sealing.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun, c.copy, c.values = true, p, values
	c.cond.Broadcast()
}

// over is called when a message with such statements was answered. What it began and no data
// came for must not be taken for what the next one begins.
func (c *copies) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.begun, c.copy, c.values = false, nil, nil
	c.cond.Broadcast()
}

// end is called when the server's side ends.
func (c *copies) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.cond.Broadcast()
}

// next waits until the server asks for data, or until it cannot any more.
func (c *copies) next() (p *plan.Copy, values *sealing.Session, begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.begun && c.open > 0 && !c.ended {
		c.cond.Wait()
	}
	begun, p, values = c.begun, c.copy, c.values
	c.begun, c.copy, c.values = false, nil, nil
	return p, values, begun
}

func (c *copies) send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
}

func (c *copies) refuse(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = message
}

// takeRefusal gives the refusal once.
func (c *copies) takeRefusal() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.refusal
	c.refusal = nil
	return r
}

// copyIn is what the client's side knows of data that the client sends.
type copyIn struct {
	// awaited is set while statements are under way that may ask for data of sealed columns; after
	// that, when others were sent behind them.
	awaited, after bool
	// state says what becomes of the data at hand.
	state copyState
	to    copySealer
}

// copyState is what becomes of data.
type copyState byte

const (
	copyAsk  copyState = iota // ask, if awaited
	copyRaw                   // pass on
	copySeal                  // seal
	copyDrop                  // drop: it was refused, or the server does not want it
)

// hasCopyIn reports whether a plan has a COPY FROM STDIN of sealed columns.
func hasCopyIn(p *plan.Plan) bool {
	if p == nil {
		return false
	}
	for i := range p.Stmts {
		if p.Stmts[i].Copy != nil && p.Stmts[i].Copy.In {
			return true
		}
	}
	return false
}

// sent notes that a message with statements was sent.
func (c *copyIn) sent(side *clientSide, p *plan.Plan) {
	if !hasCopyIn(p) {
		c.other()
		return
	}
	side.s.copying.send()
	c.awaited, c.after, c.state = true, false, copyAsk
}

// other notes that a message without such statements was sent.
func (c *copyIn) other() {
	c.after = c.awaited
	c.state = copyAsk
}

// copyMessage carries CopyData, CopyDone or CopyFail.
func (c *clientSide) copyMessage(typ byte) error {
	if c.copyIn.state == copyAsk {
		if err := c.askCopy(); err != nil {
			return err
		}
	}
	state := c.copyIn.state
	if typ != wire.CopyData {
		c.copyIn.state = copyAsk
	}
	switch {
	case state == copyDrop:
		c.in.Drop()
		return nil
	case state == copySeal && typ == wire.CopyData:
		return c.sealData()
	case state == copySeal && typ == wire.CopyDone:
		return c.sealEnd()
	}
	if typ != wire.CopyData {
		c.s.queue.push(expected{kind: expectCopyEnd})
	}
	c.in.Pass()
	return nil
}

// askCopy finds out what the data is for.
func (c *clientSide) askCopy() error {
	in := &c.copyIn
	if in.state = copyRaw; !in.awaited {
		return nil
	}
	if err := c.in.Flush(); err != nil {
		return err
	}
	p, values, begun := c.s.copying.next()
	switch {
	case begun && p != nil:
		in.state, in.to = copySeal, c.engine().copyIn(values, p)
	case begun:
	default:
		in.awaited = false
		if !in.after {
			in.state = copyDrop // the server would ignore it
		}
	}
	return nil
}

// sealData seals a CopyData.
func (c *clientSide) sealData() error {
	body, err := c.in.Body(c.s.maxHeld)
	if errors.Is(err, wire.ErrTooLong) {
		c.in.Drop()
		return c.failCopy(refusal("54000", "a piece of COPY data is too long", "Send it in smaller pieces."))
	}
	if err != nil {
		return err
	}
	out := c.in.Append()
	sealed, at := wire.Begin(out, wire.CopyData)
	sealed, err = c.copyIn.to.Write(c.s.ctx, sealed, body)
	c.in.Drop()
	if err != nil {
		return c.failCopy(err)
	}
	if len(sealed) == at+4 {
		return c.in.Set(out) // no row has ended yet
	}
	return c.in.Set(wire.End(sealed, at))
}

// sealEnd sends what is left, and the end.
func (c *clientSide) sealEnd() error {
	out := c.in.Append()
	sealed, at := wire.Begin(out, wire.CopyData)
	sealed, err := c.copyIn.to.Close(c.s.ctx, sealed)
	c.in.Drop()
	if err != nil {
		err = c.failCopy(err)
		c.copyIn.state = copyAsk
		return err
	}
	if out = out[:at-1]; len(sealed) > at+4 {
		out = wire.End(sealed, at)
	}
	c.copyIn.to = nil
	c.s.queue.push(expected{kind: expectCopyEnd})
	return c.in.Set(wire.AppendMessage(out, wire.CopyDone))
}

// failCopy has the COPY fail, whose message was dropped, with err in the place of the server's error. The rest of the data is dropped.
func (c *clientSide) failCopy(err error) error {
	r, ok := refusalOf(err)
	if !ok {
		return err
	}
	c.s.stats.Refused.Add(1)
	c.s.blame(r)
	c.s.copying.refuse(appendRefusal(nil, "ERROR", r, ""))
	c.copyIn.state, c.copyIn.to = copyDrop, nil
	c.s.queue.push(expected{kind: expectCopyEnd})
	return c.in.Set(wire.AppendMessage(c.in.Append(), wire.CopyFail, "refused\x00"))
}
