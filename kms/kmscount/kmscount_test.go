package kmscount

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmstest"
	"github.com/rowseal/rowseal/kms/localkms"
)

var binding = kms.Binding{Purpose: "row"}

// plain hides Generate and Rewrap.
type plain struct{ kms.KMS }

func TestConformance(t *testing.T) {
	kmstest.Run(t, kmstest.Harness{
		Open: func(testing.TB) kms.KMS { return New(localkms.Memory()) },
		RotateRoot: func(t testing.TB, k kms.KMS) {
			if _, err := k.(*KMS).inner.(*localkms.KMS).Rotate(t.Context()); err != nil {
				t.Errorf("rotating: %v", err)
			}
		},
	})
}

// useAll calls each operation once, Wrap twice.
func useAll(t *testing.T, k *KMS) {
	t.Helper()
	ctx := t.Context()
	w, err := k.Wrap(ctx, make([]byte, kms.KeySize), binding)
	_, err2 := k.Wrap(ctx, nil, binding)
	_, err3 := k.Unwrap(ctx, w, binding)
	_, _, err4 := k.Generate(ctx, binding)
	_, err5 := k.Rewrap(ctx, w, binding)
	_, err6 := k.Current(ctx)
	if err := errors.Join(err, err3, err4, err5, err6); err != nil || err2 == nil {
		t.Fatalf("errors %v, %v", err, err2)
	}
}

func TestEveryCallIsCountedFailedOnesToo(t *testing.T) {
	k := New(localkms.Memory())
	useAll(t, k)
	want := Calls{Wrap: 2, Unwrap: 1, Generate: 1, Rewrap: 1, Current: 1}
	if got := k.Calls(); got != want || k.Total() != 6 {
		t.Errorf("counted %+v, in total %d, want %+v", got, k.Total(), want)
	}
	before := k.Calls()
	useAll(t, k)
	if got := k.Calls().Sub(before); got != want {
		t.Errorf("between two readings %+v, want %+v", got, want)
	}
}

func TestWhatTheInnerKMSLacksIsMadeOfWrapAndUnwrap(t *testing.T) {
	k := New(plain{localkms.Memory()})
	useAll(t, k)
	want := Calls{Wrap: 4, Unwrap: 2, Current: 1}
	if got := k.Calls(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestConcurrentCallsAreAllCounted(t *testing.T) {
	k := New(localkms.Memory())
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { _, _ = k.Current(t.Context()) })
	}
	wg.Wait()
	if got := k.Calls().Current; got != 100 {
		t.Errorf("counted %d calls, want 100", got)
	}
}

func TestDelayHoldsACallAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New(localkms.Memory())
		k.Delay = time.Second
		start := time.Now()
		if _, err := k.Current(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("returned after %v with error %v, want 1s and none", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := k.Current(ctx)
		var typed *kms.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &typed) || typed.Op != "current" {
			t.Errorf("got %v, want a *kms.Error that is context.DeadlineExceeded", err)
		}
	})
}

func TestFailStandsBeforeTheInnerKMS(t *testing.T) {
	var asked []string
	ops := map[string]func(k *KMS) error{
		"wrap":     func(k *KMS) error { _, err := k.Wrap(t.Context(), nil, binding); return err },
		"unwrap":   func(k *KMS) error { _, err := k.Unwrap(t.Context(), kms.Wrapped{}, binding); return err },
		"generate": func(k *KMS) error { _, _, err := k.Generate(t.Context(), binding); return err },
		"rewrap":   func(k *KMS) error { _, err := k.Rewrap(t.Context(), kms.Wrapped{}, binding); return err },
		"current":  func(k *KMS) error { _, err := k.Current(t.Context()); return err },
	}
	for op, call := range ops {
		cause := errors.New("power cut")
		typed := &kms.Error{Provider: "p", Op: op, Kind: kms.ErrDenied}
		for _, fail := range []error{cause, typed} {
			k := New(localkms.Memory())
			k.Fail = func(op string) error {
				asked = append(asked, op)
				return fail
			}
			err := call(k)
			var got *kms.Error
			if !errors.Is(err, fail) || !errors.As(err, &got) || got.Op != op {
				t.Errorf("%s: got %v, want a *kms.Error that is %v", op, err, fail)
			}
			if asked[len(asked)-1] != op || k.Total() != 1 {
				t.Errorf("%s: Fail was asked about %s, %d calls counted", op, asked[len(asked)-1], k.Total())
			}
		}
	}
	k := New(localkms.Memory())
	k.Fail = func(string) error { return nil }
	if _, err := k.Current(t.Context()); err != nil {
		t.Errorf("Fail returned nil and the call failed: %v", err)
	}
}
