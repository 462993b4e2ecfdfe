package dekcache_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAUseAfterItsShareOfTheTTLReloadsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drops
		src := &source{delay: 300 * time.Millisecond}
		c := newCache(t, config{
			TTL: 100 * time.Second, RefreshAhead: 0.8, Now: time.Now, Drop: d.drop,
			Rand: func() float64 { return 0.5 },
		})
		old := mustGet(t, c, "a", src.load)
		v := old.Value()
		time.Sleep(80*time.Second - 300*time.Millisecond - 1)
		mustGet(t, c, "a", src.load)
		synctest.Wait()
		if n, _ := src.loads("a"); n != 1 {
			t.Fatal("refreshed before its share")
		}
		time.Sleep(time.Nanosecond)
		before := time.Now()
		for range 100 {
			if mustGet(t, c, "a", src.load) != old {
				t.Fatal("the old value was not served during the refresh")
			}
		}
		if time.Since(before) != 0 {
			t.Fatal("a hit waited for the refresh")
		}
		time.Sleep(time.Second)
		if n, _ := src.loads("a"); n != 2 {
			t.Fatalf("%d loads, want one refresh", n)
		}
		fresh := mustGet(t, c, "a", src.load)
		if fresh == old || old.Value() != nil {
			t.Fatal("the refreshed value did not replace the old one")
		}
		d.want(t, v, 1)
		if st := c.Stats(); st.Refreshes != 1 || st.Loads != 2 || st.Misses != 1 || st.Evictions != 0 {
			t.Fatalf("%+v", st)
		}
		// 80 s and 0.3 s of loading after the start: the new life is a full one.
		if got := time.Until(fresh.Expires()); got != 99*time.Second {
			t.Fatalf("the new value has %v left", got)
		}
	})
}

func TestTheRefreshIsJitteredByTenPercentEitherWay(t *testing.T) {
	for _, tt := range []struct {
		name        string
		share, rand float64
		want        time.Duration // after the load, of 1000 s
	}{
		{"lowest", 0.5, 0, 450 * time.Second},
		{"middle", 0.5, 0.5, 500 * time.Second},
		{"highest", 0.5, 1, 550 * time.Second},
		{"never later than 98 %", 0.95, 1, 980 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{}
				c := newCache(t, config{
					TTL: 1000 * time.Second, RefreshAhead: tt.share, Now: time.Now,
					Rand: func() float64 { return tt.rand },
				})
				mustGet(t, c, "a", src.load)
				time.Sleep(tt.want - time.Microsecond)
				mustGet(t, c, "a", src.load)
				synctest.Wait()
				if n, _ := src.loads("a"); n != 1 {
					t.Fatal("too early")
				}
				time.Sleep(2 * time.Microsecond)
				mustGet(t, c, "a", src.load)
				synctest.Wait()
				if n, _ := src.loads("a"); n != 2 {
					t.Fatal("too late")
				}
			})
		})
	}
}

func TestWithoutRefreshAheadNothingIsReloadedEarly(t *testing.T) {
	clk, src := newClock(), &source{}
	c := newCache(t, config{Now: clk.Now})
	mustGet(t, c, "a", src.load)
	clk.advance(time.Minute - 1)
	mustGet(t, c, "a", src.load)
	if st := c.Stats(); st.Refreshes != 0 || st.Loads != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestAFailedRefreshKeepsTheValueUntilItsHardTTLAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{
			TTL: 160 * time.Second, RefreshAhead: 0.5, Now: time.Now,
			Rand: func() float64 { return 0.5 },
		})
		e := mustGet(t, c, "a", src.load)
		v := e.Value()
		src.breakKey("a", errBroken)
		for second := 1; second < 160; second++ {
			time.Sleep(time.Second)
			if got := mustGet(t, c, "a", src.load); got != e || got.Value() != v {
				t.Fatalf("the value was lost after %d s", second)
			}
			synctest.Wait()
		}
		// At 80 s, then every sixteenth of the TTL: 80, 90, … 150.
		if st := c.Stats(); st.Refreshes != 8 || st.LoadErrors != 8 || st.Failures != 0 {
			t.Fatalf("%+v", st)
		}
		time.Sleep(time.Second)
		_, err := c.Get(t.Context(), "a", src.load)
		wantError(t, err, errBroken)
		if e.Value() != nil {
			t.Fatal("the value outlived its TTL")
		}
	})
}

func TestAKeyWhoseLifeTheParentCutsIsNotReloadedAtEverShorterIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{
			TTL: 160 * time.Second, RefreshAhead: 0.5, Now: time.Now,
			Rand: func() float64 { return 0.5 },
		})
		for left := 100 * time.Second; left > 0; left -= time.Second {
			src.setLife(left) // whatever is loaded ends at the same moment
			mustGet(t, c, "a", src.load)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		// At 50 s, 75 s and 87.5 s; then the floor of TTL/16 leaves no room.
		if n, _ := src.loads("a"); n > 5 {
			t.Fatalf("%d loads", n)
		}
	})
}

func TestGetManyRefreshesItsStaleKeysInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: time.Second}
		c := newCache(t, config{RefreshAhead: 0.5, Now: time.Now})
		keys := []string{"a", "b", "c"}
		out := make([]*entry, 3)
		if err := c.GetMany(t.Context(), keys, out, src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(45 * time.Second)
		before := time.Now()
		if err := c.GetMany(t.Context(), keys, out, src.load); err != nil {
			t.Fatal(err)
		}
		if time.Since(before) != 0 {
			t.Fatal("hits waited for the refresh")
		}
		time.Sleep(2 * time.Second)
		if st := c.Stats(); st.Refreshes != 3 || st.Loads != 2 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestAMissDuringARefreshJoinsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{TTL: 10 * time.Second, RefreshAhead: 0.95, Now: time.Now})
		mustGet(t, c, "a", src.load)
		time.Sleep(9900 * time.Millisecond)
		src.delay = time.Second
		mustGet(t, c, "a", src.load) // begins the refresh
		time.Sleep(200 * time.Millisecond)
		if mustGet(t, c, "a", src.load).Value() == nil {
			t.Fatal("no value")
		}
		if st := c.Stats(); st.Loads != 2 || st.Coalesced != 1 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestARefreshThatFailsAfterTheEndOfTheValueIsRememberedAsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{TTL: 2500 * time.Millisecond, RefreshAhead: 0.9, Now: time.Now, NegativeTTL: time.Minute})
		mustGet(t, c, "a", src.load)
		time.Sleep(2490 * time.Millisecond)
		src.delay = 200 * time.Millisecond
		src.breakKey("a", errBroken)
		mustGet(t, c, "a", src.load) // begins the refresh
		time.Sleep(300 * time.Millisecond)
		_, err := c.Get(t.Context(), "a", src.load)
		wantError(t, err, errBroken)
		if st := c.Stats(); st.Loads != 2 || st.NegativeHits != 1 {
			t.Fatalf("%+v", st)
		}
	})
}
