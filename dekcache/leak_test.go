package dekcache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheSweepRunsOnlyWhileSomethingIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[int, int]{Entries: 10, TTL: 8 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		load := func(_ context.Context, keys []int, deliver func(int, *int, time.Time, error)) {
			for i := range keys {
				deliver(i, new(int), time.Time{}, nil)
			}
		}
		for round := range 3 {
			if c.sweeping.Load() {
				t.Fatalf("round %d: a sweep is due in an empty cache", round)
			}
			if _, err := c.Get(t.Context(), 1, load); err != nil {
				t.Fatal(err)
			}
			if !c.sweeping.Load() {
				t.Fatalf("round %d: no sweep is due", round)
			}
			time.Sleep(7 * time.Second)
			if !c.sweeping.Load() || c.Len() != 1 {
				t.Fatalf("round %d: the sweep stopped early", round)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
	})
}

// In a bubble every goroutine that is left behind fails the test.
func TestNoGoroutineIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[int, int]{Entries: 10, TTL: time.Minute, RefreshAhead: 0.5, LoadTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		load := func(ctx context.Context, keys []int, deliver func(int, *int, time.Time, error)) {
			for i, k := range keys {
				if k%2 == 0 {
					deliver(i, new(int), time.Time{}, nil)
				}
			}
			<-ctx.Done()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for k := range 100 {
			_, _ = c.Get(ctx, k, load)
		}
		time.Sleep(40 * time.Second)
		_ = c.GetMany(t.Context(), []int{1, 2, 3, 98}, make([]*Entry[int], 4), load)
		c.Purge()
	})
}

func TestShardCapacitiesSumUpToEntries(t *testing.T) {
	for entries := 1; entries <= 2000; entries++ {
		c, err := New(Config[int, int]{Entries: entries, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for i := range c.shards {
			sum += c.shards[i].capacity
		}
		if sum != entries || len(c.shards) > 1 && entries/len(c.shards) < 128 {
			t.Fatalf("%d entries: %d shards hold %d", entries, len(c.shards), sum)
		}
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	type key struct {
		id    [8]byte
		field *int
		suite byte
		salt  [12]byte
	}
	c, err := New(Config[key, int]{Entries: 1000, TTL: time.Minute, RefreshAhead: 0.8})
	if err != nil {
		t.Fatal(err)
	}
	load := func(_ context.Context, keys []key, deliver func(int, *int, time.Time, error)) {
		for i := range keys {
			deliver(i, new(int), time.Time{}, nil)
		}
	}
	k, ctx := key{[8]byte{1}, new(int), 2, [12]byte{3}}, t.Context()
	keys, out := []key{k, k}, make([]*Entry[int], 2)
	if n := testing.AllocsPerRun(100, func() {
		e, err := c.Get(ctx, k, load)
		if err != nil || e.Value() == nil || !e.Use(1) || c.GetMany(ctx, keys, out, load) != nil {
			t.Error("no hit")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestAShortTTLIsNotMeasuredWithACoarseClock(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		time.Microsecond:        0,
		99 * time.Millisecond:   0,
		100 * time.Millisecond:  time.Millisecond,
		time.Second:             10 * time.Millisecond,
		4900 * time.Millisecond: 49 * time.Millisecond,
		MaxTTL:                  50 * time.Millisecond,
	} {
		c, err := New(Config[int, int]{Entries: 1, TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.clock.Lag(); got != want {
			t.Errorf("TTL %v: a clock that is %v late, want %v", ttl, got, want)
		}
	}
}
