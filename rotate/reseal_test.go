package rotate

import (
	"strings"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// TestResealBringsValuesToThePolicy seals rows under one policy and reseals them under another, both ways. All
// values say the same afterwards, under the newest keys alone, and a second run has nothing to do.
func TestResealBringsValuesToThePolicy(t *testing.T) {
	type edit = func(*field.ColumnConfig)
	for _, c := range []struct {
		name  string
		a, b  []edit
		stays bool // the policies are one: only keys are new
	}{
		{name: "new tenant keys", stays: true},
		{name: "new tenant keys of row keys", a: []edit{rowKeys}, b: []edit{rowKeys}, stays: true},
		{name: "new tenant keys under terms", a: []edit{searchable}, b: []edit{searchable}, stays: true},
		{name: "key mode", b: []edit{rowKeys}},
		{name: "key mode of one column", b: []edit{of("email", rowKeys)}},
		{name: "KMS-wrapped row keys", b: []edit{kmsKeys}},
		{name: "suite", b: []edit{strict}},
		{name: "suite of row keys", a: []edit{rowKeys}, b: []edit{rowKeys, strict}},
		{name: "padding", b: []edit{padded(32)}},
		{name: "padding of another size", a: []edit{padded(32)}, b: []edit{padded(16)}},
		{name: "search terms", b: []edit{searchable}},
		{name: "search terms with row keys", a: []edit{rowKeys}, b: []edit{rowKeys, searchable}},
		{name: "scope of terms", a: []edit{searchable}, b: []edit{global}},
		{name: "text and varchar", b: []edit{of("name", func(c *field.ColumnConfig) { c.Type = mustType("varchar(40)") })}},
		{name: "all at once", a: []edit{rowKeys, padded(64)}, b: []edit{strict, searchable, of("email", func(c *field.ColumnConfig) { c.Type = mustType("varchar") })}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t)
			a, b := s.people(c.a...), s.people(c.b...)
			rows := s.rows(a, 40)
			if c.stays {
				s.rotate(false)
			}
			for _, to := range []*field.Table{b, a} {
				counts, findings := s.run(Job{Kind: Reseal, Table: to}, rows)
				if len(findings) > 0 || counts["resealed"] == 0 && !c.stays {
					t.Fatalf("counts %v, findings %v", counts, findings)
				}
				if counts["values"] != 75 || counts["resealed"]+counts["current"] != 75 {
					t.Errorf("counts %v", counts)
				}
				s.opens(to, rows)
				if counts, _ := s.run(Job{Kind: Reseal, Table: to}, rows); counts["current"] != 75 {
					t.Errorf("a second run: %v", counts)
				}
				if _, findings := s.run(Job{Kind: Verify, Table: to}, rows); len(findings) > 0 {
					t.Errorf("verify: %v", findings)
				}
			}
			if c.stays {
				s.destroyRetired()
				s.opens(a, rows)
			}
		})
	}
}

