package dekcache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestAValueIsWithheldFromTheVeryEndOfItsTTL(t *testing.T) {
	clk, src := newClock(), &source{}
	c := newCache(t, config{TTL: time.Minute, Now: clk.Now})
	e := mustGet(t, c, "a", src.load)
	if want := clk.Now().Add(time.Minute); !e.Expires().Equal(want) {
		t.Errorf("Expires is %v, want %v", e.Expires(), want)
	}
	clk.advance(time.Minute - 1)
	if _, ok := c.Peek("a"); !ok || e.Value() == nil || mustGet(t, c, "a", src.load) != e {
		t.Fatal("gone a nanosecond before its time")
	}
	clk.advance(1)
	if _, ok := c.Peek("a"); ok || e.Value() != nil {
		t.Fatal("still there at the end of its TTL")
	}
	if c.Forget("a") {
		t.Error("Forget reports an expired entry as found")
	}
	if mustGet(t, c, "a", src.load) == e {
		t.Fatal("Get returned the expired entry")
	}
}

func TestTheTTLCountsFromTheStartOfTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: 20 * time.Second}
		c := newCache(t, config{TTL: time.Minute, Now: time.Now})
		began := time.Now()
		e := mustGet(t, c, "a", src.load)
		if want := began.Add(time.Minute); !e.Expires().Equal(want) {
			t.Fatalf("Expires %v after the load began, want 1m", e.Expires().Sub(began))
		}
	})
}

func TestALoaderMayShortenALifeButNotLengthenIt(t *testing.T) {
	for _, tt := range []struct {
		name       string
		life, want time.Duration
	}{
		{"no expiry means the TTL", 0, time.Minute},
		{"an earlier one is kept", 10 * time.Second, 10 * time.Second},
		{"a later one is cut to the TTL", time.Hour, time.Minute},
		{"one beyond the range of a clock is cut too", 1<<63 - 1, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{life: tt.life}
				c := newCache(t, config{TTL: time.Minute, Now: time.Now})
				e := mustGet(t, c, "a", src.load)
				if got := time.Until(e.Expires()); got != tt.want {
					t.Fatalf("expires in %v, want %v", got, tt.want)
				}
				time.Sleep(tt.want - 1)
				if e.Value() == nil {
					t.Fatal("gone too early")
				}
				time.Sleep(time.Nanosecond)
				if e.Value() != nil {
					t.Fatal("gone too late")
				}
			})
		})
	}
}

func TestADerivedValueDoesNotOutliveItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parents := newCache(t, config{TTL: time.Minute})
		children := newCache(t, config{TTL: time.Hour})
		parent := mustGet(t, parents, "p", (&source{}).load)
		time.Sleep(40 * time.Second)
		src := &source{life: time.Until(parent.Expires())}
		child := mustGet(t, children, "c", src.load)
		for time.Sleep(19 * time.Second); parent.Value() != nil; time.Sleep(time.Millisecond) {
		}
		time.Sleep(50 * time.Millisecond) // the coarse clocks need not tick together
		if child.Value() != nil {
			t.Fatal("the child outlived its parent")
		}
	})
}

func TestAValueThatArrivesAfterItsEndIsAnErrorAndDropped(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  *source
	}{
		{"the load took longer than the TTL", &source{delay: 11 * time.Second}},
		{"the parent had expired", &source{life: -time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dropped := 0
				c := newCache(t, config{TTL: 10 * time.Second, Drop: func(*value) { dropped++ }})
				e, err := c.Get(t.Context(), "a", tt.src.load)
				wantError(t, err, dekcache.ErrExpired)
				synctest.Wait()
				if e != nil || c.Len() != 0 || dropped != 1 {
					t.Fatalf("entry %v, %d entries, %d dropped", e, c.Len(), dropped)
				}
			})
		})
	}
}

func TestOnTheCoarseClockTheTTLIsHardAndLittleIsLostOfIt(t *testing.T) {
	for _, ttl := range []time.Duration{time.Millisecond, 99 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Minute, time.Hour} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, config{TTL: ttl})
				life := ttl - ttl/37 // does not end on a tick
				began := time.Now()
				e := mustGet(t, c, "a", (&source{life: life}).load)
				step := max(ttl/1000, time.Microsecond)
				for e.Value() != nil {
					time.Sleep(step)
					synctest.Wait()
				}
				lag := min(50*time.Millisecond, ttl/100)
				if got := time.Since(began); got > life+step || got < life-2*lag-2 {
					t.Fatalf("lived %v", got)
				}
			})
		})
	}
}

func TestTheSweepEmptiesTheCacheWithoutAnybodyAsking(t *testing.T) {
	for _, tt := range []struct{ ttl, within time.Duration }{
		{500 * time.Millisecond, time.Second},
		{4 * time.Second, time.Second},
		{80 * time.Second, 10 * time.Second},
		{time.Hour, time.Minute},
	} {
		t.Run(tt.ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d drops
				c := newCache(t, config{TTL: tt.ttl, NegativeTTL: tt.ttl / 2, Drop: d.drop, Entries: 5000})
				src := &source{}
				src.breakKey("broken", errBroken)
				if _, err := c.Get(t.Context(), "broken", src.load); err == nil {
					t.Fatal("no error")
				}
				values := make([]*value, 0, 2000)
				for range cap(values) {
					values = append(values, mustGet(t, c, string(rune(0x4e00+len(values))), src.load).Value())
				}
				time.Sleep(tt.ttl - 120*time.Millisecond)
				if c.Len() != len(values) {
					t.Fatalf("%d entries before the end", c.Len())
				}
				time.Sleep(120*time.Millisecond + tt.within)
				synctest.Wait()
				if st := c.Stats(); st.Entries != 0 || st.Failures != 0 || st.Expired != uint64(len(values)) {
					t.Fatalf("after the sweep: %+v", st)
				}
				for _, v := range values {
					d.want(t, v, 1)
				}
			})
		})
	}
}

func TestARememberedErrorAloneIsSweptToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, src := newCache(t, config{TTL: 8 * time.Second}), &source{}
		src.breakKey("a", errBroken)
		_, err := c.Get(t.Context(), "a", src.load)
		wantError(t, err, errBroken)
		time.Sleep(2100 * time.Millisecond)
		synctest.Wait()
		if n := c.Stats().Failures; n != 0 {
			t.Fatalf("%d errors remembered", n)
		}
	})
}
