package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// tenants makes n tenant keys.
func (w *world) tenants(t testing.TB, n int) {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%05d", i)
	}
	must(t, w.ring.Prepare(t.Context(), names...))
}

// wrappedBy counts the records whose wraps are by exactly those root keys.
func (w *world) wrappedBy(t testing.TB, roots ...string) (n int) {
	t.Helper()
	for _, r := range w.records(t) {
		var names []string
		for _, wrap := range r.Wraps {
			names = append(names, wrap.RootKey)
		}
		if strings.Join(names, " ") == strings.Join(roots, " ") {
			n++
		}
	}
	return n
}

func TestTenThousandTenantKeysAreRewrappedWithOneCallEach(t *testing.T) {
	const n = 10_000
	w := newWorld(t)
	w.tenants(t, n)
	root := w.rotateRoot(t)

	before := w.calls.Calls()
	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	if result.Checked != n || result.Rewrapped != n || result.Current != 0 || result.Failed != 0 {
		t.Fatalf("got %+v", result)
	}
	if c := w.calls.Calls().Sub(before); c.Rewrap != n || c.Total() != n+1 {
		t.Fatalf("calls: %+v; want one rewrap for each of %d keys and one question for the current version", c, n)
	}
	if got := w.wrappedBy(t, root); got != n {
		t.Fatalf("%d of %d keys are wrapped by the new root key", got, n)
	}

	before = w.calls.Calls()
	result, err = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	if c := w.calls.Calls().Sub(before); result.Current != n || result.Rewrapped != 0 || c.Total() != 1 {
		t.Fatalf("a second run did %+v with calls %+v", result, c)
	}
}

func TestARewrapOfKeysThatWasStoppedGoesOnWhereItEnded(t *testing.T) {
	const n, concurrency = 3000, 8
	w := newWorld(t)
	w.tenants(t, n)
	root := w.rotateRoot(t)
	before := w.calls.Calls()

	ctx, cancel := ctxOf(t)
	first, err := rotate.RewrapKeys(ctx, rotate.KeysConfig{Keyring: w.ring, Concurrency: concurrency, Progress: func(p rotate.Progress) {
		if p.Done == 1000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want context.Canceled", err)
	}
	if first.Rewrapped < 1000 || first.Rewrapped > 1000+concurrency {
		t.Fatalf("stopped at 1000, but %d were rewrapped", first.Rewrapped)
	}
	second, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.newRing(t)})
	must(t, err)
	if second.Current < first.Rewrapped || second.Current+second.Rewrapped != n {
		t.Fatalf("first run %+v, second run %+v", first, second)
	}
	if c := w.calls.Calls().Sub(before); c.Rewrap > n+concurrency {
		t.Fatalf("%d rewraps for %d keys in two runs", c.Rewrap, n)
	}
	if got := w.wrappedBy(t, root); got != n {
		t.Fatalf("%d of %d keys are wrapped by the new root key", got, n)
	}
}

func TestSingleFailuresAreReportedAndTheRestIsRewrapped(t *testing.T) {
	w := newWorld(t)
	w.tenants(t, 200)
	root := w.rotateRoot(t)
	var calls atomic.Int64
	w.calls.Fail = func(op string) error {
		if op == "rewrap" && calls.Add(1)%10 == 0 {
			return &kms.Error{Provider: "test", Op: op, Kind: kms.ErrThrottled}
		}
		return nil
	}
	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	if !errors.Is(err, rotate.ErrIncomplete) || !strings.Contains(err.Error(), "20 failed") {
		t.Fatalf("got error %v", err)
	}
	if result.Rewrapped != 180 || result.Failed != 20 || len(result.Failures) != 20 || !errors.Is(result.Failures[0], kms.ErrThrottled) {
		t.Fatalf("got %+v", result)
	}
	if !strings.Contains(result.Failures[0].Error(), `of tenant "tenant-`) {
		t.Fatalf("the failure does not name its key: %v", result.Failures[0])
	}
	w.calls.Fail = nil
	result, err = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	if result.Rewrapped != 20 || w.wrappedBy(t, root) != 200 {
		t.Fatalf("the second run did %+v", result)
	}
}

