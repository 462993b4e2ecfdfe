package dekcache_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestForgetRemovesOneKeyAndPurgeAll(t *testing.T) {
	var d drops
	c, src := newCache(t, config{Drop: d.drop}), &source{}
	a, b, x := mustGet(t, c, "a", src.load), mustGet(t, c, "b", src.load), mustGet(t, c, "x", src.load)
	va, vb, vx := a.Value(), b.Value(), x.Value()
	if !c.Forget("a") || c.Forget("a") || c.Forget("unknown") {
		t.Error("Forget does not say what was there")
	}
	if a.Value() != nil || b.Value() == nil || c.Len() != 2 {
		t.Error("Forget removed something else")
	}
	c.Purge()
	if b.Value() != nil || x.Value() != nil || c.Len() != 0 {
		t.Error("Purge left something")
	}
	c.Purge()
	for _, v := range []*value{va, vb, vx} {
		d.want(t, v, 1)
	}
	if mustGet(t, c, "a", src.load) == a {
		t.Error("a forgotten entry came back")
	}
}

func TestForgetAndPurgeForgetErrors(t *testing.T) {
	for name, forget := range map[string]func(*cache){
		"forget": func(c *cache) { c.Forget("a") },
		"purge":  (*cache).Purge,
	} {
		t.Run(name, func(t *testing.T) {
			c, src := newCache(t, config{NegativeTTL: time.Hour}), &source{}
			src.breakKey("a", errBroken)
			_, err := c.Get(t.Context(), "a", src.load)
			wantError(t, err, errBroken)
			src.breakKey("a", nil)
			forget(c)
			mustGet(t, c, "a", src.load)
		})
	}
}

func TestWhatWasLoadedDuringAForgetOrPurgeReachesItsWaitersOnly(t *testing.T) {
	for name, forget := range map[string]func(*cache){
		"forget": func(c *cache) { c.Forget("a") },
		"purge":  (*cache).Purge,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d drops
				src := &source{delay: time.Second}
				c := newCache(t, config{Drop: d.drop, Now: time.Now})
				waiter := make(chan *entry)
				go func() { waiter <- mustGet(t, c, "a", src.load) }()
				synctest.Wait()
				time.Sleep(500 * time.Millisecond)
				forget(c)
				later := make(chan *entry)
				go func() { later <- mustGet(t, c, "a", src.load) }()

				disowned := <-waiter
				v := disowned.Value()
				if v == nil {
					t.Fatal("the waiter got no value")
				}
				if d := time.Until(disowned.Expires()); d > time.Second {
					t.Fatalf("what is derived from it would live %v", d)
				}
				if _, ok := c.Peek("a"); ok || c.Len() != 0 {
					t.Fatal("the result was put into the cache")
				}
				fresh := <-later
				if all, _ := src.loads("a"); all != 2 || fresh.Value() == v {
					t.Fatalf("%d loads: a later caller got the older result", all)
				}
				// A memo of the disowned entry must not keep the key for its TTL.
				time.Sleep(500 * time.Millisecond)
				synctest.Wait()
				if disowned.Value() != nil || fresh.Value() == nil {
					t.Fatal("the disowned entry lives on")
				}
				d.want(t, v, 1)
			})
		})
	}
}

func TestAFailureDuringAForgetIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: time.Second}
		src.breakKey("a", errBroken)
		c := newCache(t, config{NegativeTTL: time.Hour})
		waiter := make(chan error)
		go func() {
			_, err := c.Get(t.Context(), "a", src.load)
			waiter <- err
		}()
		synctest.Wait()
		c.Forget("a")
		src.breakKey("a", nil)
		wantError(t, <-waiter, errBroken)
		mustGet(t, c, "a", src.load)
	})
}

func TestARefreshThatWasPurgedIsDroppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drops
		src := &source{}
		c := newCache(t, config{RefreshAhead: 0.5, Drop: d.drop, Now: time.Now})
		mustGet(t, c, "a", src.load)
		time.Sleep(50 * time.Second)
		src.delay = time.Second
		mustGet(t, c, "a", src.load)
		synctest.Wait()
		c.Purge()
		time.Sleep(time.Second)
		synctest.Wait()
		if c.Len() != 0 || len(d.counts) != 2 {
			t.Fatalf("%d entries, %d values dropped", c.Len(), len(d.counts))
		}
	})
}

func TestWhoJoinedARefreshThatWasPurgedGetsItsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{TTL: 10 * time.Second, RefreshAhead: 0.95, Now: time.Now})
		mustGet(t, c, "a", src.load)
		time.Sleep(9900 * time.Millisecond)
		src.delay = time.Second
		mustGet(t, c, "a", src.load) // begins the refresh
		time.Sleep(200 * time.Millisecond)
		joined := make(chan *value)
		go func() { joined <- mustGet(t, c, "a", src.load).Value() }()
		synctest.Wait()
		c.Purge()
		if <-joined == nil {
			t.Fatal("the value was taken from its waiter")
		}
	})
}

func TestForgetFuncRemovesWhatItSays(t *testing.T) {
	var d drops
	c, src := newCache(t, config{Drop: d.drop, NegativeTTL: time.Hour}), &source{}
	a, b := mustGet(t, c, "a", src.load), mustGet(t, c, "b", src.load)
	va, vb := a.Value(), b.Value()
	for _, k := range []string{"broken", "broken too"} {
		src.breakKey(k, errBroken)
		_, err := c.Get(t.Context(), k, src.load)
		wantError(t, err, errBroken)
		src.breakKey(k, nil)
	}
	c.ForgetFunc(func(k string, v *value) bool {
		if (v == nil) != (k == "broken" || k == "broken too") {
			t.Errorf("%q comes with %v", k, v)
		}
		return v == va || k == "broken"
	})
	if a.Value() != nil || b.Value() != vb || c.Len() != 1 {
		t.Error("it removed something else")
	}
	d.want(t, va, 1)
	mustGet(t, c, "broken", src.load)
	_, err := c.Get(t.Context(), "broken too", src.load)
	wantError(t, err, errBroken)
}

func TestForgetFuncDisownsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: time.Second}
		c := newCache(t, config{Now: time.Now})
		waiters := make(chan *entry, 2)
		for _, k := range []string{"a", "b"} {
			go func() { waiters <- mustGet(t, c, k, src.load) }()
		}
		synctest.Wait()
		c.ForgetFunc(func(k string, v *value) bool {
			if v != nil {
				t.Error("a value that is not there yet")
			}
			return k == "a"
		})
		for range 2 {
			if (<-waiters).Value() == nil {
				t.Error("a waiter got nothing")
			}
		}
		if _, kept := c.Peek("a"); kept || c.Len() != 1 {
			t.Error("what was forgotten while it was loaded was kept")
		}
		time.Sleep(2 * time.Second)
	})
}
