package dekcache_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

func TestAThousandConcurrentMissesAreOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: 300 * time.Millisecond}
		c := newCache(t, config{})
		var wg sync.WaitGroup
		got := make([]*value, 1000)
		for i := range got {
			wg.Go(func() { got[i] = mustGet(t, c, "a", src.load).Value() })
		}
		wg.Wait()
		if all, _ := src.loads("a"); all != 1 {
			t.Fatalf("%d loads", all)
		}
		if slices.ContainsFunc(got, func(v *value) bool { return v == nil || v != got[0] }) {
			t.Fatal("not everyone got the value")
		}
		if st := c.Stats(); st.Misses != 1 || st.Coalesced != 999 || st.Hits != 0 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestACancelledFirstCallerDoesNotCancelTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: time.Second}
		c := newCache(t, config{})
		type traceID struct{}
		var traced any
		load := func(ctx context.Context, keys []string, deliver deliver) {
			traced = ctx.Value(traceID{})
			src.load(ctx, keys, deliver)
			if ctx.Err() != nil {
				t.Error("the load was cancelled with its first caller")
			}
		}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), traceID{}, "t1"), 100*time.Millisecond)
		defer cancel()
		first := make(chan error)
		go func() {
			_, err := c.Get(ctx, "a", load)
			first <- err
		}()
		synctest.Wait()
		began := time.Now()
		go func() {
			_, err := c.Get(t.Context(), "a", load)
			first <- err
		}()
		wantError(t, <-first, context.DeadlineExceeded)
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("the first caller returned after %v", d)
		}
		if err := <-first; err != nil {
			t.Fatalf("the second caller got %v", err)
		}
		if all, _ := src.loads("a"); all != 1 || traced != "t1" {
			t.Fatalf("%d loads, trace %v", all, traced)
		}
	})
}

func TestAHitIsServedToACallerWhoseContextHasEnded(t *testing.T) {
	c := newCache(t, config{})
	e := mustGet(t, c, "a", (&source{}).load)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := c.Get(ctx, "a", nil); err != nil || got != e {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestAWarmKeyIsNotSlowedByAnotherKeysLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := newCache(t, config{Shards: 1, Now: time.Now}) // one lock for all
		warm := mustGet(t, c, "warm", src.load)
		src.delay = 300 * time.Millisecond
		done := make(chan struct{})
		go func() { defer close(done); mustGet(t, c, "cold", src.load) }()
		synctest.Wait()
		began := time.Now()
		for range 1000 {
			if mustGet(t, c, "warm", src.load) != warm || warm.Value() == nil {
				t.Fatal("not a hit")
			}
		}
		if d := time.Since(began); d != 0 {
			t.Fatalf("1000 hits took %v beside a load", d)
		}
		<-done
		if d := time.Since(began); d != 300*time.Millisecond {
			t.Fatalf("the load took %v", d)
		}
	})
}

func TestWaitersOfABulkLoadGoOnWhenTheirKeyIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, config{Now: time.Now})
		slow := func(_ context.Context, keys []string, deliver deliver) {
			var wg sync.WaitGroup // from goroutines, in the order of their delays
			for i := range keys {
				wg.Go(func() {
					time.Sleep(time.Duration(len(keys)-i) * time.Second)
					deliver(i, &value{serial: int64(i)}, time.Time{}, nil)
				})
			}
			wg.Wait()
		}
		keys := []string{"a", "b", "c", "d"}
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.GetMany(t.Context(), keys, make([]*entry, 4), slow); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for i, k := range keys {
			wg.Go(func() {
				mustGet(t, c, k, nil)
				if d, want := time.Since(began), time.Duration(4-i)*time.Second; d != want {
					t.Errorf("%s was there after %v, want %v", k, d, want)
				}
			})
		}
		wg.Wait()
	})
}

func TestGetManyLoadsAllMissingKeysInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{delay: time.Second}
		c := newCache(t, config{})
		hit := mustGet(t, c, "hit", src.load)
		go func() { mustGet(t, c, "flying", src.load) }()
		synctest.Wait()

		keys := []string{"x", "hit", "y", "x", "flying", "z", "x", "hit"}
		out := make([]*entry, len(keys))
		values := make([]*value, len(keys))
		if err := c.FetchMany(t.Context(), keys, values, out, src.load); err != nil {
			t.Fatal(err)
		}
		if last := src.calls[len(src.calls)-1]; len(src.calls) != 3 || !slices.Equal(last, []string{"x", "y", "z"}) {
			t.Fatalf("loads were %q", src.calls)
		}
		for i, e := range out {
			if e == nil || e.Value() == nil || e.Value() != values[i] {
				t.Errorf("%s: entry %v, value %v", keys[i], e, values[i])
			}
		}
		if out[1] != hit || out[0] != out[3] || out[0] != out[6] || out[0] == out[2] {
			t.Error("entries are not those of their keys")
		}
		if st := c.Stats(); st.Hits != 2 || st.Misses != 2+3 || st.Coalesced != 3 || st.Loads != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestGetManySaysWhichKeysFailedAndReturnsTheOthers(t *testing.T) {
	src := &source{}
	errOther := errors.New("access denied")
	src.breakKey("b", errBroken)
	src.breakKey("d", errOther)
	c := newCache(t, config{})
	keys := []string{"a", "b", "c", "d", "b"}
	out := make([]*entry, len(keys))
	out[1] = mustGet(t, c, "stale content of out", src.load)
	err := c.GetMany(t.Context(), keys, out, src.load)
	var batch *dekcache.BatchError
	if !errors.As(err, &batch) {
		t.Fatalf("error is %T", err)
	}
	if batch.Keys != 5 || !maps.Equal(batch.Errors, map[int]error{1: errBroken, 3: errOther, 4: errBroken}) {
		t.Errorf("%+v", batch)
	}
	wantError(t, err, errBroken)
	wantError(t, err, errOther)
	if want := "3 of 5 keys failed, first the one at index 1: key store is broken"; !strings.Contains(err.Error(), want) {
		t.Errorf("message is %q", err)
	}
	for i, e := range out {
		if (e != nil) != (keys[i] == "a" || keys[i] == "c") {
			t.Errorf("out[%d] of key %s is %v", i, keys[i], e)
		}
	}
}

func TestGetManyRefusesSlicesThatAreTooShort(t *testing.T) {
	c, src := newCache(t, config{}), &source{}
	keys := []string{"a", "b"}
	if c.GetMany(t.Context(), keys, make([]*entry, 1), src.load) == nil {
		t.Error("too few entries accepted")
	}
	if c.FetchMany(t.Context(), keys, make([]*value, 1), nil, src.load) == nil {
		t.Error("too few values accepted")
	}
	if err := c.FetchMany(t.Context(), keys, make([]*value, 2), nil, src.load); err != nil {
		t.Error(err)
	}
	if err := c.GetMany(t.Context(), nil, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestFetchManyReturnsMoreValuesThanTheCacheHolds(t *testing.T) {
	c, src := newCache(t, config{Entries: 10}), &source{}
	keys := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
	values := make([]*value, len(keys))
	if err := c.FetchMany(t.Context(), keys, values, nil, src.load); err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(values, nil); i >= 0 {
		t.Fatalf("key %d has no value", i)
	}
	if c.Len() != 10 {
		t.Fatalf("%d entries", c.Len())
	}
}

func TestAWaiterOfGetManyReturnsOnItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, config{Now: time.Now})
		load := func(_ context.Context, _ []string, deliver deliver) {
			deliver(0, &value{}, time.Time{}, nil)
			time.Sleep(time.Second)
			deliver(1, &value{}, time.Time{}, nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		out := make([]*entry, 2)
		err := c.GetMany(ctx, []string{"a", "b"}, out, load)
		wantError(t, err, context.DeadlineExceeded)
		if out[0] == nil || out[1] != nil {
			t.Fatalf("%v", out)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, ok := c.Peek("b"); !ok {
			t.Fatal("the load was given up with its waiter")
		}
	})
}

func TestLoadersThatMisbehaveFailTheirWaitersAndNeverHang(t *testing.T) {
	for _, tt := range []struct {
		name string
		load func(ctx context.Context, keys []string, deliver deliver)
		want error // of key b; key a is delivered
	}{
		{"forgets a key", func(context.Context, []string, deliver) {}, dekcache.ErrNotDelivered},
		{"delivers nothing for a key", func(_ context.Context, _ []string, deliver deliver) {
			deliver(1, nil, time.Time{}, nil)
		}, dekcache.ErrNotDelivered},
		{"delivers indexes that do not exist", func(_ context.Context, _ []string, deliver deliver) {
			deliver(-1, &value{}, time.Time{}, nil)
			deliver(2, &value{}, time.Time{}, nil)
		}, dekcache.ErrNotDelivered},
		{"ends its goroutine", func(context.Context, []string, deliver) { runtime.Goexit() }, dekcache.ErrNotDelivered},
		{"blocks beyond its time", func(context.Context, []string, deliver) { time.Sleep(time.Hour) }, dekcache.ErrLoadTimeout},
		{"changes its slice of keys", func(_ context.Context, keys []string, deliver deliver) {
			keys[0], keys[1] = "x", "y"
			deliver(1, nil, time.Time{}, errBroken)
		}, errBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, config{LoadTimeout: time.Minute, TTL: time.Hour, Shards: 1})
				out := make([]*entry, 2)
				began := time.Now()
				err := c.GetMany(t.Context(), []string{"a", "b"}, out, func(ctx context.Context, keys []string, deliver deliver) {
					deliver(0, &value{}, time.Time{}, nil)
					tt.load(ctx, keys, deliver)
				})
				if out[0] == nil || out[0].Value() == nil {
					t.Error("the delivered key failed too")
				}
				wantError(t, err, tt.want)
				if time.Since(began) > time.Minute {
					t.Errorf("returned after %v", time.Since(began))
				}
				_, err = c.Get(t.Context(), "b", nil) // remembered
				wantError(t, err, tt.want)
				time.Sleep(2 * time.Second)
				mustGet(t, c, "b", (&source{}).load)
				time.Sleep(time.Hour) // lets the blocked loader end
			})
		})
	}
}

