package dekcache_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

// counted is a cache of ints that knows how many values are alive in it, from
// what its loader delivered and what it dropped.
type counted struct {
	*dekcache.Cache[int, value]
	delivered, dropped atomic.Int64
}

func newCounted(t testing.TB, cfg dekcache.Config[int, value]) *counted {
	t.Helper()
	c := &counted{}
	cfg.Drop = func(*value) { c.dropped.Add(1) }
	var err error
	if c.Cache, err = dekcache.New(cfg); err != nil {
		t.Fatal(err)
	}
	return c
}

// load delivers values whose serial is their key.
func (c *counted) load(_ context.Context, keys []int, deliver func(int, *value, time.Time, error)) {
	for i, k := range keys {
		c.delivered.Add(1)
		deliver(i, &value{serial: int64(k)}, time.Time{}, nil)
	}
}

func TestTheBoundHoldsAtEveryMomentUnderConcurrentUse(t *testing.T) {
	const entries, keys, workers, page = 10_000, 100_000, 4, 100
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	c := newCounted(t, dekcache.Config[int, value]{
		Entries: entries, TTL: time.Minute, RefreshAhead: 0.1, MaxValues: 3,
	})
	var stop atomic.Bool
	var watcher, wg sync.WaitGroup
	watcher.Go(func() {
		for !stop.Load() {
			if n := c.Len(); n > entries {
				t.Errorf("%d entries", n)
				return
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			asked, values, out := make([]int, page), make([]*value, page), make([]*dekcache.Entry[value], page)
			for range rounds {
				for i := range asked {
					asked[i] = rng.IntN(keys)
				}
				if err := c.FetchMany(t.Context(), asked, values, out, c.load); err != nil {
					t.Error(err)
					return
				}
				for i, v := range values {
					if v == nil || v.serial != int64(asked[i]) {
						t.Errorf("key %d has value %v", asked[i], v)
						return
					}
					if got := out[i].Value(); got != nil && got != v {
						t.Error("an entry changed its value")
						return
					}
					out[i].Use(i)
				}
				c.Forget(asked[0])
			}
		})
	}
	wg.Wait()
	stop.Store(true)
	watcher.Wait()
	st := c.Stats()
	if st.Entries > entries || st.Entries < entries*9/10 || st.Evictions == 0 || st.Exhausted == 0 {
		t.Errorf("%+v", st)
	}
	if asked := st.Hits + st.Misses + st.Coalesced + st.NegativeHits; asked != uint64(workers*rounds*page) {
		t.Errorf("%d keys counted, %d asked for", asked, workers*rounds*page)
	}
	// Loads that a Forget disowned are dropped a second later; the rest now.
	c.Purge()
	for deadline := time.Now().Add(30 * time.Second); c.delivered.Load() != c.dropped.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d values delivered, %d dropped", c.delivered.Load(), c.dropped.Load())
		}
	}
}

func TestTheBoundIsExactForEveryNumberOfEntriesAndShards(t *testing.T) {
	for _, tt := range []struct{ entries, shards int }{
		{1, 0}, {1, 1}, {2, 2}, {7, 3}, {10, 10}, {100, 7}, {255, 0}, {256, 0}, {300, 299}, {1000, 0},
	} {
		c := newCounted(t, dekcache.Config[int, value]{Entries: tt.entries, Shards: tt.shards, TTL: time.Minute})
		for k := range 20 * tt.entries {
			if _, err := c.Get(t.Context(), k, c.load); err != nil {
				t.Fatal(err)
			}
			if alive := c.delivered.Load() - c.dropped.Load(); alive > int64(tt.entries) || int(alive) != c.Len() {
				t.Fatalf("%+v: %d values alive, %d entries", tt, alive, c.Len())
			}
		}
		if tt.entries > 10*max(tt.shards, 8) && c.Len() != tt.entries {
			t.Errorf("%+v: only %d entries are ever used", tt, c.Len())
		}
	}
}