func TestResealOfAllRenewsWhatIsCurrent(t *testing.T) {
	s := newShop(t)
	table := s.people(rowKeys)
	rows := s.rows(table, 20)
	before := map[string]bool{}
	for _, r := range rows {
		before[string(r.values[0])] = true
	}
	counts, findings := s.run(Job{Kind: Reseal, Table: table, Options: map[string]string{"all": "true"}}, rows)
	if counts["resealed"] != counts["values"] || len(findings) > 0 {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
	for _, r := range rows {
		if before[string(r.values[0])] {
			t.Fatal("a value was not renewed")
		}
		a, errA := envelope.Parse(r.values[0])
		if errA != nil || r.values[1] == nil {
			continue
		}
		b, errB := envelope.Parse(r.values[1])
		if errB != nil || string(a.Wrapped()) != string(b.Wrapped()) {
			t.Fatal("the columns of a row have row keys of their own")
		}
	}
	s.opens(table, rows)
}

// A table without a tenant column has values of the tenants that the application's contexts named.
func TestResealKeepsTheOwnerWhereTheRowDoesNotSay(t *testing.T) {
	s := newShop(t)
	table, err := field.NewTable(field.TableConfig{Name: "people", Columns: []field.ColumnConfig{
		{Name: "name", Type: s.typ("text")}, {Name: "email", Type: s.typ("text")},
	}})
	s.must(err)
	rows := s.rows(table, 20)
	tenants := map[int]string{}
	for i := range rows {
		tenants[i], rows[i].beside = *rows[i].beside[0], nil
	}
	s.rotate(false)
	for _, want := range []string{"resealed", "current"} {
		counts, findings := s.run(Job{Kind: Reseal, Table: table}, rows)
		if counts[want] != counts["values"] || len(findings) > 0 {
			t.Fatalf("counts %v, findings %v", counts, findings)
		}
	}
	for i := range rows {
		tenant := tenants[i]
		rows[i].beside = []*string{&tenant}
	}
	s.opens(table, rows)
}

func TestResealLeavesWhatItCannotDo(t *testing.T) {
	s := newShop(t)
	table := s.people()
	rows := s.rows(table, 8)
	other := "tenant-0"
	rows[1].beside[0] = &other                                    // of tenant-1
	rows[2].values[0] = []byte("plain")                           //
	rows[4].values[0] = rows[4].values[0][:20]                    //
	rows[5].values[0], rows[5].values[1] = rows[5].values[1], nil // of another column
	rows[6].values[0] = flipped(rows[6].values[0])                //
	s.rotate(false)
	counts, findings := s.run(Job{Kind: Reseal, Table: table}, rows)
	want := "email wrong-tenant, name foreign, name malformed, name undecryptable, name unsealed, name wrong-tenant"
	if got := kinds(findings); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if counts["values"] != 14 || counts["resealed"] != 8 {
		t.Errorf("counts %v", counts)
	}
}

func TestResealCountsDestroyedKeys(t *testing.T) {
	s := newShop(t)
	table := s.people()
	rows := s.rows(table, 10)
	s.shred("tenant-1")
	counts, findings := s.run(Job{Kind: Reseal, Table: table, Options: map[string]string{"all": "true"}}, rows)
	if counts["destroyed"] != 10 || counts["resealed"] != 9 || len(findings) > 0 {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
}

// shred destroys all keys of a tenant, as if they had been retired for days.
func (s *shop) shred(tenant string) {
	s.t.Helper()
	for _, r := range s.records() {
		if r.Tenant == tenant {
			s.store.Edit(r.ID, func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil })
		}
	}
	s.forget()
}

func TestResealRefusesWhatDoesNotFitTheNewType(t *testing.T) {
	for _, c := range []struct{ to, want string }{
		{"varchar(6)", "wrong-type"},  // "Name 10" is longer
		{"int4", "wrong-type"},        // no number
		{"timestamptz", "wrong-type"}, //
	} {
		s := newShop(t)
		rows := s.rows(s.people(), 20)
		table := s.people(of("name", func(col *field.ColumnConfig) { col.Type = s.typ(c.to) }))
		counts, findings := s.run(Job{Kind: Reseal, Table: table}, rows)
		if len(findings) == 0 || counts["resealed"]+int64(len(findings)) != 20 {
			t.Errorf("%s: counts %v, findings %v", c.to, counts, findings)
		}
		for _, f := range findings {
			if f.Kind != c.want || strings.Contains(f.Detail, "Name 1") {
				t.Errorf("%s: %+v", c.to, f)
			}
		}
	}
}

// A modifier made narrower leaves the type's code as it was: all values that do not fit are found in one round.
func TestResealFindsAllThatDoNotFitANarrowerModifier(t *testing.T) {
	s := newShop(t)
	wide := s.people(func(c *field.ColumnConfig) { c.Type = s.typ("varchar(40)") })
	rows := s.rows(wide, 40)
	narrow := s.people(func(c *field.ColumnConfig) { c.Type = s.typ("varchar(6)") })
	counts, findings := s.run(Job{Kind: Reseal, Table: narrow, Options: map[string]string{"all": "true"}}, rows)
	if len(findings) != 30+35 || counts["resealed"] != 10 {
		t.Errorf("counts %v, %d findings", counts, len(findings))
	}
	_, findings = s.run(Job{Kind: Verify, Table: narrow}, rows)
	if len(findings) != 30+35 {
		t.Errorf("verify has %d findings", len(findings))
	}
}

func TestConversionsLoseNothing(t *testing.T) {
	for _, c := range []struct{ from, to, value, want string }{
		{"text", "varchar(3)", "abc", "abc"},
		{"text", "char(5)", "abc", "abc  "},
		{"text", "char(5)", "abc ", ""}, // the space would be gone
		{"text", "int4", "42", "42"},
		{"text", "int4", "042", ""},
		{"text", "jsonb", `{"a": 1}`, `{"a": 1}`},
		{"text", "jsonb", `{"a":1}`, ""},
		{"json", "jsonb", `{"a":1}`, `{"a": 1}`},
		{"jsonb", "json", `{"a": 1}`, `{"a": 1}`},
		{"int4", "int8", "42", "42"},
		{"int8", "int4", "42", "42"},
		{"int8", "int4", "4294967296", ""},
		{"int4", "text", "42", "42"},
		{"numeric", "int4", "42", "42"},
		{"numeric", "int4", "42.5", ""},
		{"float8", "float4", "0.5", "0.5"},
		{"float8", "float4", "0.1", ""},
		{"uuid", "text", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		{"text", "uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", ""},
		{"char(5)", "text", "abc", "abc"},
		{"int4[]", "int8[]", "{1,NULL,3}", "{1,NULL,3}"},
		{"int4", "int4[]", "4711", ""},
		{"timestamp", "timestamptz", "2024-01-02 03:04:05", ""}, // in which zone?
		{"timestamp", "date", "2024-01-02 03:04:05", ""},
		{"bytea", "text", `\x6162`, `\x6162`},
	} {
		from, to := mustType(c.from), mustType(c.to)
		plain, err := from.EncodeText(nil, c.value)
		if err != nil {
			t.Fatal(err)
		}
		conv := converter{to: to}
		got, err := conv.convert(from.Code(), plain)
		text := ""
		if err == nil {
			out, err := to.AppendText(nil, got)
			if err != nil {
				t.Fatal(err)
			}
			text = string(out)
		} else if strings.Contains(err.Error(), c.value) {
			t.Errorf("the error holds the value: %v", err)
		}
		if text != c.want {
			t.Errorf("%s %q to %s: got %q (%v), want %q", c.from, c.value, c.to, text, err, c.want)
		}
	}
	if _, err := (&converter{to: mustType("text")}).convert(0x7f, []byte("x")); err == nil {
		t.Error("an unknown type was converted")
	}
}
