package dekcache

// Stats counts since the cache was made, except for the last two, which are
// the present state. Every key that Get, Fetch, GetMany or FetchMany is asked
// for counts in exactly one of Hits, Misses, Coalesced and NegativeHits,
// unless it is refused as invalid.
type Stats struct {
	Hits         uint64 // keys found in the cache
	Misses       uint64 // keys for which a load was begun
	Coalesced    uint64 // keys that joined a load that was under way
	NegativeHits uint64 // keys answered with a remembered error

	Loads      uint64 // calls of a Loader, refreshes included; one for many keys counts once
	LoadErrors uint64 // keys whose load failed, refreshes included
	Refreshes  uint64 // keys for which a background reload was begun

	Evictions uint64 // entries removed to make room
	Expired   uint64 // entries removed because their time had come
	Exhausted uint64 // entries ended by MaxValues or MaxBytes

	Entries  int // entries held now; the expired and the exhausted count until they are removed
	Failures int // errors remembered now, likewise
}

// counts is a shard's part of the Stats, kept under its lock.
type counts struct {
	hits, misses, coalesced, negativeHits uint64
	loadErrors, refreshes                 uint64
	evictions, expired                    uint64
}

// Stats returns the counters. Shards are read one after the other, so under
// load the sums are not of a single moment.
func (c *Cache[K, V]) Stats() Stats {
	st := Stats{Loads: c.loads.Load(), Exhausted: c.terms.exhausted.Load()}
	for i := range c.shards {
		c.shards[i].addTo(&st)
	}
	return st
}

func (s *shard[K, V]) addTo(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Hits += s.counts.hits
	st.Misses += s.counts.misses
	st.Coalesced += s.counts.coalesced
	st.NegativeHits += s.counts.negativeHits
	st.LoadErrors += s.counts.loadErrors
	st.Refreshes += s.counts.refreshes
	st.Evictions += s.counts.evictions
	st.Expired += s.counts.expired
	st.Entries += s.lru.Len()
	st.Failures += s.failures.Len()
}
