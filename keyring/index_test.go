package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

var ssn = blindindex.ColumnName("users", "ssn")

// term is the term of one value under the key that k gives for u.
func term(k *keyring.Keyring, u blindindex.Use) ([]byte, error) {
	grants := make([]blindindex.Grant, 1)
	k.IndexKeys(context.Background(), []blindindex.Use{u}, grants)
	if grants[0].Err != nil {
		return nil, grants[0].Err
	}
	return grants[0].Key.Equality(nil, []byte("canonical")), nil
}

func mustTerm(t testing.TB, k *keyring.Keyring, u blindindex.Use) []byte {
	t.Helper()
	b, err := term(k, u)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// indexRecord is the only record of a purpose.
func indexRecord(t testing.TB, b *bench, p keyring.Purpose) keyring.Record {
	t.Helper()
	var found []keyring.Record
	err := b.Each(t.Context(), keyring.Filter{Purpose: p}, func(r keyring.Record) error {
		found = append(found, r)
		return nil
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d records of purpose %s, %v; want 1", len(found), p, err)
	}
	return found[0]
}

func TestTermsAreSharedByExactlyTheUsesThatSayTheSame(t *testing.T) {
	b := newBench(t)
	uses := []blindindex.Use{
		{Tenant: "acme", Name: ssn},
		{Tenant: "initech", Name: ssn},
		{Tenant: "acme", Name: blindindex.ColumnName("users", "ssn2")},
		{Tenant: "acme", Name: blindindex.ColumnName("staff", "ssn")},
		{Tenant: "acme", Name: blindindex.DomainName("ssn")},
		{Tenant: "acme", Name: blindindex.DomainName("users.ssn")},
		{Global: true, Name: ssn},
		{Global: true, Name: blindindex.DomainName("ssn")},
		{Tenant: "*", Name: ssn}, // a tenant that has the global record's name
	}
	grants := make([]blindindex.Grant, len(uses))
	b.IndexKeys(t.Context(), uses, grants)
	seen := map[string]blindindex.Use{}
	for i, g := range grants {
		if g.Err != nil {
			t.Fatalf("%+v: %v", uses[i], g.Err)
		}
		made := g.Key.Equality(nil, []byte("canonical"))
		if other, ok := seen[string(made)]; ok {
			t.Errorf("%+v and %+v have one term", uses[i], other)
		}
		seen[string(made)] = uses[i]
		if again := mustTerm(t, b.reader(t), uses[i]); !bytes.Equal(made, again) {
			t.Errorf("%+v: another process has another term", uses[i])
		}
		if g.Lease == nil || g.Lease.Value() != g.Key {
			t.Errorf("%+v: the lease does not hold the key", uses[i])
		}
	}
	a := mustTerm(t, b.Keyring, blindindex.Use{Global: true, Tenant: "acme", Name: ssn})
	if c := mustTerm(t, b.Keyring, blindindex.Use{Global: true, Tenant: "initech", Name: ssn}); !bytes.Equal(a, c) {
		t.Error("a global use looks at the tenant")
	}
}

func TestIndexKeysComeFromRecordsOfTheirOwn(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
		mustSeal(t, b, "acme", "x")
		mustTerm(t, b.Keyring, blindindex.Use{Tenant: "acme", Name: ssn})
		mustTerm(t, b.Keyring, blindindex.Use{Global: true, Name: ssn})
		for p, tenant := range map[keyring.Purpose]string{
			keyring.PurposeTenant: "acme", keyring.PurposeIndex: "acme", keyring.PurposeGlobalIndex: "*",
		} {
			r := indexRecord(t, b, p)
			if r.Tenant != tenant || r.Version != 1 || r.State != keyring.Active || (r.Parent != envelope.KeyID{}) != intermediate {
				t.Errorf("intermediate %v: %v", intermediate, &r)
			}
		}
	}
}

func TestAnIndexKeyIsStoredBeforeItIsUsed(t *testing.T) {
	b := newBench(t)
	b.store.Fail = func() error { return errors.New("disk full") }
	for _, u := range []blindindex.Use{{Tenant: "acme", Name: ssn}, {Global: true, Name: ssn}} {
		if _, err := term(b.Keyring, u); !errors.Is(err, keyring.ErrStore) {
			t.Errorf("%+v: %v, want a failed store", u, err)
		}
	}
}

func TestAPageOfIndexKeysIsLoadedAtOnce(t *testing.T) {
	b := newBench(t)
	var uses []blindindex.Use
	for i := range 50 {
		tenant := fmt.Sprintf("t%02d", i)
		for _, name := range []blindindex.Name{ssn, blindindex.DomainName("ssn")} {
			uses = append(uses, blindindex.Use{Tenant: tenant, Name: name}, blindindex.Use{Global: true, Name: name})
		}
	}
	grants := make([]blindindex.Grant, len(uses))
	b.IndexKeys(t.Context(), uses, grants)
	cold := b.reader(t)
	before := b.store.Queries()
	cold.IndexKeys(t.Context(), uses, grants)
	if n := b.store.Queries() - before; n > 2 { // one a purpose
		t.Errorf("%d queries for a cold page, want 2", n)
	}
	before = b.store.Queries()
	cold.IndexKeys(t.Context(), uses, grants)
	if n := b.store.Queries() - before; n != 0 {
		t.Errorf("%d queries for a warm page, want none", n)
	}
	for i, g := range grants {
		if g.Err != nil || g.Key == nil {
			t.Errorf("%+v: %v", uses[i], g.Err)
		}
	}
}

func TestRacingCreatorsOfAnIndexKeyEndWithOne(t *testing.T) {
	b := newBench(t)
	terms := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range terms {
		k := b.reader(t)
		wg.Go(func() { terms[i], _ = term(k, blindindex.Use{Tenant: "acme", Name: ssn}) })
	}
	wg.Wait()
	for _, other := range terms {
		if other == nil || !bytes.Equal(other, terms[0]) {
			t.Fatalf("terms %x and %x", terms[0], other)
		}
	}
	indexRecord(t, b, keyring.PurposeIndex)
}

func TestIndexKeysAreGoneWithTheirTimeAndWithForget(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	b := newBench(t, func(c *keyring.Config) { c.Now, c.TTL = clock, time.Minute })
	grants := make([]blindindex.Grant, 1)
	get := func() blindindex.Lease {
		b.IndexKeys(t.Context(), []blindindex.Use{{Tenant: "acme", Name: ssn}}, grants)
		if grants[0].Err != nil {
			t.Fatal(grants[0].Err)
		}
		return grants[0].Lease
	}
	lease := get()
	b.Forget()
	if lease.Value() != nil {
		t.Error("a forgotten key is still leased")
	}
	// Derived in the middle of its parent's life, it ends with its parent.
	lease = get()
	mu.Lock()
	now = now.Add(40 * time.Second)
	mu.Unlock()
	b.IndexKeys(t.Context(), []blindindex.Use{{Tenant: "acme", Name: blindindex.DomainName("late")}}, grants)
	late := grants[0].Lease
	if lease.Value() == nil || grants[0].Err != nil || late.Value() == nil {
		t.Fatalf("keys are gone before their time, %v", grants[0].Err)
	}
	mu.Lock()
	now = now.Add(21 * time.Second)
	mu.Unlock()
	if lease.Value() != nil || late.Value() != nil {
		t.Error("a key outlives its parent's time")
	}
}

func TestIndexKeysAreNotRotated(t *testing.T) {
	b := newBench(t)
	for p, u := range map[keyring.Purpose]blindindex.Use{
		keyring.PurposeIndex: {Tenant: "acme", Name: ssn}, keyring.PurposeGlobalIndex: {Global: true, Name: ssn},
	} {
		before := mustTerm(t, b.Keyring, u)
		_, err := b.Rotate(t.Context(), p, indexRecord(t, b, p).Tenant, "ops", "yearly")
		if !errors.Is(err, keyring.ErrIndexKey) || !strings.Contains(err.Error(), "found no longer") {
			t.Errorf("%s: %v, want a refusal that says why", p, err)
		}
		if r := indexRecord(t, b, p); r.Version != 1 || r.State != keyring.Active {
			t.Errorf("%s: %v after the refusal", p, &r)
		}
		if after := mustTerm(t, b.reader(t), u); !bytes.Equal(before, after) {
			t.Errorf("%s: the terms changed", p)
		}
	}
}

// A retired or destroyed index key is not replaced by a new one, under which
// nothing would be found.
func TestARetiredOrDestroyedIndexKeyMakesNoTerms(t *testing.T) {
	for _, state := range []keyring.State{keyring.Retired, keyring.Destroyed} {
		b := newBench(t)
		u := blindindex.Use{Tenant: "acme", Name: ssn}
		mustTerm(t, b.Keyring, u)
		old := indexRecord(t, b, keyring.PurposeIndex)
		changed := old
		changed.State, changed.ChangedBy = state, "ops"
		want := keyring.ErrUnknownKey
		if state == keyring.Destroyed {
			changed.Wraps, want = nil, keyring.ErrDestroyed
		}
		if done, err := b.store.Update(t.Context(), old, changed); err != nil || !done {
			t.Fatal(done, err)
		}
		_, err := term(b.reader(t), u)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "keys rotate") {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestAnIndexRecordMovedToAnotherPurposeOrTenantDoesNotUnwrap(t *testing.T) {
	for _, move := range []func(*keyring.Record){
		func(r *keyring.Record) { r.Tenant = "mallory" },
		func(r *keyring.Record) { r.Purpose = keyring.PurposeGlobalIndex; r.Tenant = "*" },
	} {
		b := newBench(t)
		mustTerm(t, b.Keyring, blindindex.Use{Tenant: "acme", Name: ssn})
		r := indexRecord(t, b, keyring.PurposeIndex)
		move(&r)
		r.ID[0]++
		if _, err := b.store.Create(t.Context(), []keyring.Record{r}); err != nil {
			t.Fatal(err)
		}
		u := blindindex.Use{Tenant: r.Tenant, Global: r.Purpose == keyring.PurposeGlobalIndex, Name: ssn}
		if _, err := term(b.reader(t), u); !errors.Is(err, kms.ErrBinding) {
			t.Errorf("%v: %v, want a broken binding", &r, err)
		}
	}
}

func TestAnIndexNameThatIsNoneIsRefused(t *testing.T) {
	b := newBench(t)
	for _, name := range []blindindex.Name{{}, blindindex.ColumnName("users", ""), blindindex.DomainName("\xff")} {
		if made, err := term(b.Keyring, blindindex.Use{Tenant: "acme", Name: name}); err == nil {
			t.Errorf("%q has the term %x", name, made)
		}
	}
}

func TestAWarmIndexKeyCostsNoAllocation(t *testing.T) {
	b := newBench(t)
	uses, grants := []blindindex.Use{{Tenant: "acme", Name: ssn}}, make([]blindindex.Grant, 1)
	b.IndexKeys(t.Context(), uses, grants)
	if n := testing.AllocsPerRun(100, func() { b.IndexKeys(t.Context(), uses, grants) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
