package keyring

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// OpenKeys sets grants[i] to the key that the value refs[i] names, loading
// what is missing of all of them at once: one query to the key store and one
// KMS call for each key, side by side.
func (k *Keyring) OpenKeys(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant) {
	if len(refs) == 1 && refs[0].Value.Mode() != envelope.ModeKMS {
		grants[0] = k.openKey(ctx, &refs[0])
		return
	}
	k.openKeys(ctx, refs, grants, func(at batch) {
		rows := make([]rowRef, len(at))
		for i, n := range at {
			rows[i] = row(refs[n].Value)
		}
		spread(ctx, k.rows, rows, k.load.rows, at, grants)
	}, func(refs []string, at batch) { spread(ctx, k.kmsRows, refs, k.load.kmsRows, at, grants) })
}

// OpenKeysOnce is OpenKeys for values that do not come again soon, as those of a walk over a whole table: row keys
// that they carry under their tenants' keys are unwrapped for this call and not kept; those that cost a KMS call are.
func (k *Keyring) OpenKeysOnce(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant) {
	k.openKeys(ctx, refs, grants, func(at batch) { k.openRows(ctx, refs, at, grants) },
		func(wrapped []string, at batch) { k.openKMSRows(ctx, wrapped, at, grants) })
}

// openKeys sets the grants of all refs, those of row keys by openRows and openKMSRows.
func (k *Keyring) openKeys(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant, openRows func(batch), openKMSRows func([]string, batch)) {
	var readers, rows, kmsRows batch
	var readerRefs []readerRef
	var kmsRefs []string
	for i := range refs {
		switch v := refs[i].Value; v.Mode() {
		case envelope.ModeTenant:
			readers, readerRefs = append(readers, i), append(readerRefs, reader(&refs[i]))
		case envelope.ModeRow:
			if rows == nil {
				rows = make(batch, 0, len(refs)-i)
			}
			rows = append(rows, i)
		case envelope.ModeKMS:
			kmsRows = append(kmsRows, i)
		}
	}
	kmsRows = k.endsOf(ctx, kmsRows, func(i int) string { return refs[i].Value.Tenant() }, (*tenantEnd).opening, grants)
	for _, i := range kmsRows {
		kmsRefs = append(kmsRefs, kmsRef(refs[i].Value))
	}
	spread(ctx, k.readers, readerRefs, k.load.readers, readers, grants)
	if len(rows) > 0 {
		openRows(rows)
	}
	if len(kmsRows) > 0 {
		openKMSRows(kmsRefs, kmsRows)
	}
}

// batch are the places of a request that one cache answers.
type batch = []int

func (k *Keyring) openKey(ctx context.Context, r *envelope.Ref) envelope.Grant {
	switch v := r.Value; v.Mode() {
	case envelope.ModeTenant:
		return fetch(ctx, k.readers, reader(r), k.load.readers)
	default:
		return fetch(ctx, k.rows, row(v), k.load.rows)
	}
}

// fetch gets one key from cache.
func fetch[K comparable](ctx context.Context, cache *dekcache.Cache[K, envelope.Key], key K, load dekcache.Loader[K, envelope.Key]) envelope.Grant {
	v, e, err := cache.Fetch(ctx, key, load)
	if err != nil {
		return envelope.Grant{Err: err}
	}
	return envelope.Grant{Key: v, Lease: e}
}

// spread gets keys from cache and sets the grants at their places.
func spread[K comparable](ctx context.Context, cache *dekcache.Cache[K, envelope.Key], keys []K, load dekcache.Loader[K, envelope.Key], at batch, grants []envelope.Grant) {
	for i, r := range getMany(ctx, cache, keys, load) {
		grants[at[i]] = envelope.Grant{Key: r.Value, Err: r.Err}
		if r.Err == nil {
			grants[at[i]].Lease = r.Entry
		}
	}
}

func reader(r *envelope.Ref) readerRef {
	return readerRef{id: r.Value.KeyID(), field: r.Field, suite: r.Value.Suite, salt: r.Value.Salt()}
}

func row(v *envelope.Value) rowRef {
	r := rowRef{id: v.KeyID(), suite: v.Suite}
	copy(r.wrapped[:], v.Wrapped())
	return r
}

// kmsRef is a KMS-wrapped row key as one string: root key and tenant behind
// their lengths (at most 255 each), then the wrapped key.
func kmsRef(v *envelope.Value) string {
	b := make([]byte, 0, len(v.Bytes()))
	for _, s := range []string{v.RootKey(), v.Tenant()} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return string(append(b, v.Wrapped()...))
}

