package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
)

// TestKeysComeBackBesideThoseThatWereMadeSince: the key store was lost, and a program wrote before
// the export was imported.
func TestKeysComeBackBesideThoseThatWereMadeSince(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		t.Run(fmt.Sprintf("intermediate %v", intermediate), func(t *testing.T) {
			b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
			sealed := mustSeal(t, b, "acme", "before")
			if err := search(b.Keyring, "acme"); err != nil {
				t.Fatal(err)
			}
			file := export(t, b.Keyring, "")
			store := &keyringtest.Store{}
			k := b.reader(t, func(c *keyring.Config) { c.Store, c.Intermediate = store, intermediate })
			other := &bench{Keyring: k, store: store, kms: b.kms, field: b.field}
			since := mustSeal(t, other, "acme", "since")
			if err := search(k, "acme"); err != nil {
				t.Fatal(err)
			}
			moved := int64(1)
			if intermediate {
				moved = 5 // the store keys, too
			}
			done := restore(t, k, file)
			if done.Moved != moved || done.Created != 0 || done.Failed != 1 || !errors.Is(done.Failures[0], keyring.ErrTaken) ||
				!strings.Contains(done.Failures[0].Error(), "rowseal rotate reseal") {
				t.Errorf("got %+v", done)
			}
			for want, v := range map[string][]byte{"before": sealed, "since": since} {
				for _, ring := range []*keyring.Keyring{k, b.reader(t, func(c *keyring.Config) { c.Store = store })} {
					if got, err := open(ring, b.field, v); err != nil || got != want {
						t.Errorf("%q, %v; want %q", got, err, want)
					}
				}
			}
			list := other.keys(t, keyring.PurposeTenant, "acme")
			if len(list) != 2 || list[0].State != keyring.Active || list[1].State != keyring.Retired || list[1].ID != b.keys(t, keyring.PurposeTenant, "acme")[0].ID {
				t.Errorf("got %v", list)
			}
			if again := restore(t, k, file); again.Moved != 0 || again.Present != moved || again.Failed != 1 {
				t.Errorf("again: %+v", again)
			}
			if r, err := k.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil || r.Version != 3 {
				t.Errorf("rotating after it: %v, %v", r, err)
			}
		})
	}
}

// TestAnImportDestroysNoKeyThatOthersNeed: store keys and the search key of all tenants, whatever the file says.
func TestAnImportDestroysNoKeyThatOthersNeed(t *testing.T) {
	b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
	sealed := mustSeal(t, b, "acme", "x")
	global := func(k *keyring.Keyring) error {
		grants := make([]blindindex.Grant, 1)
		k.IndexKeys(context.Background(), []blindindex.Use{{Tenant: "acme", Global: true, Name: blindindex.Name{Table: "users", Column: "ssn"}}}, grants)
		return grants[0].Err
	}
	if err := global(b.Keyring); err != nil {
		t.Fatal(err)
	}
	k, store := b.elsewhere(t)
	restore(t, k, export(t, b.Keyring, ""))
	for _, p := range []keyring.Purpose{keyring.PurposeStore, keyring.PurposeGlobalIndex} {
		if err := b.Each(t.Context(), keyring.Filter{Purpose: p}, func(r keyring.Record) error {
			b.store.Edit(r.ID, func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	done := restoreAs(t, k, export(t, b.Keyring, ""), keyring.ImportConfig{By: "eve", Destroy: true})
	if done.Destroyed != 0 || done.Left != 5 {
		t.Errorf("got %+v", done)
	}
	cold := b.reader(t, func(c *keyring.Config) { c.Store = store })
	if got, err := open(cold, b.field, sealed); err != nil || got != "x" || global(cold) != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestARunAfterACrashEndsWhatTheFirstBroughtBack: the first one stopped after it had restored keys of a tenant
// that was shredded at that moment.
func TestARunAfterACrashEndsWhatTheFirstBroughtBack(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
		t.Fatal(err)
	}
	file := export(t, b.Keyring, "")
	k, store := b.elsewhere(t)
	stopped := &stopsAfterRestore{interposedRestore{Store: store, before: func() {
		if _, err := k.Shred(t.Context(), "acme", "ann", "now"); err != nil {
			t.Error(err)
		}
	}}}
	first := b.reader(t, func(c *keyring.Config) { c.Store = stopped })
	if _, err := first.Import(t.Context(), bytes.NewReader(file), keyring.ImportConfig{}); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	if got, err := open(k, b.field, sealed); err == nil {
		t.Fatalf("the first version had no free place and opens %q", got)
	}
	other := &bench{Keyring: k, store: store, kms: b.kms, field: b.field}
	if list := other.keys(t, keyring.PurposeTenant, "acme"); list[1].State != keyring.Active {
		t.Fatalf("nothing was brought back: %v", list)
	}
	restoreAs(t, k, file, keyring.ImportConfig{By: "bob"})
	for _, r := range other.keys(t, keyring.PurposeTenant, "acme") {
		if r.State != keyring.Destroyed {
			t.Errorf("left: %v", &r)
		}
	}
}

var errStopped = errors.New("stopped")

type stopsAfterRestore struct{ interposedRestore }

func (s *stopsAfterRestore) Restore(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	if _, err := s.interposedRestore.Restore(ctx, records); err != nil {
		return nil, err
	}
	return nil, errStopped
}

// TestABarredTenantKeepsWhatOpensItsValues: sealing has ended for it, and its values are not to be lost by an
// export and import, nor by an import that runs while somebody waits to destroy its keys.
func TestABarredTenantKeepsWhatOpensItsValues(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	before := export(t, b.Keyring, "")
	if err := b.Bar(t.Context(), "acme", "ann", "leaving"); err != nil {
		t.Fatal(err)
	}
	file := export(t, b.Keyring, "")
	k, _ := b.elsewhere(t)
	for _, ring := range []*keyring.Keyring{k, b.Keyring} {
		for _, file := range [][]byte{file, before} {
			restoreAs(t, ring, file, keyring.ImportConfig{By: "bob", Destroy: true})
			if got, err := open(ring, b.field, sealed); err != nil || got != "x" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := seal(ring, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "y"); !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("seals: %v", err)
			}
		}
	}
}
