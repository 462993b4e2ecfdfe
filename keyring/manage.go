package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
)

// admin returns the store's management side.
func (k *Keyring) admin() (Admin, error) {
	a, ok := k.cfg.Store.(Admin)
	if !ok {
		return nil, &Error{Err: ErrStore, Remedy: "key management needs a key store that implements keyring.Admin; configure keys.store"}
	}
	return a, nil
}

// listPage is how many records a page of List has.
const listPage = 1000

// Each calls do for every record that f lets through, by ascending id, until
// do returns an error.
func (k *Keyring) Each(ctx context.Context, f Filter, do func(Record) error) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	var after envelope.KeyID
	for {
		page, err := a.List(ctx, f, after, listPage)
		if err != nil {
			return storeError(err)
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return err
			}
			after = r.ID
		}
		if len(page) < listPage {
			return nil
		}
	}
}

// Rotate gives tenant a new key version: new values use it as soon as the
// caches of their writers let go of the old one (within their TTL), and old
// versions, now retired, go on opening. by and reason are kept in the records.
//
// Index keys are refused with ErrIndexKey: the terms of all stored values
// would be found no longer.
func (k *Keyring) Rotate(ctx context.Context, p Purpose, tenant, by, reason string) (Record, error) {
	if p.indexes() {
		return Record{}, &Error{Tenant: tenant, Err: ErrIndexKey, Remedy: "the values already stored carry terms of the old key and would be found " +
			"no longer; this version does not rotate index keys"}
	}
	list, err := k.cfg.Store.Latest(ctx, p, []string{tenant})
	if err != nil {
		return Record{}, storeError(err)
	}
	version := uint32(1)
	for i := range list {
		if r := &list[i]; r.Purpose == p && r.Tenant == tenant {
			if r.State == Destroyed {
				return Record{}, destroyed(r)
			}
			version = r.Version + 1
		}
	}
	made, raws, err := k.newKeys(ctx, p, []string{tenant}, version)
	if err != nil {
		return Record{}, err
	}
	for _, raw := range raws {
		clear(raw)
	}
	stored, err := k.cfg.Store.Create(ctx, made)
	if err != nil {
		return Record{}, storeError(err)
	}
	if len(stored) != 1 || stored[0].ID != made[0].ID {
		return Record{}, &Error{Tenant: tenant, Err: ErrConflict, Remedy: "another process rotated this key at the same time"}
	}
	k.current.Forget(owner{p, tenant})
	k.writers.Purge() // this process seals with the new key from now on
	return stored[0], k.retireBefore(ctx, stored[0], by, reason)
}

// retireBefore retires the versions before r. The new version stands already,
// so that there is always one to seal with.
func (k *Keyring) retireBefore(ctx context.Context, r Record, by, reason string) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	return k.Each(ctx, Filter{Tenant: r.Tenant, Purpose: r.Purpose}, func(old Record) error {
		if old.State != Active || old.Version >= r.Version {
			return nil
		}
		retired := old
		retired.State, retired.ChangedBy, retired.Reason = Retired, by, reason
		return swap(ctx, a, old, retired)
	})
}

// swap is Update that fails where the record was changed meanwhile.
func swap(ctx context.Context, a Admin, old, changed Record) error {
	done, err := a.Update(ctx, old, changed)
	if err != nil {
		return storeError(err)
	}
	if !done {
		return old.fail(ErrConflict, "")
	}
	return nil
}

// Destroy removes the wraps of a key and leaves its record as a tombstone: its
// values never open again, and a tenant whose newest key is destroyed gets no
// new one. The key must have been retired for dekcache.MaxTTL by the store's
// clock, so that no writer that still holds it loses data.
func (k *Keyring) Destroy(ctx context.Context, id envelope.KeyID, by, reason string) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	records, err := k.byID(ctx, []envelope.KeyID{id})
	if err != nil {
		return err
	}
	r := records[id]
	switch {
	case r == nil:
		return &Error{ID: id, Err: ErrUnknownKey}
	case r.State == Destroyed:
		return nil
	case r.State == Active:
		return r.fail(ErrConflict, "an active key is not destroyed; rotate it first")
	}
	now, err := a.Now(ctx)
	if err != nil {
		return storeError(err)
	}
	if ready := r.ChangedAt.Add(dekcache.MaxTTL); now.Before(ready) {
		return r.fail(ErrConflict, fmt.Sprintf("it was retired less than %v ago, and writers may still hold it; try again after %s",
			dekcache.MaxTTL, ready.UTC().Format(time.RFC3339)))
	}
	tombstone := *r
	tombstone.State, tombstone.ChangedBy, tombstone.Reason = Destroyed, by, reason
	tombstone.Wraps = nil
	if err := swap(ctx, a, *r, tombstone); err != nil {
		return err
	}
	k.Forget()
	return nil
}
