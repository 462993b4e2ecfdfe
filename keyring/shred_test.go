package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

func search(k *keyring.Keyring, tenant string) error {
	grants := make([]blindindex.Grant, 1)
	k.IndexKeys(context.Background(), []blindindex.Use{{Tenant: tenant, Name: blindindex.Name{Table: "users", Column: "ssn"}}}, grants)
	return grants[0].Err
}

// ended checks that nothing of a tenant works any more, with a process that held its
// keys, one that is cold, and one that makes keys.
func ended(t *testing.T, b *bench, tenant string, sealed []byte, rings ...*keyring.Keyring) {
	t.Helper()
	for i, k := range append(rings, b.reader(t)) {
		for name, err := range map[string]error{
			"SealKeys": second(seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, tenant), b.field, "x")),
			"row keys": second(seal(k, use(b, envelope.ModeRow, envelope.SuiteRow, tenant), b.field, "x")),
			"Prepare":  k.Prepare(context.Background(), tenant),
			"search":   search(k, tenant),
			"Rotate":   second(k.Rotate(context.Background(), keyring.PurposeTenant, tenant, "ops", "")),
		} {
			if !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("%s of keyring %d: %v", name, i, err)
			}
		}
		if sealed != nil {
			if _, err := open(k, b.field, sealed); !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("keyring %d opens: %v", i, err)
			}
		}
	}
	for _, p := range []keyring.Purpose{keyring.PurposeTenant, keyring.PurposeIndex} {
		list := b.keys(t, p, tenant)
		if len(list) == 0 || !list[len(list)-1].Mark() {
			t.Errorf("no tombstone blocks new %s keys: %v", p, list)
		}
		for _, r := range list {
			if r.State != keyring.Destroyed || len(r.Wraps) != 0 || r.ChangedBy == "" || r.Reason == "" {
				t.Errorf("left: %+v", r)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestShred(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		change := func(c *keyring.Config) { c.Intermediate = intermediate }
		t.Run(fmt.Sprintf("a tenant with keys of all kinds, intermediate %v", intermediate), func(t *testing.T) {
			b := newBench(t, change)
			sealed, other := mustSeal(t, b, "acme", "x"), mustSeal(t, b, "zeta", "z")
			for _, tenant := range []string{"acme", "zeta"} {
				if err := search(b.Keyring, tenant); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "yearly"); err != nil {
				t.Fatal(err)
			}
			done, err := b.Shred(t.Context(), "acme", "ann", "asked by mail")
			if err != nil {
				t.Fatal(err)
			}
			if len(done.Keys) != 5 || len(done.RootKeys) != 1 || !strings.HasPrefix(done.RootKeys[0], "local:") {
				t.Errorf("got %v", done)
			}
			ended(t, b, "acme", sealed, b.Keyring)
			if got, err := open(b.reader(t), b.field, other); err != nil || got != "z" || search(b.Keyring, "zeta") != nil {
				t.Errorf("another tenant: %q, %v", got, err)
			}
			again, err := b.Shred(t.Context(), "acme", "bob", "again")
			if err != nil || len(again.Keys) != 5 || again.Keys[0].ChangedBy != "ann" {
				t.Errorf("again: %v, %v", again, err)
			}
		})
		t.Run(fmt.Sprintf("a tenant without keys, intermediate %v", intermediate), func(t *testing.T) {
			b := newBench(t, change)
			if _, err := b.Shred(t.Context(), "nobody", "ann", ""); err != nil {
				t.Fatal(err)
			}
			ended(t, b, "nobody", nil)
		})
	}
}

func TestBarLeavesValuesReadable(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	if err := b.Bar(t.Context(), "acme", "ann", "leaving"); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*keyring.Keyring{b.Keyring, b.reader(t)} {
		if got, err := open(k, b.field, sealed); err != nil || got != "x" {
			t.Errorf("opens %q, %v", got, err)
		}
		if _, err := seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "y"); !errors.Is(err, keyring.ErrDestroyed) || !strings.Contains(err.Error(), "shredded") {
			t.Errorf("seals: %v", err)
		}
	}
}

// interposed is a store that does something before one of its calls.
type interposed struct {
	keyring.Store
	keyring.Admin
	before func()
	once   sync.Once
}

func (s *interposed) Create(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	s.once.Do(s.before)
	return s.Store.Create(ctx, records)
}

// TestShredBetweenLookingAndCreating: a writer or a rotation that saw the state of
// before must not bring the tenant back.
func TestShredBetweenLookingAndCreating(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys int // versions that the tenant has
		do   func(b *bench, k *keyring.Keyring) error
	}{
		{"a writer makes the first key", 0, func(b *bench, k *keyring.Keyring) error {
			return second(seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x"))
		}},
		{"a search makes the first index key", 0, func(_ *bench, k *keyring.Keyring) error { return search(k, "acme") }},
		{"an operator rotates", 1, func(_ *bench, k *keyring.Keyring) error {
			return second(k.Rotate(context.Background(), keyring.PurposeTenant, "acme", "ops", ""))
		}},
		{"an operator rotates once more", 2, func(_ *bench, k *keyring.Keyring) error {
			return second(k.Rotate(context.Background(), keyring.PurposeTenant, "acme", "ops", ""))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			for range tt.keys {
				if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
					t.Fatal(err)
				}
			}
			store := &interposed{Store: b.store, Admin: b.store, before: func() {
				if _, err := b.Shred(t.Context(), "acme", "ann", "now"); err != nil {
					t.Error(err)
				}
			}}
			k := b.reader(t, func(c *keyring.Config) { c.Store = store })
			if err := tt.do(b, k); !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("got %v", err)
			}
			ended(t, b, "acme", nil, k)
		})
	}
}

