// Package coarse is a monotonic clock that costs about as much to read as a
// variable. Use it where a time is compared on every operation and being some
// milliseconds late is harmless, such as a cache's expiry; use package time
// for everything else.
package coarse

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultResolution is how often a Clock advances unless told otherwise.
const DefaultResolution = 50 * time.Millisecond

// idleStop is how long nobody may read a Clock before it stops ticking.
const idleStop = time.Second

// stopped is the state of a Clock that is not ticking. It is odd, as every
// state is that Now cannot return as it stands.
const stopped int64 = -1

// Clock counts nanoseconds since its creation. It is safe for concurrent use,
// and a value that one goroutine has seen is never followed by a smaller one,
// in that goroutine or in another that runs after it.
//
// Now is late by at most the resolution, plus the time for which the scheduler
// or the system holds a due timer back; it is never early. The clock is that
// of the Go runtime, which on most systems stands still while the machine is
// suspended.
//
// A Clock starts to tick when it is read and stops by itself once nobody has
// read it for a second. It needs no Close and keeps no goroutine.
type Clock struct {
	// state is what makes Now one load: an even number is the time of the
	// last tick, already read by somebody; an odd one is the same that nobody
	// has read yet, or stopped.
	state atomic.Int64

	now        func() time.Time
	origin     time.Time
	resolution time.Duration // 0: exact, every Now reads now

	latest atomic.Int64 // exact only: the largest value returned

	mu    sync.Mutex // held by what starts, advances and stops the ticking
	timer *time.Timer
	idle  time.Duration // for how long no reader was seen
}

// New returns a clock that begins at 0.
//
// With a nil now it is a coarse clock on time.Now which advances every
// resolution; a resolution of 0 or less means DefaultResolution. With any other now it is
// exact: every read calls now, nothing ticks, and resolution is ignored. That
// is for tests, and for periods too short to be a resolution late.
func New(now func() time.Time, resolution time.Duration) *Clock {
	c := &Clock{now: now, resolution: resolution}
	switch {
	case now != nil:
		c.resolution = 0
	default:
		c.now = time.Now
		if resolution <= 0 {
			c.resolution = DefaultResolution
		}
	}
	c.origin = c.now()
	c.state.Store(stopped)
	return c
}

// Now returns the nanoseconds since the clock's creation.
func (c *Clock) Now() int64 {
	if t := c.state.Load(); t&1 == 0 {
		return t
	}
	return c.slow()
}

// Lag returns how late Now may be, apart from scheduling delays: the
// resolution, or 0 for an exact clock.
func (c *Clock) Lag() time.Duration { return c.resolution }

// At returns where t lies on this clock, in the nanoseconds that Now counts;
// it may be negative. It is computed from the time left until t, so that a
// wall clock that was set after the Clock's creation does no harm.
func (c *Clock) At(t time.Time) int64 {
	now := c.now()
	return addSaturating(int64(now.Sub(c.origin)), int64(t.Sub(now)))
}

// Time returns the time at which the clock reads n. It is the inverse of At.
func (c *Clock) Time(n int64) time.Time {
	now := c.now()
	return now.Add(time.Duration(n) - now.Sub(c.origin))
}

// slow is Now where the state is no plain time: the first read after a tick,
// a clock that stands, or an exact one.
func (c *Clock) slow() int64 {
	if c.resolution == 0 {
		return c.exact()
	}
	if t := c.state.Load(); t != stopped {
		// Tell the ticker that somebody reads. Where this fails another
		// reader has told it, or the next tick has come; t stays a valid
		// answer, because it was the time when this call began.
		c.state.CompareAndSwap(t|1, t&^1)
		return t &^ 1
	}
	return c.start()
}

// exact reads the injected clock, which may be set back where this may not.
func (c *Clock) exact() int64 {
	t := int64(c.now().Sub(c.origin))
	for {
		latest := c.latest.Load()
		if t <= latest {
			return latest
		}
		if c.latest.CompareAndSwap(latest, t) {
			return t
		}
	}
}

// start reads the real clock and sets the ticking off. The clock is read under
// the lock: of two readers that find it stopped, the one with the earlier time
// must not publish it after the other has returned.
func (c *Clock) start() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.state.Load(); t != stopped {
		return t &^ 1
	}
	t := c.read()
	c.idle = 0
	c.state.Store(t)
	// A new timer each time, not a Reset: inside a testing/synctest bubble a
	// timer belongs to the bubble that made it.
	c.timer = time.AfterFunc(c.resolution, c.tick)
	return t
}

// tick publishes the time, or stops the clock when it has been idle.
func (c *Clock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.read()
	c.idle += c.resolution
	for {
		old := c.state.Load()
		next := t | 1
		if old&1 == 0 {
			c.idle = 0
		} else if c.idle >= idleStop {
			next = stopped
		}
		// It fails only when a reader has just cleared the unread bit.
		if !c.state.CompareAndSwap(old, next) {
			continue
		}
		if next != stopped {
			c.timer.Reset(c.resolution)
		}
		return
	}
}

// read returns the real time, rounded down to an even number of nanoseconds.
func (c *Clock) read() int64 { return int64(c.now().Sub(c.origin)) &^ 1 }

func addSaturating(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
