package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
)

// bench is a keyring with a store and a KMS that count their calls.
type bench struct {
	*keyring.Keyring
	store *keyringtest.Store
	kms   *kmscount.KMS
	field *envelope.Field
}

func newBench(t testing.TB, change ...func(*keyring.Config)) *bench {
	t.Helper()
	b := &bench{store: &keyringtest.Store{}, kms: kmscount.New(localkms.Memory())}
	b.field = mustField(t, "users", "ssn")
	b.Keyring = b.reader(t, change...)
	return b
}

// reader returns another, cold keyring over the same store and KMS.
func (b *bench) reader(t testing.TB, change ...func(*keyring.Config)) *keyring.Keyring {
	t.Helper()
	cfg := keyring.Config{Namespace: "test", Roots: []kms.KMS{b.kms}, Store: b.store}
	for _, f := range change {
		f(&cfg)
	}
	k, err := keyring.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustField(t testing.TB, table, column string) *envelope.Field {
	t.Helper()
	f, err := envelope.NewField(table, column)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var modes = []struct {
	name  string
	mode  envelope.Mode
	suite envelope.Suite
}{
	{"tenant key", envelope.ModeTenant, envelope.SuiteXAES},
	{"tenant key, HKDF", envelope.ModeTenant, envelope.SuiteHKDF},
	{"row key", envelope.ModeRow, envelope.SuiteRow},
	{"row key, HKDF", envelope.ModeRow, envelope.SuiteRowHKDF},
	{"KMS-wrapped row key", envelope.ModeKMS, envelope.SuiteRow},
}

// seal seals data under k as a Cipher does.
func seal(k *keyring.Keyring, use envelope.Use, f *envelope.Field, data string) ([]byte, error) {
	uses, grants := []envelope.Use{use}, make([]envelope.Grant, 1)
	k.SealKeys(context.Background(), uses, grants)
	key, err := grants[0].Key, grants[0].Err
	if err == nil && use.Mode == envelope.ModeRow {
		key, err = envelope.NewRowKey(key, k.Namespace())
	}
	if err != nil {
		return nil, err
	}
	b := &envelope.Binding{Namespace: k.Namespace(), Tenant: use.Tenant, Field: f}
	return envelope.Seal(nil, &envelope.Header{Column: f.ID(), Type: 1}, key, b, []byte(data))
}

func open(k *keyring.Keyring, f *envelope.Field, sealed []byte) (string, error) {
	v, err := envelope.Parse(sealed)
	if err != nil {
		return "", err
	}
	grants := make([]envelope.Grant, 1)
	k.OpenKeys(context.Background(), []envelope.Ref{{Field: f, Value: &v}}, grants)
	if grants[0].Err != nil {
		return "", grants[0].Err
	}
	key := grants[0].Key
	data, err := envelope.Open(nil, &v, key, &envelope.Binding{Namespace: k.Namespace(), Tenant: key.Tenant(), Field: f})
	return string(data), err
}

func use(b *bench, mode envelope.Mode, suite envelope.Suite, tenant string) envelope.Use {
	u := envelope.Use{Tenant: tenant, Mode: mode, Suite: suite}
	if mode == envelope.ModeTenant {
		u.Field = b.field
	}
	return u
}

func mustSeal(t testing.TB, b *bench, tenant, data string) []byte {
	t.Helper()
	sealed, err := seal(b.Keyring, use(b, envelope.ModeTenant, envelope.SuiteXAES, tenant), b.field, data)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatOneKeyringSealsAnotherOpens(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		for _, m := range modes {
			t.Run(fmt.Sprintf("%s, intermediate %v", m.name, intermediate), func(t *testing.T) {
				b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
				sealed, err := seal(b.Keyring, use(b, m.mode, m.suite, "acme"), b.field, "secret")
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // cold, then warm
					if got, err := open(b.reader(t), b.field, sealed); err != nil || got != "secret" {
						t.Fatalf("opened %q, %v", got, err)
					}
				}
			})
		}
	}
}

func TestATenantKeyCostsOneKMSCallAndOneQuery(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	if c := b.kms.Calls(); c.Generate != 1 || c.Total() != 1 {
		t.Errorf("creating and sealing made %+v, want one Generate", c)
	}
	before, queries := b.kms.Calls(), b.store.Queries()
	cold := b.reader(t)
	for range 10 {
		if _, err := open(cold, b.field, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if c := b.kms.Calls().Sub(before); c.Unwrap != 1 || c.Total() != 1 || b.store.Queries()-queries != 1 {
		t.Errorf("opening ten times made %+v and %d queries, want one of each", c, b.store.Queries()-queries)
	}
}

func TestAThousandConcurrentMissesMakeOneKMSCall(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	b.kms.Delay = 50 * time.Millisecond
	cold, before := b.reader(t), b.kms.Calls()
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := open(cold, b.field, sealed); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c := b.kms.Calls().Sub(before); c.Total() != 1 {
		t.Errorf("%+v, want one call", c)
	}
}

func TestConcurrentFirstSealsEndWithOneKey(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	ids := make([]envelope.KeyID, 50)
	for i := range ids {
		wg.Go(func() {
			k := b.reader(t) // 50 processes
			sealed, err := seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x")
			if err != nil {
				t.Error(err)
				return
			}
			v, _ := envelope.Parse(sealed)
			ids[i] = v.KeyID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys %v and %v both seal for one tenant", ids[0], id)
		}
	}
}

func TestAColdPageAsksTheStoreOnceAndTheKMSSideBySide(t *testing.T) {
	const tenants = 200
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		var sealed [][]byte
		for i := range tenants {
			sealed = append(sealed, mustSeal(t, b, fmt.Sprint("tenant", i), "x"))
		}
		b.kms.Delay = 10 * time.Millisecond
		refs, values := make([]envelope.Ref, tenants), make([]envelope.Value, tenants)
		for i := range refs {
			values[i], _ = envelope.Parse(sealed[i])
			refs[i] = envelope.Ref{Field: b.field, Value: &values[i]}
		}
		before, queries, start := b.kms.Calls(), b.store.Queries(), time.Now()
		grants := make([]envelope.Grant, tenants)
		b.reader(t).OpenKeys(t.Context(), refs, grants)
		for i, g := range grants {
			if g.Err != nil || g.Key.Tenant() != fmt.Sprint("tenant", i) {
				t.Fatalf("grant %d: %v, %v", i, g.Key, g.Err)
			}
		}
		if took := time.Since(start); took != 40*time.Millisecond { // 200 over 64 at a time
			t.Errorf("took %v, want 40ms", took)
		}
		if c := b.kms.Calls().Sub(before); c.Unwrap != tenants || b.store.Queries()-queries != 1 {
			t.Errorf("%+v and %d queries, want %d and 1", c, b.store.Queries()-queries, tenants)
		}
	})
}

func TestAWarmTenantDoesNotWaitForAColdOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		warm, cold := mustSeal(t, b, "warm", "x"), mustSeal(t, b, "cold", "x")
		k := b.reader(t)
		if _, err := open(k, b.field, warm); err != nil {
			t.Fatal(err)
		}
		b.kms.Delay = 300 * time.Millisecond
		go func() { _, _ = open(k, b.field, cold) }()
		synctest.Wait()
		start := time.Now()
		if _, err := open(k, b.field, warm); err != nil {
			t.Error(err)
		}
		if _, err := seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, "warm"), b.field, "y"); err != nil {
			t.Error(err)
		}
		// Sealing asks once for the current key of the tenant, which is held.
		if took := time.Since(start); took > 0 {
			t.Errorf("the warm tenant waited %v for the cold one", took)
		}
		time.Sleep(time.Second)
	})
}

