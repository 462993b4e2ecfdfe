// Package dekcache is a bounded cache for key material and for what is built
// from it: one load per key at a time, a hard time to live, and nothing that
// outlives its place in the cache.
//
// Start with [New], then call [Cache.Get] or, for a page of keys,
// [Cache.GetMany]. A caller that needs the same key again and again keeps the
// [Entry] beside the cache and asks it for its value first:
//
//	if v := memo.Value(); v != nil {
//		return v // a few nanoseconds, no lock, no hashing
//	}
//	memo, err = cache.Get(ctx, key, load)
//
// An entry that leaves the cache loses its value in every such memo at once, so
// a memo costs no control over how long a key is held. For the same reason an
// entry may be empty by the time its caller looks, when other keys pushed it
// out meanwhile; [Cache.Fetch] and [Cache.FetchMany] return the values
// themselves and have no such gap. Use them wherever the keys of one call may
// be more than the cache holds.
//
// # Loads
//
// No lock is held across a load. A load runs in a goroutine of its own, keeps
// the values of the context that caused it but not its cancellation, and is
// bounded by Config.LoadTimeout. Every caller waits under its own context. In
// a load of many keys each key's waiters go on when that key is delivered.
//
// A caller should make its [Loader] once: a function literal passed to Get is
// allocated on every call, hits included.
//
// # What the bounds mean
//
// Config.Entries is never exceeded. Errors that are remembered are counted
// apart, under a bound of the same size; loads under way belong to their
// callers and are not counted. Entries are spread over shards by hash and each
// shard evicts its own least recently used, so a cache of more than 255 entries
// may evict a few keys before it is entirely full.
//
// Config.TTL is hard: values are withheld when it ends, at most 50 ms before
// it (1 % of a TTL under 5 s) and not after it, scheduling delays of the coarse
// clock apart. They leave memory, without anybody asking, within an eighth of
// the TTL (at least 1 s, at most 1 min) from there. Time during which the
// machine is suspended does not count on systems whose monotonic clock stands
// still then.
//
// A Cache needs no Close. While it holds something, one timer is pending; an
// empty cache keeps nothing alive.
package dekcache
