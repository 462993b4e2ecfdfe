package dekcache_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

func TestUseRefusesWhatPassesACap(t *testing.T) {
	for _, tt := range []struct {
		name              string
		maxValues, maxLen uint64
		size              int
		allowed           int // uses before the first refusal; -1 for no end
	}{
		{"no caps", 0, 0, 1 << 20, -1},
		{"three values", 3, 0, 100, 3},
		{"a hundred bytes in tens", 0, 100, 10, 10},
		{"a hundred bytes in thirties", 0, 100, 30, 3},
		{"the smaller of two caps", 5, 100, 50, 2},
		{"negative sizes count as nothing", 0, 100, -50, -1},
		{"one use larger than the cap", 0, 100, 101, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d drops
			src := &source{}
			c := newCache(t, config{MaxValues: tt.maxValues, MaxBytes: tt.maxLen, Drop: d.drop})
			e := mustGet(t, c, "a", src.load)
			v := e.Value()
			if tt.allowed < 0 {
				for range 1000 {
					if !e.Use(tt.size) {
						t.Fatal("refused")
					}
				}
				return
			}
			for i := range tt.allowed {
				if !e.Use(tt.size) || e.Value() != v {
					t.Fatalf("use %d refused", i+1)
				}
			}
			values, bytes := e.Uses()
			if values != uint64(tt.allowed) || bytes != uint64(tt.allowed*tt.size) {
				t.Errorf("Uses is %d, %d", values, bytes)
			}
			if e.Use(tt.size) || e.Use(0) || e.Value() != nil {
				t.Fatal("usable beyond its cap")
			}
			d.want(t, v, 1)
			if _, ok := c.Peek("a"); ok {
				t.Error("Peek finds an exhausted entry")
			}
			fresh := mustGet(t, c, "a", src.load)
			if fresh == e || fresh.Value() == nil {
				t.Error("an exhausted entry was not reloaded")
			}
			if values, bytes := fresh.Uses(); values != 0 || bytes != 0 {
				t.Error("the new entry does not count from 0")
			}
			if st := c.Stats(); st.Exhausted != 1 || st.Expired != 0 || st.Evictions != 0 || st.Misses != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestConcurrentUsesNeverPassACap(t *testing.T) {
	c := newCache(t, config{MaxValues: 1000})
	e := mustGet(t, c, "a", (&source{}).load)
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			n := 0
			for range 500 {
				if e.Use(1) {
					n++
				}
			}
			mu.Lock()
			allowed += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if allowed != 1000 {
		t.Fatalf("%d uses allowed", allowed)
	}
}

func TestAnEvictedEntryIsEmpty(t *testing.T) {
	var d drops
	c, src := newCache(t, config{Entries: 2, Drop: d.drop}), &source{}
	a, b := mustGet(t, c, "a", src.load), mustGet(t, c, "b", src.load)
	va, vb := a.Value(), b.Value()
	if e, ok := c.Peek("a"); !ok || e != a { // must not make it recent
		t.Fatal("Peek does not find the entry")
	}
	mustGet(t, c, "x", src.load)
	if a.Value() != nil || b.Value() != vb {
		t.Fatal("the wrong entry was evicted")
	}
	mustGet(t, c, "b", src.load) // makes it recent
	mustGet(t, c, "y", src.load)
	if b.Value() != vb || c.Len() != 2 || c.Stats().Evictions != 2 {
		t.Fatalf("%+v", c.Stats())
	}
	d.want(t, va, 1)
	d.want(t, vb, 0)
}

func TestAnExpiredEntryMakesRoomBeforeALiveOneDoes(t *testing.T) {
	clk, src := newClock(), &source{}
	c := newCache(t, config{Entries: 2, TTL: time.Minute, Now: clk.Now})
	old := mustGet(t, c, "old", src.load)
	clk.advance(time.Minute - 1)
	live := mustGet(t, c, "live", src.load)
	mustGet(t, c, "old", src.load) // the live one is now the least recently used
	clk.advance(1)
	mustGet(t, c, "new", src.load)
	if live.Value() == nil || old.Value() != nil {
		t.Fatal("a live entry was evicted for an expired one")
	}
	if st := c.Stats(); st.Evictions != 0 || st.Expired != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestANilEntryHasNoValue(t *testing.T) {
	var e *dekcache.Entry[value]
	if e.Value() != nil {
		t.Fatal("a value")
	}
}

func TestDropMayCallTheCache(t *testing.T) {
	src := &source{}
	var c *cache
	lens := 0
	c = newCache(t, config{Entries: 1, MaxValues: 1, Drop: func(*value) { lens += 1 + c.Len() }})
	mustGet(t, c, "a", src.load)
	mustGet(t, c, "b", src.load)
	e := mustGet(t, c, "b", src.load)
	e.Use(1)
	e.Use(1)
	c.Forget("b")
	c.Purge()
	if lens == 0 {
		t.Fatal("Drop was not called")
	}
}

func TestNothingPrintsAValueOrAKey(t *testing.T) {
	const secret = "0123456789abcdef"
	type text struct{ secret string }
	c, err := dekcache.New(dekcache.Config[string, text]{Entries: 1, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Get(t.Context(), secret, loadCopies(text{secret}))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "entry", e, "cache", c)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", e, e, e, e), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), log.String()} {
		if strings.Contains(s, secret) {
			t.Errorf("printed as %s", s)
		}
		if !strings.Contains(s, "dekcache.") {
			t.Errorf("not recognisable: %s", s)
		}
	}
}
