package keyring

import (
	"context"
	"log/slog"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
)

// tallies count the values that this process seals under each field key, and
// warn before envelope.MaxValues. It remembers as many keys as AEADs are held.
type tallies struct {
	warnAt uint64
	log    *slog.Logger
	mu     sync.Mutex
	byKey  *lru.Cache[tallyRef, *tally]
}

type tallyRef struct {
	id    envelope.KeyID
	field *envelope.Field
}

// tally is the count under one key: what earlier leases sealed, and the lease
// that counts on.
type tally struct {
	done   uint64
	warnAt uint64
	lease  *dekcache.Entry[envelope.Key]
}

func newTallies(size int, warnAt uint64, log *slog.Logger) (*tallies, error) {
	byKey, err := lru.New[tallyRef, *tally](size)
	return &tallies{warnAt: warnAt, log: log, byKey: byKey}, err
}

// begin is told of every lease to seal with that has not been used yet.
func (t *tallies) begin(ctx context.Context, key *envelope.Key, field *envelope.Field, lease *dekcache.Entry[envelope.Key]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ref := tallyRef{key.ID(), field}
	c, ok := t.byKey.Get(ref)
	if !ok {
		c = &tally{warnAt: t.warnAt}
		t.byKey.Add(ref, c)
	}
	if c.lease == lease {
		return
	}
	if c.lease != nil {
		values, _ := c.lease.Uses()
		c.done += values
	}
	c.lease = lease
	if c.done >= c.warnAt {
		c.warnAt = 2 * c.done
		t.log.WarnContext(ctx, "a data key nears the number of values that it may seal; run `rowseal keys rotate` for its tenant",
			"key", key.ID(), "tenant", key.Tenant(), "values_by_this_process", c.done, "limit", uint64(envelope.MaxValues))
	}
}
