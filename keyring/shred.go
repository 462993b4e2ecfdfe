package keyring

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math"
	"slices"

	"github.com/rowseal/rowseal/envelope"
)

// tenantPurposes are the keys that a tenant may have.
var tenantPurposes = []Purpose{PurposeTenant, PurposeIndex}

// shredPasses bounds how often Shred looks again for keys that others made or
// changed meanwhile. Each pass takes the places of the next versions, so that
// another is needed only where a rotation got in between.
const shredPasses = 10

// Shredded is what [Keyring.Shred] destroyed.
type Shredded struct {
	// Keys are the records as they stand now, those that were tombstones before
	// and the marks that block new keys included, by purpose and version.
	Keys []Record
	// RootKeys are the root keys that wrapped the keys, or their store keys:
	// older backups of the key store open until these are destroyed.
	RootKeys []string
}

// Mark reports whether r was never a key: a tombstone that [Keyring.Bar] put in
// the place of the next key of a shredded tenant.
func (r *Record) Mark() bool {
	return r.State == Destroyed && r.Commitment == [envelope.CommitmentSize]byte{}
}

// Ended reports whether r is the mark of a tenant that was shredded, and not barred
// only: it names itself as its Parent. A tenant whose values carry keys that a KMS wraps may
// have no key in the store whose state would tell.
func (r *Record) Ended() bool { return r.Mark() && r.Parent == r.ID }

// Bar ends sealing for a tenant, for good: no new key is made, for values or for
// search terms, and those there are, are retired. Values still open. It is the
// first half of [Keyring.Shred], for callers who want writers to notice before
// the keys are gone.
func (k *Keyring) Bar(ctx context.Context, tenant, by, reason string) error {
	return k.end(ctx, tenant, Retired, by, reason)
}

// Shred destroys all keys of a tenant in every wrap, at once: its values never
// open again, its search terms can no longer be made, and the tombstones, which
// keep by and reason and the time, block new keys for it. A tenant without keys
// is only blocked. Called again, it does what is left to do.
//
// Unlike [Keyring.Destroy] it does not wait for caches to let go, since losing the
// values is what it is for. A process that still holds a key seals and opens with it
// until it is told or its TTL is over; what it seals meanwhile is lost with the
// rest. Each pass first takes the place of the next version, which every writer that
// makes a key needs, so that one who is just doing so either gets the tombstone or
// has its key destroyed too.
//
// Copies of the records that were made before, in exports, backups and the
// database's log, still unwrap for whoever may use the root key.
func (k *Keyring) Shred(ctx context.Context, tenant, by, reason string) (s Shredded, err error) {
	roots, err := k.rootsOf(ctx, tenant)
	if err != nil {
		return s, err
	}
	if err := k.end(ctx, tenant, Retired, by, reason); err != nil {
		return s, err
	}
	if err := k.end(ctx, tenant, Destroyed, by, reason); err != nil {
		return s, err
	}
	s.RootKeys = roots
	for _, p := range tenantPurposes {
		list, err := k.versions(ctx, p, tenant)
		if err != nil {
			return s, err
		}
		s.Keys = append(s.Keys, list...)
	}
	k.ForgetTenant(tenant)
	return s, nil
}

// rootsOf names the root keys that wrap a tenant's keys, or the keys that do.
func (k *Keyring) rootsOf(ctx context.Context, tenant string) (roots []string, err error) {
	var parents []envelope.KeyID
	add := func(r Record) error {
		for _, w := range r.Wraps {
			if !slices.Contains(roots, w.RootKey) {
				roots = append(roots, w.RootKey)
			}
		}
		return nil
	}
	for _, p := range tenantPurposes {
		list, err := k.versions(ctx, p, tenant)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if r.Parent != (envelope.KeyID{}) && !r.Mark() {
				parents = append(parents, r.Parent)
			} else if err := add(r); err != nil {
				return nil, err
			}
		}
	}
	if len(parents) > 0 {
		records, err := k.byID(ctx, parents)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if err := add(*r); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(roots)
	return roots, nil
}

// end brings all keys of a tenant to state, and blocks new ones.
func (k *Keyring) end(ctx context.Context, tenant string, to State, by, reason string) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	reason = cmp.Or(reason, "shredded")
	for _, p := range tenantPurposes {
		for pass := 1; ; pass++ {
			again, err := k.endOnce(ctx, a, p, tenant, to, by, reason)
			if err != nil {
				return err
			}
			if !again {
				break
			}
			if pass == shredPasses {
				return &Error{Tenant: tenant, Err: ErrConflict, Remedy: "others change its keys again and again; stop them and run it again"}
			}
		}
	}
	if to == Destroyed {
		return k.markEnded(ctx, a, tenant)
	}
	return nil
}

// markEnded has the mark of a tenant's values say that the tenant is shredded.
func (k *Keyring) markEnded(ctx context.Context, a Admin, tenant string) error {
	list, err := k.versions(ctx, PurposeTenant, tenant)
	if err != nil || len(list) == 0 {
		return err
	}
	mark := list[len(list)-1]
	if !mark.Mark() || mark.Ended() {
		return nil // there is none behind the highest version that there can be
	}
	ended := mark
	ended.Parent = mark.ID
	return swap(ctx, a, mark, ended)
}

// endOnce is one pass of end. again says that somebody was faster.
func (k *Keyring) endOnce(ctx context.Context, a Admin, p Purpose, tenant string, to State, by, reason string) (again bool, err error) {
	list, err := k.versions(ctx, p, tenant)
	if err != nil {
		return false, err
	}
	if blocked, err := k.block(ctx, p, tenant, list, by, reason); err != nil || !blocked {
		return true, err
	}
	for _, r := range list {
		if r.State == Destroyed || r.State == to {
			continue
		}
		err := k.toState(ctx, a, r, to, by, reason)
		if errors.Is(err, ErrConflict) {
			again = true
		} else if err != nil {
			return false, err
		}
	}
	return again, nil
}

// block takes the place of the version after those of list, which is the only one
// where a new key of theirs could stand, by a tombstone. It reports false where
// another key took it first.
func (k *Keyring) block(ctx context.Context, p Purpose, tenant string, list []Record, by, reason string) (bool, error) {
	version := uint32(1)
	if len(list) > 0 {
		last := list[len(list)-1]
		if last.Mark() || last.Version == math.MaxUint32 {
			return true, nil
		}
		version = last.Version + 1
	}
	mark := Record{Tenant: tenant, Purpose: p, Version: version, State: Destroyed, ChangedBy: by, Reason: reason}
	_, _ = rand.Read(mark.ID[:]) // never fails: crypto/rand
	stands, err := k.cfg.Store.Create(ctx, []Record{mark})
	if err != nil {
		return false, storeError(err)
	}
	return len(stands) == 1 && stands[0].Mark(), nil
}
