package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

// storeRoot is the RootKey of wraps that a store key made, before its id.
const storeRoot = "store:"

// heldKeys returns the tenant or index keys of ids, in order, from the cache
// or, for all that are missing, with one query.
func (k *Keyring) heldKeys(ctx context.Context, ids []envelope.KeyID) []result[heldKey] {
	return getMany(ctx, k.held, ids, k.load.held)
}

// unwrapper unwraps the keys of ids, whose records are given, and delivers
// each as soon as it is there.
type unwrapper func(ctx context.Context, ids []envelope.KeyID, records map[envelope.KeyID]*Record, deliver deliverHeld)

type deliverHeld = func(int, *heldKey, time.Time, error)

// loadHeld reads the records of tenant or index keys and unwraps them.
func (k *Keyring) loadHeld(ctx context.Context, ids []envelope.KeyID, deliver deliverHeld) {
	k.readAndUnwrap(ctx, ids, k.unwrapKeys, deliver)
}

// loadStores reads the records of store keys and unwraps them.
func (k *Keyring) loadStores(ctx context.Context, ids []envelope.KeyID, deliver deliverHeld) {
	k.readAndUnwrap(ctx, ids, k.unwrapStores, deliver)
}

func (k *Keyring) readAndUnwrap(ctx context.Context, ids []envelope.KeyID, unwrap unwrapper, deliver deliverHeld) {
	records, err := k.byID(ctx, ids)
	if err != nil {
		deliverAll(len(ids), deliver, err)
		return
	}
	unwrap(ctx, ids, records, deliver)
}

func (k *Keyring) byID(ctx context.Context, ids []envelope.KeyID) (map[envelope.KeyID]*Record, error) {
	if k.cfg.Store == nil {
		return nil, &Error{Err: ErrStore, Remedy: "these values need a key store, and none is configured"}
	}
	asOf := k.forgotten.count.Load()
	list, err := k.cfg.Store.ByID(ctx, ids)
	if err != nil {
		return nil, storeError(err)
	}
	stamp(list, asOf)
	return recordMap(list), nil
}

func storeError(err error) error {
	return &Error{Err: fmt.Errorf("%w: %w", ErrStore, err)}
}

func recordMap(list []Record) map[envelope.KeyID]*Record {
	m := make(map[envelope.KeyID]*Record, len(list))
	for i := range list {
		m[list[i].ID] = &list[i]
	}
	return m
}

// unwrapKeys unwraps tenant and index keys: those under a root key side by
// side, those under a store key here, with no call of their own.
//
// Store keys are no tenant's: a value that names one is refused. They are held
// in a cache of their own, so that what waits for one here can never wait for
// itself.
func (k *Keyring) unwrapKeys(ctx context.Context, ids []envelope.KeyID, records map[envelope.KeyID]*Record, deliver deliverHeld) {
	expires := k.cfg.now().Add(k.cfg.TTL)
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	var wrapped batch
	for i, id := range ids {
		switch r := records[id]; {
		case r == nil || r.Purpose == PurposeStore:
			deliver(i, nil, time.Time{}, unknown(id))
		case r.Parent != envelope.KeyID{}:
			wrapped = append(wrapped, i)
		default:
			g.Go(func() error {
				key, err := k.unwrapByRoot(ctx, r, expires)
				deliver(i, key, k.until(key), err)
				return nil
			})
		}
	}
	parents := k.parents(ctx, ids, records)
	for _, i := range wrapped {
		r := records[ids[i]]
		key, err := k.unwrapByParent(r, parents[r.Parent])
		deliver(i, key, k.until(key), err)
	}
	_ = g.Wait() // the functions return no error
}