func cutKMSRef(ref string) (tenant string, w kms.Wrapped) {
	cut := func() (s string) {
		n := int(ref[0])<<8 | int(ref[1])
		s, ref = ref[2:2+n], ref[2+n:]
		return s
	}
	w.RootKey = cut()
	tenant = cut()
	w.Blob = []byte(ref)
	return tenant, w
}

// loadReaders derives the keys that values name from their tenant keys.
func (k *Keyring) loadReaders(ctx context.Context, refs []readerRef, deliver func(int, *envelope.Key, time.Time, error)) {
	ids := make([]envelope.KeyID, len(refs))
	for i := range refs {
		ids[i] = refs[i].id
	}
	for i, h := range k.heldKeys(ctx, ids) {
		if h.Err == nil && h.Value.purpose != PurposeTenant {
			h.Err = unknown(ids[i]) // an index key opens no values
		}
		if h.Err != nil {
			deliver(i, nil, time.Time{}, h.Err)
			continue
		}
		key, err := derive(h.Value, refs[i])
		deliver(i, key, k.until(h.Value), err)
	}
}

// loadRows unwraps row keys under the wrapping keys of their tenants.
func (k *Keyring) loadRows(ctx context.Context, refs []rowRef, deliver func(int, *envelope.Key, time.Time, error)) {
	wraps := make([]readerRef, len(refs))
	for i := range refs {
		wraps[i] = readerRef{id: refs[i].id, suite: refs[i].suite}
		copy(wraps[i].salt[:], refs[i].wrapped[:])
	}
	for i, w := range getMany(ctx, k.readers, wraps, k.load.readers) {
		if w.Err != nil {
			deliver(i, nil, time.Time{}, w.Err)
			continue
		}
		key, err := envelope.RowKey(w.Value, k.cfg.Namespace, refs[i].wrapped[:])
		deliver(i, key, w.Entry.Expires(), err)
	}
}

// openRows unwraps row keys for the call at hand. The columns of a row, which stand together, share one.
func (k *Keyring) openRows(ctx context.Context, refs []envelope.Ref, at batch, grants []envelope.Grant) {
	places := make(map[readerRef]int, 64)
	var wraps []readerRef
	of := make([]int, len(at)) // each row's place in wraps
	for i, place := range at {
		v := refs[place].Value
		w := readerRef{id: v.KeyID(), suite: v.Suite, salt: v.WrapSalt()}
		n, known := places[w]
		if !known {
			n = len(wraps)
			places[w], wraps = n, append(wraps, w)
		}
		of[i] = n
	}
	found := getMany(ctx, k.readers, wraps, k.load.readers)
	keys := envelope.RowKeys{Namespace: k.cfg.Namespace}
	for i, place := range at {
		g, wrapped := &grants[place], refs[place].Value.Wrapped()
		switch w := &found[of[i]]; {
		case w.Err != nil:
			g.Err = w.Err
		case i > 0 && of[i] == of[i-1] && bytes.Equal(wrapped, refs[at[i-1]].Value.Wrapped()):
			*g = grants[at[i-1]]
		default:
			g.Key, g.Err = keys.Open(w.Value, wrapped)
		}
	}
}

// loadKMSRows asks the KMS for each row key, side by side.
func (k *Keyring) loadKMSRows(ctx context.Context, refs []string, deliver func(int, *envelope.Key, time.Time, error)) {
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	for i, ref := range refs {
		g.Go(func() error {
			key, err := k.unwrapRow(ctx, ref)
			deliver(i, key, time.Time{}, err)
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
}

func (k *Keyring) unwrapRow(ctx context.Context, ref string) (*envelope.Key, error) {
	raw, err := k.unwrapRowRaw(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	tenant, w := cutKMSRef(ref)
	return envelope.KMSKey(tenant, w.RootKey, w.Blob, raw)
}

// unwrapRowRaw asks the KMS for a row key; the caller clears it.
func (k *Keyring) unwrapRowRaw(ctx context.Context, ref string) ([]byte, error) {
	tenant, w := cutKMSRef(ref)
	r := Record{Tenant: tenant, Purpose: purposeRow, Wraps: []kms.Wrapped{w}}
	if envelope.BlankKey(w.Blob) { // which no KMS need be asked about
		return nil, r.fail(ErrDestroyed, "the value was overwritten when its tenant was shredded")
	}
	return k.unwrapRaw(ctx, &r, k.rowBinding(tenant))
}