func TestAKeyInUseIsRefreshedBeforeItExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		sealed := mustSeal(t, b, "acme", "x")
		k := b.reader(t, func(c *keyring.Config) { c.TTL, c.Now = time.Minute, time.Now })
		if _, err := open(k, b.field, sealed); err != nil {
			t.Fatal(err)
		}
		b.kms.Delay = 300 * time.Millisecond
		before := b.kms.Calls()
		for range 300 {
			time.Sleep(time.Second)
			start := time.Now()
			if _, err := open(k, b.field, sealed); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 0 {
				t.Fatalf("waited %v for a key in use", took)
			}
		}
		if n := b.kms.Calls().Sub(before).Total(); n < 5 || n > 10 {
			t.Errorf("%d KMS calls in five TTLs, want one or two for each", n)
		}
	})
}

func TestACacheSmallerThanAPageStillServesThePage(t *testing.T) {
	b := newBench(t)
	const tenants = 300
	refs, values := make([]envelope.Ref, tenants), make([]envelope.Value, tenants)
	for i := range refs {
		values[i], _ = envelope.Parse(mustSeal(t, b, fmt.Sprint(i), "x"))
		refs[i] = envelope.Ref{Field: b.field, Value: &values[i]}
	}
	k := b.reader(t, func(c *keyring.Config) { c.Entries, c.Built = 10, 5 })
	grants := make([]envelope.Grant, tenants)
	k.OpenKeys(t.Context(), refs, grants)
	for i, g := range grants {
		if g.Err != nil {
			t.Fatalf("grant %d: %v", i, g.Err)
		}
	}
	if n := k.Stats().TenantKeys.Entries; n > 10 {
		t.Errorf("%d tenant keys held, bound 10", n)
	}
	if n := k.Stats().Readers.Entries; n > 5 {
		t.Errorf("%d built keys held, bound 5", n)
	}
}

