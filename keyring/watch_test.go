package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
)

// warm makes a keyring hold keys of a tenant of every kind, and returns a value of each.
func warm(t *testing.T, b *bench, k *keyring.Keyring, tenant string) (sealed [][]byte) {
	t.Helper()
	for _, m := range modes[:3] {
		v, err := seal(k, use(b, m.mode, m.suite, tenant), b.field, "x")
		if err == nil {
			_, err = open(k, b.field, v)
		}
		if err == nil {
			err = search(k, tenant)
		}
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, v)
	}
	return sealed
}

// watched runs k.Watch for the length of do.
func watched(t *testing.T, k *keyring.Keyring, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Watch(ctx) }()
	synctest.Wait()
	do()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}

func TestAnotherProcessDropsWhatIsDestroyedAtOnce(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
			other := b.reader(t)
			gone, stays := warm(t, b, other, "acme"), warm(t, b, other, "zeta")
			watched(t, other, func() {
				gone, stays = warm(t, b, other, "acme"), warm(t, b, other, "zeta")
				before := b.kms.Calls()
				if _, err := b.Shred(t.Context(), "acme", "ann", "asked"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				ended(t, b, "acme", gone[0], other)
				for _, v := range gone {
					if _, err := open(other, b.field, v); !errors.Is(err, keyring.ErrDestroyed) {
						t.Errorf("it opens: %v", err)
					}
				}
				for _, v := range stays {
					if _, err := open(other, b.field, v); err != nil {
						t.Error(err)
					}
				}
				if err := search(other, "zeta"); err != nil {
					t.Error(err)
				}
				if n := b.kms.Calls().Sub(before).Total(); n != 0 {
					t.Errorf("the other tenant's keys were dropped too: %d KMS calls", n)
				}
			})
		})
	}
}

func TestAnotherProcessFollowsARotationAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		other := b.reader(t)
		watched(t, other, func() {
			old := warm(t, b, other, "acme")
			r, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, v := range warm(t, b, other, "acme") {
				if value, _ := envelope.Parse(v); value.KeyID() != r.ID {
					t.Error("it seals with the old key")
				}
			}
			for _, v := range old {
				if _, err := open(other, b.field, v); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

func TestAfterAGapEverythingIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		b := newBench(t)
		other := b.reader(t, func(c *keyring.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		watched(t, other, func() {
			v := warm(t, b, other, "acme")[0]
			id := b.keys(t, keyring.PurposeTenant, "acme")[0].ID
			b.store.Edit(id, func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil }) // unheard
			if _, err := open(other, b.field, v); err != nil {
				t.Fatalf("the key is not held: %v", err)
			}
			b.store.Interrupt(errors.New("connection reset"))
			synctest.Wait()
			if _, err := open(other, b.field, v); !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("it opens: %v", err)
			}
		})
		if !strings.Contains(log.String(), "connection reset") {
			t.Errorf("the log says %q", log.String())
		}
	})
}

// blind is a store that tells of nothing.
type blind struct{ keyring.Store }

func TestWatchSaysWhereItCannot(t *testing.T) {
	b := newBench(t)
	k := b.reader(t, func(c *keyring.Config) { c.Store = blind{b.store} })
	if err := k.Watch(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// held is a store whose reads wait until they are let go.
type held struct {
	*keyringtest.Store
	hold chan struct{}
	on   bool
}

func (s *held) ByID(ctx context.Context, ids []envelope.KeyID) ([]keyring.Record, error) {
	list, err := s.Store.ByID(ctx, ids)
	if s.on {
		<-s.hold
	}
	return list, err
}

func (s *held) Latest(ctx context.Context, p keyring.Purpose, tenants []string) ([]keyring.Record, error) {
	list, err := s.Store.Latest(ctx, p, tenants)
	if s.on {
		<-s.hold
	}
	return list, err
}

// TestALoadUnderWayDoesNotBringADestroyedKeyBack: its record was read before, and its key is there
// after, the key was dropped.
func TestALoadUnderWayDoesNotBringADestroyedKeyBack(t *testing.T) {
	for _, how := range []string{"ForgetKeys", "ForgetTenant", "Forget"} {
		for _, reads := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				b := newBench(t)
				sealed := mustSeal(t, b, "acme", "x")
				store := &held{Store: b.store, hold: make(chan struct{}), on: true}
				k := b.reader(t, func(c *keyring.Config) { c.Store, c.Now = store, time.Now })
				loading := make(chan error)
				go func() {
					if reads {
						loading <- second(open(k, b.field, sealed))
					} else {
						loading <- second(seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "y"))
					}
				}()
				synctest.Wait()
				if _, err := b.Shred(t.Context(), "acme", "ann", ""); err != nil {
					t.Fatal(err)
				}
				switch how {
				case "ForgetKeys":
					k.ForgetKeys(b.keys(t, keyring.PurposeTenant, "acme")[0].ID)
				case "ForgetTenant":
					k.ForgetTenant("acme")
				case "Forget":
					k.Forget()
				}
				store.on = false
				close(store.hold)
				if err := <-loading; err != nil {
					t.Errorf("%s: who asked before gets an answer: %v", how, err)
				}
				time.Sleep(time.Second)
				ended(t, b, "acme", sealed, k)
			})
		}
	}
}

func TestForgetTenantLeavesOthers(t *testing.T) {
	b := newBench(t)
	kmsUse := func(tenant string) envelope.Use {
		return envelope.Use{Tenant: tenant, Mode: envelope.ModeKMS, Suite: envelope.SuiteRow, Reuse: envelope.Reuse{Values: 100}}
	}
	for _, tenant := range []string{"acme", "zeta"} {
		warm(t, b, b.Keyring, tenant)
		if _, err := seal(b.Keyring, kmsUse(tenant), b.field, "x"); err != nil {
			t.Fatal(err)
		}
	}
	b.ForgetTenant("acme")
	for _, tt := range []struct {
		tenant string
		want   int64
	}{{"zeta", 0}, {"acme", 3}} { // the sealing key, the index key, the shared row key
		before := b.kms.Calls()
		warm(t, b, b.Keyring, tt.tenant)
		if _, err := seal(b.Keyring, kmsUse(tt.tenant), b.field, "x"); err != nil {
			t.Fatal(err)
		}
		if n := b.kms.Calls().Sub(before).Total(); n != tt.want {
			t.Errorf("%s: %d KMS calls, want %d", tt.tenant, n, tt.want)
		}
	}
}
