package field_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// equality declares a searchable column.
func equality(t testing.TB, name, typ string, change ...func(*field.ColumnConfig)) field.ColumnConfig {
	t.Helper()
	c := field.ColumnConfig{Name: name, Type: mustType(t, typ), Search: field.Search{Equality: true}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func global(c *field.ColumnConfig) { c.Scope = field.ScopeGlobal }

func inDomain(name string) func(*field.ColumnConfig) {
	return func(c *field.ColumnConfig) { c.Domain = name }
}

// people has searchable columns of every scope, with and without a domain.
func people(t testing.TB) *field.Table {
	t.Helper()
	table, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "org_id"},
		Columns: []field.ColumnConfig{
			equality(t, "ssn", "text"),
			equality(t, "alias", "text", func(c *field.ColumnConfig) { c.Mode = envelope.ModeRow }),
			equality(t, "phone", "text", inDomain("contact")),
			equality(t, "fax", "varchar(60)", inDomain("contact"), func(c *field.ColumnConfig) { c.Mode, c.Pad = envelope.ModeRow, 32 }),
			equality(t, "passport", "text", global),
			equality(t, "visa", "text", global, inDomain("papers")),
			equality(t, "permit", "text", global, inDomain("papers")),
			equality(t, "number", "int8"),
			{Name: "notes", Type: mustType(t, "text")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func termOf(t testing.TB, sealed []byte) []byte {
	t.Helper()
	v, err := envelope.Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	return v.Equality()
}

// lookUp is the term of one condition.
func lookUp(ctx context.Context, c *field.Cipher, col *field.Column, tenant string, v any) ([]byte, error) {
	terms := []field.Term{{Column: col, Tenant: tenant, Value: v}}
	err := c.EqualityTerms(ctx, terms)
	return terms[0].Bytes, err
}

func TestAConditionFindsWhatWasSealed(t *testing.T) {
	f, table := newFixture(t), people(t)
	for _, col := range table.Columns() {
		if !col.Search().Equality {
			continue
		}
		var v any = "078-05-1120"
		if col.Name() == "number" {
			v = int64(-42)
		}
		rows := []field.SealRow{{Row: acme, Values: []any{v}}, {Row: acme, Values: []any{nil}}}
		if err := f.cold(t).SealRows(t.Context(), []*field.Column{col}, rows); err != nil {
			t.Fatal(err)
		}
		if rows[1].Sealed[0] != nil {
			t.Errorf("%v: NULL is sealed", col)
		}
		want, err := lookUp(t.Context(), f.cold(t), col, "acme", v)
		if err != nil || len(want) != blindindex.EqualitySize {
			t.Fatalf("%v: %d bytes, %v", col, len(want), err)
		}
		for name, sealed := range map[string][]byte{
			"in a page": rows[0].Sealed[0], "cold": mustSeal(t, f.cold(t), col, acme, v),
			"first": mustSeal(t, f.Cipher, col, acme, v), "warm": mustSeal(t, f.Cipher, col, acme, v),
		} {
			if got := termOf(t, sealed); !bytes.Equal(got, want) {
				t.Errorf("%v, sealed %s: term %x, the condition's is %x", col, name, got, want)
			}
			var back any
			if err := f.Open(t.Context(), &back, col, acme, sealed); err != nil || back != v {
				t.Errorf("%v, sealed %s: opened %v, %v", col, name, back, err)
			}
		}
	}
}

// The heart of it: what shares a term, and what must not.
func TestTermsAreEqualExactlyWherePolicyAndValueSay(t *testing.T) {
	f, table := newFixture(t), people(t)
	var cols []*field.Column
	for _, col := range table.Columns() {
		if col.Search().Equality && col.Name() != "number" {
			cols = append(cols, col)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		type cell struct {
			col    *field.Column
			tenant string
			value  string
		}
		draw := func(label string) cell {
			return cell{
				rapid.SampledFrom(cols).Draw(rt, label+" column"),
				rapid.SampledFrom([]string{"acme", "initech", "*"}).Draw(rt, label+" tenant"),
				rapid.SampledFrom([]string{"", "a", "A", "a ", "ab"}).Draw(rt, label+" value"),
			}
		}
		a, b := draw("a"), draw("b")
		x := termOf(t, mustSeal(t, f.Cipher, a.col, field.Row{Tenant: a.tenant}, a.value))
		y, err := lookUp(t.Context(), f.Cipher, b.col, b.tenant, b.value)
		if err != nil {
			rt.Fatal(err)
		}
		related := a.col == b.col || a.col.Domain() != "" && a.col.Domain() == b.col.Domain()
		if related != a.col.Comparable(b.col) {
			rt.Fatalf("%v and %v: comparable is %v", a.col, b.col, !related)
		}
		within := a.tenant == b.tenant || a.col.Scope() == field.ScopeGlobal
		want := related && within && a.value == b.value
		if bytes.Equal(x, y) != want {
			rt.Fatalf("%+v and %+v: equal terms are %v, want %v", a, b, !want, want)
		}
	})
}

func TestAnEditedOrSwappedTermKeepsTheValueFromOpening(t *testing.T) {
	f, table := newFixture(t), people(t)
	for _, name := range []string{"ssn", "alias"} { // a tenant key and a row key
		col := table.Column(name)
		sealed, other := mustSeal(t, f.Cipher, col, acme, "a"), mustSeal(t, f.Cipher, col, acme, "b")
		from, to := envelope.EqualityOffset, envelope.EqualityOffset+envelope.EqualitySize
		for what, edit := range map[string]func([]byte) []byte{
			"first byte edited": func(b []byte) []byte { b[from]++; return b },
			"last byte edited":  func(b []byte) []byte { b[to-1] ^= 0x80; return b },
			"swapped":           func(b []byte) []byte { copy(b[from:to], other[from:to]); return b },
			"removed": func(b []byte) []byte {
				b[7] &^= byte(envelope.FlagEquality)
				return append(b[:from], b[to:]...)
			},
			"doubled": func(b []byte) []byte {
				b[7] |= byte(envelope.FlagSecond)
				return append(bytes.Clone(b[:to]), b[from:]...)
			},
		} {
			var s string
			edited := edit(bytes.Clone(sealed))
			for _, c := range []*field.Cipher{f.Cipher, f.cold(t)} {
				err := c.Open(t.Context(), &s, col, acme, edited)
				if err == nil || s != "" || errors.Is(err, envelope.ErrMalformed) {
					t.Errorf("%v, %s: opened %q, %v", col, what, s, err)
				}
			}
		}
		var s string
		if err := f.Open(t.Context(), &s, col, acme, sealed); err != nil || s != "a" {
			t.Errorf("%v: the value as it was: %q, %v", col, s, err)
		}
	}
}

func TestValuesWithAndWithoutTermsOpenWhateverThePolicySays(t *testing.T) {
	f := newFixture(t)
	without, with := users(t), users(t, searchable("ssn", "name"))
	for _, name := range []string{"ssn", "name"} {
		plain := mustSeal(t, f.Cipher, without.Column(name), acme, "x")
		found := mustSeal(t, f.Cipher, with.Column(name), acme, "x")
		if termOf(t, plain) != nil || termOf(t, found) == nil {
			t.Fatalf("%s: terms %x and %x", name, termOf(t, plain), termOf(t, found))
		}
		for _, table := range []*field.Table{without, with} {
			for _, sealed := range [][]byte{plain, found} {
				var s string
				if err := f.Open(t.Context(), &s, table.Column(name), acme, sealed); err != nil || s != "x" {
					t.Errorf("%s: %q, %v", name, s, err)
				}
			}
		}
	}
}

// counting counts the calls for index keys, and fails them where told.
type counting struct {
	*keyring.Keyring
	calls, uses int
	fail        error
}

func (k *counting) IndexKeys(ctx context.Context, uses []blindindex.Use, grants []blindindex.Grant) {
	k.calls, k.uses = k.calls+1, k.uses+len(uses)
	if k.fail != nil {
		for i := range grants {
			grants[i].Err = k.fail
		}
		return
	}
	k.Keyring.IndexKeys(ctx, uses, grants)
}

func newCounting(t testing.TB) (*counting, *field.Cipher) {
	t.Helper()
	f := newFixture(t)
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{f.kms}, Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	k := &counting{Keyring: ring}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func TestAPageAsksForItsIndexKeysOnce(t *testing.T) {
	k, c := newCounting(t)
	table := people(t)
	cols := table.Columns()[:7] // all but number and notes
	var rows []field.SealRow
	var terms []field.Term
	for i := range 30 {
		tenant := fmt.Sprintf("t%d", i/3)
		row := field.SealRow{Row: field.Row{Tenant: tenant}}
		for range cols {
			row.Values = append(row.Values, "same")
		}
		rows = append(rows, row)
		terms = append(terms, field.Term{Column: cols[i%7], Tenant: tenant, Value: "same"})
	}
	if err := c.SealRows(t.Context(), cols, rows); err != nil {
		t.Fatal(err)
	}
	// ssn, alias and the domain for each of 10 tenants; passport and the global domain.
	if k.calls != 1 || k.uses != 32 {
		t.Errorf("%d calls for %d keys, want 1 for 32", k.calls, k.uses)
	}
	cold, other := newCounting(t)
	if err := other.EqualityTerms(t.Context(), terms); err != nil || cold.calls != 1 {
		t.Errorf("%d calls for a batch of conditions, %v", cold.calls, err)
	}
	table = people(t) // whose memo is empty
	if err := c.SealRows(t.Context(), []*field.Column{table.Column("notes")}, []field.SealRow{{Row: acme, Values: []any{"x"}}}); err != nil || k.calls != 1 {
		t.Errorf("a column without search asks for index keys (%d calls), %v", k.calls, err)
	}
}

func TestNothingIsSealedWithoutTheTermThatItShouldCarry(t *testing.T) {
	for _, fail := range []error{errors.New("index key store is down"), nil} {
		k, c := newCounting(t)
		k.fail = fail
		col := people(t).Column("ssn")
		if fail == nil { // a keyring that answers with nothing at all
			c, _ = field.New(field.Config{Keyring: &silent{k.Keyring}})
			fail = envelope.ErrKeyGone
		}
		sealed, err := c.Seal(t.Context(), nil, col, acme, "078-05-1120")
		if sealed != nil || !errors.Is(err, fail) {
			t.Errorf("sealed %x, %v", sealed, err)
		}
		rows := []field.SealRow{{Row: acme, Values: []any{"078-05-1120"}}}
		if err := c.SealRows(t.Context(), []*field.Column{col}, rows); !errors.Is(err, fail) || rows[0].Sealed[0] != nil {
			t.Errorf("a page: %v", err)
		}
		if term, err := lookUp(t.Context(), c, col, "acme", "x"); term != nil || !errors.Is(err, fail) {
			t.Errorf("a condition: %x, %v", term, err)
		}
	}
}

type silent struct{ *keyring.Keyring }

func (*silent) IndexKeys(context.Context, []blindindex.Use, []blindindex.Grant) {}

func TestConditionsNeedATenantOrAGlobalScope(t *testing.T) {
	f, table := newFixture(t), people(t)
	ssn, passport := table.Column("ssn"), table.Column("passport")
	bound := field.WithTenant(t.Context(), "acme")
	want, err := lookUp(t.Context(), f.Cipher, ssn, "acme", "x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := lookUp(bound, f.Cipher, ssn, "", "x"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the context's tenant: %x, %v", got, err)
	}
	if got, err := lookUp(bound, f.Cipher, ssn, "initech", "x"); got != nil || !errors.Is(err, field.ErrTenantMismatch) {
		t.Errorf("another tenant than the context's: %x, %v", got, err)
	}
	got, err := lookUp(t.Context(), f.Cipher, ssn, "", "x")
	if got != nil || !errors.Is(err, field.ErrTenantUnknown) || !strings.Contains(err.Error(), "scope: global") || !strings.Contains(err.Error(), "people.ssn") {
		t.Errorf("no tenant: %x, %v", got, err)
	}
	if got, err := lookUp(t.Context(), f.Cipher, ssn, "\xff", "x"); got != nil || err == nil {
		t.Errorf("a tenant that is none: %x, %v", got, err)
	}
	a, err := lookUp(t.Context(), f.Cipher, passport, "", "x")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := lookUp(bound, f.Cipher, passport, "initech", "x"); err != nil || !bytes.Equal(a, b) {
		t.Errorf("a global scope looks at the tenant: %x, %x, %v", a, b, err)
	}
}

func TestConditionsThatCannotBeAreRefused(t *testing.T) {
	f, table := newFixture(t), people(t)
	terms := []field.Term{
		{Column: table.Column("ssn"), Tenant: "acme", Value: "secret-operand", Bytes: []byte("stale")},
		{Column: table.Column("notes"), Tenant: "acme", Value: "secret-operand"},
	}
	err := f.EqualityTerms(t.Context(), terms)
	var typed *field.Error
	if !errors.As(err, &typed) || !errors.Is(err, field.ErrNoEquality) || typed.Column != "notes" || typed.Op != "search" {
		t.Errorf("a column without equality: %v", err)
	}
	if !strings.Contains(fmt.Sprint(err), "search: [equality]") || strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("the remedy is missing, or the operand shown: %v", err)
	}
	if terms[0].Bytes != nil {
		t.Error("beside the error there is a term")
	}
	_, err = lookUp(t.Context(), f.Cipher, table.Column("number"), "acme", "secret-operand")
	if !errors.As(err, &typed) || typed.Column != "number" || strings.Contains(err.Error(), "secret") {
		t.Errorf("an operand of another type: %v", err)
	}
	if err := f.EqualityTerms(t.Context(), nil); err != nil {
		t.Errorf("no conditions: %v", err)
	}
}

func TestNullIsEqualToNothing(t *testing.T) {
	f, table := newFixture(t), people(t)
	terms := []field.Term{
		{Column: table.Column("ssn"), Tenant: "acme", Value: "a"},
		{Column: table.Column("ssn"), Tenant: "acme", Value: nil, Bytes: []byte("stale")},
		{Column: table.Column("ssn"), Tenant: "acme", Value: (*string)(nil)},
		{Column: table.Column("ssn"), Tenant: "acme", Value: "b"},
	}
	if err := f.EqualityTerms(t.Context(), terms); err != nil {
		t.Fatal(err)
	}
	if terms[1].Bytes != nil || terms[2].Bytes != nil {
		t.Errorf("NULL has the terms %x and %x", terms[1].Bytes, terms[2].Bytes)
	}
	for _, i := range []int{0, 3} {
		if want := termOf(t, mustSeal(t, f.Cipher, table.Column("ssn"), acme, terms[i].Value)); !bytes.Equal(terms[i].Bytes, want) {
			t.Errorf("beside NULL: %x, want %x", terms[i].Bytes, want)
		}
	}
}

func TestAnOperandMayBeLongerThanTheColumn(t *testing.T) {
	f, table := newFixture(t), people(t)
	long := strings.Repeat("x", 100) // fax is a varchar(60)
	if _, err := f.Seal(t.Context(), nil, table.Column("fax"), acme, long); err == nil {
		t.Error("a value beyond the modifier is sealed")
	}
	if got, err := lookUp(t.Context(), f.Cipher, table.Column("fax"), "acme", long); err != nil || len(got) != 16 {
		t.Errorf("%x, %v", got, err)
	}
}

func TestAWarmTermCostsNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector makes pools forget at random; BenchmarkAllocations says more")
		return
	}
	f, col := newFixture(t), people(t).Column("ssn")
	ctx, dst, text := t.Context(), make([]byte, 0, 256), "078-05-1120"
	seal := func() {
		if _, err := f.Seal(ctx, dst, col, acme, &text); err != nil {
			t.Fatal(err)
		}
	}
	seal()
	if n := testing.AllocsPerRun(1000, seal); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRowClaimAndPaddingAreNoPartOfTheTerm(t *testing.T) {
	f := newFixture(t)
	plain := users(t, searchable("ssn", "bio"))
	bound := users(t, searchable("ssn", "bio"), func(cfg *field.TableConfig) {
		cfg.RowID = "id"
		for i := range cfg.Columns {
			cfg.Columns[i].Pad = 64
		}
	})
	for _, name := range []string{"ssn", "bio"} {
		want := termOf(t, mustSeal(t, f.Cipher, plain.Column(name), acme, "x"))
		for id := range 2 {
			col, row := bound.Column(name), field.Row{Tenant: "acme", ID: id}
			sealed := mustSeal(t, f.Cipher, col, row, "x")
			if got := termOf(t, sealed); !bytes.Equal(got, want) {
				t.Errorf("%v of row %d: term %x, want %x", col, id, got, want)
			}
			var s string
			if err := f.Open(t.Context(), &s, col, row, sealed); err != nil || s != "x" {
				t.Errorf("%v of row %d: %q, %v", col, id, s, err)
			}
			if err := f.Open(t.Context(), &s, col, field.Row{Tenant: "acme", ID: 9}, sealed); !errors.Is(err, field.ErrRowMismatch) {
				t.Errorf("%v in another row: %v", col, err)
			}
		}
	}
}
