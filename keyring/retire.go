package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
)

// Retire ends a key's use for new values; those that it sealed still open. by
// and reason are kept in its record. A key that is retired already stays as it
// is.
//
// The last active key of its owner is refused with [ErrLast]: there would be
// none to seal with. Make another with [Keyring.Rotate], which retires the old
// ones by itself, or end the tenant with [Keyring.Shred].
func (k *Keyring) Retire(ctx context.Context, id envelope.KeyID, by, reason string) error {
	a, r, err := k.one(ctx, id)
	switch {
	case err != nil:
		return err
	case r.State == Destroyed:
		return destroyed(r)
	case r.State == Retired:
		return nil
	}
	others, err := k.othersActive(ctx, r)
	if err != nil {
		return err
	}
	if others == 0 {
		return r.fail(ErrLast, "make another first with `rowseal keys rotate`, or shred the tenant")
	}
	if err := k.toState(ctx, a, *r, Retired, by, reason); err != nil {
		return err
	}
	// Two callers may have retired the last two at the same moment.
	if others, err = k.othersActive(ctx, r); err == nil && others == 0 {
		err = r.fail(ErrLast, "it was retired together with another one; run `rowseal keys rotate` to make a new one")
	}
	return err
}

// one returns the record of id.
func (k *Keyring) one(ctx context.Context, id envelope.KeyID) (Admin, *Record, error) {
	a, err := k.admin()
	if err != nil {
		return nil, nil, err
	}
	records, err := k.byID(ctx, []envelope.KeyID{id})
	if err != nil {
		return nil, nil, err
	}
	if records[id] == nil {
		return nil, nil, &Error{ID: id, Err: ErrUnknownKey, Remedy: "`rowseal keys list` shows the keys that there are"}
	}
	return a, records[id], nil
}

// othersActive counts the active keys of r's owner besides r.
func (k *Keyring) othersActive(ctx context.Context, r *Record) (n int, err error) {
	list, err := k.versions(ctx, r.Purpose, r.Tenant)
	for _, other := range list {
		if other.State == Active && other.ID != r.ID {
			n++
		}
	}
	return n, err
}

// Evidence is what a verify of one table found out about a key.
type Evidence struct {
	// Table is the table whose rows were all read.
	Table string
	// Began is when the verify began, by the key store's clock. Where the table
	// is on another server, allow for the difference of the clocks.
	Began time.Time
	// Values is how many values the verify found under the key, or rows the count.
	Values int64
	// Counted says that rotate.CountKey looked for the key's id in the whole table
	// after that, in one snapshot: a verify reads page by page, and a row whose
	// primary key is changed meanwhile may move past it.
	Counted bool
}

// Destroy removes the wraps of a key and leaves its record as a tombstone: what
// it sealed never opens again. evidence is needed of every table with columns
// that the key may have sealed; which those are is for the caller to know.
//
// It is refused with [ErrInUse] unless the key has been retired for
// dekcache.MaxTTL by the store's clock, so that no writer holds it any more but
// one whose machine was suspended meanwhile, whose clock then stood still,
// and a verify of each table began after that and found no value under it, nor
// did a count of the table in one snapshot. A
// store key is looked up instead: it must wrap no key.
func (k *Keyring) Destroy(ctx context.Context, id envelope.KeyID, by, reason string, evidence ...Evidence) error {
	return k.destroy(ctx, id, by, reason, func(r *Record, ready time.Time) error {
		return r.proven(ready, evidence)
	})
}

// DestroyUnverified is [Keyring.Destroy] without evidence: values that are
// still sealed under the key are lost.
func (k *Keyring) DestroyUnverified(ctx context.Context, id envelope.KeyID, by, reason string) error {
	return k.destroy(ctx, id, by, reason, func(*Record, time.Time) error { return nil })
}

func (k *Keyring) destroy(ctx context.Context, id envelope.KeyID, by, reason string, prove func(*Record, time.Time) error) error {
	a, r, err := k.one(ctx, id)
	switch {
	case err != nil:
		return err
	case r.State == Destroyed:
		return nil
	case r.State == Active:
		return r.fail(ErrInUse, "an active key is not destroyed; rotate it first")
	}
	now, err := a.Now(ctx)
	if err != nil {
		return storeError(err)
	}
	ready := ReadyToDestroy(*r)
	if now.Before(ready) {
		return r.fail(ErrInUse, fmt.Sprintf("it was retired less than %v ago, and writers may still hold it; try again after %s",
			dekcache.MaxTTL, ready.UTC().Format(time.RFC3339)))
	}
	if r.Purpose == PurposeStore { // no value names it, and losing it would lose every key under it
		err = k.wrapsNone(ctx, r)
	} else {
		err = prove(r, ready)
	}
	if err != nil {
		return err
	}
	return k.toState(ctx, a, *r, Destroyed, by, reason)
}

// ReadyToDestroy is when no cache holds a retired key any more, by the store's
// clock: a verify that begins then sees all that it will ever have sealed.
func ReadyToDestroy(r Record) time.Time { return r.ChangedAt.Add(dekcache.MaxTTL) }

func (r *Record) proven(ready time.Time, evidence []Evidence) error {
	if len(evidence) == 0 {
		return r.fail(ErrInUse, "nothing shows that its values are gone; run `rowseal rotate verify`, or force it")
	}
	for _, e := range evidence {
		switch {
		case e.Began.Before(ready):
			return r.fail(ErrInUse, fmt.Sprintf("the last verify of table %s began at %s, and writers may have held the key until %s; "+
				"run `rowseal rotate verify` again", e.Table, e.Began.UTC().Format(time.RFC3339), ready.UTC().Format(time.RFC3339)))
		case e.Values == 0 && !e.Counted:
			return r.fail(ErrInUse, fmt.Sprintf("nobody looked for it in table %s in one snapshot; call rotate.CountKey, and say so in Evidence.Counted", e.Table))
		case e.Values != 0:
			return r.fail(ErrInUse, fmt.Sprintf("table %s has %d values under it; run `rowseal rotate reseal` or `rewrap`, then verify", e.Table, e.Values))
		}
	}
	return nil
}

// wrapsNone reports the first key that a store key still wraps.
func (k *Keyring) wrapsNone(ctx context.Context, r *Record) error {
	return k.Each(ctx, Filter{Parent: r.ID}, func(child Record) error {
		if child.State == Destroyed {
			return nil
		}
		return r.fail(ErrInUse, fmt.Sprintf("it wraps key %v of tenant %q, which would be lost", child.ID, child.Tenant))
	})
}
