package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// Rewrapper moves wrapped keys to the root keys that are current when it is
// made. It is safe for concurrent use.
type Rewrapper struct {
	k       *Keyring
	admin   Admin // nil where there is no key store
	current []string
	drop    []string
}

// NewRewrapper asks every root key which of its versions is current.
//
// Wraps by root keys that are not among Config.Roots stay: they may be what opens
// the key elsewhere, or in an emergency. Those that drop names, as
// [kms.Wrapped] does, are taken away. A root key that is current is refused there.
func (k *Keyring) NewRewrapper(ctx context.Context, drop ...string) (*Rewrapper, error) {
	w := &Rewrapper{k: k, drop: drop}
	for _, root := range k.cfg.Roots {
		id, err := root.Current(ctx)
		if err != nil {
			return nil, &Error{Err: err}
		}
		w.current = append(w.current, id)
	}
	for _, root := range drop {
		if slices.Contains(w.current, root) {
			return nil, &Error{Err: fmt.Errorf("%w: root key %s is in use", ErrInUse, root), Remedy: "take it out of keys.kms before its wraps are dropped"}
		}
	}
	if k.cfg.Store != nil {
		var err error
		if w.admin, err = k.admin(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Current returns the version of each root key that was current when w was made, in the order of Config.Roots.
func (w *Rewrapper) Current() []string { return slices.Clone(w.current) }

// Due reports whether a current root key does not wrap r, or one does that is to be
// dropped. In which order they stand is all the same. Tombstones and keys that a
// store key wraps are never due.
func (w *Rewrapper) Due(r Record) bool {
	if r.State == Destroyed || r.Parent != (envelope.KeyID{}) {
		return false
	}
	for _, root := range w.current {
		if !wrappedBy(r.Wraps, root) {
			return true
		}
	}
	return slices.ContainsFunc(r.Wraps, func(x kms.Wrapped) bool { return slices.Contains(w.drop, x.RootKey) })
}

func wrappedBy(wraps []kms.Wrapped, root string) bool {
	return slices.ContainsFunc(wraps, func(x kms.Wrapped) bool { return x.RootKey == root })
}

// Others returns the root keys that wrap r beside the current ones.
func (w *Rewrapper) Others(r Record) (roots []string) {
	for _, x := range r.Wraps {
		if r.Parent == (envelope.KeyID{}) && !slices.Contains(w.current, x.RootKey) {
			roots = append(roots, x.RootKey)
		}
	}
	return roots
}

// Record brings r to the current root keys, with one KMS call for each root
// key that can rewrap on its side, and writes it back if nobody changed it
// meanwhile (else ErrConflict). It returns r as it stands now.
func (w *Rewrapper) Record(ctx context.Context, r Record) (Record, error) {
	if !w.Due(r) {
		return r, nil
	}
	changed := r
	var err error
	if changed.Wraps, err = w.wraps(ctx, &r); err != nil {
		return r, err
	}
	if err := swap(ctx, w.admin, r, changed); err != nil {
		return r, err
	}
	return changed, nil
}

// wraps returns a wrap of r for each root key: as it is, rewrapped, or where
// that root key has none yet, made anew from another's. Behind them are those of
// root keys that are not configured here.
func (w *Rewrapper) wraps(ctx context.Context, r *Record) ([]kms.Wrapped, error) {
	var wraps []kms.Wrapped
	var replaced []int // of r.Wraps
	b := r.binding(w.k.cfg.Namespace)
	for i, root := range w.k.cfg.Roots {
		if wrappedBy(wraps, w.current[i]) {
			continue // configured twice
		}
		moved, from, err := w.move(ctx, root, w.current[i], r.Wraps, b)
		if errors.Is(err, kms.ErrForeign) {
			moved, err = w.wrapAnew(ctx, root, r)
		}
		if err != nil {
			return nil, r.fail(err, "")
		}
		wraps, replaced = append(wraps, moved), append(replaced, from)
	}
	for i, x := range r.Wraps {
		if !slices.Contains(replaced, i) && !wrappedBy(wraps, x.RootKey) && !slices.Contains(w.drop, x.RootKey) && w.foreign(ctx, x, b) {
			wraps = append(wraps, x)
		}
	}
	return wraps, nil
}

// foreign reports whether no root key that is configured serves the wrap. That is
// said without a network call; what is served is an older version's, which the
// current one's has replaced.
func (w *Rewrapper) foreign(ctx context.Context, x kms.Wrapped, b kms.Binding) bool {
	for _, root := range w.k.cfg.Roots {
		raw, err := root.Unwrap(ctx, x, b)
		clear(raw)
		if !errors.Is(err, kms.ErrForeign) {
			return false
		}
	}
	return true
}

// move returns the one of wraps that root serves, under its current version, and which one that
// was. ErrForeign says that root serves none of them.
func (w *Rewrapper) move(ctx context.Context, root kms.KMS, current string, wraps []kms.Wrapped, b kms.Binding) (moved kms.Wrapped, from int, err error) {
	if i := slices.IndexFunc(wraps, func(x kms.Wrapped) bool { return x.RootKey == current }); i >= 0 {
		return wraps[i], i, nil
	}
	for i, wrap := range wraps {
		moved, err := rewrap(ctx, root, wrap, b)
		if !errors.Is(err, kms.ErrForeign) {
			return moved, i, err
		}
	}
	return kms.Wrapped{}, -1, kms.ErrForeign
}

// rewrap keeps the data key inside the KMS where it can.
func rewrap(ctx context.Context, root kms.KMS, wrap kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	if r, ok := root.(kms.Rewrapper); ok {
		return r.Rewrap(ctx, wrap, b)
	}
	raw, err := root.Unwrap(ctx, wrap, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(raw)
	return root.Wrap(ctx, raw, b)
}

func (w *Rewrapper) wrapAnew(ctx context.Context, root kms.KMS, r *Record) (kms.Wrapped, error) {
	b := r.binding(w.k.cfg.Namespace)
	raw, err := w.k.unwrapRaw(ctx, r, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(raw)
	if _, err := committed(r, raw); err != nil {
		return kms.Wrapped{}, err
	}
	return root.Wrap(ctx, raw, b)
}

// Row returns the key reference that v should carry now: that of its tenant's
// current key (ModeRow) or of the first root key's current version (ModeKMS).
// due is false where v carries it already, and for ModeTenant, whose values
// carry no wrapped key.
func (w *Rewrapper) Row(ctx context.Context, v *envelope.Value) (ref envelope.Reference, due bool, err error) {
	switch v.Mode() {
	case envelope.ModeRow:
		return w.tenantRow(ctx, v)
	case envelope.ModeKMS:
		return w.kmsRow(ctx, v)
	}
	return ref, false, nil
}

func (w *Rewrapper) tenantRow(ctx context.Context, v *envelope.Value) (ref envelope.Reference, due bool, err error) {
	from := fetch(ctx, w.k.readers, readerRef{id: v.KeyID(), suite: v.Suite, salt: v.WrapSalt()}, w.k.load.readers)
	if from.Err != nil {
		return ref, false, from.Err
	}
	to := fetch(ctx, w.k.writers, writerRef{tenant: from.Key.Tenant(), suite: v.Suite}, w.k.load.writers)
	if to.Err != nil {
		return ref, false, to.Err
	}
	if to.Key.ID() == v.KeyID() {
		return ref, false, nil
	}
	to.Lease.Use(kms.KeySize)
	ref, err = envelope.RewrapRowKey(from.Key, to.Key, w.k.cfg.Namespace, v)
	return ref, err == nil, err
}

func (w *Rewrapper) kmsRow(ctx context.Context, v *envelope.Value) (ref envelope.Reference, due bool, err error) {
	if v.RootKey() == w.current[0] {
		return ref, false, nil
	}
	tenant := v.Tenant()
	r := Record{Tenant: tenant, Purpose: purposeRow, Wraps: []kms.Wrapped{{RootKey: v.RootKey(), Blob: v.Wrapped()}}}
	moved, _, err := w.move(ctx, w.k.cfg.Roots[0], w.current[0], r.Wraps, w.k.rowBinding(tenant))
	if errors.Is(err, kms.ErrForeign) {
		moved, err = w.moveRow(ctx, &r)
	}
	if err != nil {
		return ref, false, r.fail(err, "")
	}
	ref, err = envelope.KMSReference(tenant, moved.RootKey, moved.Blob)
	return ref, err == nil, err
}

// moveRow takes a row key from the KMS that wrapped it to the first root key.
func (w *Rewrapper) moveRow(ctx context.Context, r *Record) (kms.Wrapped, error) {
	b := w.k.rowBinding(r.Tenant)
	raw, err := w.k.unwrapRaw(ctx, r, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(raw)
	return w.k.cfg.Roots[0].Wrap(ctx, raw, b)
}
