package relay

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// copies tells the client's side which COPY FROM STDIN the server is at. Data that comes before that is
// known waits: a client may send it behind a statement that is refused or fails, and a sealed column's
// values would be in clear in what the server drops.
type copies struct {
	// asking is set while the client's side waits.
	asking atomic.Bool

	mu   sync.Mutex
	cond sync.Cond
	// begun is set while the server takes data that the client's side does not know of yet, running while it takes
	// any; copy and values are of the statement, copy nil for one without sealed columns.
	begun, running bool
	copy           *plan.Copy
	values         *sealing.Session
	// synced is set where the client sent a Sync since the last of the data. The server ignores it if the COPY goes on, and
	// answers it if that has failed: which of them, only the end of the COPY tells. resyncs is set from then on
	// until the Sync was sent, resynced where one was.
	synced, resyncs, resynced bool
	// refusal is the ErrorResponse in the place of the server's, for data that was refused.
	refusal []byte
	ended   bool
}

func (c *copies) init() { c.cond.L = &c.mu }

// begin is called when the server asks for data.
func (c *copies) begin(p *plan.Copy, values *sealing.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun, c.running, c.copy, c.values = true, true, p, values
	c.synced, c.resynced = false, false
	c.cond.Broadcast()
}

// over is called when the COPY has ended. What no data came for must not be taken for what the next one begins, nor
// a refusal that came too late for an error of the next statement. It reports whether a Sync has to be sent, which
// resynced says then.
func (c *copies) over(failed bool) (resyncs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resyncs, c.synced = failed && c.synced, false
	c.cond.Broadcast()
	c.begun, c.running, c.copy, c.values, c.refusal = false, false, nil, nil, nil
	return c.resyncs
}

// sync takes note of a Sync amid data. It reports false where the server takes none, so that it heeds the Sync.
func (c *copies) sync() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = c.running
	return c.running
}

// unsync takes note of data behind a Sync. It reports false where the COPY is over.
func (c *copies) unsync() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = false
	return c.running
}

// wasSynced says that a Sync was sent.
func (c *copies) wasSynced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resyncs, c.resynced = false, true
	c.cond.Broadcast()
}

// outcome waits for the end of the COPY, and reports whether the Sync amid its data was sent.
func (c *copies) outcome() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.running || c.resyncs) && !c.ended {
		c.cond.Wait()
	}
	return c.resynced
}

// answered is called when the server's side came to an answer.
func (c *copies) answered() {
	if !c.asking.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cond.Broadcast()
}

// end is called when the server's side ends.
func (c *copies) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.cond.Broadcast()
}

// at reports whether the server asks for data now, without waiting.
func (c *copies) at() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// takes reports whether the server takes data.
func (c *copies) takes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// next waits until the server asks for data, or until quiet says that it has answered all that was sent.
func (c *copies) next(quiet func() bool) (p *plan.Copy, values *sealing.Session, begun bool) {
	c.asking.Store(true)
	defer c.asking.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.begun && !c.ended && !quiet() {
		c.cond.Wait()
	}
	begun, p, values = c.begun, c.copy, c.values
	c.begun, c.copy, c.values = false, nil, nil
	return p, values, begun
}

func (c *copies) refuse(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.refusal = message
	}
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
	// state says what becomes of the data at hand.
	state copyState
	to    copySealer
	// synced is set where a Sync came amid data, and it is not known yet what the server makes of it.
	synced bool
}

// copyState is what becomes of data.
type copyState byte

const (
	copyAsk  copyState = iota // ask
	copyRaw                   // pass on
	copySeal                  // seal
	copyDrop                  // drop: it was refused, or the server does not want it
)

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
	} else if c.copyIn.synced {
		c.copyIn.synced = !c.s.copying.unsync()
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

// askCopy finds out what the data is for. What the server does not ask for it ignores.
func (c *clientSide) askCopy() error {
	in := &c.copyIn
	c.follow()
	if !c.s.copying.at() {
		if err := c.flushAll(); err != nil {
			return err
		}
	} else if err := c.in.Flush(); err != nil {
		return err
	}
	p, values, begun := c.s.copying.next(c.s.queue.quiet)
	switch {
	case begun && p != nil:
		in.state, in.to = copySeal, c.engine().copyIn(values, p)
	case begun:
		in.state = copyRaw
	default:
		in.state = copyDrop
	}
	return nil
}

// midData reports whether the message at hand came between data that the server takes: it ignores Sync there.
// Where the COPY has failed it does not, which may not be known yet: see copies.
func (c *clientSide) midData() bool {
	if c.copyIn.state != copyRaw && c.copyIn.state != copySeal {
		return false
	}
	c.copyIn.synced = c.s.copying.sync()
	return c.copyIn.synced
}

// flushAll has the server answer all that was sent. Without Flush the answers to messages of the extended protocol may stay
// with it; while it takes data it ignores that.
func (c *clientSide) flushAll() error {
	if err := c.in.Set(wire.AppendMessage(c.in.Append(), wire.Flush)); err != nil {
		return err
	}
	return c.in.Flush()
}

// resync finds out, before a message that may depend on it, what the server made of a Sync amid data. What is no end of
// the data has the COPY fail.
func (c *clientSide) resync(typ byte, ends bool) error {
	c.copyIn.synced = false
	var err error
	switch {
	case ends:
		err = c.copyMessage(typ)
	case c.s.copying.takes():
		c.s.queue.push(expected{kind: expectCopyEnd})
		err = c.in.Set(wire.AppendMessage(c.in.Append(), wire.CopyFail, "unexpected message\x00"))
	}
	if err != nil {
		return err
	}
	if err := c.flushAll(); err != nil {
		return err
	}
	if c.s.copying.outcome() {
		c.piped, c.skipping = false, false
		c.pipeline++
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
