package field_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
)

func mustType(t testing.TB, s string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// users is a table with a column of every kind of key.
func users(t testing.TB, change ...func(*field.TableConfig)) *field.Table {
	t.Helper()
	cfg := field.TableConfig{
		Name:   "users",
		Tenant: field.TenantSource{Column: "org_id"},
		Columns: []field.ColumnConfig{
			{Name: "ssn", Type: mustType(t, "text")},
			{Name: "dob", Type: mustType(t, "date"), StrictFIPS: true},
			{Name: "name", Type: mustType(t, "varchar(45)"), Mode: envelope.ModeRow},
			{Name: "name2", Type: mustType(t, "text"), Mode: envelope.ModeRow},
			{Name: "bio", Type: mustType(t, "text"), Mode: envelope.ModeRow, Pad: 32},
			{Name: "notes", Type: mustType(t, "jsonb"), Mode: envelope.ModeKMS},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	table, err := field.NewTable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// searchable declares equality on columns of users.
func searchable(names ...string) func(*field.TableConfig) {
	return func(cfg *field.TableConfig) {
		for i := range cfg.Columns {
			if slices.Contains(names, cfg.Columns[i].Name) {
				cfg.Columns[i].Search.Equality = true
			}
		}
	}
}

type fixture struct {
	*field.Cipher
	kms   *kmscount.KMS
	store *keyringtest.Store
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{kms: kmscount.New(localkms.Memory()), store: &keyringtest.Store{}}
	f.Cipher = f.cold(t)
	return f
}

// cold returns a Cipher over the same keys with nothing cached.
func (f *fixture) cold(t testing.TB) *field.Cipher {
	t.Helper()
	k, err := keyring.New(keyring.Config{Roots: []kms.KMS{f.kms}, Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var acme = field.Row{Tenant: "acme"}

func mustSeal(t testing.TB, c *field.Cipher, col *field.Column, row field.Row, v any) []byte {
	t.Helper()
	sealed, err := c.Seal(t.Context(), nil, col, row, v)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

var sample = map[string]any{
	"ssn": "078-05-1120", "dob": "1970-02-03", "name": "Ada", "name2": "Lovelace", "bio": "", "notes": `{"a": 1}`,
}

func TestEveryColumnRoundTrips(t *testing.T) {
	f, table := newFixture(t), users(t)
	for _, col := range table.Columns() {
		sealed := mustSeal(t, f.Cipher, col, acme, sample[col.Name()])
		for name, c := range map[string]*field.Cipher{"warm": f.Cipher, "cold": f.cold(t)} {
			var got any
			if err := c.Open(t.Context(), &got, col, acme, sealed); err != nil {
				t.Errorf("%v, %s: %v", col, name, err)
			}
			var text string
			if err := c.Open(t.Context(), &text, col, field.Row{}, sealed); err != nil || text != sample[col.Name()] {
				t.Errorf("%v, %s, nothing known of the row: %q, %v", col, name, text, err)
			}
		}
	}
}

func TestNullStaysNull(t *testing.T) {
	f, table := newFixture(t), users(t)
	for _, col := range table.Columns() {
		if sealed := mustSeal(t, f.Cipher, col, acme, nil); sealed != nil {
			t.Errorf("%v: NULL sealed as %d bytes", col, len(sealed))
		}
		s := new(string)
		if err := f.Open(t.Context(), &s, col, acme, nil); err != nil || s != nil {
			t.Errorf("%v: NULL opened as %v, %v", col, s, err)
		}
	}
}

func TestASwappedValueDoesNotOpen(t *testing.T) {
	f := newFixture(t)
	table := users(t, func(c *field.TableConfig) {
		c.RowID = "id"
		c.Columns = append(c.Columns, field.ColumnConfig{Name: "ssn2", Type: c.Columns[0].Type})
	})
	row := field.Row{Tenant: "acme", ID: 7}
	for _, name := range []string{"ssn", "name", "notes"} {
		col := table.Column(name)
		sealed := mustSeal(t, f.Cipher, col, row, sample[name])
		cases := []struct {
			name string
			col  *field.Column
			row  field.Row
			ctx  context.Context
			want error
		}{
			{"to another column", table.Column("ssn2"), row, t.Context(), field.ErrWrongColumn},
			{"to another tenant", col, field.Row{Tenant: "evil", ID: 7}, t.Context(), field.ErrTenantMismatch},
			{"to another row", col, field.Row{Tenant: "acme", ID: 8}, t.Context(), field.ErrRowMismatch},
			{"under another tenant's context", col, field.Row{}, field.WithTenant(t.Context(), "evil"), field.ErrTenantMismatch},
			{"with a row of another tenant than the context", col, row, field.WithTenant(t.Context(), "evil"), field.ErrTenantMismatch},
		}
		for _, c := range cases {
			var got string
			err := f.Open(c.ctx, &got, c.col, c.row, sealed)
			var typed *field.Error
			if !errors.Is(err, c.want) || !errors.As(err, &typed) || typed.Table != "users" || typed.Column != c.col.Name() || got != "" {
				t.Errorf("%s moved %s: opened %q, %v; want %v", name, c.name, got, err, c.want)
			}
		}
		var got string
		if err := f.Open(t.Context(), &got, col, row, sealed); err != nil || got != sample[name] {
			t.Errorf("%s where it belongs: %q, %v", name, got, err)
		}
	}
}

func TestEveryFlippedBitAndTruncationIsATypedError(t *testing.T) {
	f, table := newFixture(t), users(t)
	for _, col := range table.Columns() {
		sealed := mustSeal(t, f.Cipher, col, acme, sample[col.Name()])
		check := func(b []byte, what string, n int) {
			var got string
			err := f.Open(t.Context(), &got, col, acme, b)
			var typed *field.Error
			if !errors.As(err, &typed) || typed.Table != "users" || typed.Column != col.Name() || got != "" {
				t.Fatalf("%v, %s %d: opened %q, %v", col, what, n, got, err)
			}
		}
		for i := range len(sealed) * 8 {
			b := append([]byte(nil), sealed...)
			b[i/8] ^= 1 << (i % 8)
			check(b, "flipped bit", i)
		}
		for n := range sealed {
			check(sealed[:n], "cut to", n)
		}
		check(append(append([]byte(nil), sealed...), 0), "appended", 1)
	}
}

func TestSealingIsRefusedWhereSomethingIsUnknown(t *testing.T) {
	f := newFixture(t)
	bound := users(t, func(c *field.TableConfig) { c.RowID = "id" })
	col := users(t).Column("ssn")
	cases := []struct {
		name string
		ctx  context.Context
		col  *field.Column
		row  field.Row
		v    any
		want error
	}{
		{"no tenant", t.Context(), col, field.Row{}, "x", field.ErrTenantUnknown},
		{"a tenant that is not the context's", field.WithTenant(t.Context(), "a"), col, field.Row{Tenant: "b"}, "x", field.ErrTenantMismatch},
		{"no row id", t.Context(), bound.Column("ssn"), acme, "x", field.ErrRowUnknown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if out, err := f.Seal(c.ctx, nil, c.col, c.row, c.v); !errors.Is(err, c.want) || out != nil {
				t.Errorf("%d bytes, %v; want %v", len(out), err, c.want)
			}
		})
	}
	for _, tenant := range []string{strings.Repeat("x", 256), "\xff"} {
		if out, err := f.Seal(t.Context(), nil, col, field.Row{Tenant: tenant}, "x"); err == nil || out != nil {
			t.Errorf("sealed for tenant %q", tenant)
		}
	}
	const canary = "CANARY-9f3a"
	out, err := f.Seal(t.Context(), nil, users(t).Column("dob"), acme, canary)
	if err == nil || out != nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a date of %q: %d bytes, %v", canary, len(out), err)
	}
	if _, err := f.Seal(t.Context(), nil, users(t).Column("name"), acme, strings.Repeat(canary, 9)); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a varchar above its length: %v", err)
	}
}

func TestTheTenantComesFromRowContextOrDefault(t *testing.T) {
	f := newFixture(t)
	col := users(t, func(c *field.TableConfig) { c.Tenant.Default = "everyone" }).Column("ssn")
	cases := []struct {
		ctx  context.Context
		row  field.Row
		want string
	}{
		{t.Context(), acme, "acme"},
		{field.WithTenant(t.Context(), "ctx"), field.Row{}, "ctx"},
		{t.Context(), field.Row{}, "everyone"},
	}
	for _, c := range cases {
		sealed, err := f.Seal(c.ctx, nil, col, c.row, "x")
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := f.Open(t.Context(), &got, col, field.Row{Tenant: c.want}, sealed); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

type myUUID [16]byte

func TestTenantAndRowIdentifiersHaveOneForm(t *testing.T) {
	const u = "7f1c9a52-0d7e-4c43-9a39-6a2b1c9d8e10"
	decoded, err := hex.DecodeString(strings.ReplaceAll(u, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	raw := [16]byte(decoded)
	seven := 7
	cases := []struct {
		v    any
		want string
	}{
		{"Acme", "Acme"},
		{strings.ToUpper(u), u},
		{raw, u},
		{myUUID(raw), u},
		{raw[:], u},
		{[]byte(strings.ToUpper(u)), u},
		{42, "42"},
		{int64(-1), "-1"},
		{uint8(9), "9"},
		{&seven, "7"},
	}
	for _, c := range cases {
		if got, err := field.TenantOf(c.v); err != nil || got != c.want {
			t.Errorf("%T: %q, %v; want %q", c.v, got, err, c.want)
		}
	}
	for _, bad := range []any{nil, "", (*int)(nil), 1.5, struct{}{}, uint64(1 << 63), []string{"a"}} {
		if got, err := field.TenantOf(bad); err == nil {
			t.Errorf("%T gives tenant %q", bad, got)
		}
	}
}

func TestRowClaimsAgreeAcrossGoTypes(t *testing.T) {
	f := newFixture(t)
	col := users(t, func(c *field.TableConfig) { c.RowID = "id" }).Column("ssn")
	const u = "7f1c9a52-0d7e-4c43-9a39-6a2b1c9d8e10"
	for _, c := range []struct{ seal, open any }{{7, int64(7)}, {uint32(7), int16(7)}, {u, strings.ToUpper(u)}, {"k-1", []byte("k-1")}} {
		sealed := mustSeal(t, f.Cipher, col, field.Row{Tenant: "acme", ID: c.seal}, "x")
		var got string
		if err := f.Open(t.Context(), &got, col, field.Row{Tenant: "acme", ID: c.open}, sealed); err != nil {
			t.Errorf("%T then %T: %v", c.seal, c.open, err)
		}
	}
}

func TestAPageOfSeveralTenantsRoundTrips(t *testing.T) {
	f, table := newFixture(t), users(t)
	cols := table.Columns()
	rows := make([]field.SealRow, 100)
	for i := range rows {
		rows[i] = field.SealRow{Row: field.Row{Tenant: fmt.Sprint("t", i%7)}, Values: []any{
			fmt.Sprint("ssn", i), "1970-02-03", fmt.Sprint("name", i), "x", nil, fmt.Sprintf(`{"i": %d}`, i),
		}}
	}
	if err := f.SealRows(t.Context(), cols, rows); err != nil {
		t.Fatal(err)
	}
	if c := f.kms.Calls(); c.Generate != 7+100 {
		t.Errorf("%+v; want a Generate for each of 7 tenants and for each of 100 rows", c)
	}
	c, before, queries := f.cold(t), f.kms.Calls(), f.store.Queries()
	opened := make([]field.OpenRow, len(rows))
	got := make([][6]*string, len(rows))
	for i := range rows {
		opened[i] = field.OpenRow{Row: rows[i].Row, Sealed: rows[i].Sealed}
		for j := range cols {
			opened[i].Into = append(opened[i].Into, &got[i][j])
		}
	}
	if err := c.OpenRows(t.Context(), cols, opened); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		for j, want := range rows[i].Values {
			if s := got[i][j]; (s == nil) != (want == nil) || s != nil && *s != want {
				t.Errorf("row %d, %v: %v, want %v", i, cols[j], s, want)
			}
		}
	}
	if n := f.kms.Calls().Sub(before); n.Unwrap != 7+100 || f.store.Queries()-queries > 2 {
		t.Errorf("a cold page made %+v and %d queries", n, f.store.Queries()-queries)
	}
}

func TestTheColumnsOfARowShareItsRowKeyAndRowsDoNot(t *testing.T) {
	f, table := newFixture(t), users(t)
	cols := []*field.Column{table.Column("name"), table.Column("bio")}
	rows := []field.SealRow{{Row: acme, Values: []any{"a", "b"}}, {Row: acme, Values: []any{"c", "d"}}}
	if err := f.SealRows(t.Context(), cols, rows); err != nil {
		t.Fatal(err)
	}
	wrapped := func(i, j int) string {
		v, err := envelope.Parse(rows[i].Sealed[j])
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Wrapped())
	}
	if wrapped(0, 0) != wrapped(0, 1) || wrapped(0, 0) == wrapped(1, 0) {
		t.Error("row keys are not per row")
	}
}

func TestAPageNamesTheRowThatFails(t *testing.T) {
	f, table := newFixture(t), users(t)
	col := table.Column("ssn")
	rows := make([]field.OpenRow, 3)
	for i := range rows {
		rows[i] = field.OpenRow{Row: acme, Sealed: [][]byte{mustSeal(t, f.Cipher, col, acme, "x")}, Into: []any{new(string)}}
	}
	rows[2].Sealed[0][40] ^= 1
	var typed *field.Error
	if err := f.OpenRows(t.Context(), []*field.Column{col}, rows); !errors.As(err, &typed) || typed.Row != 2 || !errors.Is(err, envelope.ErrOpen) {
		t.Errorf("%v, want row 2", err)
	}
}

func TestChangingTheTypeAsksForReseal(t *testing.T) {
	f := newFixture(t)
	sealed := mustSeal(t, f.Cipher, users(t).Column("ssn"), acme, "x")
	changed := users(t, func(c *field.TableConfig) { c.Columns[0].Type = mustType(t, "bytea") })
	if err := f.Open(t.Context(), new([]byte), changed.Column("ssn"), acme, sealed); !errors.Is(err, field.ErrWrongType) {
		t.Error(err)
	}
}

func TestPaddingHidesLengths(t *testing.T) {
	f := newFixture(t)
	col := users(t, func(c *field.TableConfig) { c.Columns[0].Pad = 32 }).Column("ssn")
	n := len(mustSeal(t, f.Cipher, col, acme, ""))
	for i := range 31 {
		if m := len(mustSeal(t, f.Cipher, col, acme, strings.Repeat("x", i))); m != n {
			t.Errorf("a plaintext of %d bytes is told from an empty one: %d and %d bytes", i, m, n)
		}
	}
	if m := len(mustSeal(t, f.Cipher, col, acme, strings.Repeat("x", 32))); m != n+32 {
		t.Errorf("a whole block pads to %d, want %d", m, n+32)
	}
}

func TestOverheadIsAsPromised(t *testing.T) {
	f, table := newFixture(t), users(t)
	for name, most := range map[string]int{"ssn": 56, "name": 120} {
		if n := len(mustSeal(t, f.Cipher, table.Column(name), acme, "0123456789abcdef")) - 16; n > most {
			t.Errorf("%s: %d bytes added, at most %d are promised", name, n, most)
		}
	}
}

func TestPoliciesAreChecked(t *testing.T) {
	text := mustType(t, "text")
	good := field.ColumnConfig{Name: "c", Type: text}
	for name, cfg := range map[string]field.TableConfig{
		"a table without a name":    {Columns: []field.ColumnConfig{good}},
		"a table without columns":   {Name: "t"},
		"a column without a name":   {Name: "t", Columns: []field.ColumnConfig{{Type: text}}},
		"a column without a type":   {Name: "t", Columns: []field.ColumnConfig{{Name: "c"}}},
		"a column twice":            {Name: "t", Columns: []field.ColumnConfig{good, good}},
		"a sealed tenant":           {Name: "t", Tenant: field.TenantSource{Column: "c"}, Columns: []field.ColumnConfig{good}},
		"a sealed row id":           {Name: "t", RowID: "c", Columns: []field.ColumnConfig{good}},
		"a pad above its bound":     {Name: "t", Columns: []field.ColumnConfig{{Name: "c", Type: text, Pad: 1 << 17}}},
		"reuse without wrap: kms":   {Name: "t", Columns: []field.ColumnConfig{{Name: "c", Type: text, Reuse: envelope.Reuse{Values: 2}}}},
		"reuse without values":      {Name: "t", Columns: []field.ColumnConfig{{Name: "c", Type: text, Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Age: time.Minute}}}},
		"a table name too long":     {Name: strings.Repeat("x", 256), ID: "t", Columns: []field.ColumnConfig{good}},
		"a column name too long":    {Name: "t", Columns: []field.ColumnConfig{{Name: strings.Repeat("x", 256), ID: "c", Type: text}}},
		"a tenant column too long":  {Name: "t", Tenant: field.TenantSource{Column: strings.Repeat("x", 256)}, Columns: []field.ColumnConfig{good}},
		"reuse for a moment":        {Name: "t", Columns: []field.ColumnConfig{{Name: "c", Type: text, Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Values: 2, Age: time.Millisecond}}}},
		"a default tenant too long": {Name: "t", Tenant: field.TenantSource{Default: strings.Repeat("x", 256)}, Columns: []field.ColumnConfig{good}},
	} {
		if _, err := field.NewTable(cfg); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	upper := users(t, func(c *field.TableConfig) { c.Tenant.Default = "7F1C9A52-0D7E-4C43-9A39-6A2B1C9D8E10" })
	if got := upper.Tenant().Default; got != "7f1c9a52-0d7e-4c43-9a39-6a2b1c9d8e10" {
		t.Errorf("a default tenant that is a UUID stays %s", got)
	}
	one, two := users(t), users(t, func(c *field.TableConfig) { c.Name, c.ID = "people", "users" })
	if _, err := field.NewPolicy(one, two); err == nil {
		t.Error("two tables with one id accepted")
	}
	same := users(t, func(c *field.TableConfig) { c.Name, c.ID = "public.users", "x" })
	if _, err := field.NewPolicy(one, same); err == nil {
		t.Error("users and public.users accepted as two tables")
	}
	p, err := field.NewPolicy(one)
	if err != nil || p.Table("public.users") != one || p.Table("users") != one || p.Table("other.users") != nil {
		t.Errorf("looking up: %v, %v", p, err)
	}
}

func TestPublicAndBareNamesShareValues(t *testing.T) {
	f := newFixture(t)
	public := users(t, func(c *field.TableConfig) { c.Name = "public.users" })
	sealed := mustSeal(t, f.Cipher, public.Column("ssn"), acme, "x")
	var got string
	if err := f.Open(t.Context(), &got, users(t).Column("ssn"), acme, sealed); err != nil {
		t.Error(err)
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	f := newFixture(t)
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{f.kms}, Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	for v, want := range map[any]string{f.Cipher: "rowseal cipher", ring: "rowseal keyring"} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(format, v); s != want {
				t.Errorf("%s prints %s", format, s)
			}
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		if !strings.Contains(out.String(), fmt.Sprintf("v=%q", want)) {
			t.Errorf("slog prints %s", out.String())
		}
	}
}

func TestMemoDoesNotOutliveTheCache(t *testing.T) {
	store := &keyringtest.Store{}
	k, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	col := users(t).Column("ssn")
	sealed := mustSeal(t, c, col, acme, "x")
	v, _ := envelope.Parse(sealed)
	store.Edit(v.KeyID(), func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil })
	if err := c.Open(t.Context(), new(string), col, acme, sealed); err != nil {
		t.Fatalf("while the key is held: %v", err)
	}
	k.Forget()
	if err := c.Open(t.Context(), new(string), col, acme, sealed); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("opened after the keyring forgot the key: %v", err)
	}
	if _, err := c.Seal(t.Context(), nil, col, acme, "x"); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("sealed after the keyring forgot the key: %v", err)
	}
}

func TestSealingAndOpeningWithACachedKeyAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; the normal run tests this")
		return
	}
	f, col := newFixture(t), users(t).Column("ssn")
	ctx, dst, text, opened := t.Context(), make([]byte, 0, 256), "0123456789abcdef", ""
	sealed := mustSeal(t, f.Cipher, col, acme, text)
	for range 3 { // the memo takes a key when it is asked for again
		mustSeal(t, f.Cipher, col, acme, text)
	}
	cases := map[string]struct {
		most float64
		do   func() error
	}{
		"Seal, with the value's conversion to any": {1, func() error { _, err := f.Seal(ctx, dst, col, acme, text); return err }},
		"OpenBytes":                    {0, func() error { _, err := f.OpenBytes(ctx, dst, col, acme, sealed); return err }},
		"Open, with the string itself": {1, func() error { return f.Open(ctx, &opened, col, acme, sealed) }},
	}
	for name, c := range cases {
		if n := testing.AllocsPerRun(1000, func() {
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
		}); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, c.most)
		}
	}
}