// TestAKeyMadeWhileItsTenantIsShreddedIsDestroyedToo: the other order.
func TestAKeyMadeWhileItsTenantIsShreddedIsDestroyedToo(t *testing.T) {
	for _, make := range []string{"a first key", "a rotation"} {
		t.Run(make, func(t *testing.T) {
			b := newBench(t)
			if make == "a rotation" {
				mustSeal(t, b, "acme", "x")
			}
			store := &interposed{Store: b.store, Admin: b.store, before: func() {
				if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
					t.Error(err)
				}
			}}
			k := b.reader(t, func(c *keyring.Config) { c.Store = store })
			if _, err := k.Shred(t.Context(), "acme", "ann", "now"); err != nil {
				t.Fatal(err)
			}
			ended(t, b, "acme", nil, k)
		})
	}
}

// TestWritersRaceWithAShred: whatever the order, nothing of the tenant is alive at the end,
// and each writer got a key that is a tombstone now, or none.
func TestWritersRaceWithAShred(t *testing.T) {
	for round := range 30 {
		b := newBench(t, func(c *keyring.Config) { c.Intermediate = round%2 == 0 })
		var wg sync.WaitGroup
		var sealed atomic.Pointer[[]byte]
		for i := range 4 {
			wg.Go(func() {
				k := b.reader(t)
				var err error
				var v []byte
				switch i {
				case 0, 1:
					if v, err = seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x"); err == nil {
						sealed.Store(&v)
					}
				case 2:
					err = search(k, "acme")
				case 3:
					if _, err = k.Rotate(context.Background(), keyring.PurposeTenant, "acme", "ops", ""); errors.Is(err, keyring.ErrConflict) {
						err = nil
					}
				}
				if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := b.Shred(context.Background(), "acme", "ann", "now"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		var late []byte
		if v := sealed.Load(); v != nil {
			late = *v
		}
		ended(t, b, "acme", late)
	}
}

// TestAShreddedTenantGetsNoRowKeysFromTheKMS: such keys depend on none of the store's, and the mark has to end them.
func TestAShreddedTenantGetsNoRowKeysFromTheKMS(t *testing.T) {
	for _, reuse := range []envelope.Reuse{{}, {Values: 100, Age: time.Minute}} {
		t.Run(fmt.Sprint(reuse.Values, " values"), func(t *testing.T) {
			b := newBench(t)
			row := func(k *keyring.Keyring, tenant string) ([]byte, error) {
				u := use(b, envelope.ModeKMS, envelope.SuiteRow, tenant)
				u.Reuse = reuse
				return seal(k, u, b.field, "x")
			}
			now := time.Now()
			other := b.reader(t, func(c *keyring.Config) { c.Now = func() time.Time { return now } })
			sealed, err := row(b.Keyring, "acme")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := row(other, "acme"); err != nil {
				t.Fatal(err)
			}
			if err := b.Bar(t.Context(), "acme", "ann", "leaving"); err != nil {
				t.Fatal(err)
			}
			if _, err := row(b.reader(t), "acme"); !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("sealing for a barred tenant: %v", err)
			}
			if got, err := open(b.reader(t), b.field, sealed); err != nil || got != "x" {
				t.Errorf("a barred tenant's values open: %q, %v", got, err)
			}
			if _, err := b.Shred(t.Context(), "acme", "ann", "now"); err != nil {
				t.Fatal(err)
			}
			now = now.Add(keyring.DefaultTTL)
			for name, k := range map[string]*keyring.Keyring{"the one that shredded": b.Keyring, "one that starts": b.reader(t), "one whose TTL is over": other} {
				if _, err := row(k, "acme"); !errors.Is(err, keyring.ErrDestroyed) {
					t.Errorf("%s seals: %v", name, err)
				}
				if _, err := open(k, b.field, sealed); !errors.Is(err, keyring.ErrDestroyed) {
					t.Errorf("%s opens: %v", name, err)
				}
				if _, err := row(k, "zeta"); err != nil {
					t.Errorf("another tenant: %v", err)
				}
			}
		})
	}
}

// TestMarksAreAskedForOnce: one query for each tenant and TTL, and one for a page.
func TestMarksAreAskedForOnce(t *testing.T) {
	b := newBench(t)
	uses, grants := make([]envelope.Use, 100), make([]envelope.Grant, 100)
	for i := range uses {
		uses[i] = use(b, envelope.ModeKMS, envelope.SuiteRow, fmt.Sprint("t", i%7))
	}
	for range 3 {
		b.SealKeys(t.Context(), uses, grants)
		for _, g := range grants {
			if g.Err != nil {
				t.Fatal(g.Err)
			}
		}
	}
	if n := b.store.Queries(); n != 1 {
		t.Errorf("%d queries", n)
	}
	b.store.Fail = func() error { return errors.New("down") }
	b.SealKeys(t.Context(), uses[:1], grants)
	if grants[0].Err != nil {
		t.Errorf("what is held: %v", grants[0].Err)
	}
	k := b.reader(t)
	if k.SealKeys(t.Context(), uses[:1], grants); !errors.Is(grants[0].Err, keyring.ErrStore) {
		t.Errorf("not known: %v", grants[0].Err)
	}
}

// TestAMarkIsHeardOf: whoever listens refuses at once.
func TestAMarkIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		k := b.reader(t)
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = k.Watch(ctx) }()
		defer stop()
		u := use(b, envelope.ModeKMS, envelope.SuiteRow, "acme")
		sealed, err := seal(k, u, b.field, "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Bar(ctx, "acme", "ann", "leaving"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := seal(k, u, b.field, "x"); !errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("seals: %v", err)
		}
		if _, err := b.Shred(ctx, "acme", "ann", "now"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := open(k, b.field, sealed); !errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("opens: %v", err)
		}
	})
}
