package dekcache

import "time"

// sweepChunk is how many entries a sweep removes under one hold of a lock.
const sweepChunk = 256

// armSweep makes sure that a sweep is due. Called after something was put in.
func (c *Cache[K, V]) armSweep() {
	if !c.sweeping.Load() && c.sweeping.CompareAndSwap(false, true) {
		time.AfterFunc(c.period, c.sweep)
	}
}

// sweep removes what has expired, and goes on doing so every period until the
// cache is empty.
func (c *Cache[K, V]) sweep() {
	now := c.clock.Now()
	for i := range c.shards {
		s := &c.shards[i]
		for more := true; more; {
			s.mu.Lock()
			more = s.sweep(now, sweepChunk)
			c.terms.dropAll(s.release())
		}
	}
	if !c.empty() {
		time.AfterFunc(c.period, c.sweep)
		return
	}
	c.sweeping.Store(false)
	// What was put in before the Store found a sweep armed; what is put in
	// after it arms one itself.
	if !c.empty() {
		c.armSweep()
	}
}

func (c *Cache[K, V]) empty() bool {
	entries, failures := c.held()
	return entries == 0 && failures == 0
}
