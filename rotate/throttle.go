package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often a worker that is held looks again.
const lookEvery = time.Second

// throttler is the throttle of a process. It has no goroutine of its own: what it knows, it learns when a
// worker waits.
type throttler struct {
	dialect Dialect
	ask     load             // nil: no limit may need the server's load
	now     func() time.Time // the wall clock, in the location of Limits.Hours

	mu      sync.Mutex
	limits  Limits
	hours   hours
	changed chan struct{} // closed by set
	pace    pace
	over    latches
	far     int64 // what lag returns
}

var _ throttle = (*throttler)(nil)

// startThrottle is newThrottle with the load of cfg.DB, which it asks once where limits need it. Where the
// role may not see that, or the server is a standby, the error says so and what helps.
func startThrottle(ctx context.Context, cfg *Config) (throttle, error) {
	ask, err := newLoad(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return newThrottle(cfg, ask)
}

// newThrottle makes the throttle of a process from cfg's Dialect, PageSize and Limits. ask may be nil where
// no limit needs the server's load, now or by set.
func newThrottle(cfg *Config, ask load) (throttle, error) {
	page := cfg.PageSize
	if page == 0 {
		page = usualPage
	}
	t := &throttler{
		dialect: cfg.Dialect, ask: ask, now: time.Now, changed: make(chan struct{}), far: -1,
		pace: pace{max: page, size: min(firstPage, page)},
	}
	if err := t.set(cfg.Limits); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *throttler) set(l Limits) error {
	open, err := l.compile(t.dialect)
	if err != nil {
		return err
	}
	if field := l.asksServer(); field != "" && t.ask == nil {
		return fmt.Errorf("rotate: Limits.%s needs to ask the server for its load, which this job cannot; leave it out", field)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits, t.hours, t.over = l, open, latches{}
	if !l.questions().replicas {
		t.far = -1
	}
	close(t.changed)
	t.changed = make(chan struct{})
	return nil
}

func (t *throttler) lag() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.far
}

func (t *throttler) done(rows int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.end(&t.limits, rows, took, t.now())
}

func (t *throttler) wait(ctx context.Context, hold func(reason string)) (rows int, err error) {
	told := ""
	tell := func(reason string) {
		if reason != told {
			told = reason
			hold(reason)
		}
	}
	defer tell("")
	rest := t.takeRest()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		// Before the look at what changes: a change behind it ends the pause below.
		changed := t.change()
		reason, err := t.reason(ctx)
		if err != nil {
			return 0, err
		}
		tell(reason)
		next := lookEvery
		if reason == "" {
			if rows, next = t.begin(rest); rows > 0 {
				return rows, nil
			}
		}
		if err := linger(ctx, next, changed); err != nil {
			return 0, err
		}
	}
}

func (t *throttler) takeRest() rest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pace.takeRest()
}

func (t *throttler) change() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// begin takes a page, or says how long to wait.
func (t *throttler) begin(r rest) (rows int, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if left := t.limits.rest(r.took) - now.Sub(r.since); r.took > 0 && left > 0 {
		return 0, left
	}
	return t.pace.begin(&t.limits, now)
}

// reason says what holds the job; "" for nothing. What costs nothing is looked at first.
func (t *throttler) reason(ctx context.Context) (string, error) {
	t.mu.Lock()
	limits, open := t.limits, t.hours
	t.mu.Unlock()
	if now := t.now(); !open.open(now) {
		return fmt.Sprintf("%s%s, goes on at %s", heldHours, open.text, open.next(now).Format("15:04")), nil
	}
	switch there, err := fileExists(limits.PauseFile); {
	case err != nil:
		return fmt.Sprintf("%s%s may exist: %v", heldFile, limits.PauseFile, err), nil
	case there:
		return fmt.Sprintf("%s%s exists", heldFile, limits.PauseFile), nil
	}
	what := limits.questions()
	if what == (questions{}) {
		return "", nil
	}
	r, err := t.ask.ask(ctx, what)
	switch {
	case errors.Is(err, errUnseen):
		// Only by set, or a server that changed meanwhile: somebody can mend that while the job waits.
		return heldBlind + strings.TrimPrefix(err.Error(), "rotate: "), nil
	case err != nil:
		return "", err
	}
	return t.assess(&limits, r), nil
}

// assess compares the server's load with the limits.
func (t *throttler) assess(l *Limits, r reading) string {
	far, late := r.furthest()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.far = -1
	if l.questions().replicas && len(r.replicas) > 0 {
		t.far = far.bytes
	}
	// Each is looked at, whatever the others say, for the latches' sake.
	bytes := t.over.bytes.over(far.bytes, l.ReplicaLagBytes)
	lag := t.over.lag.over(int64(late.lag), int64(l.ReplicaLag))
	wal := t.over.wal.over(r.wal, l.WALPerSecond)
	active := t.over.active.over(r.active, int64(l.ActiveConnections))
	switch {
	case bytes:
		return fmt.Sprintf("%s%s is %s behind (limit %s)", heldReplica, far.name, sizeText(far.bytes), sizeText(l.ReplicaLagBytes))
	case lag:
		return fmt.Sprintf("%s%s is %s behind (limit %s)", heldReplica, late.name, spanText(late.lag), spanText(l.ReplicaLag))
	case wal:
		return fmt.Sprintf("%sis written at %s/s (limit %s/s)", heldWAL, sizeText(r.wal), sizeText(l.WALPerSecond))
	case active:
		return fmt.Sprintf("%s%d other active connections (limit %d)", heldConnections, r.active, l.ActiveConnections)
	}
	return ""
}

// latches remember which limits hold the job.
type latches struct{ bytes, lag, wal, active latch }

// latch is closed by a value above the limit, and opens when the value is a fifth below it, so that
// a value near the limit does not start and stop the job each second.
type latch bool

func (l *latch) over(value, limit int64) bool {
	switch {
	case limit == 0 || value <= limit-limit/5:
		*l = false
	case value > limit:
		*l = true
	}
	return bool(*l)
}

// linger waits for d, for a change, or for the end of ctx, whose error it returns.
func linger(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-timer.C:
	}
	return nil
}
