package rotate

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// keptReferences is how many distinct wrapped keys are remembered, so that
// the values that share one cost one rewrap: at about 600 bytes each, some
// 40 MB at most.
const keptReferences = 1 << 16

// answer is the key reference that the values with one wrapped key should
// carry; due is false where they carry it already.
type answer struct {
	ref envelope.Reference
	due bool
	err error
}

// references finds key references, each distinct one once.
type references struct {
	rewrapper   *keyring.Rewrapper
	concurrency int
	known       *lru.Cache[string, answer]

	mu     sync.Mutex
	streak streak
}

func newReferences(w *keyring.Rewrapper, concurrency int) (*references, error) {
	known, err := lru.New[string, answer](keptReferences)
	return &references{rewrapper: w, concurrency: concurrency, known: known}, err
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

// of returns the answers for values, by refKey. Its error says that the walk
// had better stop; what fails for single keys is in their answers.
func (r *references) of(ctx context.Context, values []*envelope.Value) (map[string]answer, error) {
	answers := make(map[string]answer, len(values))
	var calls []*envelope.Value
	for _, v := range values {
		key := refKey(v)
		if _, ok := answers[key]; ok {
			continue
		}
		if a, ok := r.known.Get(key); ok {
			answers[key] = a
			continue
		}
		if v.Mode() == envelope.ModeKMS {
			answers[key] = answer{} // taken; the call follows
			calls = append(calls, v)
			continue
		}
		a, err := r.ask(ctx, v)
		if err != nil {
			return nil, err
		}
		answers[key] = a
	}
	return answers, r.call(ctx, calls, answers)
}

// call asks the KMS for the references of values, side by side.
func (r *references) call(ctx context.Context, values []*envelope.Value, answers map[string]answer) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.concurrency)
	var mu sync.Mutex
	for _, v := range values {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			a, err := r.ask(gctx, v)
			mu.Lock()
			defer mu.Unlock()
			answers[refKey(v)] = a
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// ask asks for one reference. Failures are not remembered: a row that is read
// again, or the next page, may have better luck.
func (r *references) ask(ctx context.Context, v *envelope.Value) (answer, error) {
	var a answer
	a.ref, a.due, a.err = r.rewrapper.Row(ctx, v)
	if ctx.Err() != nil {
		return a, ctx.Err()
	}
	if a.err == nil {
		r.known.Add(refKey(v), a)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return a, r.streak.count(a.err)
}
