package dekcache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

// value is what the tests cache: large enough that the collector tracks each.
type value struct {
	serial int64
	_      [64]byte
}

type (
	cache   = dekcache.Cache[string, value]
	config  = dekcache.Config[string, value]
	entry   = dekcache.Entry[value]
	deliver = func(i int, v *value, expires time.Time, err error)
)

var errBroken = errors.New("key store is broken")

// source is a key store: it loads every key that is not listed as broken, and
// records what it was asked for.
type source struct {
	delay  time.Duration
	serial atomic.Int64

	mu     sync.Mutex
	calls  [][]string
	broken map[string]error
	life   time.Duration // 0: as the cache says
}

func (s *source) load(_ context.Context, keys []string, deliver deliver) {
	s.mu.Lock()
	s.calls = append(s.calls, append([]string(nil), keys...))
	broken, life := make([]error, len(keys)), s.life
	for i, k := range keys {
		broken[i] = s.broken[k]
	}
	s.mu.Unlock()
	time.Sleep(s.delay)
	for i := range keys {
		if broken[i] != nil {
			deliver(i, nil, time.Time{}, broken[i])
			continue
		}
		var expires time.Time
		if life != 0 {
			expires = time.Now().Add(life)
		}
		deliver(i, &value{serial: s.serial.Add(1)}, expires, nil)
	}
}

func (s *source) breakKey(k string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = make(map[string]error)
	}
	s.broken[k] = err
}

func (s *source) setLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = d
}

// loads returns how many calls there were, and how many of them had k.
func (s *source) loads(k string) (all, withKey int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, keys := range s.calls {
		for _, key := range keys {
			if key == k {
				withKey++
			}
		}
	}
	return len(s.calls), withKey
}

func newCache(t testing.TB, cfg config) *cache {
	t.Helper()
	if cfg.Entries == 0 {
		cfg.Entries = 100
	}
	if cfg.TTL == 0 {
		cfg.TTL = time.Minute
	}
	c, err := dekcache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustGet(t testing.TB, c *cache, k string, load dekcache.Loader[string, value]) *entry {
	t.Helper()
	e, err := c.Get(t.Context(), k, load)
	if err != nil {
		t.Fatalf("Get(%q): %v", k, err)
	}
	return e
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// drops counts the values that a cache lets go of.
type drops struct {
	mu     sync.Mutex
	counts map[*value]int
}

func (d *drops) drop(v *value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = make(map[*value]int)
	}
	d.counts[v]++
}

func (d *drops) want(t testing.TB, v *value, n int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts[v] != n {
		t.Fatalf("value %d was dropped %d times, want %d", v.serial, d.counts[v], n)
	}
}

// loadCopies returns a loader that delivers copies of v.
func loadCopies[V any](v V) dekcache.Loader[string, V] {
	return func(_ context.Context, keys []string, deliver func(int, *V, time.Time, error)) {
		for i := range keys {
			fresh := v
			deliver(i, &fresh, time.Time{}, nil)
		}
	}
}
