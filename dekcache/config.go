package dekcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

// MaxTTL is the longest time to live that a cache may have. Destroying a key
// waits for this long, so that no cache still holds it.
const MaxTTL = time.Hour

const (
	defaultNegativeTTL = time.Second
	defaultLoadTimeout = 30 * time.Second

	minRefreshAhead = 0.1
	maxRefreshAhead = 0.95
)

// Config says how large and how old a cache may grow. Entries and TTL are
// required; every other field's zero value is a working default.
type Config[K comparable, V any] struct {
	// Entries is the largest number of entries, over all shards. At least 1.
	Entries int

	// TTL is how long a value may be used, counted from the start of its
	// load. Above 0, at most MaxTTL.
	TTL time.Duration

	// NegativeTTL is how long a key's failed load is remembered and returned
	// without another attempt. 0 means 1 s, a negative value never, and more
	// than MaxTTL is refused. As many errors as Entries are remembered.
	NegativeTTL time.Duration

	// RefreshAhead is the share of an entry's life after which a use of it
	// starts a reload in the background, between 0.1 and 0.95. Each entry's
	// share differs by up to 10 % either way and is at most 0.98. 0 means never.
	// One key is refreshed at most every sixteenth of the TTL. A refresh that
	// fails leaves the value in place for the rest of its life.
	RefreshAhead float64

	// LoadTimeout bounds one call of a Loader. 0 means 30 s.
	LoadTimeout time.Duration

	// MaxValues and MaxBytes bound what Entry.Use may count for one entry,
	// in uses and in bytes. 0 means no bound.
	MaxValues, MaxBytes uint64

	// Drop is called once for each value that a Loader delivered, after the
	// cache has let go of it: when its entry was evicted, expired, exhausted,
	// forgotten or replaced, or when it was never put in. Callers that took
	// the value before may still be using it, so Drop must not wipe it.
	// It runs without a lock on whichever goroutine caused it, before what
	// caused it returns; it should be quick, may call the cache, and must not
	// wait for a load. May be nil.
	Drop func(*V)

	// Now is the clock, nil for time.Now. A cache with the nil clock reads it
	// through a coarse one; any other is read on every use, so inject one in
	// tests only. Timers (LoadTimeout, the sweep) are the runtime's either way.
	Now func() time.Time

	// Rand returns numbers in [0,1) for the jitter of RefreshAhead. It must be
	// safe for concurrent use. nil means math/rand/v2.
	Rand func() float64

	// Shards is how many independently locked parts the cache has, at most
	// Entries. 0 chooses by Entries and GOMAXPROCS; 1 makes eviction exactly
	// least recently used.
	Shards int
}

// validate refuses what cannot work and fills in the defaults.
func (cfg *Config[K, V]) validate() error {
	switch {
	case cfg.Entries < 1:
		return fmt.Errorf("dekcache: Entries is %d; set it to at least 1", cfg.Entries)
	case cfg.TTL <= 0 || cfg.TTL > MaxTTL:
		return fmt.Errorf("dekcache: TTL is %v; set it above 0 and to at most %v", cfg.TTL, MaxTTL)
	case cfg.NegativeTTL > MaxTTL:
		return fmt.Errorf("dekcache: NegativeTTL is %v; set it to at most %v, or below 0 for none", cfg.NegativeTTL, MaxTTL)
	case cfg.RefreshAhead != 0 && !(cfg.RefreshAhead >= minRefreshAhead && cfg.RefreshAhead <= maxRefreshAhead):
		return fmt.Errorf("dekcache: RefreshAhead is %v; set it between %v and %v, or to 0 for none",
			cfg.RefreshAhead, minRefreshAhead, maxRefreshAhead)
	case cfg.LoadTimeout < 0:
		return fmt.Errorf("dekcache: LoadTimeout is %v; set it above 0, or to 0 for %v", cfg.LoadTimeout, defaultLoadTimeout)
	case cfg.Shards < 0 || cfg.Shards > cfg.Entries:
		return fmt.Errorf("dekcache: Shards is %d; set it between 1 and Entries (%d), or to 0", cfg.Shards, cfg.Entries)
	}
	cfg.fill()
	return nil
}

func (cfg *Config[K, V]) fill() {
	if cfg.NegativeTTL == 0 {
		cfg.NegativeTTL = defaultNegativeTTL
	}
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = defaultLoadTimeout
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Shards == 0 {
		cfg.Shards = defaultShards(cfg.Entries)
	}
}

// defaultShards returns enough shards that cores seldom meet, and few enough
// that each holds 128 entries: with small shards an uneven hash evicts early.
func defaultShards(entries int) int {
	const perShard, perCore = 128, 4
	return max(1, min(entries/perShard, perCore*runtime.GOMAXPROCS(0)))
}
