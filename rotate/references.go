package rotate

import (
	"context"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// keptReferences is how many distinct KMS-wrapped keys are remembered, so that
// the values that share one cost one rewrap: at about 600 bytes each, some
// 20 MB at most.
const keptReferences = 1 << 15

// maxAway is how many calls may fail with no success between them before a page is left for later.
const maxAway = 16

// answer is the key reference that the values with one wrapped key should
// carry; due is false where they carry it already.
type answer struct {
	ref envelope.Reference
	due bool
	err error
}

// references finds key references. Those that take a KMS call are asked for once. It is used by all
// workers of a process at once.
type references struct {
	rewrapper *keyring.Rewrapper
	calls     chan struct{} // one for each call under way
	known     *lru.Cache[string, answer]

	mu      sync.Mutex
	pending map[string]*call
}

// call is a KMS call that a worker waits for.
type call struct {
	done chan struct{}
	err  error
}

func newReferences(w *keyring.Rewrapper, concurrency int) (*references, error) {
	known, err := lru.New[string, answer](keptReferences)
	return &references{rewrapper: w, calls: make(chan struct{}, concurrency), known: known, pending: map[string]*call{}}, err
}

// refKey tells wrapped keys apart. What varies in length stands behind it.
func refKey(v *envelope.Value) string {
	id, root, tenant, wrapped := v.KeyID(), v.RootKey(), v.Tenant(), v.Wrapped()
	b := make([]byte, 0, 4+len(id)+len(root)+len(tenant)+len(wrapped))
	b = append(b, byte(v.Mode()), byte(v.Suite))
	b = append(append(b, byte(len(root))), root...)
	b = append(append(b, byte(len(tenant))), tenant...)
	return string(append(append(b, id[:]...), wrapped...))
}

// prepare asks the KMS, side by side, for the references of those values that need it. Its error is one that
// passes (a KMS that is away) or ctx's: what was had until then is known and not asked for again.
func (r *references) prepare(ctx context.Context, values []envelope.Value) error {
	var g errgroup.Group
	var streak atomic.Int64
	asked := map[string]bool{}
	for i := range values {
		v := &values[i]
		if v.Bytes() == nil || v.Mode() != envelope.ModeKMS {
			continue
		}
		key := refKey(v)
		if asked[key] || r.known.Contains(key) {
			continue
		}
		if streak.Load() >= maxAway {
			break
		}
		asked[key] = true
		select {
		case r.calls <- struct{}{}:
		case <-ctx.Done():
			_ = g.Wait() // ctx's error says it all
			return ctx.Err()
		}
		g.Go(func() error {
			defer func() { <-r.calls }()
			_, err := r.ask(ctx, key, v)
			if err == nil || ctx.Err() == nil && !passes(err) {
				streak.Store(0)
				return nil
			}
			streak.Add(1)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// of returns the answer for v.
func (r *references) of(ctx context.Context, v *envelope.Value) answer {
	if v.Mode() != envelope.ModeKMS { // made from keys at hand, for less than a look-up costs
		var a answer
		a.ref, a.due, a.err = r.rewrapper.Row(ctx, v)
		return a
	}
	key := refKey(v)
	if a, ok := r.known.Get(key); ok {
		return a
	}
	// Failed in prepare, or let go of since.
	a, err := r.ask(ctx, key, v)
	a.err = err
	return a
}

// ask asks for one reference, or waits for the worker that does. What is wrong with a key itself is remembered
// too; other failures are not: a page that is read again may have better luck.
func (r *references) ask(ctx context.Context, key string, v *envelope.Value) (answer, error) {
	r.mu.Lock()
	if other, ok := r.pending[key]; ok {
		r.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
		if a, ok := r.known.Get(key); ok {
			return a, a.err
		}
		return answer{}, other.err
	}
	if a, ok := r.known.Get(key); ok {
		r.mu.Unlock()
		return a, a.err
	}
	mine := &call{done: make(chan struct{})}
	r.pending[key] = mine
	r.mu.Unlock()

	a, err := r.answer(ctx, v)
	a.err = err
	if _, own := classify(err); own || err == nil {
		r.known.Add(key, a)
	}
	r.mu.Lock()
	delete(r.pending, key)
	r.mu.Unlock()
	mine.err = err
	close(mine.done)
	return a, err
}

func (r *references) answer(ctx context.Context, v *envelope.Value) (a answer, err error) {
	if v.Blank() {
		return a, keyring.ErrDestroyed
	}
	a.ref, a.due, err = r.rewrapper.Row(ctx, v)
	return a, err
}
