package dekcache

import (
	"context"
	"fmt"
)

// flight is the load of one key, seen by those who wait for it.
type flight[V any] struct {
	awaited bool // somebody joined; guarded by the shard's lock

	done  chan struct{} // closed once the fields below are set
	value *V
	entry *Entry[V]
	err   error
}

func newFlight[V any]() *flight[V] { return &flight[V]{done: make(chan struct{})} }

func (f *flight[V]) finish(v *V, e *Entry[V], err error) {
	f.value, f.entry, f.err = v, e, err
	close(f.done)
}

// result waits for the load, or for the end of ctx. A result that is there is
// returned even when ctx has ended as well.
func (f *flight[V]) result(ctx context.Context) (*V, *Entry[V], error) {
	select {
	case <-f.done:
		return f.value, f.entry, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.entry, f.err
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("dekcache: gave up waiting for a load: %w", ctx.Err())
	}
}
