package keyring

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// SealKeys sets grants[i] to the key that seals new values as uses[i] says,
// loading what is missing of all of them at once. A tenant without a key gets
// one, which is in the store before SealKeys returns.
//
// For ModeRow the key is one that wraps row keys (envelope.NewRowKey); for
// ModeKMS it is a row key of its own, or with Reuse a shared one.
func (k *Keyring) SealKeys(ctx context.Context, uses []envelope.Use, grants []envelope.Grant) {
	if len(uses) == 1 && uses[0].Mode != envelope.ModeKMS {
		grants[0] = fetch(ctx, k.writers, writer(&uses[0]), k.load.writers)
		k.count(ctx, uses[0].Field, &grants[0])
		return
	}
	var at []int
	var refs []writerRef
	for i := range uses {
		if uses[i].Mode != envelope.ModeKMS {
			at, refs = append(at, i), append(refs, writer(&uses[i]))
		}
	}
	spread(ctx, k.writers, refs, k.load.writers, at, grants)
	for _, i := range at {
		k.count(ctx, uses[i].Field, &grants[i])
	}
	k.kmsSealKeys(ctx, uses, grants)
}

// count has the values of a new lease counted.
func (k *Keyring) count(ctx context.Context, f *envelope.Field, g *envelope.Grant) {
	lease, ok := g.Lease.(*dekcache.Entry[envelope.Key])
	if !ok {
		return
	}
	if used, _ := lease.Uses(); used == 0 {
		k.tallies.begin(ctx, g.Key, f, lease)
	}
}

func writer(u *envelope.Use) writerRef {
	return writerRef{tenant: u.Tenant, field: u.Field, suite: u.Suite}
}

// loadWriters finds the tenants' current keys and derives from each the key
// asked for, under a salt of its pool chosen at random. The choice holds as
// long as the cache entry: see valuesPerSalt.
func (k *Keyring) loadWriters(ctx context.Context, refs []writerRef, deliver func(int, *envelope.Key, time.Time, error)) {
	tenants := make([]string, len(refs))
	for i, r := range refs {
		tenants[i] = r.tenant
	}
	keys, errs := k.currentKeys(ctx, PurposeTenant, tenants)
	for i, r := range refs {
		if errs[i] != nil {
			deliver(i, nil, time.Time{}, errs[i])
			continue
		}
		key, err := k.writerKey(ctx, keys[i], r)
		deliver(i, key, k.until(keys[i]), err)
	}
}

// writerKey derives the key for r under a random salt. It shares the built
// AEAD with the readers of the same key and salt.
func (k *Keyring) writerKey(ctx context.Context, h *heldKey, r writerRef) (*envelope.Key, error) {
	suite := r.suite
	pool, err := h.Salts(suite, r.field)
	if err != nil {
		return nil, err
	}
	ref := readerRef{id: h.ID(), field: r.field, suite: suite, salt: pool[rand.IntN(len(pool))]}
	key, _, err := k.readers.Fetch(ctx, ref, func(_ context.Context, refs []readerRef, deliver func(int, *envelope.Key, time.Time, error)) {
		key, err := derive(h, refs[0])
		deliver(0, key, k.until(h), err)
	})
	return key, err
}

func derive(h *heldKey, r readerRef) (*envelope.Key, error) {
	if r.field == nil {
		return h.RowWrapKey(r.suite, r.salt)
	}
	return h.FieldKey(r.suite, r.field, r.salt)
}

// kmsSealKeys grants the ModeKMS uses: fresh keys are generated concurrently.
func (k *Keyring) kmsSealKeys(ctx context.Context, uses []envelope.Use, grants []envelope.Grant) {
	var at batch
	for i := range uses {
		if uses[i].Mode == envelope.ModeKMS {
			at = append(at, i)
		}
	}
	at = k.endsOf(ctx, at, func(i int) string { return uses[i].Tenant }, (*tenantEnd).sealing, grants)
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	for _, i := range at {
		g.Go(func() error {
			grants[i] = k.kmsSealKey(ctx, &uses[i])
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
}

func (k *Keyring) kmsSealKey(ctx context.Context, u *envelope.Use) envelope.Grant {
	if u.Reuse.Values <= 1 {
		key, err := k.generateRow(ctx, u.Tenant)
		return envelope.Grant{Key: key, Err: err}
	}
	cache, err := k.reused.cache(u.Reuse)
	if err != nil {
		return envelope.Grant{Err: err}
	}
	return fetch(ctx, cache, u.Tenant, func(ctx context.Context, tenants []string, deliver func(int, *envelope.Key, time.Time, error)) {
		for i, tenant := range tenants {
			key, err := k.generateRow(ctx, tenant)
			deliver(i, key, time.Time{}, err)
		}
	})
}

// generateRow asks the first root key for a row key. A KMS that cannot
// generate wraps one made here.
func (k *Keyring) generateRow(ctx context.Context, tenant string) (*envelope.Key, error) {
	raw, w, err := generate(ctx, k.cfg.Roots[0], k.rowBinding(tenant))
	if err != nil {
		return nil, &Error{Tenant: tenant, Err: err}
	}
	defer clear(raw)
	return envelope.KMSKey(tenant, w.RootKey, w.Blob, raw)
}

func (k *Keyring) rowBinding(tenant string) kms.Binding {
	return kms.Binding{Namespace: k.cfg.Namespace, Tenant: tenant, Purpose: purposeRow}
}