func TestRevocationStopsEverythingWithinTheTTL(t *testing.T) {
	const ttl = time.Minute
	bubble(t, func(t *testing.T) {
		disabled := false
		b := newBench(t)
		b.kms.Fail = func(string) error {
			if disabled {
				return &kms.Error{Provider: "test", Op: "unwrap", Kind: kms.ErrDisabled}
			}
			return nil
		}
		withTTL := func(c *keyring.Config) { c.TTL, c.Now = ttl, time.Now }
		// Values under every salt of the pool, by writers that chose anew.
		bySalt := map[[envelope.SaltSize]byte][]byte{}
		for len(bySalt) < 3 {
			w := b.reader(t)
			sealed, err := seal(w, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x")
			if err != nil {
				t.Fatal(err)
			}
			v, _ := envelope.Parse(sealed)
			bySalt[v.Salt()] = sealed
		}
		var values [][]byte
		for _, sealed := range bySalt {
			values = append(values, sealed)
		}
		k := b.reader(t, withTTL)
		if _, err := open(k, b.field, values[0]); err != nil {
			t.Fatal(err)
		}
		disabled = true
		time.Sleep(ttl - time.Second)
		// A salt not seen before is derived from the key still held.
		if _, err := open(k, b.field, values[1]); err != nil {
			t.Errorf("before the TTL: %v", err)
		}
		time.Sleep(2 * time.Second)
		for i, sealed := range values {
			if _, err := open(k, b.field, sealed); !errors.Is(err, kms.ErrDisabled) {
				t.Errorf("value %d after the TTL: %v; a derived key outlives its parent", i, err)
			}
		}
	})
}

// A process that has nothing cached seals for a tenant that exists, reads and
// writes again after everything has expired, and is never in its own way.
func TestStoreKeysAreFoundBySealersAndReadersAlike(t *testing.T) {
	for _, intermediate := range []bool{true, false} { // of the second process
		bubble(t, func(t *testing.T) {
			b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
			sealed := mustSeal(t, b, "acme", "x")
			mustSeal(t, b, "other", "x")
			k := b.reader(t, func(c *keyring.Config) {
				c.Intermediate, c.TTL, c.Now = intermediate, time.Minute, time.Now
			})
			start := time.Now()
			for range 3 {
				for _, tenant := range []string{"acme", "other", fmt.Sprint("new at ", time.Since(start))} {
					if _, err := seal(k, use(b, envelope.ModeTenant, envelope.SuiteXAES, tenant), b.field, "y"); err != nil {
						t.Fatalf("sealing for %s: %v", tenant, err)
					}
				}
				if _, err := open(k, b.field, sealed); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
			}
			if took := time.Since(start); took != 6*time.Minute {
				t.Errorf("waited %v for keys", took-6*time.Minute)
			}
		})
	}
}

// naming returns a value that names the key id and opens under no key.
func naming(t *testing.T, f *envelope.Field, id envelope.KeyID) []byte {
	t.Helper()
	cid := f.ID()
	b := append([]byte{envelope.Magic}, cid[:]...)
	b = append(append(b, 1, byte(envelope.SuiteXAES), 0), id[:]...)
	b = append(b, make([]byte, 24+16)...)
	if _, err := envelope.Parse(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAValueThatNamesAStoreKeyIsRefusedAndHoldsNobodyUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
		good := mustSeal(t, b, "acme", "x")
		v, _ := envelope.Parse(good)
		records, _ := b.store.ByID(t.Context(), []envelope.KeyID{v.KeyID()})
		bad, _ := envelope.Parse(naming(t, b.field, records[0].Parent))
		start, grants := time.Now(), make([]envelope.Grant, 2)
		b.reader(t).OpenKeys(t.Context(), []envelope.Ref{{Field: b.field, Value: &v}, {Field: b.field, Value: &bad}}, grants)
		if grants[0].Err != nil {
			t.Errorf("the value beside it: %v", grants[0].Err)
		}
		if !errors.Is(grants[1].Err, keyring.ErrUnknownKey) {
			t.Errorf("a store key is granted to open values: %v, %v", grants[1].Key, grants[1].Err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("the page waited %v", took)
		}
	})
}

func TestKeysThatNameEachOtherAsParentsAreRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
		var values [2]envelope.Value
		for i, tenant := range []string{"a", "b"} {
			values[i], _ = envelope.Parse(mustSeal(t, b, tenant, "x"))
		}
		b.store.Edit(values[0].KeyID(), func(r *keyring.Record) { r.Parent = values[1].KeyID() })
		b.store.Edit(values[1].KeyID(), func(r *keyring.Record) { r.Parent = values[0].KeyID() })
		start, grants := time.Now(), make([]envelope.Grant, 2)
		b.reader(t).OpenKeys(t.Context(), []envelope.Ref{{Field: b.field, Value: &values[0]}, {Field: b.field, Value: &values[1]}}, grants)
		for _, g := range grants {
			if !errors.Is(g.Err, keyring.ErrUnknownKey) {
				t.Errorf("%v, want an unknown key", g.Err)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("the page waited %v", took)
		}
	})
}

