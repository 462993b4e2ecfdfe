package keyring

import (
	"context"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/internal/secretmem"
)

// globalTenant stands for the Tenant of the one global index key's record. A
// tenant may have this name too: its records have another purpose.
const globalTenant = "*"

// indexes reports whether keys of purpose p make search terms.
func (p Purpose) indexes() bool { return p == PurposeIndex || p == PurposeGlobalIndex }

// IndexKeys sets grants[i] to the key that makes search terms as uses[i] says,
// loading what is missing of all of them at once. A tenant without an index
// key gets one, which is in the store before IndexKeys returns; so does the
// namespace where a use is Global.
//
// Index keys are derived from key records of their own, which seal nothing:
// whoever may search is not thereby able to open.
func (k *Keyring) IndexKeys(ctx context.Context, uses []blindindex.Use, grants []blindindex.Grant) {
	if len(uses) == 1 {
		key, e, err := k.indexes.Fetch(ctx, indexRef(uses[0]), k.load.indexes)
		grants[0] = indexGrant(key, e, err)
		return
	}
	refs := make([]blindindex.Use, len(uses))
	for i := range uses {
		refs[i] = indexRef(uses[i])
	}
	for i, r := range getMany(ctx, k.indexes, refs, k.load.indexes) {
		grants[i] = indexGrant(r.Value, r.Entry, r.Err)
	}
}

// indexRef gives all global uses of a name one place in the cache.
func indexRef(u blindindex.Use) blindindex.Use {
	if u.Global {
		u.Tenant = globalTenant
	}
	return u
}

func indexGrant(key *blindindex.Key, e *dekcache.Entry[blindindex.Key], err error) blindindex.Grant {
	if err != nil {
		return blindindex.Grant{Err: err}
	}
	return blindindex.Grant{Key: key, Lease: e}
}

// loadIndexes derives the keys for uses from their owners' current keys, which
// are found, or made, with one request for each purpose.
func (k *Keyring) loadIndexes(ctx context.Context, uses []blindindex.Use, deliver func(int, *blindindex.Key, time.Time, error)) {
	for _, p := range []Purpose{PurposeIndex, PurposeGlobalIndex} {
		var at batch
		var tenants []string
		for i, u := range uses {
			if u.Global == (p == PurposeGlobalIndex) {
				at, tenants = append(at, i), append(tenants, u.Tenant)
			}
		}
		keys, errs := k.currentKeys(ctx, p, tenants)
		for j, i := range at {
			if errs[j] != nil {
				deliver(i, nil, time.Time{}, errs[j])
				continue
			}
			key, err := deriveIndex(keys[j], uses[i].Name)
			deliver(i, key, k.until(keys[j]), err)
		}
	}
}

// deriveIndex builds the key that makes the equality terms of name.
func deriveIndex(h *heldKey, name blindindex.Name) (key *blindindex.Key, err error) {
	secretmem.Do(func() {
		var secret []byte
		if name.Domain != "" {
			secret, err = h.DomainIndexKey(blindindex.KindEquality, name.Domain)
		} else {
			secret, err = h.IndexKey(blindindex.KindEquality, name.Table, name.Column)
		}
		if err == nil {
			key, err = blindindex.NewKey(secret)
			clear(secret)
		}
	})
	return key, err
}
