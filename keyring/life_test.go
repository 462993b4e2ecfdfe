package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// keys returns a tenant's records of one purpose by version.
func (b *bench) keys(t testing.TB, p keyring.Purpose, tenant string) []keyring.Record {
	t.Helper()
	list := map[uint32]keyring.Record{}
	if err := b.Each(t.Context(), keyring.Filter{Tenant: tenant, Purpose: p}, func(r keyring.Record) error {
		list[r.Version] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ordered := make([]keyring.Record, 0, len(list))
	for v := uint32(1); len(ordered) < len(list); v++ {
		if r, ok := list[v]; ok {
			ordered = append(ordered, r)
		}
	}
	return ordered
}

// twoActive gives a tenant two active keys, as a rotation does that was stopped
// before it retired the first.
func (b *bench) twoActive(t testing.TB, tenant string) []keyring.Record {
	t.Helper()
	mustSeal(t, b, tenant, "x")
	if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, tenant, "ops", "stopped"); err != nil {
		t.Fatal(err)
	}
	first := b.keys(t, keyring.PurposeTenant, tenant)[0]
	b.store.Edit(first.ID, func(r *keyring.Record) { r.State = keyring.Active })
	return b.keys(t, keyring.PurposeTenant, tenant)
}

func TestRetire(t *testing.T) {
	t.Run("the last active key is refused", func(t *testing.T) {
		b := newBench(t)
		sealed := mustSeal(t, b, "acme", "x")
		id := b.keys(t, keyring.PurposeTenant, "acme")[0].ID
		err := b.Retire(t.Context(), id, "ops", "old")
		if !errors.Is(err, keyring.ErrLast) || !strings.Contains(err.Error(), "keys rotate") {
			t.Errorf("got %v", err)
		}
		if _, err := open(b.reader(t), b.field, sealed); err != nil {
			t.Error(err)
		}
	})
	for _, which := range []int{0, 1} {
		t.Run(fmt.Sprintf("of two active keys, key %d", which+1), func(t *testing.T) {
			b := newBench(t)
			two := b.twoActive(t, "acme")
			if err := b.Retire(t.Context(), two[which].ID, "ann", "one is enough"); err != nil {
				t.Fatal(err)
			}
			now := b.keys(t, keyring.PurposeTenant, "acme")
			if now[which].State != keyring.Retired || now[which].ChangedBy != "ann" || now[which].Reason != "one is enough" {
				t.Errorf("got %+v", now[which])
			}
			v, _ := envelope.Parse(mustSeal(t, b, "acme", "y"))
			if v.KeyID() != now[1-which].ID {
				t.Error("a retired key seals")
			}
			if err := b.Retire(t.Context(), two[1-which].ID, "ann", "both"); !errors.Is(err, keyring.ErrLast) {
				t.Errorf("the other one too: %v", err)
			}
			if err := b.Retire(t.Context(), two[which].ID, "bob", "again"); err != nil {
				t.Errorf("again: %v", err)
			}
			// A rotation takes the version after all, though the newest is retired.
			if r, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil || r.Version != 3 {
				t.Errorf("rotating gave %v, %v", &r, err)
			}
		})
	}
	t.Run("a key that there is not", func(t *testing.T) {
		if err := newBench(t).Retire(t.Context(), envelope.KeyID{1}, "", ""); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a tombstone", func(t *testing.T) {
		b := newBench(t)
		mustSeal(t, b, "acme", "x")
		if _, err := b.Shred(t.Context(), "acme", "ops", "asked"); err != nil {
			t.Fatal(err)
		}
		if err := b.Retire(t.Context(), b.keys(t, keyring.PurposeTenant, "acme")[0].ID, "", ""); !errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDestroyNeedsEvidence(t *testing.T) {
	start := time.Now()
	now := start
	b := newBench(t)
	b.store.Clock = func() time.Time { return now }
	sealed := mustSeal(t, b, "acme", "x")
	if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
		t.Fatal(err)
	}
	id := b.keys(t, keyring.PurposeTenant, "acme")[0].ID
	ready := start.Add(time.Hour)
	good := keyring.Evidence{Table: "people", Began: ready, Counted: true}
	for _, tt := range []struct {
		name     string
		at       time.Duration
		evidence []keyring.Evidence
		want     error
		says     string
	}{
		{"too early", time.Hour - 1, []keyring.Evidence{good}, keyring.ErrInUse, "retired less than"},
		{"none", time.Hour, nil, keyring.ErrInUse, "rotate verify"},
		{"a verify that began too early", 3 * time.Hour, []keyring.Evidence{{Table: "people", Began: ready.Add(-1)}}, keyring.ErrInUse, "table people began"},
		{"a verify of long ago, before a good one", 3 * time.Hour, []keyring.Evidence{{Table: "old"}, good}, keyring.ErrInUse, "table old began"},
		{"no last look", 3 * time.Hour, []keyring.Evidence{good, {Table: "notes", Began: ready}}, keyring.ErrInUse, "table notes in one snapshot"},
		{"values left", time.Hour, []keyring.Evidence{good, {Table: "notes", Began: ready, Values: 3}}, keyring.ErrInUse, "table notes has 3 values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now = start.Add(tt.at)
			err := b.Destroy(t.Context(), id, "ops", "over", tt.evidence...)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if got, err := open(b.reader(t), b.field, sealed); err != nil || got != "x" {
				t.Errorf("it opens %q, %v", got, err)
			}
		})
	}
	if err := b.DestroyUnverified(t.Context(), b.keys(t, keyring.PurposeTenant, "acme")[1].ID, "", ""); !errors.Is(err, keyring.ErrInUse) {
		t.Errorf("an active key, forced: %v", err)
	}
	now = start.Add(time.Hour)
	if err := b.Destroy(t.Context(), id, "ann", "over", good, good); err != nil {
		t.Fatal(err)
	}
	if _, err := open(b.Keyring, b.field, sealed); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("the process that destroyed it opens: %v", err)
	}
	r := b.keys(t, keyring.PurposeTenant, "acme")[0]
	if len(r.Wraps) != 0 || r.ChangedBy != "ann" || r.Reason != "over" || !r.ChangedAt.Equal(now) {
		t.Errorf("the tombstone is %+v", r)
	}
	mustSeal(t, b, "acme", "the newer key goes on")
}

func TestAStoreKeyThatWrapsOthersIsNotDestroyed(t *testing.T) {
	now := time.Now()
	b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
	b.store.Clock = func() time.Time { return now }
	sealed := mustSeal(t, b, "acme", "x")
	parent := b.keys(t, keyring.PurposeTenant, "acme")[0].Parent
	var slot string
	if err := b.Each(t.Context(), keyring.Filter{Purpose: keyring.PurposeStore}, func(r keyring.Record) error {
		if r.ID == parent {
			slot = r.Tenant
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Rotate(t.Context(), keyring.PurposeStore, slot, "ops", ""); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	for name, destroy := range map[string]func(context.Context) error{
		"with evidence": func(ctx context.Context) error {
			return b.Destroy(ctx, parent, "", "", keyring.Evidence{Table: "people", Began: now})
		},
		"forced": func(ctx context.Context) error { return b.DestroyUnverified(ctx, parent, "", "") },
	} {
		if err := destroy(t.Context()); !errors.Is(err, keyring.ErrInUse) || !strings.Contains(err.Error(), `tenant "acme"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(b.reader(t), b.field, sealed); err != nil {
		t.Error(err)
	}
	if _, err := b.Shred(t.Context(), "acme", "ops", ""); err != nil {
		t.Fatal(err)
	}
	if err := b.Destroy(t.Context(), parent, "ops", "wraps nothing"); err != nil {
		t.Errorf("a store key that wraps tombstones only: %v", err)
	}
}

// TestTwoWhoFindAKeyTooOldRotateItOnce: the store is read by both before either rotates.
func TestTwoWhoFindAKeyTooOldRotateItOnce(t *testing.T) {
	b := newBench(t)
	mustSeal(t, b, "acme", "x")
	old := b.keys(t, keyring.PurposeTenant, "acme")[0]
	made, err := b.RotateFrom(t.Context(), old, "ann", "due")
	if err != nil || made.Version != 2 {
		t.Fatal(made, err)
	}
	if _, err := b.reader(t).RotateFrom(t.Context(), old, "bob", "due"); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("the second one: %v", err)
	}
	if list := b.keys(t, keyring.PurposeTenant, "acme"); len(list) != 2 || list[0].ChangedBy != "ann" {
		t.Errorf("got %v", list)
	}
	if _, err := b.RotateFrom(t.Context(), keyring.Record{ID: old.ID, Purpose: keyring.PurposeTenant, Tenant: "nobody"}, "bob", ""); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("a tenant without keys: %v", err)
	}
}
