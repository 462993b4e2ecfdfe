package keyring

import (
	"context"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// moveAside imports the keys of page that found another at their place, under the next free
// version and retired. A wrap is bound to the version, so that each is made anew.
func (i *importer) moveAside(ctx context.Context, page []Record) error {
	standing, err := i.standing(ctx, page)
	if err != nil {
		return err
	}
	var absent []Record
	for n := range page {
		r := &page[n]
		if standing[r.ID] == nil && !r.Purpose.indexes() && (r.Purpose == PurposeStore) == i.stores {
			absent = append(absent, *r)
		}
	}
	counted := i.done.Refused // these were counted by the pass before
	absent, err = i.allowed(ctx, absent)
	i.done.Refused = counted
	if err != nil {
		return err
	}
	for n := range absent {
		if err := i.moveOne(ctx, &absent[n]); err != nil {
			return err
		}
	}
	return nil
}

// moveOne fails where the store does; what is wrong with the record is counted.
func (i *importer) moveOne(ctx context.Context, r *Record) error {
	raw, err := i.k.rawOf(ctx, r)
	if err != nil {
		i.fail(r, err, "another key stands at its place, so that it has to be wrapped anew")
		return nil
	}
	defer clear(raw)
	now, err := i.admin.Now(ctx)
	if err != nil {
		return storeError(err)
	}
	for range shredPasses {
		list, err := i.k.versions(ctx, r.Purpose, r.Tenant)
		if err != nil {
			return err
		}
		moved := *r
		moved.Version, moved.State, moved.ChangedAt, moved.ChangedBy = 1, Retired, now, i.cfg.By
		if len(list) > 0 {
			last := &list[len(list)-1]
			if last.Mark() {
				i.done.Refused++ // shredded meanwhile
				return nil
			}
			moved.Version = last.Version + 1
		}
		if err := i.k.wrapAgain(ctx, &moved, raw); err != nil {
			i.fail(r, err, "")
			return nil
		}
		stands, err := i.restorer.Restore(ctx, []Record{moved})
		if err != nil {
			return storeError(err)
		}
		if len(stands) == 1 && stands[0].ID == r.ID {
			i.done.Moved++
			return nil
		}
	}
	i.fail(r, ErrConflict, "others rotate the key again and again; run the import again")
	return nil
}

// rawOf unwraps a key that is not in the store.
func (k *Keyring) rawOf(ctx context.Context, r *Record) ([]byte, error) {
	b := r.binding(k.cfg.Namespace)
	if r.Parent == (envelope.KeyID{}) {
		raw, err := k.unwrapRaw(ctx, r, b)
		if err != nil {
			return nil, err
		}
		if _, err := committed(r, raw); err != nil {
			clear(raw)
			return nil, err
		}
		return raw, nil
	}
	parent := k.heldStore(ctx, r.Parent)
	if parent.Err != nil {
		return nil, r.fail(parent.Err, "")
	}
	if len(r.Wraps) != 1 {
		return nil, r.fail(ErrNoRoot, "")
	}
	raw, err := parent.Value.UnwrapKey(r.Wraps[0].Blob, b.AssociatedData(nil))
	if err != nil {
		return nil, r.fail(kms.ErrBinding, "the record was altered")
	}
	return raw, nil
}

func (k *Keyring) heldStore(ctx context.Context, id envelope.KeyID) result[heldKey] {
	return getMany(ctx, k.stores, []envelope.KeyID{id}, k.load.stores)[0]
}

// wrapAgain wraps raw for what r says, by what wrapped it before: its store key, or all root keys.
func (k *Keyring) wrapAgain(ctx context.Context, r *Record, raw []byte) error {
	b := r.binding(k.cfg.Namespace)
	if r.Parent != (envelope.KeyID{}) {
		parent := k.heldStore(ctx, r.Parent)
		if parent.Err != nil {
			return parent.Err
		}
		blob, err := parent.Value.WrapKey(envelope.SuiteXAES, raw, b.AssociatedData(nil))
		r.Wraps = []kms.Wrapped{{RootKey: storeRoot + r.Parent.String(), Blob: blob}}
		return err
	}
	r.Wraps = nil
	for _, root := range k.cfg.Roots {
		w, err := root.Wrap(ctx, raw, b)
		if err != nil {
			return err
		}
		r.Wraps = append(r.Wraps, w)
	}
	return nil
}
