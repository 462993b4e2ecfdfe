package rotate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// rowAttempts is how often a page's transaction writes rows that others keep changing.
const rowAttempts = 8

// worker walks ranges, one at a time.
type worker struct {
	*run
	no      int
	work    work
	checks  bool // counts what is due, and writes nothing
	conn    beginner
	release func()

	mu    sync.Mutex
	why   string    // why it waits
	heard time.Time // when the lease was last extended
	lost  bool      // the range is another's

	allowed int // rows that the throttle has let begin and that were not read yet
	perRow  int // bytes of values in a row of the last page; 0 before it
	short   int // rows of a page that may meet a row that somebody else has; 0 for any number

	changes []change // of the page at hand
	of      []int    // their places in its verdicts
}

func (r *run) newWorker(ctx context.Context, no int) (*worker, error) {
	w := &worker{run: r, no: no, work: r.first, release: func() {}}
	if no == 0 {
		return w, nil
	}
	if f, ok := r.first.(forker); ok {
		w.work = f.fork()
		return w, nil
	}
	var err error
	w.work, err = newWork(ctx, r.cfg, r.job)
	return w, err
}

// connect gives the worker a connection where it has none.
func (w *worker) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	return w.inTime(ctx, func(ctx context.Context) error {
		conn, release, err := w.open(ctx)
		if err == nil {
			w.conn, w.release = conn, release
		}
		return err
	})
}

// close gives the connection back.
func (w *worker) close() {
	w.release()
	w.conn, w.release = nil, func() {}
}

// hold notes why the worker waits; "" for no more.
func (w *worker) hold(reason string) {
	w.mu.Lock()
	w.why = reason
	w.mu.Unlock()
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	if reason == "" {
		delete(w.held, w.no)
		return
	}
	w.held[w.no] = reason
}

// claim takes the next range; nil where none is to be had now, and then how many are not done.
func (w *worker) claim(ctx context.Context) (c *claim, left int, err error) {
	err = w.patiently(ctx, func() error {
		return w.inTime(ctx, func(ctx context.Context) error {
			one, ok, n, err := w.journal.claim(ctx, w.id, w.cfg.Owner, w.cfg.Lease)
			if ok {
				c = &one
			}
			left = n
			return err
		})
	})
	return c, left, err
}

// walk deals with what is left of a range, page by page. It returns ErrFenced where somebody else took it over.
func (w *worker) walk(ctx context.Context, c claim) (err error) {
	w.mu.Lock()
	w.heard, w.lost = time.Now(), false
	w.mu.Unlock()
	stop := w.beat(ctx, c)
	defer func() {
		stop()
		if err != nil && !errors.Is(err, ErrFenced) { // the next one need not wait for the lease
			short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = w.journal.release(short, c) // the lease ends by itself
		}
	}()
	for !c.done {
		if err := w.gate(ctx); err != nil {
			return err
		}
		var limit int
		err := w.patiently(ctx, func() (err error) {
			limit, err = w.next(ctx, w.hold)
			return err
		})
		if err != nil {
			return err
		}
		w.hold("")
		if w.isLost() {
			return ErrFenced
		}
		if err := w.patiently(ctx, func() error { return w.step(ctx, &c, w.shorter(limit)) }); err != nil {
			return err
		}
	}
	return nil
}

// step deals with one page. Where it fails, the next attempt begins at the cursor that the journal has: the answer to a
// COMMIT may be what was lost.
func (w *worker) step(ctx context.Context, c *claim, limit int) (err error) {
	if err := w.connect(ctx); err != nil {
		return err
	}
	start := time.Now()
	var read []row
	err = w.inTime(ctx, func(ctx context.Context) (err error) {
		read, err = w.pageOf(ctx, c, limit)
		return err
	})
	if err == nil {
		err = w.settle(ctx, c, read, limit)
	}
	if err != nil {
		if errors.Is(err, ErrFenced) || ctx.Err() != nil {
			return err
		}
		w.close()
		now, lookErr := w.renew(ctx, *c, "")
		if errors.Is(lookErr, ErrFenced) {
			return lookErr
		}
		if lookErr == nil {
			*c = now
		}
		w.locked(limit, err)
		return err
	}
	w.short *= 2
	w.throttle.done(len(read), time.Since(start))
	w.pace.add(len(read))
	w.weigh(read)
	w.mu.Lock()
	w.heard = time.Now()
	w.mu.Unlock()
	return nil
}

func (w *worker) pageOf(ctx context.Context, c *claim, limit int) ([]row, error) {
	after := c.cursor
	if after == nil {
		after = c.lo
	}
	var r keys
	var err error
	if r.after, err = decodeKey(after, len(w.target.key)); err != nil {
		return nil, err
	}
	if r.upTo, err = decodeKey(c.hi, len(w.target.key)); err != nil {
		return nil, err
	}
	return w.db.page(ctx, w.conn, &w.target, r, limit)
}

// settle plans and writes a page and moves the cursor behind it.
func (w *worker) settle(ctx context.Context, c *claim, read []row, limit int) error {
	p := page{worker: w, at: advance{cursor: c.cursor, done: len(read) < limit}}
	if len(read) > 0 {
		var err error
		if p.at.cursor, err = encodeKey(read[len(read)-1].key); err != nil {
			return err
		}
	}
	if !w.checks {
		p.add("rows", int64(len(read)))
	}
	verdicts, err := w.work.plan(ctx, read)
	if err != nil {
		return err
	}
	if err := w.inTime(ctx, func(ctx context.Context) error { return p.commit(ctx, c, verdicts) }); err != nil {
		return err
	}
	c.cursor, c.done = p.at.cursor, p.at.done
	return nil
}

