package dekcache

import (
	"context"
	"fmt"
)

// GetMany fills out[i] with the entry of keys[i], as Get does for one key. All
// keys that are missing, and not being loaded already, are loaded by one call
// of load. A key may occur more than once. Keys whose load fails leave out[i]
// nil; the error is then a *BatchError, the other entries are valid.
//
// out must be as long as keys at least. With more keys than the cache holds, the
// first entries are evicted by the last: use FetchMany.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K, out []*Entry[V], load Loader[K, V]) error {
	return c.FetchMany(ctx, keys, nil, out, load)
}

// FetchMany is GetMany that puts the values into values[i] too, which stay
// valid for the caller whatever becomes of the entries. Either slice may be nil,
// otherwise it must be as long as keys at least.
func (c *Cache[K, V]) FetchMany(ctx context.Context, keys []K, values []*V, out []*Entry[V], load Loader[K, V]) error {
	if values != nil && len(values) < len(keys) || out != nil && len(out) < len(keys) {
		return fmt.Errorf("dekcache: room for %d values and %d entries, but %d keys; pass longer slices",
			len(values), len(out), len(keys))
	}
	p := page[K, V]{c: c, keys: keys, values: values, out: out}
	p.claim(ctx, load)
	for _, w := range p.waits {
		v, e, err := w.f.result(ctx)
		p.set(w.i, v, e, err)
	}
	if p.errs != nil {
		return &BatchError{Errors: p.errs, Keys: len(keys)}
	}
	return nil
}

// page is one call of FetchMany.
type page[K comparable, V any] struct {
	c      *Cache[K, V]
	keys   []K
	values []*V
	out    []*Entry[V]
	waits  []waiting[V]
	errs   map[int]error
}

type waiting[V any] struct {
	i int
	f *flight[V]
}

// claim answers what is in the cache and starts the loads for the rest. The
// refreshes are a load of their own, which nobody waits for.
func (p *page[K, V]) claim(ctx context.Context, load Loader[K, V]) {
	var missing, stale manifest[K, V]
	// Deferred, so that flights announced before a key panics as unhashable
	// are carried out.
	defer func() {
		p.c.start(ctx, missing.keys, missing.flights, load)
		p.c.start(ctx, stale.keys, stale.flights, load)
	}()
	now := p.c.clock.Now()
	for i, k := range p.keys {
		s := p.c.shard(k)
		s.mu.Lock()
		cl := s.claim(k, now)
		p.c.terms.dropAll(s.release())
		switch {
		case cl.wait == nil:
			p.set(i, cl.value, cl.entry, cl.err)
			stale.add(k, cl.load)
		default:
			p.waits = append(p.waits, waiting[V]{i, cl.wait})
			missing.add(k, cl.load)
		}
	}
}

func (p *page[K, V]) set(i int, v *V, e *Entry[V], err error) {
	if p.values != nil {
		p.values[i] = v
	}
	if p.out != nil {
		p.out[i] = e
	}
	if err != nil {
		if p.errs == nil {
			p.errs = make(map[int]error)
		}
		p.errs[i] = err
	}
}

// manifest is what one load is to fetch.
type manifest[K comparable, V any] struct {
	keys    []K
	flights []*flight[V]
}

func (m *manifest[K, V]) add(k K, f *flight[V]) {
	if f != nil {
		m.keys = append(m.keys, k)
		m.flights = append(m.flights, f)
	}
}