func TestAnIndexKeyOpensNoValues(t *testing.T) {
	b := newBench(t)
	mustTerm(t, b.Keyring, blindindex.Use{Tenant: "acme", Name: ssn})
	mustTerm(t, b.Keyring, blindindex.Use{Global: true, Name: ssn})
	for _, p := range []keyring.Purpose{keyring.PurposeIndex, keyring.PurposeGlobalIndex} {
		r := indexRecord(t, b, p)
		if _, err := open(b.reader(t), b.field, naming(t, b.field, r.ID)); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("a value that names a key of purpose %s: %v", p, err)
		}
	}
}

func TestRotatingAKeyUnderAStoreKey(t *testing.T) {
	b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
	old := mustSeal(t, b, "acme", "x")
	r, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "yearly")
	if err != nil || r.Version != 2 || r.Parent == (envelope.KeyID{}) {
		t.Fatalf("%v, %v", &r, err)
	}
	if _, err := open(b.reader(t), b.field, old); err != nil {
		t.Errorf("the old version does not open: %v", err)
	}
	fresh, _ := envelope.Parse(mustSeal(t, b, "acme", "x"))
	if fresh.KeyID() != r.ID {
		t.Error("the new version does not seal")
	}
}

func TestDamageToARecordIsFound(t *testing.T) {
	cases := []struct {
		name   string
		change func(*keyring.Record)
		want   error
	}{
		{"wrong commitment", func(r *keyring.Record) { r.Commitment[0]++ }, keyring.ErrCommitment},
		{"moved to another tenant", func(r *keyring.Record) { r.Tenant = "mallory" }, kms.ErrBinding},
		{"moved to another version", func(r *keyring.Record) { r.Version++ }, kms.ErrBinding},
		{"moved to another purpose", func(r *keyring.Record) { r.Purpose = keyring.PurposeIndex }, kms.ErrBinding},
		{"wrapped by an unknown root key", func(r *keyring.Record) {
			r.Wraps = []kms.Wrapped{{RootKey: "local:0000000000000000/1", Blob: []byte{1}}}
		}, keyring.ErrNoRoot},
		{"destroyed", func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil }, keyring.ErrDestroyed},
	}
	for _, intermediate := range []bool{false, true} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s, intermediate %v", c.name, intermediate), func(t *testing.T) {
				b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
				sealed := mustSeal(t, b, "acme", "x")
				v, _ := envelope.Parse(sealed)
				b.store.Edit(v.KeyID(), c.change)
				if _, err := open(b.reader(t), b.field, sealed); !errors.Is(err, c.want) {
					t.Errorf("opening: %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestAStoreKeyCannotBeReplacedByATenantKey(t *testing.T) {
	b := newBench(t, func(c *keyring.Config) { c.Intermediate = true })
	sealed := mustSeal(t, b, "acme", "x")
	v, _ := envelope.Parse(sealed)
	records, _ := b.store.ByID(t.Context(), []envelope.KeyID{v.KeyID()})
	parent := records[0].Parent
	b.store.Edit(parent, func(r *keyring.Record) { r.Parent = v.KeyID() })
	if _, err := open(b.reader(t), b.field, sealed); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("a circle of keys: %v", err)
	}
}

