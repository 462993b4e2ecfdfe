package dekcache

import (
	"container/heap"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// shard is one independently locked part of a cache. Every method asks for mu
// to be held; none waits, loads or calls back into the user's code.
type shard[K comparable, V any] struct {
	mu       sync.Mutex
	lru      *simplelru.LRU[K, *node[K, V]]
	expiry   expiryHeap[K, V] // the same nodes
	capacity int
	failures *simplelru.LRU[K, failure]
	// flights are the loads under way whose result may be put in. Taking one
	// out is how Forget and Purge disown it.
	flights map[K]*flight[V]
	gone    []*V // values for Config.Drop, collected until mu is released
	counts  counts
	_       [64]byte // the next shard's lock is on another cache line
}

// failure is a remembered error.
type failure struct {
	err   error
	until int64
}

func (s *shard[K, V]) init(capacity int) error {
	var err error
	if s.lru, err = simplelru.NewLRU[K, *node[K, V]](capacity, nil); err != nil {
		return err
	}
	if s.failures, err = simplelru.NewLRU[K, failure](capacity, nil); err != nil {
		return err
	}
	s.capacity = capacity
	s.flights = make(map[K]*flight[V])
	return nil
}

// release unlocks the shard and returns the values to be dropped.
func (s *shard[K, V]) release() []*V {
	gone := s.gone
	s.gone = nil
	s.mu.Unlock()
	return gone
}

// claim is what one caller gets for one key.
type claim[V any] struct {
	value *V
	entry *Entry[V]
	wait  *flight[V] // where there is no value
	load  *flight[V] // the caller must start this one: a miss, or a refresh
	err   error
}

// claim answers a use of k at now.
func (s *shard[K, V]) claim(k K, now int64) claim[V] {
	if n, ok := s.lru.Get(k); ok {
		if v := n.entry.value.Load(); v != nil && now < n.entry.deadline {
			s.counts.hits++
			return claim[V]{value: v, entry: n.entry, load: s.refresh(n, now)}
		}
		s.expire(n, now)
	}
	if !equal(k, k) { // a NaN, which no map would find or delete again
		return claim[V]{err: ErrInvalidKey}
	}
	if f, ok := s.failures.Peek(k); ok && now < f.until {
		s.counts.negativeHits++
		return claim[V]{err: f.err}
	}
	if f, ok := s.flights[k]; ok {
		s.counts.coalesced++
		f.awaited = true
		return claim[V]{wait: f}
	}
	s.counts.misses++
	f := newFlight[V]()
	f.awaited = true
	s.flights[k] = f
	return claim[V]{wait: f, load: f}
}

func equal[K comparable](a, b K) bool { return a == b }

// refresh returns the flight to be started when n is due for a reload.
func (s *shard[K, V]) refresh(n *node[K, V], now int64) *flight[V] {
	if now < n.soon {
		return nil
	}
	n.soon = n.entry.deadline // one refresh at a time; fail sets it back
	s.counts.refreshes++
	f := newFlight[V]()
	s.flights[n.key] = f
	return f
}

// put takes n in, in place of the same key's entry or of another when full.
// There is never one entry too many, not even between two lines here.
func (s *shard[K, V]) put(n *node[K, V], now int64) {
	if old, ok := s.lru.Peek(n.key); ok {
		s.remove(old)
	}
	for s.lru.Len() >= s.capacity {
		s.makeRoom(now)
	}
	s.lru.Add(n.key, n)
	heap.Push(&s.expiry, n)
	s.failures.Remove(n.key)
}

// makeRoom removes an expired entry, or else the least recently used.
func (s *shard[K, V]) makeRoom(now int64) {
	if n := s.expiry[0]; now >= n.entry.deadline {
		s.expire(n, now)
		return
	}
	_, n, _ := s.lru.GetOldest()
	if s.remove(n) {
		s.counts.evictions++
	}
}

// expire removes n, whose time has come or whose uses are exhausted.
func (s *shard[K, V]) expire(n *node[K, V], now int64) {
	if s.remove(n) && now >= n.entry.deadline {
		s.counts.expired++
	}
}

// remove takes n out and its value from every memo of its entry. It reports
// whether there still was a value: exhausted entries have lost theirs before.
func (s *shard[K, V]) remove(n *node[K, V]) bool {
	s.lru.Remove(n.key)
	heap.Remove(&s.expiry, n.pos)
	return s.empty(n.entry)
}

// empty takes the value from e and keeps it for Drop.
func (s *shard[K, V]) empty(e *Entry[V]) bool {
	v := e.value.Swap(nil)
	if v == nil {
		return false
	}
	if e.terms.drop != nil {
		s.gone = append(s.gone, v)
	}
	return true
}

// land ends f, the load of k, and reports whether its result counts: false
// after a Forget or Purge.
func (s *shard[K, V]) land(k K, f *flight[V]) bool {
	if s.flights[k] != f {
		return false
	}
	delete(s.flights, k)
	return true
}

// fail notes that a load of k failed. While a live entry is there, that stays
// and is refreshed again at retry; otherwise the error is remembered until then.
func (s *shard[K, V]) fail(k K, err error, remember bool, now, retry, until int64) {
	if n, ok := s.lru.Peek(k); ok && now < n.entry.deadline {
		n.soon = min(retry, n.entry.deadline)
		return
	}
	if remember {
		s.failures.Add(k, failure{err: err, until: until})
	}
}

// forget removes what match says, and disowns the loads of it.
func (s *shard[K, V]) forget(match func(K, *V) bool) {
	for _, k := range s.lru.Keys() {
		if n, _ := s.lru.Peek(k); match(k, n.entry.value.Load()) {
			s.remove(n)
		}
	}
	for _, k := range s.failures.Keys() {
		if match(k, nil) {
			s.failures.Remove(k)
		}
	}
	for k := range s.flights {
		if match(k, nil) {
			delete(s.flights, k)
		}
	}
}

// purge empties the shard and disowns the loads under way.
func (s *shard[K, V]) purge() {
	for _, n := range s.expiry {
		s.empty(n.entry)
	}
	s.expiry = nil
	s.lru.Purge()
	s.failures.Purge()
	clear(s.flights)
}

// sweep removes what has expired, at most limit entries and limit errors, and
// reports whether there is more.
func (s *shard[K, V]) sweep(now int64, limit int) (more bool) {
	for range limit {
		if len(s.expiry) == 0 || now < s.expiry[0].entry.deadline {
			break
		}
		s.expire(s.expiry[0], now)
	}
	// All errors are remembered equally long and none is moved by a look-up,
	// so the oldest is the first to go.
	for range limit {
		k, f, ok := s.failures.GetOldest()
		if !ok || now < f.until {
			break
		}
		s.failures.Remove(k)
	}
	if len(s.expiry) > 0 && now >= s.expiry[0].entry.deadline {
		return true
	}
	_, f, ok := s.failures.GetOldest()
	return ok && now >= f.until
}
