package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
)

// Watch drops keys from the caches as soon as the store says that they were
// retired or destroyed, by whatever process, until ctx ends; its error is then
// ctx's. Without it they go within the TTL. Run it in a goroutine of its own
// beside the application:
//
//	go func() { _ = ring.Watch(ctx) }()
//
// Where the store was not heard for a while, changes may have been missed, so
// that all keys are dropped once it is heard again. The error is
// errors.ErrUnsupported at once where the store cannot tell of changes: of those of
// package sqlstore, PostgreSQL can.
func (k *Keyring) Watch(ctx context.Context) error {
	w, ok := k.cfg.Store.(Watcher)
	if !ok {
		return fmt.Errorf("keyring: this key store does not tell of changes; they are seen within the cache's TTL: %w", errors.ErrUnsupported)
	}
	gap := func(reason error) {
		k.Forget()
		if reason != nil {
			k.cfg.Log.WarnContext(ctx, "the key store was not heard; all keys were dropped, in case one was destroyed meanwhile", "reason", reason.Error())
		}
	}
	changed := func(ids []envelope.KeyID) {
		k.ForgetKeys(ids...)
		k.cfg.Log.InfoContext(ctx, "keys were retired or destroyed and are dropped", "keys", len(ids))
	}
	return w.Watch(ctx, changed, gap)
}
