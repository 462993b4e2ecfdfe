package dekcache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Loader loads keys that are missing. It calls deliver once for each index of
// keys, as soon as that key is known, from any goroutine, and returns when the
// last call has returned. The keys are distinct, and the slice is the loader's.
//
// With a nil err, v must not be nil and is the cache's from then on: another v
// for each index. expires is the end of its life; zero, or later than the TTL
// counted from the start of the load, means that. With an err, v is ignored.
// A second delivery for an index is ignored, and so is an index that is not
// one of keys. Errors must not quote key material.
//
// A panic of the loader becomes its waiters' error; a panic in a goroutine that
// the loader started cannot be caught and ends the program.
//
// ctx ends after Config.LoadTimeout. Waiters are told then; a loader that goes
// on nevertheless may run beside a second one for the same key.
type Loader[K comparable, V any] func(ctx context.Context, keys []K, deliver func(i int, v *V, expires time.Time, err error))

// disownedLife bounds the life of a value whose key was forgotten during the
// load: long enough for the waiters to use it, too short to matter in a memo.
const disownedLife = time.Second

// maxShare is the latest refresh, as a share of an entry's life.
const maxShare = 0.98

// The states of one key of a batch. Each delivery moves it on, so that only the
// first has an effect.
const (
	pending int32 = iota
	delivered
	abandoned
)

// batch is one call of a Loader.
type batch[K comparable, V any] struct {
	c       *Cache[K, V]
	keys    []K
	flights []*flight[V] // nil once landed, so that a long load keeps no value
	states  []atomic.Int32
	began   int64
	ctx     context.Context // of the load; ends by timeout, or after it
}

// start loads keys in the background, flights[i] being that of keys[i].
func (c *Cache[K, V]) start(ctx context.Context, keys []K, flights []*flight[V], load Loader[K, V]) {
	if len(keys) == 0 {
		return
	}
	b := &batch[K, V]{
		c: c, keys: keys, flights: flights,
		states: make([]atomic.Int32, len(keys)),
		began:  c.clock.Now(),
	}
	c.loads.Add(1)
	go b.run(ctx, load)
}

// run calls the loader and sees to it that every flight lands, even when the
// loader panics, ends its goroutine, forgets a key or does not return in time.
func (b *batch[K, V]) run(parent context.Context, load Loader[K, V]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), b.c.cfg.LoadTimeout)
	b.ctx = ctx
	stop := context.AfterFunc(ctx, func() {
		b.abandon(fmt.Errorf("%w after %v: %w", ErrLoadTimeout, b.c.cfg.LoadTimeout, context.DeadlineExceeded))
	})
	defer cancel()
	defer func() {
		err := ErrNotDelivered
		if value := recover(); value != nil {
			err = newPanicError(value)
		}
		stop()
		b.abandon(err)
	}()
	load(ctx, slices.Clone(b.keys), b.deliver)
}

// deliver is what the loader calls.
func (b *batch[K, V]) deliver(i int, v *V, expires time.Time, err error) {
	if i < 0 || i >= len(b.keys) {
		return
	}
	state := &b.states[i]
	if !state.CompareAndSwap(pending, delivered) {
		// Too late: nobody will get the value, so it is dropped at once. The
		// swap keeps a second delivery of it from being dropped again.
		if state.CompareAndSwap(abandoned, delivered) && v != nil && err == nil {
			b.c.terms.dropAll([]*V{v})
		}
		return
	}
	if v == nil && err == nil {
		err = ErrNotDelivered
	}
	if err != nil {
		b.fail(i, err)
		return
	}
	b.succeed(i, v, expires)
}

// abandon lands every flight that is still out.
func (b *batch[K, V]) abandon(err error) {
	for i := range b.states {
		if b.states[i].CompareAndSwap(pending, abandoned) {
			b.fail(i, err)
		}
	}
}

// succeed puts the value into the cache and hands it to its waiters.
func (b *batch[K, V]) succeed(i int, v *V, expires time.Time) {
	c, k, f := b.c, b.keys[i], b.flights[i]
	deadline := b.began + int64(c.cfg.TTL)
	if !expires.IsZero() {
		deadline = min(deadline, c.clock.At(expires))
	}
	deadline -= int64(c.clock.Lag()) // a coarse clock is late; the TTL is hard
	now := c.clock.Now()
	if now >= deadline {
		defer b.fail(i, ErrExpired)
		c.terms.dropAll([]*V{v})
		return
	}
	b.flights[i] = nil
	e := c.terms.newEntry(v, deadline)
	n := &node[K, V]{key: k, entry: e, soon: c.refreshAt(b.began, now, deadline)}

	s := c.shard(k)
	s.mu.Lock()
	kept := s.land(k, f)
	if kept {
		s.put(n, now)
	} else {
		e.deadline = min(deadline, now+int64(disownedLife)) // e is not published yet
	}
	awaited := f.awaited
	gone := s.release()

	if kept {
		c.armSweep()
	}
	defer f.finish(v, e, nil) // whatever Drop does
	c.terms.dropAll(gone)
	if !kept {
		e.dispose(awaited)
	}
}

// fail hands err to the waiters and remembers it where it is the key's.
func (b *batch[K, V]) fail(i int, err error) {
	c, k, f := b.c, b.keys[i], b.flights[i]
	b.flights[i] = nil
	now := c.clock.Now()
	remember := c.cfg.NegativeTTL > 0 && (!cancelled(err) || b.ctx.Err() != nil)

	s := c.shard(k)
	s.mu.Lock()
	s.counts.loadErrors++
	if s.land(k, f) {
		s.fail(k, err, remember, now, now+c.refreshGap(), now+int64(c.cfg.NegativeTTL))
	}
	s.mu.Unlock()

	if remember {
		c.armSweep()
	}
	f.finish(nil, nil, err)
}

// cancelled reports whether err says that somebody stopped the load, rather
// than something about the key.
func cancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refreshAt returns when a use of an entry starts its reload, or deadline for
// never.
func (c *Cache[K, V]) refreshAt(began, now, deadline int64) int64 {
	if c.cfg.RefreshAhead == 0 {
		return deadline
	}
	share := c.cfg.RefreshAhead * (0.9 + 0.2*c.cfg.Rand())
	at := began + int64(min(share, maxShare)*float64(deadline-began))
	// A key whose parent is about to expire would otherwise be reloaded at
	// ever shorter intervals, each time for the same last moment.
	return min(max(at, now+int64(c.cfg.TTL)/16), deadline)
}

// refreshGap is how long a key rests after a refresh has failed.
func (c *Cache[K, V]) refreshGap() int64 {
	return int64(max(c.cfg.TTL/16, c.cfg.NegativeTTL))
}

// dispose ends an entry that was not put into the cache: after its life if
// somebody got it, else at once.
func (e *Entry[V]) dispose(awaited bool) {
	end := func() {
		if v := e.value.Swap(nil); v != nil {
			e.terms.dropAll([]*V{v})
		}
	}
	if !awaited {
		end()
		return
	}
	time.AfterFunc(disownedLife, end)
}