func TestAnOutageStopsTheWalkInsteadOfTryingEveryKey(t *testing.T) {
	w := newWorld(t)
	w.tenants(t, 2000)
	w.rotateRoot(t)
	w.calls.Fail = func(op string) error {
		if op == "rewrap" {
			return errors.New("no answer")
		}
		return nil
	}
	before := w.calls.Calls()
	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring, Concurrency: 4})
	if !errors.Is(err, rotate.ErrGaveUp) || !errors.Is(err, kms.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
	if c := w.calls.Calls().Sub(before); c.Rewrap < 100 || c.Rewrap > 120 || result.Failed < 100 {
		t.Fatalf("%d calls, result %+v", c.Rewrap, result)
	}
}

func TestTwoRewrapsOfTheSameKeysBothSucceed(t *testing.T) {
	w := newWorld(t)
	w.tenants(t, 500)
	root := w.rotateRoot(t)
	var runs sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		ring := w.newRing(t)
		runs.Go(func() { _, errs[i] = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: ring}) })
	}
	runs.Wait()
	must(t, errors.Join(errs...))
	if got := w.wrappedBy(t, root); got != 500 {
		t.Fatalf("%d of 500 keys are wrapped by the new root key", got)
	}
}

func TestARecordChangedMeanwhileIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.tenants(t, 1)
	w.rotateRoot(t)
	id := w.records(t)[0].ID
	var once sync.Once
	w.calls.Fail = func(op string) error {
		if op == "rewrap" {
			once.Do(func() { w.store.Edit(id, func(r *keyring.Record) { r.State = keyring.Retired }) })
		}
		return nil
	}
	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	if r := w.records(t)[0]; result.Rewrapped != 1 || r.State != keyring.Retired {
		t.Fatalf("got %+v and the record %v; the change was overwritten or the key not rewrapped", result, &r)
	}
}

func TestKeysGetAWrapOfARootKeyThatWasAdded(t *testing.T) {
	w := newWorld(t)
	w.tenants(t, 20)
	people := []person{personNumber(1), personNumber(2)}
	sealed := w.seal(t, people)
	added := localkms.Memory()
	first, err := w.root.Current(t.Context())
	must(t, err)
	second, err := added.Current(t.Context())
	must(t, err)

	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.newRing(t, w.calls, added)})
	must(t, err)
	if n := w.wrappedBy(t, first, second); n != result.Checked || result.Rewrapped != n {
		t.Fatalf("%d of %d keys are wrapped by both root keys; %+v", n, result.Checked, result)
	}
	w.ring = w.newRing(t, added) // the first root key is lost
	var got string
	must(t, w.cipher(t).Open(t.Context(), &got, w.table.Column("ssn"), rowOf(people[0]), sealed[0][1]))
	if got != people[0].ssn {
		t.Fatalf("got %q", got)
	}
	rotated, err := added.Rotate(t.Context())
	must(t, err)
	result, err = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	if n := w.wrappedBy(t, rotated, first); n != result.Checked || result.Kept[first] != n || len(result.Dropped) != 0 {
		t.Fatalf("%d of %d keys keep the wrap of the root key that is not here; %+v", n, result.Checked, result)
	}
	if result, err = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring}); err != nil || result.Kept[first] != result.Checked {
		t.Fatalf("nothing to do: %+v, %v", result, err)
	}
	result, err = rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring, DropRoots: []string{first}})
	must(t, err)
	if len(result.Kept) != 0 || result.Dropped[first] != result.Checked {
		t.Fatalf("dropped: %+v", result)
	}
	if n := w.wrappedBy(t, rotated); n != result.Checked {
		t.Fatalf("%d of %d keys are wrapped by the second root key alone", n, result.Checked)
	}
}

func TestRewrapKeysRefusesWhatItCannotDo(t *testing.T) {
	w := newWorld(t)
	storeless, err := keyring.New(keyring.Config{Roots: []kms.KMS{w.calls}})
	must(t, err)
	for name, c := range map[string]struct {
		cfg  rotate.KeysConfig
		want string
	}{
		"no keyring":           {rotate.KeysConfig{}, "Keyring is nil"},
		"negative concurrency": {rotate.KeysConfig{Keyring: w.ring, Concurrency: -1}, "1 to 1024 is allowed"},
		"no key store":         {rotate.KeysConfig{Keyring: storeless}, "configure keys.store"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rotate.RewrapKeys(t.Context(), c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
