package dekcache

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/bits"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/internal/coarse"
)

// exactBelow is the TTL under which the coarse clock's lag would matter.
const exactBelow = 100 * time.Millisecond

// Cache maps keys to values that are loaded when they are missing. Make one
// with New. All methods are safe for concurrent use.
//
// Keys must be hashable: a key with an interface inside that holds a slice, map
// or function panics, as it does in a map.
type Cache[K comparable, V any] struct {
	cfg    Config[K, V]
	clock  *coarse.Clock
	terms  *terms[V]
	seed   maphash.Seed
	shards []shard[K, V]
	loads  atomic.Uint64

	// skipHash: there is one shard, and hashing cannot panic. Keys that can
	// are hashed first in any case: here, and not under a shard's lock.
	skipHash bool

	period   time.Duration // between sweeps
	sweeping atomic.Bool   // a sweep is due or running
}

// New returns an empty cache, or an error that names the field that is wrong.
func New[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	now := cfg.Now
	if now == nil && cfg.TTL < exactBelow {
		now = time.Now
	}
	clock := coarse.New(now, min(coarse.DefaultResolution, cfg.TTL/100))
	c := &Cache[K, V]{
		cfg:    cfg,
		clock:  clock,
		terms:  &terms[V]{clock: clock, maxValues: cfg.MaxValues, maxBytes: cfg.MaxBytes, drop: cfg.Drop},
		seed:   maphash.MakeSeed(),
		shards: make([]shard[K, V], cfg.Shards),
		period: min(max(cfg.TTL/8, time.Second), time.Minute),
	}
	c.skipHash = cfg.Shards == 1 && !hashMayPanic(reflect.TypeFor[K]())
	for i := range c.shards {
		capacity := cfg.Entries / cfg.Shards
		if i < cfg.Entries%cfg.Shards {
			capacity++ // so that the capacities sum up to Entries
		}
		if err := c.shards[i].init(capacity); err != nil {
			return nil, fmt.Errorf("dekcache: %w", err)
		}
	}
	return c, nil
}

// hashMayPanic reports whether some keys of type t are not hashable.
func hashMayPanic(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return hashMayPanic(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hashMayPanic(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

func (c *Cache[K, V]) shard(k K) *shard[K, V] {
	if c.skipHash {
		return &c.shards[0]
	}
	i, _ := bits.Mul64(maphash.Comparable(c.seed, k), uint64(len(c.shards)))
	return &c.shards[i]
}

// Get returns k's entry, and calls load for it when there is none. A failed
// load's error is returned as the Loader delivered it; see the Err variables
// and PanicError for the cache's own. When ctx ends first, its error is
// returned, wrapped, and the load goes on for the others.
//
// The entry's Value is nil if other keys have evicted it by the time the caller
// looks. Where that may happen, use Fetch.
func (c *Cache[K, V]) Get(ctx context.Context, k K, load Loader[K, V]) (*Entry[V], error) {
	_, e, err := c.Fetch(ctx, k, load)
	return e, err
}

// Fetch is Get that returns the value too, whatever becomes of the entry.
func (c *Cache[K, V]) Fetch(ctx context.Context, k K, load Loader[K, V]) (*V, *Entry[V], error) {
	s := c.shard(k)
	now := c.clock.Now()
	s.mu.Lock()
	if n, ok := s.lru.Get(k); ok && now < n.soon {
		if v := n.entry.value.Load(); v != nil {
			s.counts.hits++
			e := n.entry
			s.mu.Unlock()
			return v, e, nil
		}
	}
	cl := s.claim(k, now)
	c.terms.dropAll(s.release())
	if cl.load != nil {
		c.start(ctx, []K{k}, []*flight[V]{cl.load}, load)
	}
	if cl.wait != nil {
		return cl.wait.result(ctx)
	}
	return cl.value, cl.entry, cl.err
}

// Peek returns k's entry if it has a value. It loads nothing, counts nothing
// and does not make the entry recently used.
func (c *Cache[K, V]) Peek(k K) (*Entry[V], bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.lru.Peek(k); ok && n.entry.Value() != nil {
		return n.entry, true
	}
	return nil, false
}

// Forget removes k, its remembered error, and the result of a load of k that is
// under way: its waiters get that, good for at most a second, and later callers
// do not. It reports whether an entry with a value was there.
func (c *Cache[K, V]) Forget(k K) bool {
	s := c.shard(k)
	now := c.clock.Now()
	s.mu.Lock()
	had := false
	if n, ok := s.lru.Peek(k); ok {
		had = s.remove(n) && now < n.entry.deadline
	}
	s.failures.Remove(k)
	delete(s.flights, k)
	c.terms.dropAll(s.release())
	return had
}

// ForgetFunc is Forget of every key for which match is true. Of a key whose
// value is being loaded, or whose load failed, v is nil: match must say true
// where that value might be one to forget. It is called under a lock and must
// not call the cache.
func (c *Cache[K, V]) ForgetFunc(match func(k K, v *V) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.forget(match)
		c.terms.dropAll(s.release())
	}
}

// Purge is Forget of all keys.
func (c *Cache[K, V]) Purge() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.purge()
		c.terms.dropAll(s.release())
	}
}

// Len returns the number of entries held. Those that expired or were exhausted
// count until they are swept; it is never more than Config.Entries.
func (c *Cache[K, V]) Len() int {
	entries, _ := c.held()
	return entries
}

// held counts entries and remembered errors.
func (c *Cache[K, V]) held() (entries, failures int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		entries += s.lru.Len()
		failures += s.failures.Len()
		s.mu.Unlock()
	}
	return entries, failures
}

// String says how full the cache is and shows nothing of its contents.
func (c *Cache[K, V]) String() string {
	return fmt.Sprintf("dekcache.Cache(%d of %d entries)", c.Len(), c.cfg.Entries)
}

// GoString is String, for %#v.
func (c *Cache[K, V]) GoString() string { return c.String() }
