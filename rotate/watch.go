package rotate

import (
	"context"
	"reflect"
	"sync"
	"time"
)

// orders are an operator's commands as this process last heard them.
type orders struct {
	mu      sync.Mutex
	last    Order
	changed chan struct{} // closed when last changes
}

func (o *orders) get() (Order, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.changed
}

// set reports whether the order is another one.
func (o *orders) set(to Order) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if reflect.DeepEqual(o.last, to) {
		return false
	}
	o.last = to
	close(o.changed)
	o.changed = make(chan struct{})
	return true
}

// gate holds a worker while the job is paused.
func (w *worker) gate(ctx context.Context) error {
	for {
		o, changed := w.orders.get()
		if !o.Pause {
			return nil
		}
		w.hold(o.whyPaused())
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// whyPaused is the order in words.
func (o *Order) whyPaused() string {
	why := "paused"
	if o.By != "" {
		why += " by " + o.By
	}
	if o.Reason != "" {
		why += ": " + o.Reason
	}
	return why
}

// watch looks for orders about once a second, and tells Config.Progress how far the job is.
func (r *run) watch(ctx context.Context, stop <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.look(ctx)
		if isOver(err) {
			cancel(err)
			return
		}
		if err != nil && ctx.Err() == nil { // workers notice a server that is away, and say so
			r.report(r.last)
		}
	}
}

// look reads the job once.
func (r *run) look(ctx context.Context) error {
	var s Status
	err := r.inTime(ctx, func(ctx context.Context) (err error) {
		s, err = r.journal.status(ctx, r.id)
		return err
	})
	if err != nil {
		return err
	}
	r.last = s
	if err := s.overBy(); err != nil {
		return err
	}
	r.heed(s)
	return nil
}

// heed takes the limits of an operator's order, and reports.
func (r *run) heed(s Status) {
	if r.orders.set(s.Order) {
		limits := r.cfg.Limits
		if s.Order.Limits != nil {
			limits = *s.Order.Limits
		}
		if err := r.throttle.set(limits); err != nil {
			r.cfg.Log.Warn("the ordered limits cannot be had here", "job", r.id, "error", err)
		}
	}
	r.report(s)
}

// report tells how far the job is, by the journal: other processes' rows count.
func (r *run) report(s Status) {
	rate := r.pace.now()
	p := Progress{
		Done: int(s.Counts["rows"]), Total: int(s.Total), Failed: int(s.Counts["failed"]),
		Rate: rate, Held: r.whyHeld(s), Lag: r.throttle.lag(), Counts: s.Counts,
	}
	if left := p.Total - p.Done; rate > 0 && left > 0 {
		p.Left = time.Duration(float64(left) / rate * float64(time.Second))
	}
	report(r.cfg.Progress, p)
}

// whyHeld is what is shown of why the job waits.
func (r *run) whyHeld(s Status) string {
	if why := r.why(); why != "" || !r.turns {
		return why
	}
	return s.Held
}

// why says why workers wait, if any does.
func (r *run) why() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for no := range r.cfg.Workers {
		if why := r.held[no]; why != "" {
			return why
		}
	}
	return ""
}

// rate is rows a second, over the last few.
type rate struct {
	mu    sync.Mutex
	rows  int
	since time.Time
	last  float64
}

func (r *rate) add(rows int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows += rows
}

// now weighs the time since it was last asked as much as all before.
func (r *rate) now() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if past := time.Since(r.since); past >= pollEvery/2 {
		recent := float64(r.rows) / past.Seconds()
		if r.last == 0 {
			r.last = recent
		}
		r.last = (r.last + recent) / 2
		r.rows, r.since = 0, time.Now()
	}
	return r.last
}