func TestUnknownKeyAndWrongRootNameTheRemedy(t *testing.T) {
	b := newBench(t)
	sealed := mustSeal(t, b, "acme", "x")
	empty := b.reader(t, func(c *keyring.Config) { c.Store = &keyringtest.Store{} })
	if _, err := open(empty, b.field, sealed); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("another store: %v", err)
	}
	other := b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{localkms.Memory()} })
	if _, err := open(other, b.field, sealed); !errors.Is(err, keyring.ErrNoRoot) {
		t.Errorf("another root key: %v", err)
	}
	none := b.reader(t, func(c *keyring.Config) { c.Store = nil })
	if _, err := open(none, b.field, sealed); !errors.Is(err, keyring.ErrStore) {
		t.Errorf("no store: %v", err)
	}
	namespace := b.reader(t, func(c *keyring.Config) { c.Namespace = "other" })
	if _, err := open(namespace, b.field, sealed); !errors.Is(err, kms.ErrBinding) {
		t.Errorf("another namespace: %v", err)
	}
}

func TestADestroyedTenantGetsNoNewKey(t *testing.T) {
	b := newBench(t)
	v, _ := envelope.Parse(mustSeal(t, b, "acme", "x"))
	b.store.Edit(v.KeyID(), func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil })
	_, err := seal(b.reader(t), use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x")
	if !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("sealing for a destroyed tenant: %v", err)
	}
}

func TestAKeyIsStoredBeforeItSeals(t *testing.T) {
	b := newBench(t)
	down := errors.New("disk full")
	b.store.Fail = func() error { return down }
	if _, err := seal(b.Keyring, use(b, envelope.ModeTenant, envelope.SuiteXAES, "acme"), b.field, "x"); !errors.Is(err, down) {
		t.Errorf("sealed although the key could not be stored: %v", err)
	}
}

func TestReuseSharesAKMSKeyWithinItsLimits(t *testing.T) {
	b := newBench(t)
	u := use(b, envelope.ModeKMS, envelope.SuiteRow, "acme")
	u.Reuse = envelope.Reuse{Values: 10, Age: time.Minute}
	grants := make([]envelope.Grant, 1)
	for range 25 {
		for ok := false; !ok; ok = grants[0].Lease.Use(1) {
			b.SealKeys(t.Context(), []envelope.Use{u}, grants)
			if grants[0].Err != nil {
				t.Fatal(grants[0].Err)
			}
		}
	}
	if c := b.kms.Calls(); c.Generate != 3 {
		t.Errorf("25 values, 10 to a key, took %d keys, want 3", c.Generate)
	}
}