func TestALoaderThatPanicsFailsItsWaitersWithoutQuotingThePanic(t *testing.T) {
	const secret = "key bytes"
	for _, tt := range []struct {
		name, reason string
		panics       func()
	}{
		{"with a string", "value of type string", func() { panic(secret) }},
		{"with an error", "value of type *errors.errorString", func() { panic(errors.New(secret)) }},
		{"with nil", "panic called with nil argument", func() { panic(nil) }},
		{"by the runtime", "nil pointer dereference", func() { var v *value; v.serial++ }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, config{})
			_, err := c.Get(t.Context(), "a", func(context.Context, []string, deliver) { tt.panics() })
			var p *dekcache.PanicError
			if !errors.As(err, &p) || !strings.Contains(p.Reason, tt.reason) || !strings.Contains(p.At, "load_test.go:") {
				t.Fatalf("error is %v", err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("the error quotes the panic: %v", err)
			}
		})
	}
}

func TestANilLoaderIsAnErrorOnAMiss(t *testing.T) {
	c := newCache(t, config{})
	var p *dekcache.PanicError
	if _, err := c.Get(t.Context(), "a", nil); !errors.As(err, &p) {
		t.Fatalf("error is %v", err)
	}
}

func TestADeliveryThatComesTooLateOrTwiceIsDroppedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drops
		first, second, late := &value{serial: 1}, &value{serial: 2}, &value{serial: 3}
		c := newCache(t, config{Drop: d.drop, LoadTimeout: time.Second})
		out := make([]*entry, 2)
		err := c.GetMany(t.Context(), []string{"a", "b"}, out, func(_ context.Context, _ []string, deliver deliver) {
			deliver(0, first, time.Time{}, nil)
			deliver(0, second, time.Time{}, nil)
			time.Sleep(2 * time.Second)
			deliver(1, late, time.Time{}, nil)
			deliver(1, late, time.Time{}, nil)
		})
		wantError(t, err, dekcache.ErrLoadTimeout)
		wantError(t, err, context.DeadlineExceeded)
		if out[0].Value() != first {
			t.Error("the second delivery won")
		}
		time.Sleep(3 * time.Second)
		d.want(t, first, 0)
		d.want(t, second, 0)
		d.want(t, late, 1)
		if _, ok := c.Peek("b"); ok {
			t.Error("the late value was put in")
		}
	})
}

func TestAKeyThatDoesNotEqualItselfIsRefused(t *testing.T) {
	c, err := dekcache.New(dekcache.Config[float64, value]{Entries: 1, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	nan := 0.0
	nan /= nan
	_, err = c.Get(t.Context(), nan, nil)
	wantError(t, err, dekcache.ErrInvalidKey)
	out := make([]*entry, 1)
	wantError(t, c.GetMany(t.Context(), []float64{nan}, out, nil), dekcache.ErrInvalidKey)
}

func TestAnUnhashableKeyPanicsAndLeavesTheCacheUsable(t *testing.T) {
	type key struct{ parts [1]struct{ any } }
	keyOf := func(x any) key { return key{[1]struct{ any }{{x}}} }
	load := func(_ context.Context, keys []key, deliver func(int, *value, time.Time, error)) {
		for i := range keys {
			deliver(i, &value{}, time.Time{}, nil)
		}
	}
	for _, shards := range []int{1, 2} {
		c, err := dekcache.New(dekcache.Config[key, value]{Entries: 10, TTL: time.Minute, Shards: shards})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("an unhashable key did not panic")
				}
			}()
			_ = c.GetMany(t.Context(), []key{keyOf("a"), keyOf([]byte("b"))}, make([]*entry, 2), load)
		}()
		// Neither a lock nor a load that nobody carries out may be left behind.
		if _, err := c.Get(t.Context(), keyOf("a"), load); err != nil {
			t.Fatal(err)
		}
	}
}
