package keyring

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

// kmsRaw is a row key as a KMS unwrapped it. A walk over a table holds these, since what it meets again must not cost a
// second call, and there are many: the AEAD, four times as long, is built for the call at hand.
type kmsRaw [kms.KeySize]byte

// String shows nothing of the key.
func (*kmsRaw) String() string { return "row key" }

// GoString is String.
func (r *kmsRaw) GoString() string { return r.String() }

// openKMSRows builds row keys that a KMS wraps for the call at hand.
func (k *Keyring) openKMSRows(ctx context.Context, refs []string, at batch, grants []envelope.Grant) {
	for i, r := range getMany(ctx, k.kmsRaws, refs, k.load.kmsRaws) {
		g := &grants[at[i]]
		switch {
		case r.Err != nil:
			g.Err = r.Err
		case i > 0 && refs[i] == refs[i-1]:
			*g = grants[at[i-1]]
		default:
			tenant, w := cutKMSRef(refs[i])
			g.Key, g.Err = envelope.KMSKey(tenant, w.RootKey, w.Blob, r.Value[:])
		}
	}
}

// loadKMSRaws asks the KMS for each row key, side by side.
func (k *Keyring) loadKMSRaws(ctx context.Context, refs []string, deliver func(int, *kmsRaw, time.Time, error)) {
	var g errgroup.Group
	g.SetLimit(k.cfg.Concurrency)
	for i, ref := range refs {
		g.Go(func() error {
			raw, err := k.unwrapRowRaw(ctx, ref)
			if err != nil {
				deliver(i, nil, time.Time{}, err)
				return nil
			}
			defer clear(raw)
			var kept *kmsRaw
			secretmem.Do(func() { kept = new(kmsRaw(raw)) })
			deliver(i, kept, time.Time{}, nil)
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
}