func TestSeveralRootsAnyOneOpens(t *testing.T) {
	one, two := localkms.Memory(), localkms.Memory()
	b := newBench(t, func(c *keyring.Config) { c.Roots = []kms.KMS{one, two} })
	sealed := mustSeal(t, b, "acme", "secret")
	for i, roots := range [][]kms.KMS{{one}, {two}, {two, one}} {
		if got, err := open(b.reader(t, func(c *keyring.Config) { c.Roots = roots }), b.field, sealed); err != nil || got != "secret" {
			t.Errorf("roots %d: %q, %v", i, got, err)
		}
	}
	lost := kmscount.New(one)
	lost.Fail = func(string) error { return &kms.Error{Kind: kms.ErrUnavailable} }
	if got, err := open(b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{lost, two} }), b.field, sealed); err != nil || got != "secret" {
		t.Errorf("one of them lost: %q, %v", got, err)
	}
}

func TestRotateThenRewrapThenDestroy(t *testing.T) {
	now := time.Now()
	b := newBench(t)
	b.store.Clock = func() time.Time { return now }
	rowUse := use(b, envelope.ModeRow, envelope.SuiteRow, "acme")
	sealed, err := seal(b.Keyring, rowUse, b.field, "secret")
	if err != nil {
		t.Fatal(err)
	}
	old, _ := envelope.Parse(sealed)
	if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "yearly"); err != nil {
		t.Fatal(err)
	}
	again, err := seal(b.Keyring, rowUse, b.field, "later")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := envelope.Parse(again); v.KeyID() == old.KeyID() {
		t.Error("the process that rotated the key seals with the old one")
	}
	k := b.reader(t)
	w, err := k.NewRewrapper(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ref, due, err := w.Row(t.Context(), &old)
	if err != nil || !due {
		t.Fatalf("due %v, %v", due, err)
	}
	moved, err := envelope.Rewrap(nil, &old, ref)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := envelope.Parse(moved); v.KeyID() == old.KeyID() || !bytes.Equal(v.Bytes()[len(moved)-34:], sealed[len(sealed)-34:]) {
		t.Error("the key reference did not move, or more than it did")
	}
	if err := k.Destroy(t.Context(), old.KeyID(), "ops", "rotated"); !errors.Is(err, keyring.ErrInUse) {
		t.Errorf("destroyed at once: %v", err)
	}
	now = now.Add(time.Hour + time.Second)
	none := keyring.Evidence{Table: "users", Began: now, Counted: true}
	if err := k.Destroy(t.Context(), old.KeyID(), "ops", "rotated", none); err != nil {
		t.Fatal(err)
	}
	if got, err := open(b.reader(t), b.field, moved); err != nil || got != "secret" {
		t.Errorf("the rewrapped value: %q, %v", got, err)
	}
	if _, err := open(b.reader(t), b.field, sealed); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("the old value: %v", err)
	}
	if _, err := seal(b.reader(t), rowUse, b.field, "more"); err != nil {
		t.Errorf("sealing under the new version: %v", err)
	}
}

func TestRewrapMovesEveryRecordOnceToTheCurrentRoot(t *testing.T) {
	local := localkms.Memory()
	counted := kmscount.New(local)
	b := newBench(t, func(c *keyring.Config) { c.Roots = []kms.KMS{counted} })
	var sealed [][]byte
	for i := range 20 {
		sealed = append(sealed, mustSeal(t, b, fmt.Sprint(i), "x"))
	}
	if _, err := local.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round, want := range []int64{20, 0} {
		w, err := b.NewRewrapper(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before := counted.Calls()
		err = b.Each(t.Context(), keyring.Filter{RootWrapped: true}, func(r keyring.Record) error {
			_, err := w.Record(t.Context(), r)
			return err
		})
		if c := counted.Calls().Sub(before); err != nil || c.Rewrap != want || c.Total() != want {
			t.Errorf("round %d: %+v, %v; want %d Rewraps", round, c, err, want)
		}
	}
	for _, s := range sealed {
		if _, err := open(b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{counted} }), b.field, s); err != nil {
			t.Error(err)
		}
	}
}

