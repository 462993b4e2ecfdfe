package dekcache_test

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/rowseal/rowseal/dekcache"
)

// part is something that a key refers to.
type part struct {
	name string
	_    [64]byte
}

type partKey struct {
	id   [8]byte
	part *part
}

// collected runs the collector until p is gone.
func collected[T any](p weak.Pointer[T]) bool {
	for range 20 {
		runtime.GC()
		if p.Value() == nil {
			return true
		}
		time.Sleep(time.Millisecond) // a loader's goroutine may still be ending
	}
	return false
}

func TestAMemoKeepsNeitherTheValueNorTheKeyOfAnEntryThatIsGone(t *testing.T) {
	clk := newClock()
	type cache = dekcache.Cache[partKey, value]
	load := func(_ context.Context, keys []partKey, deliver func(int, *value, time.Time, error)) {
		for i := range keys {
			deliver(i, &value{serial: 7}, time.Time{}, nil)
		}
	}
	other := partKey{id: [8]byte{1}, part: &part{name: "other"}}
	for name, leave := range map[string]func(c *cache, k partKey){
		"evicted":   func(c *cache, _ partKey) { _, _ = c.Get(t.Context(), other, load) },
		"forgotten": func(c *cache, k partKey) { c.Forget(k) },
		"purged":    func(c *cache, _ partKey) { c.Purge() },
		"expired": func(c *cache, _ partKey) {
			clk.advance(time.Minute)
			_, _ = c.Get(t.Context(), other, load)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dekcache.New(dekcache.Config[partKey, value]{Entries: 1, TTL: time.Minute, Now: clk.Now})
			if err != nil {
				t.Fatal(err)
			}
			memo, keyPart, val := fill(t, c, load)
			runtime.GC()
			if memo.Value() == nil || keyPart.Value() == nil || val.Value() == nil {
				t.Fatal("lost while in the cache")
			}
			leave(c, partKey{part: keyPart.Value()})
			if !collected(val) {
				t.Error("the value is still referred to")
			}
			if !collected(keyPart) {
				t.Error("the key is still referred to")
			}
			runtime.KeepAlive(memo)
			runtime.KeepAlive(c)
		})
	}
}

//go:noinline
func fill(t *testing.T, c *dekcache.Cache[partKey, value], load dekcache.Loader[partKey, value]) (*entry, weak.Pointer[part], weak.Pointer[value]) {
	k := partKey{part: &part{name: "part"}}
	e, err := c.Get(t.Context(), k, load)
	if err != nil {
		t.Fatal(err)
	}
	return e, weak.Make(k.part), weak.Make(e.Value())
}

func TestAnExhaustedValueIsCollectedAlthoughItsKeyIsHeld(t *testing.T) {
	c := newCache(t, config{MaxValues: 1})
	e := mustGet(t, c, "a", (&source{}).load)
	v := weak.Make(e.Value())
	e.Use(1)
	e.Use(1)
	if !collected(v) {
		t.Fatal("the value is still referred to")
	}
	runtime.KeepAlive(c)
}

func TestAMemoDoesNotKeepTheCacheAlive(t *testing.T) {
	memo, c := func() (*entry, weak.Pointer[cache]) {
		c := newCache(t, config{TTL: 200 * time.Millisecond})
		return mustGet(t, c, "a", (&source{}).load), weak.Make(c)
	}()
	// The sweep, a second later, finds the cache empty and lets it go.
	deadline := time.Now().Add(30 * time.Second)
	for runtime.GC(); c.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("the empty cache is still referred to")
		}
		time.Sleep(50 * time.Millisecond)
	}
	runtime.KeepAlive(memo)
}

func TestALongBulkLoadDoesNotKeepWhatItHasDelivered(t *testing.T) {
	c := newCache(t, config{Entries: 1})
	returned, checked := make(chan struct{}), make(chan bool)
	err := c.GetMany(t.Context(), []string{"a", "b"}, make([]*entry, 2), func(_ context.Context, _ []string, deliver deliver) {
		first := deliverFirst(deliver)
		c.Forget("a")
		deliver(1, &value{}, time.Time{}, nil)
		<-returned // so that no waiter has it
		checked <- collected(first)
	})
	close(returned)
	if err != nil {
		t.Fatal(err)
	}
	if !<-checked {
		t.Fatal("the value is still referred to")
	}
}

//go:noinline
func deliverFirst(deliver deliver) weak.Pointer[value] {
	v := &value{}
	deliver(0, v, time.Time{}, nil)
	return weak.Make(v)
}