// page is a page's transaction and what it adds to the journal.
type page struct {
	*worker
	tx     transaction
	at     advance
	counts []count
}

// commit writes the changes and the journal together.
func (p *page) commit(ctx context.Context, c *claim, verdicts []verdict) (err error) {
	if p.tx, err = p.db.begin(ctx, p.conn, &p.target); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(p.tx.Rollback()))
		}
	}()
	if err := p.write(ctx, verdicts); err != nil {
		return err
	}
	if p.at.counts == nil { // else it has what p.counts has no room for
		p.at.counts = make(map[string]int64, len(p.counts))
	}
	for _, n := range p.counts {
		p.at.counts[n.name] += n.n
	}
	if err := p.journal.advance(ctx, p.tx, *c, p.at, p.cfg.Lease); err != nil {
		return err
	}
	return p.tx.Commit()
}

// write makes the changes. Rows that somebody changed since they were read are read again here, under their locks,
// and planned and written again: so each is counted once, by what became of it in the end, and by whichever attempt
// of the page is committed. The KMS may be asked meanwhile, for keys that only these few rows carry: nobody else's
// row is locked, and the alternative is to lose the count of what was written.
func (p *page) write(ctx context.Context, verdicts []verdict) error {
	if p.checks {
		p.countDue(verdicts)
		return nil
	}
	missed, err := p.try(ctx, verdicts)
	for attempt := 1; err == nil && len(missed) > 0; attempt++ {
		if attempt == rowAttempts {
			p.busy(missed)
			return nil
		}
		if attempt == 1 {
			p.add("reread", int64(len(missed)))
		}
		var rows []row
		if rows, err = p.db.again(ctx, p.tx, &p.target, missed); err != nil || len(rows) == 0 {
			return err
		}
		if verdicts, err = p.work.plan(ctx, rows); err != nil {
			return err
		}
		missed, err = p.try(ctx, verdicts)
	}
	return err
}

// countDue counts what would be written. What is wrong with values is for those to count who write.
func (p *page) countDue(verdicts []verdict) {
	p.add("checked", int64(len(verdicts)))
	for i := range verdicts {
		if verdicts[i].writes {
			p.add("due", 1)
		}
	}
}

// try writes what is to be written, counts the rows that are settled, and returns the others.
func (p *page) try(ctx context.Context, verdicts []verdict) (missed []row, err error) {
	changes, of := p.changes[:0], p.of[:0]
	for i := range verdicts {
		if verdicts[i].writes {
			changes, of = append(changes, verdicts[i].change), append(of, i)
		}
	}
	p.changes, p.of = changes, of
	lost := map[int]bool{}
	if len(changes) > 0 {
		places, err := p.db.write(ctx, p.tx, &p.target, changes)
		if err != nil {
			return nil, err
		}
		for _, at := range places {
			lost[of[at]] = true
			missed = append(missed, changes[at].row)
		}
	}
	for i := range verdicts {
		if !lost[i] {
			p.account(&verdicts[i])
		}
	}
	return missed, nil
}

// account counts a row that is settled.
func (p *page) account(v *verdict) {
	for _, n := range v.counts {
		p.add(n.name, n.n)
	}
	for _, f := range v.findings {
		f.Table, f.Row = p.target.name, p.target.rowName(v.row)
		p.finding(f)
	}
}

func (p *page) busy(missed []row) {
	for _, r := range missed {
		p.finding(Finding{
			Kind: FindingBusy, Table: p.target.name, Row: p.target.rowName(r),
			Detail: "row was changed by others again and again; run again",
		})
	}
}

func (p *page) finding(f Finding) {
	p.add("failed", 1)
	if len(p.at.findings) < keptFindings {
		p.at.findings = append(p.at.findings, f)
	}
}

// add counts. Names are few and mostly the same strings, so that a list is faster than a map.
func (p *page) add(name string, n int64) {
	if n == 0 {
		return
	}
	for i := range p.counts {
		if p.counts[i].name == name {
			p.counts[i].n += n
			return
		}
	}
	if len(p.counts) < 16 {
		p.counts = append(p.counts, count{name, n})
		return
	}
	if p.at.counts == nil {
		p.at.counts = map[string]int64{}
	}
	p.at.counts[name] += n
}

// beat extends the lease while the worker is held or slow, until stop is called.
func (w *worker) beat(ctx context.Context, c claim) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every := w.cfg.Lease / 3
		for pause(ctx, every) == nil {
			w.mu.Lock()
			why, fresh := w.why, time.Since(w.heard) < every
			w.mu.Unlock()
			if fresh && why == "" {
				continue
			}
			if _, err := w.renew(ctx, c, why); errors.Is(err, ErrFenced) {
				w.mu.Lock()
				w.lost = true
				w.mu.Unlock()
				w.cfg.Log.Warn(fmt.Sprintf("range %d of job %d was taken over by another process", c.no, c.job))
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// renew extends the lease.
func (w *worker) renew(ctx context.Context, c claim, held string) (now claim, err error) {
	err = w.inTime(ctx, func(ctx context.Context) (err error) {
		now, err = w.journal.renew(ctx, c, w.cfg.Lease, held)
		return err
	})
	return now, err
}

func (w *worker) isLost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}
