package keyring

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

// storeSlots is how many store keys share the tenant keys of a deployment
// with Config.Intermediate: few enough that all are always held, and more
// than one so that their destruction can be staggered.
const storeSlots = 4

// currentKeys returns the keys that seal for the tenants now, creating those
// that do not exist. errs[i] says why keys[i] is nil.
func (k *Keyring) currentKeys(ctx context.Context, p Purpose, tenants []string) (keys []*heldKey, errs []error) {
	owners := make([]owner, len(tenants))
	for i, t := range tenants {
		owners[i] = owner{purpose: p, tenant: t}
	}
	keys, errs = make([]*heldKey, len(tenants)), make([]error, len(tenants))
	ids := make([]envelope.KeyID, 0, len(tenants))
	at := make(batch, 0, len(tenants))
	for i, r := range getMany(ctx, k.current, owners, k.load.current) {
		if errs[i] = r.Err; r.Err == nil {
			ids, at = append(ids, *r.Value), append(at, i)
		}
	}
	cache, load := k.held, k.load.held
	if p == PurposeStore {
		cache, load = k.stores, k.load.stores
	}
	for j, r := range getMany(ctx, cache, ids, load) {
		keys[at[j]], errs[at[j]] = r.Value, r.Err
	}
	return keys, errs
}

// loadCurrent looks the owners' current keys up in one query, creates the
// missing ones in one more, and leaves all of them unwrapped in the cache.
func (k *Keyring) loadCurrent(ctx context.Context, owners []owner, deliver func(int, *envelope.KeyID, time.Time, error)) {
	tenants := make([]string, len(owners))
	for i, o := range owners { // a request has one purpose
		tenants[i] = o.tenant
	}
	found, err := k.latestOrNew(ctx, owners[0].purpose, tenants)
	if err != nil {
		deliverAll(len(owners), deliver, err)
		return
	}
	for i, tenant := range tenants {
		switch r := found[tenant]; {
		case r == nil:
			deliver(i, nil, time.Time{}, &Error{Tenant: tenant, Err: ErrStore, Remedy: "the key store did not return the key that was created"})
		case r.State == Destroyed:
			deliver(i, nil, time.Time{}, destroyed(r))
		case r.State == Retired:
			deliver(i, nil, time.Time{}, retired(r))
		default:
			deliver(i, &r.ID, time.Time{}, nil)
		}
	}
}

func retired(r *Record) error {
	if r.Purpose.indexes() {
		return r.fail(ErrUnknownKey, "its newest index key is retired, and another would not find the values already stored; "+
			"restore the record from a backup of the key store")
	}
	return r.fail(ErrUnknownKey, "its newest key is retired; run `rowseal keys rotate` to make a new one")
}

// latestOrNew returns the newest key of each tenant, made where there was
// none, and keeps them unwrapped.
func (k *Keyring) latestOrNew(ctx context.Context, p Purpose, tenants []string) (map[string]*Record, error) {
	if k.cfg.Store == nil {
		return nil, &Error{Err: ErrStore, Remedy: "columns with tenant keys need a key store; configure keys.store"}
	}
	asOf := k.forgotten.count.Load()
	list, err := k.cfg.Store.Latest(ctx, p, tenants)
	if err != nil {
		return nil, storeError(err)
	}
	found := map[string]*Record{}
	for i := range list {
		if list[i].Purpose == p {
			found[list[i].Tenant] = &list[i]
		}
	}
	var missing []string
	for _, t := range tenants {
		if found[t] == nil {
			missing = append(missing, t)
		}
	}
	made, raws, err := k.create(ctx, p, missing)
	if err != nil {
		return nil, err
	}
	for i := range made {
		found[made[i].Tenant] = &made[i]
	}
	list = append(list, made...)
	stamp(list, asOf)
	k.keep(ctx, list, raws)
	return found, nil
}

// keep puts the keys of records into the caches: those just made from raws,
// which it clears, the others unwrapped. Failures are left for their use.
func (k *Keyring) keep(ctx context.Context, list []Record, raws map[envelope.KeyID][]byte) {
	records := recordMap(list)
	var keys, stores []envelope.KeyID
	for _, r := range list {
		switch {
		case r.State == Destroyed:
		case r.Purpose == PurposeStore:
			stores = append(stores, r.ID)
		default:
			keys = append(keys, r.ID)
		}
	}
	getMany(ctx, k.stores, stores, k.fresh(records, raws, k.unwrapStores))
	getMany(ctx, k.held, keys, k.fresh(records, raws, k.unwrapKeys))
	for _, raw := range raws {
		clear(raw)
	}
}

// fresh loads keys from raws where they stand there, else by unwrap.
func (k *Keyring) fresh(records map[envelope.KeyID]*Record, raws map[envelope.KeyID][]byte, unwrap unwrapper) dekcache.Loader[envelope.KeyID, heldKey] {
	return func(ctx context.Context, ids []envelope.KeyID, deliver func(int, *heldKey, time.Time, error)) {
		expires := k.cfg.now().Add(k.cfg.TTL)
		var rest []envelope.KeyID
		var at batch
		for i, id := range ids {
			if raw := raws[id]; raw != nil {
				h, err := newHeld(records[id], raw, expires)
				deliver(i, h, k.until(h), err)
				continue
			}
			rest, at = append(rest, id), append(at, i)
		}
		unwrap(ctx, rest, records, func(i int, h *heldKey, t time.Time, err error) { deliver(at[i], h, t, err) })
	}
}

