package dekcache_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFailedLoadIsRememberedForTheNegativeTTL(t *testing.T) {
	for _, tt := range []struct {
		name         string
		ttl, remains time.Duration
	}{
		{"one second by default", 0, time.Second},
		{"as long as configured", 5 * time.Second, 5 * time.Second},
		{"not at all", -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clk, src := newClock(), &source{}
			src.breakKey("a", errBroken)
			c := newCache(t, config{NegativeTTL: tt.ttl, Now: clk.Now})
			loads := 0
			get := func() int {
				_, err := c.Get(t.Context(), "a", src.load)
				wantError(t, err, errBroken)
				loads, _ = src.loads("a")
				return loads
			}
			if get() != 1 {
				t.Fatal("not loaded")
			}
			if tt.remains > 0 {
				clk.advance(tt.remains - 1)
				if get() != 1 || c.Stats().NegativeHits != 1 {
					t.Fatal("forgotten too early")
				}
				clk.advance(1)
			}
			if get() != 2 {
				t.Fatal("remembered too long")
			}
		})
	}
}

func TestACancelledLoadSaysNothingAboutItsKey(t *testing.T) {
	for _, tt := range []struct {
		name       string
		err        error // delivered by the loader
		delay      time.Duration
		remembered bool
	}{
		{"cancelled by somebody", context.Canceled, 0, false},
		{"a deadline of the loader's own", context.DeadlineExceeded, 0, false},
		{"wrapped", fmt.Errorf("query: %w", context.Canceled), 0, false},
		{"the load timeout itself", context.DeadlineExceeded, time.Hour, true},
		{"any other error", errBroken, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, config{LoadTimeout: time.Second, NegativeTTL: 10 * time.Second})
				load := func(ctx context.Context, _ []string, deliver deliver) {
					select {
					case <-ctx.Done():
					case <-time.After(tt.delay):
					}
					deliver(0, nil, time.Time{}, tt.err)
				}
				for range 2 {
					if _, err := c.Get(t.Context(), "a", load); err == nil {
						t.Fatal("no error")
					}
				}
				if n := c.Stats().Loads; (n == 1) != tt.remembered {
					t.Fatalf("%d loads", n)
				}
			})
		})
	}
}

func TestRememberedErrorsAreBoundedAndPushNoEntryOut(t *testing.T) {
	clk, src := newClock(), &source{}
	c := newCache(t, config{Entries: 10, NegativeTTL: time.Minute, Now: clk.Now, Shards: 3})
	kept := mustGet(t, c, "good", src.load)
	for i := range 1000 {
		k := fmt.Sprint(i)
		src.breakKey(k, errBroken)
		_, err := c.Get(t.Context(), k, src.load)
		wantError(t, err, errBroken)
		if n := c.Stats().Failures; n > 10 {
			t.Fatalf("%d errors remembered", n)
		}
	}
	if c.Stats().Failures != 10 || kept.Value() == nil {
		t.Fatalf("%+v", c.Stats())
	}
}

func TestAKeyThatLoadsAfterAFailureIsAHit(t *testing.T) {
	clk, src := newClock(), &source{}
	src.breakKey("a", errBroken)
	c := newCache(t, config{Now: clk.Now})
	_, err := c.Get(t.Context(), "a", src.load)
	wantError(t, err, errBroken)
	src.breakKey("a", nil)
	clk.advance(time.Second)
	mustGet(t, c, "a", src.load)
	if st := c.Stats(); st.Failures != 0 || st.Entries != 1 || st.LoadErrors != 1 {
		t.Fatalf("%+v", st)
	}
}
