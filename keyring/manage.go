package keyring

import (
	"cmp"
	"context"
	"slices"

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
	return k.rotate(ctx, p, tenant, envelope.KeyID{}, by, reason)
}

// RotateFrom is [Keyring.Rotate] of newest's owner if newest is still the key that it
// seals with, else [ErrConflict]: of several who find a key too old one rotates it.
func (k *Keyring) RotateFrom(ctx context.Context, newest Record, by, reason string) (Record, error) {
	return k.rotate(ctx, newest.Purpose, newest.Tenant, newest.ID, by, reason)
}

// rotate makes a new version, where from is given only if that is the newest.
func (k *Keyring) rotate(ctx context.Context, p Purpose, tenant string, from envelope.KeyID, by, reason string) (Record, error) {
	if p.indexes() {
		return Record{}, &Error{Tenant: tenant, Err: ErrIndexKey, Remedy: "the values already stored carry terms of the old key and would be found " +
			"no longer; this version does not rotate index keys"}
	}
	a, err := k.admin()
	if err != nil {
		return Record{}, err
	}
	list, err := k.versions(ctx, p, tenant)
	if err != nil {
		return Record{}, err
	}
	version := uint32(1)
	if len(list) > 0 {
		version = list[len(list)-1].Version + 1
		if latest := latestOf(list); latest.State == Destroyed {
			return Record{}, destroyed(&latest)
		} else if from != (envelope.KeyID{}) && latest.ID != from {
			return Record{}, latest.fail(ErrConflict, "it took the place of the one to be rotated")
		}
	} else if from != (envelope.KeyID{}) {
		return Record{}, unknown(from)
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
	if len(stored) == 1 && stored[0].State == Destroyed {
		return Record{}, destroyed(&stored[0]) // shredded meanwhile
	}
	if len(stored) != 1 || stored[0].ID != made[0].ID {
		return Record{}, &Error{Tenant: tenant, Err: ErrConflict, Remedy: "another process rotated this key at the same time"}
	}
	k.current.Forget(owner{p, tenant})
	k.writers.Purge() // this process seals with the new key from now on
	return stored[0], k.retireBefore(ctx, a, stored[0], by, reason)
}

// versions returns a tenant's keys of one purpose, tombstones too, by
// ascending version.
func (k *Keyring) versions(ctx context.Context, p Purpose, tenant string) (list []Record, err error) {
	err = k.Each(ctx, Filter{Tenant: tenant, Purpose: p}, func(r Record) error {
		list = append(list, r)
		return nil
	})
	slices.SortFunc(list, func(a, b Record) int { return cmp.Compare(a.Version, b.Version) })
	return list, err
}

// latestOf is what Store.Latest returns of a list by ascending version.
func latestOf(list []Record) Record {
	latest := list[len(list)-1]
	for _, r := range list {
		if r.State == Active {
			latest = r
		}
	}
	return latest
}

// retireBefore retires the versions before r. The new version stands already,
// so that there is always one to seal with.
func (k *Keyring) retireBefore(ctx context.Context, a Admin, r Record, by, reason string) error {
	list, err := k.versions(ctx, r.Purpose, r.Tenant)
	if err != nil {
		return err
	}
	for _, old := range list {
		if old.State != Active || old.Version >= r.Version {
			continue
		}
		if err := k.toState(ctx, a, old, Retired, by, reason); err != nil {
			return err
		}
	}
	return nil
}

// toState changes a record's state and lets go of the key.
func (k *Keyring) toState(ctx context.Context, a Admin, old Record, to State, by, reason string) error {
	changed := old
	changed.State, changed.ChangedBy, changed.Reason = to, by, reason
	if to == Destroyed {
		changed.Wraps = nil
	}
	if err := swap(ctx, a, old, changed); err != nil {
		return err
	}
	k.ForgetKeys(old.ID)
	return nil
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