// create makes and stores version 1 keys for tenants. Of writers that race,
// one's key stands, and all get that one. raws holds the bytes of the keys
// that are new and stand.
func (k *Keyring) create(ctx context.Context, p Purpose, tenants []string) (stored []Record, raws map[envelope.KeyID][]byte, err error) {
	if len(tenants) == 0 {
		return nil, nil, nil
	}
	records, raws, err := k.newKeys(ctx, p, tenants, 1)
	if err != nil {
		return nil, nil, err
	}
	if stored, err = k.cfg.Store.Create(ctx, records); err != nil {
		return nil, nil, storeError(err)
	}
	stands := recordMap(stored)
	for id, raw := range raws {
		if stands[id] == nil {
			clear(raw)
			delete(raws, id)
		}
	}
	return stored, raws, nil
}

// newKeys generates and wraps one key for each tenant, side by side.
func (k *Keyring) newKeys(ctx context.Context, p Purpose, tenants []string, version uint32) ([]Record, map[envelope.KeyID][]byte, error) {
	records, keys := make([]Record, len(tenants)), make([][]byte, len(tenants))
	var parents []*heldKey
	if k.cfg.Intermediate && p != PurposeStore {
		var errs []error
		if parents, errs = k.currentKeys(ctx, PurposeStore, slots()); firstError(errs) != nil {
			return nil, nil, firstError(errs)
		}
	}
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	for i, tenant := range tenants {
		g.Go(func() (err error) {
			r := Record{Tenant: tenant, Purpose: p, Version: version, State: Active}
			_, _ = rand.Read(r.ID[:]) // never fails: crypto/rand
			if parents != nil {
				keys[i], err = k.wrapUnder(parents[slot(tenant)], &r)
			} else {
				keys[i], err = k.wrapUnderRoots(ctx, &r)
			}
			records[i] = r
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	raws := make(map[envelope.KeyID][]byte, len(records))
	for i := range records {
		raws[records[i].ID] = keys[i]
	}
	return records, raws, nil
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// slot is which store key wraps a tenant's keys.
func slot(tenant string) int { return int(sha256.Sum256([]byte(tenant))[0]) % storeSlots }

// slots are the Tenants of the store keys' records.
func slots() []string {
	s := make([]string, storeSlots)
	for i := range s {
		s[i] = strconv.Itoa(i)
	}
	return s
}

// wrapUnder makes r's key and wraps it under a store key.
func (k *Keyring) wrapUnder(parent *heldKey, r *Record) ([]byte, error) {
	raw := newRaw()
	blob, err := parent.WrapKey(envelope.SuiteXAES, raw, r.binding(k.cfg.Namespace).AssociatedData(nil))
	if err != nil {
		return nil, err
	}
	r.Parent = parent.ID()
	r.Wraps = []kms.Wrapped{{RootKey: storeRoot + parent.ID().String(), Blob: blob}}
	return raw, commit(r, raw)
}

// wrapUnderRoots makes r's key in the first root key's KMS and wraps it under
// every other.
func (k *Keyring) wrapUnderRoots(ctx context.Context, r *Record) ([]byte, error) {
	b := r.binding(k.cfg.Namespace)
	raw, w, err := generate(ctx, k.cfg.Roots[0], b)
	if err != nil {
		return nil, &Error{Tenant: r.Tenant, Err: err, Remedy: "no key was made; the KMS must be reachable to make a tenant's first key"}
	}
	r.Wraps = []kms.Wrapped{w}
	for _, root := range k.cfg.Roots[1:] {
		w, err := root.Wrap(ctx, raw, b)
		if err != nil {
			clear(raw)
			return nil, &Error{Tenant: r.Tenant, Err: err, Remedy: "no key was made; every configured root key must wrap a new key"}
		}
		r.Wraps = append(r.Wraps, w)
	}
	return raw, commit(r, raw)
}

// commit sets r's commitment to raw.
func commit(r *Record, raw []byte) error {
	t, err := envelope.NewTenantKey(r.ID, r.Tenant, raw)
	if err == nil {
		r.Commitment, err = t.Commitment()
	}
	return err
}

// newRaw returns 32 random bytes.
func newRaw() (raw []byte) {
	secretmem.Do(func() {
		raw = make([]byte, kms.KeySize)
		_, _ = rand.Read(raw) // never fails: crypto/rand
	})
	return raw
}

// generate returns a fresh key and its wrap, in one call where the KMS can.
func generate(ctx context.Context, root kms.KMS, b kms.Binding) ([]byte, kms.Wrapped, error) {
	if g, ok := root.(kms.Generator); ok {
		return g.Generate(ctx, b)
	}
	raw := newRaw()
	w, err := root.Wrap(ctx, raw, b)
	if err != nil {
		clear(raw)
		return nil, kms.Wrapped{}, err
	}
	return raw, w, nil
}