// unwrapStores unwraps store keys, which root keys wrap and nothing else: there
// is one level of them.
func (k *Keyring) unwrapStores(ctx context.Context, ids []envelope.KeyID, records map[envelope.KeyID]*Record, deliver deliverHeld) {
	expires := k.cfg.now().Add(k.cfg.TTL)
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	for i, id := range ids {
		r := records[id]
		if r == nil || r.Purpose != PurposeStore || r.Parent != (envelope.KeyID{}) {
			deliver(i, nil, time.Time{}, unknown(id))
			continue
		}
		g.Go(func() error {
			key, err := k.unwrapByRoot(ctx, r, expires)
			deliver(i, key, k.until(key), err)
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
}

func unknown(id envelope.KeyID) error {
	return &Error{ID: id, Err: ErrUnknownKey, Remedy: "check that keys.store names the store that the values were sealed with"}
}

func keyExpiry(k *heldKey) time.Time {
	if k == nil {
		return time.Time{}
	}
	return k.expires
}

// parents returns the store keys that wrap the keys of ids.
func (k *Keyring) parents(ctx context.Context, ids []envelope.KeyID, records map[envelope.KeyID]*Record) map[envelope.KeyID]result[heldKey] {
	keys := map[envelope.KeyID]result[heldKey]{}
	var wanted []envelope.KeyID
	for _, id := range ids {
		r := records[id]
		if r == nil || r.Parent == (envelope.KeyID{}) {
			continue
		}
		if _, seen := keys[r.Parent]; !seen {
			keys[r.Parent] = result[heldKey]{}
			wanted = append(wanted, r.Parent)
		}
	}
	load := func(ctx context.Context, ids []envelope.KeyID, deliver deliverHeld) {
		k.unwrapStores(ctx, ids, records, deliver)
	}
	for i, h := range getMany(ctx, k.stores, wanted, load) {
		keys[wanted[i]] = h
	}
	return keys
}

func (k *Keyring) unwrapByParent(r *Record, parent result[heldKey]) (*heldKey, error) {
	if r.State == Destroyed {
		return nil, destroyed(r)
	}
	if parent.Err != nil {
		return nil, r.fail(parent.Err, "")
	}
	if len(r.Wraps) != 1 || r.Wraps[0].RootKey != storeRoot+r.Parent.String() {
		return nil, r.fail(ErrNoRoot, "the record is wrapped by a store key but does not carry its wrap; restore it from a backup")
	}
	raw, err := parent.Value.UnwrapKey(r.Wraps[0].Blob, r.binding(k.cfg.Namespace).AssociatedData(nil))
	if err != nil {
		return nil, r.fail(kms.ErrBinding, "the record was altered or moved; restore it from a backup of the key store")
	}
	return newHeld(r, raw, parent.Value.expires)
}

func (k *Keyring) unwrapByRoot(ctx context.Context, r *Record, expires time.Time) (*heldKey, error) {
	if r.State == Destroyed {
		return nil, destroyed(r)
	}
	raw, err := k.unwrapRaw(ctx, r, r.binding(k.cfg.Namespace))
	if err != nil {
		return nil, err
	}
	return newHeld(r, raw, expires)
}

// unwrapRaw asks the root keys in their order, and the next where one fails.
// A wrap is only ever given to the root key that it names.
func (k *Keyring) unwrapRaw(ctx context.Context, r *Record, b kms.Binding) ([]byte, error) {
	var failed []error
	for _, root := range k.cfg.Roots {
		for _, w := range r.Wraps {
			raw, err := root.Unwrap(ctx, w, b)
			if err == nil {
				return raw, nil
			}
			if !errors.Is(err, kms.ErrForeign) {
				failed = append(failed, err)
			}
		}
	}
	if len(failed) > 0 {
		return nil, r.fail(errors.Join(failed...), "")
	}
	names := make([]string, len(r.Wraps))
	for i, w := range r.Wraps {
		names[i] = w.RootKey
	}
	return nil, r.fail(ErrNoRoot, "it is wrapped by "+strings.Join(names, ", ")+"; configure one of them in keys.kms")
}

// newHeld checks raw against r's commitment, keeps what derivation needs of
// it, and clears it.
func newHeld(r *Record, raw []byte, expires time.Time) (h *heldKey, err error) {
	secretmem.Do(func() {
		var t *envelope.TenantKey
		if t, err = committed(r, raw); err == nil {
			h = &heldKey{TenantKey: t, purpose: r.Purpose, expires: expires, asOf: r.asOf}
		}
	})
	clear(raw)
	return h, err
}

// committed returns raw as the key that r commits to.
func committed(r *Record, raw []byte) (*envelope.TenantKey, error) {
	t, err := envelope.NewTenantKey(r.ID, r.Tenant, raw)
	if err != nil {
		return nil, r.fail(err, "")
	}
	ok, err := t.Committed(r.Commitment[:])
	if err != nil {
		return nil, r.fail(err, "")
	}
	if !ok {
		return nil, r.fail(ErrCommitment, "the key store or the KMS returned another key than was stored; restore the record from a backup")
	}
	return t, nil
}

// result is the answer to one key of a getMany.
type result[V any] struct {
	Value *V
	Entry *dekcache.Entry[V]
	Err   error
}

// getMany asks cache for keys; the results are in their order. The values
// stay good for the caller even where the page is larger than the cache.
func getMany[K comparable, V any](ctx context.Context, cache *dekcache.Cache[K, V], keys []K, load dekcache.Loader[K, V]) []result[V] {
	if len(keys) == 0 {
		return nil
	}
	values, entries := make([]*V, len(keys)), make([]*dekcache.Entry[V], len(keys))
	err := cache.FetchMany(ctx, keys, values, entries, load)
	var batch *dekcache.BatchError
	errors.As(err, &batch)
	results := make([]result[V], len(keys))
	for i := range results {
		results[i] = result[V]{Value: values[i], Entry: entries[i], Err: err}
		if batch != nil {
			results[i].Err = batch.Errors[i]
		}
	}
	return results
}

func deliverAll[V any](n int, deliver func(int, *V, time.Time, error), err error) {
	for i := range n {
		deliver(i, nil, time.Time{}, err)
	}
}
