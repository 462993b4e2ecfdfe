package kmstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
)

var outageChecks = []check{
	{name: "an ended context ends every operation", run: checkCanceled},
	{
		name: "a context that ends while the service hangs ends the operation", run: checkHang,
		needs: func(h Harness) bool { return h.Hang != nil },
	},
	{
		name: "a disabled root key is refused until it is enabled", run: checkDisabled,
		needs: func(h Harness) bool { return h.Disable != nil && h.Enable != nil },
	},
	{
		name: "a service that is away is a temporary error until it is back", run: checkDown,
		needs: func(h Harness) bool { return h.Down != nil && h.Up != nil },
	},
}

// operations returns k's operations on the good wrapped key w, each with the
// context that it is given.
func operations(k kms.KMS, w kms.Wrapped, ctx func() context.Context) []operation {
	ops := []operation{
		{"wrap", func() error { _, err := k.Wrap(ctx(), randomKey(), binding); return err }},
		{"unwrap", func() error { _, err := k.Unwrap(ctx(), w, binding); return err }},
	}
	if g, ok := k.(kms.Generator); ok {
		ops = append(ops, operation{"generate", func() error { _, _, err := g.Generate(ctx(), binding); return err }})
	}
	if r, ok := k.(kms.Rewrapper); ok {
		ops = append(ops, operation{"rewrap", func() error { _, err := r.Rewrap(ctx(), w, binding); return err }})
	}
	return ops
}

func checkCanceled(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, op := range operations(k, w, func() context.Context { return ctx }) {
		err := op.call()
		wantKind(t, op.name+" with a canceled context", op.name, err, kms.ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a canceled context: %v does not match context.Canceled", op.name, err)
		}
	}
	mustUnwrap(t, k, w, binding)
}

func checkHang(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	resume := h.Hang(t, k)
	defer resume()
	var cancel context.CancelFunc = func() {}
	defer func() { cancel() }()
	short := func() (ctx context.Context) {
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		return ctx
	}
	for _, op := range operations(k, w, short) {
		err := op.call()
		wantKind(t, op.name+" while the service hangs", op.name, err, kms.ErrUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s while the service hangs: %v does not match context.DeadlineExceeded", op.name, err)
		}
	}
}

func checkDisabled(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	h.Disable(t, k)
	for _, op := range operations(k, w, t.Context) {
		wantKind(t, op.name+" under a disabled root key", op.name, op.call(), kms.ErrDisabled)
	}
	h.Enable(t, k)
	worksAgain(t, k, w)
}

func checkDown(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	h.Down(t, k)
	for _, op := range operations(k, w, t.Context) {
		err := op.call()
		wantKind(t, op.name+" while the service is away", op.name, err, kms.ErrUnavailable)
		if !kms.Temporary(err) {
			t.Errorf("%s while the service is away: %v is not temporary", op.name, err)
		}
	}
	h.Up(t, k)
	worksAgain(t, k, w)
}

func worksAgain(t testing.TB, k kms.KMS, w kms.Wrapped) {
	t.Helper()
	for _, op := range operations(k, w, t.Context) {
		if err := op.call(); err != nil {
			t.Errorf("%s once the root key is back: %v", op.name, err)
		}
	}
}