func TestRewrapAddsARootAndDropsOne(t *testing.T) {
	one, two := localkms.Memory(), localkms.Memory()
	b := newBench(t, func(c *keyring.Config) { c.Roots = []kms.KMS{one} })
	sealed := mustSeal(t, b, "acme", "secret")
	var drop []string
	move := func(roots ...kms.KMS) {
		k := b.reader(t, func(c *keyring.Config) { c.Roots = roots })
		w, err := k.NewRewrapper(t.Context(), drop...)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Each(t.Context(), keyring.Filter{RootWrapped: true}, func(r keyring.Record) error {
			_, err := w.Record(t.Context(), r)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	move(two, one)
	move(two) // which does not have the other one, and leaves its wraps
	only := func(root kms.KMS) *keyring.Keyring {
		return b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{root} })
	}
	if got, err := open(only(one), b.field, sealed); err != nil || got != "secret" {
		t.Errorf("under a root that the rewrap did not have: %q, %v", got, err)
	}
	id, err := one.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := only(one).NewRewrapper(t.Context(), id); !errors.Is(err, keyring.ErrInUse) {
		t.Errorf("dropping a root that is in use: %v", err)
	}
	drop = []string{id}
	move(two)
	if got, err := open(b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{two} }), b.field, sealed); err != nil || got != "secret" {
		t.Errorf("under the new root: %q, %v", got, err)
	}
	if _, err := open(b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{one} }), b.field, sealed); !errors.Is(err, keyring.ErrNoRoot) {
		t.Errorf("under the dropped root: %v", err)
	}
}

// TestRewrapsOfTwoOrdersLeaveEachOtherAlone: files of two machines may list the root keys in
// another order, and a rewrap on one must not make work for the other.
func TestRewrapsOfTwoOrdersLeaveEachOtherAlone(t *testing.T) {
	one, two := localkms.Memory(), localkms.Memory()
	b := newBench(t, func(c *keyring.Config) { c.Roots = []kms.KMS{one, two} })
	mustSeal(t, b, "acme", "secret")
	k := b.reader(t, func(c *keyring.Config) { c.Roots = []kms.KMS{two, one, two} })
	w, err := k.NewRewrapper(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := b.keys(t, keyring.PurposeTenant, "acme")[0]
	if w.Due(r) {
		t.Error("due for the order alone")
	}
	if _, err := two.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, err = k.NewRewrapper(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := w.Record(t.Context(), r)
	if err != nil || len(after.Wraps) != 2 || w.Due(after) || len(w.Others(after)) != 0 {
		t.Errorf("got %v, %v", after.Wraps, err)
	}
}

// TestARewrapDoesNotBeginTheHourAgain: the wait before a key may be destroyed counts from when it was retired.
func TestARewrapDoesNotBeginTheHourAgain(t *testing.T) {
	root := localkms.Memory()
	b := newBench(t, func(c *keyring.Config) { c.Roots = []kms.KMS{root} })
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.store.Clock = func() time.Time { return now }
	mustSeal(t, b, "acme", "secret")
	if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "yearly"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if _, err := root.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err := b.NewRewrapper(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := b.keys(t, keyring.PurposeTenant, "acme")[0]
	if after, err := w.Record(t.Context(), r); err != nil || after.Wraps[0].RootKey == r.Wraps[0].RootKey {
		t.Fatal(after, err)
	}
	if err := b.Destroy(t.Context(), r.ID, "ann", "over", keyring.Evidence{Table: "users", Began: now, Counted: true}); err != nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	root := []kms.KMS{localkms.Memory()}
	for name, cfg := range map[string]keyring.Config{
		"no root key":          {},
		"negative entries":     {Roots: root, Entries: -1},
		"negative built keys":  {Roots: root, Built: -1},
		"a TTL above one hour": {Roots: root, TTL: time.Hour + 1},
		"a negative TTL":       {Roots: root, TTL: -1},
		"a TTL below a second": {Roots: root, TTL: time.Millisecond},
		"a long namespace":     {Roots: root, Namespace: string(make([]byte, 256))},
	} {
		if _, err := keyring.New(cfg); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}
