package dekcache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

func ExampleCache_GetMany() {
	cache, err := dekcache.New(dekcache.Config[string, int]{
		Entries:      10_000,
		TTL:          5 * time.Minute,
		RefreshAhead: 0.8,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Made once: it is asked for all the keys of a page that are missing.
	load := func(_ context.Context, keys []string, deliver func(int, *int, time.Time, error)) {
		fmt.Println("loading", keys)
		for i, key := range keys {
			n := len(key)
			deliver(i, &n, time.Time{}, nil)
		}
	}
	ctx := context.Background()
	for _, page := range [][]string{{"ada", "grace", "ada"}, {"grace", "barbara"}} {
		entries := make([]*dekcache.Entry[int], len(page))
		if err := cache.GetMany(ctx, page, entries, load); err != nil {
			fmt.Println(err)
			return
		}
		for i, e := range entries {
			fmt.Println(page[i], *e.Value())
		}
	}
	// Output:
	// loading [ada grace]
	// ada 3
	// grace 5
	// ada 3
	// loading [barbara]
	// grace 5
	// barbara 7
}
