package dekcache_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rowseal/rowseal/dekcache"
)

// fieldKey has the shape of the keys that a key ring uses.
type fieldKey struct {
	id    [8]byte
	field *int
	suite byte
	salt  [12]byte
}

const benchKeys = 1000

func benchKeySet() []fieldKey {
	field := new(int)
	keys := make([]fieldKey, benchKeys)
	for i := range keys {
		binary.BigEndian.PutUint64(keys[i].id[:], uint64(i))
		keys[i].field, keys[i].suite, keys[i].salt = field, 1, [12]byte{byte(i)}
	}
	return keys
}

func loadOnes[K comparable](_ context.Context, keys []K, deliver func(int, *int, time.Time, error)) {
	for i := range keys {
		v := 1
		deliver(i, &v, time.Time{}, nil)
	}
}

func warmCache(b *testing.B, cfg dekcache.Config[fieldKey, int]) (*dekcache.Cache[fieldKey, int], []fieldKey) {
	b.Helper()
	cfg.Entries, cfg.TTL = 10_000, 5*time.Minute
	c, err := dekcache.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	keys := benchKeySet()
	out := make([]*dekcache.Entry[int], len(keys))
	if err := c.GetMany(b.Context(), keys, out, loadOnes); err != nil {
		b.Fatal(err)
	}
	return c, keys
}

func BenchmarkGetHit(b *testing.B) {
	for _, bm := range []struct {
		name string
		cfg  dekcache.Config[fieldKey, int]
	}{
		{"sharded", dekcache.Config[fieldKey, int]{RefreshAhead: 0.8}},
		{"one shard", dekcache.Config[fieldKey, int]{RefreshAhead: 0.8, Shards: 1}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c, keys := warmCache(b, bm.cfg)
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if e, err := c.Get(ctx, keys[i%benchKeys], loadOnes); err != nil || e == nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetHitOfOneKey(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{RefreshAhead: 0.8})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if e, err := c.Get(ctx, keys[7], loadOnes); err != nil || e == nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloorGolangLRU is what a Get cannot be faster than: the locked LRU
// alone, without shards, time to live, or loads.
func BenchmarkFloorGolangLRU(b *testing.B) {
	keys := benchKeySet()
	c, err := lru.New[fieldKey, *int](10_000)
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range keys {
		c.Add(k, new(int))
	}
	b.Run("many keys", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if v, ok := c.Get(keys[i%benchKeys]); !ok || v == nil {
				b.Fatal("missing")
			}
		}
	})
	b.Run("one key", func(b *testing.B) {
		for b.Loop() {
			if v, ok := c.Get(keys[7]); !ok || v == nil {
				b.Fatal("missing")
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				c.Get(keys[i%benchKeys])
			}
		})
	})
}

func BenchmarkGetHitParallel(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{RefreshAhead: 0.8})
	ctx := b.Context()
	var worker atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(worker.Add(1)) * 37; pb.Next(); i++ {
			if e, err := c.Get(ctx, keys[i%benchKeys], loadOnes); err != nil || e == nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkValue(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{})
	e, err := c.Get(b.Context(), keys[0], loadOnes)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e.Value() == nil {
			b.Fatal("gone")
		}
	}
}

func BenchmarkUse(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{})
	e, err := c.Get(b.Context(), keys[0], loadOnes)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !e.Use(16) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkGetManyOf1000Hits(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{RefreshAhead: 0.8})
	ctx := b.Context()
	out := make([]*dekcache.Entry[int], len(keys))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.GetMany(ctx, keys, out, loadOnes); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchKeys, "ns/key")
}

func BenchmarkGetMiss(b *testing.B) {
	c, keys := warmCache(b, dekcache.Config[fieldKey, int]{})
	ctx := b.Context()
	k := keys[0]
	b.ReportAllocs()
	for i := uint64(benchKeys); b.Loop(); i++ {
		binary.BigEndian.PutUint64(k.id[:], i)
		if _, err := c.Get(ctx, k, loadOnes); err != nil {
			b.Fatal(err)
		}
	}
}
