package keyring

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

const (
	// maxForgotten bounds the keys that are remembered as forgotten; past it,
	// all that was read before counts as such.
	maxForgotten = 10_000
	// lastUse is how long a key serves that was forgotten while it was loaded:
	// long enough for those who wait for it, too short to matter.
	lastUse = time.Second
)

// forgotten says which keys were dropped since a record was read. Dropping what
// the caches hold is not enough: a load that read the record before may put the
// key, or one derived from it, into a cache after that was searched.
type forgotten struct {
	count atomic.Uint64 // goes up with each drop
	mu    sync.Mutex
	keys  map[envelope.KeyID]uint64 // count when it was dropped
	all   uint64                    // count when everything was dropped
}

func (f *forgotten) note(ids ...envelope.KeyID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.count.Add(1)
	if f.keys == nil || len(f.keys)+len(ids) > maxForgotten || len(ids) == 0 {
		f.keys, f.all = map[envelope.KeyID]uint64{}, n
	}
	for _, id := range ids {
		f.keys[id] = n
	}
}

// since reports whether id was dropped after the count was asOf.
func (f *forgotten) since(id envelope.KeyID, asOf uint64) bool {
	if f.count.Load() == asOf {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all > asOf || f.keys[id] > asOf
}

// until is when h, and what is derived from it, must be let go.
func (k *Keyring) until(h *heldKey) time.Time {
	if h == nil || !k.forgotten.since(h.ID(), h.asOf) {
		return keyExpiry(h)
	}
	if soon := k.cfg.now().Add(lastUse); soon.Before(h.expires) {
		return soon
	}
	return h.expires
}

// stamp notes on records what had been forgotten before they were read.
func stamp(list []Record, asOf uint64) {
	for i := range list {
		list[i].asOf = asOf
	}
}

// Forget drops every held key, so that the next use asks the store and the
// KMS again.
func (k *Keyring) Forget() {
	k.forgotten.note()
	// What is derived goes after what it is derived from.
	k.stores.Purge()
	k.held.Purge()
	k.current.Purge()
	k.writers.Purge()
	k.readers.Purge()
	k.rows.Purge()
	k.kmsRows.Purge()
	k.kmsRaws.Purge()
	k.indexes.Purge()
	k.ends.Purge()
	k.reused.purge()
}

// ForgetKeys drops the keys of ids and all that was made from them: derived
// keys, row keys under them, search keys. Their next use asks the store again.
// Row keys that a KMS wraps belong to no key of the store and stay.
func (k *Keyring) ForgetKeys(ids ...envelope.KeyID) {
	if len(ids) == 0 {
		return
	}
	k.forgotten.note(ids...)
	gone := make(map[envelope.KeyID]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	k.ends.Purge() // a mark is not known by whose it is
	sealing := 0   // those known to make no search terms
	k.stores.ForgetFunc(func(id envelope.KeyID, _ *heldKey) bool { return gone[id] })
	k.held.ForgetFunc(func(id envelope.KeyID, h *heldKey) bool {
		if gone[id] && h != nil && h.purpose == PurposeTenant {
			sealing++
		}
		return gone[id]
	})
	k.current.ForgetFunc(func(_ owner, id *envelope.KeyID) bool { return id == nil || gone[*id] })
	k.writers.ForgetFunc(func(_ writerRef, key *envelope.Key) bool { return key == nil || gone[key.ID()] })
	k.readers.ForgetFunc(func(r readerRef, _ *envelope.Key) bool { return gone[r.id] })
	k.rows.ForgetFunc(func(r rowRef, _ *envelope.Key) bool { return gone[r.id] })
	if sealing < len(gone) {
		k.indexes.Purge() // they do not say what they were made from, and are cheap to make again
	}
}

// ForgetTenant drops all keys of a tenant, those that a KMS wraps included.
func (k *Keyring) ForgetTenant(tenant string) {
	k.forgotten.note() // which keys are the tenant's is not known of those being loaded
	of := func(key *envelope.Key) bool { return key == nil || key.Tenant() == tenant }
	k.held.ForgetFunc(func(_ envelope.KeyID, h *heldKey) bool {
		return h == nil || h.Tenant() == tenant && h.purpose != PurposeStore
	})
	k.current.ForgetFunc(func(o owner, _ *envelope.KeyID) bool { return o.tenant == tenant && o.purpose != PurposeStore })
	k.writers.ForgetFunc(func(r writerRef, _ *envelope.Key) bool { return r.tenant == tenant })
	k.readers.ForgetFunc(func(_ readerRef, key *envelope.Key) bool { return of(key) })
	k.rows.ForgetFunc(func(_ rowRef, key *envelope.Key) bool { return of(key) })
	k.kmsRows.ForgetFunc(func(ref string, _ *envelope.Key) bool {
		whose, _ := cutKMSRef(ref)
		return whose == tenant
	})
	k.kmsRaws.ForgetFunc(func(ref string, _ *kmsRaw) bool {
		whose, _ := cutKMSRef(ref)
		return whose == tenant
	})
	k.indexes.ForgetFunc(func(u blindindex.Use, _ *blindindex.Key) bool { return !u.Global && u.Tenant == tenant })
	k.ends.Forget(tenant)
	k.reused.forget(tenant)
}
