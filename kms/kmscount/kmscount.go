// Package kmscount counts the calls that reach a KMS.
//
// Wrap a provider with [New] where the number of calls matters: in tests ("a
// thousand concurrent misses make one call"), benchmarks and demonstrations.
// It can also slow calls down and make them fail. It does not import testing.
package kmscount

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/kms"
)

// Calls says how often each operation was called, failed calls included.
type Calls struct {
	Wrap, Unwrap, Generate, Rewrap, Current int64
}

// Total returns the sum over all operations.
func (c Calls) Total() int64 {
	return c.Wrap + c.Unwrap + c.Generate + c.Rewrap + c.Current
}

// Sub returns c less earlier, for the calls made between two readings.
func (c Calls) Sub(earlier Calls) Calls {
	return Calls{
		Wrap:     c.Wrap - earlier.Wrap,
		Unwrap:   c.Unwrap - earlier.Unwrap,
		Generate: c.Generate - earlier.Generate,
		Rewrap:   c.Rewrap - earlier.Rewrap,
		Current:  c.Current - earlier.Current,
	}
}

// KMS passes every call on to another KMS and counts it. It is safe for
// concurrent use once Delay and Fail are set.
//
// It is a [kms.Generator] and a [kms.Rewrapper] whether or not the inner KMS
// is. Where the inner KMS is not, Generate draws a key and calls Wrap, and
// Rewrap calls Unwrap and Wrap; the inner calls are what is counted then.
type KMS struct {
	// Delay is how long each call waits before it goes on, 0 for not at all.
	// The wait ends early when the call's context does. Set it before use.
	Delay time.Duration
	// Fail, when set, is asked before each call with the operation: "wrap",
	// "unwrap", "generate", "rewrap" or "current". An error other than nil
	// is the call's result and the inner KMS is not reached. An error that is
	// no *kms.Error comes back inside one of kind ErrUnavailable. Set it
	// before use.
	Fail func(op string) error

	inner    kms.KMS
	wrap     atomic.Int64
	unwrap   atomic.Int64
	generate atomic.Int64
	rewrap   atomic.Int64
	current  atomic.Int64
}

var (
	_ kms.KMS       = (*KMS)(nil)
	_ kms.Generator = (*KMS)(nil)
	_ kms.Rewrapper = (*KMS)(nil)
)

// New returns a KMS that counts the calls it passes on to inner.
func New(inner kms.KMS) *KMS { return &KMS{inner: inner} }

// Calls returns the counts so far.
func (k *KMS) Calls() Calls {
	return Calls{
		Wrap:     k.wrap.Load(),
		Unwrap:   k.unwrap.Load(),
		Generate: k.generate.Load(),
		Rewrap:   k.rewrap.Load(),
		Current:  k.current.Load(),
	}
}

// Total returns the number of calls so far, over all operations.
func (k *KMS) Total() int64 { return k.Calls().Total() }

// Wrap counts, waits, fails where Fail says so, and passes the call on.
func (k *KMS) Wrap(ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
	if err := k.before(ctx, "wrap", &k.wrap); err != nil {
		return kms.Wrapped{}, err
	}
	return k.inner.Wrap(ctx, key, b)
}

// Unwrap counts, waits, fails where Fail says so, and passes the call on.
func (k *KMS) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	if err := k.before(ctx, "unwrap", &k.unwrap); err != nil {
		return nil, err
	}
	return k.inner.Unwrap(ctx, w, b)
}

// Current counts, waits, fails where Fail says so, and passes the call on.
func (k *KMS) Current(ctx context.Context) (string, error) {
	if err := k.before(ctx, "current", &k.current); err != nil {
		return "", err
	}
	return k.inner.Current(ctx)
}

// Generate counts, waits, fails where Fail says so, and passes the call on.
func (k *KMS) Generate(ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
	inner, ok := k.inner.(kms.Generator)
	if !ok {
		return k.generateByWrap(ctx, b)
	}
	if err := k.before(ctx, "generate", &k.generate); err != nil {
		return nil, kms.Wrapped{}, err
	}
	return inner.Generate(ctx, b)
}

// Rewrap counts, waits, fails where Fail says so, and passes the call on.
func (k *KMS) Rewrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	inner, ok := k.inner.(kms.Rewrapper)
	if !ok {
		return k.rewrapByUnwrap(ctx, w, b)
	}
	if err := k.before(ctx, "rewrap", &k.rewrap); err != nil {
		return kms.Wrapped{}, err
	}
	return inner.Rewrap(ctx, w, b)
}

func (k *KMS) generateByWrap(ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
	key := make([]byte, kms.KeySize)
	rand.Read(key) // never fails
	w, err := k.Wrap(ctx, key, b)
	if err != nil {
		clear(key)
		return nil, kms.Wrapped{}, err
	}
	return key, w, nil
}

func (k *KMS) rewrapByUnwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	key, err := k.Unwrap(ctx, w, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(key)
	return k.Wrap(ctx, key, b)
}

func (k *KMS) before(ctx context.Context, op string, count *atomic.Int64) error {
	count.Add(1)
	if err := k.wait(ctx); err != nil {
		return failed(op, err)
	}
	if k.Fail == nil {
		return nil
	}
	if err := k.Fail(op); err != nil {
		return failed(op, err)
	}
	return nil
}

func (k *KMS) wait(ctx context.Context) error {
	if k.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(k.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failed keeps the promise of [kms.KMS] that every error is a *kms.Error.
func failed(op string, err error) error {
	var typed *kms.Error
	if errors.As(err, &typed) {
		return err
	}
	return &kms.Error{Provider: "count", Op: op, Kind: kms.ErrUnavailable, Err: err}
}
