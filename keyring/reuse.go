package keyring

import (
	"sync"
	"time"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
)

// reusedKeys holds the KMS-wrapped row keys that seal several values, a cache
// for each Reuse that a policy declares.
type reusedKeys struct {
	cfg    *Config
	mu     sync.Mutex
	caches map[envelope.Reuse]*dekcache.Cache[string, envelope.Key]
}

func (r *reusedKeys) cache(u envelope.Reuse) (*dekcache.Cache[string, envelope.Key], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.caches[u]; c != nil {
		return c, nil
	}
	c, err := dekcache.New(dekcache.Config[string, envelope.Key]{
		Entries: r.cfg.rowKeys(), TTL: reuseAge(u.Age, r.cfg.TTL), MaxValues: uint64(u.Values), Now: r.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	if r.caches == nil {
		r.caches = map[envelope.Reuse]*dekcache.Cache[string, envelope.Key]{}
	}
	r.caches[u] = c
	return c, nil
}

// reuseAge is the declared age, cut to the TTL that bounds every held key.
func reuseAge(age, ttl time.Duration) time.Duration {
	if age <= 0 {
		return ttl
	}
	return min(age, ttl)
}

func (r *reusedKeys) forget(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.caches {
		c.Forget(tenant)
	}
}

func (r *reusedKeys) purge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.caches {
		c.Purge()
	}
}
