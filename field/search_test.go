package field_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

func TestSearchThatCannotBeIsRefused(t *testing.T) {
	kmsMode := func(c *field.ColumnConfig) { c.Mode = envelope.ModeKMS }
	unsearched := func(c *field.ColumnConfig) { c.Search = field.Search{} }
	for _, tt := range []struct {
		name    string
		columns []field.ColumnConfig
		want    []string
	}{
		{"under row keys of the KMS", []field.ColumnConfig{equality(t, "a", "text", kmsMode)}, []string{"column a", "wrap: kms"}},
		{"of json", []field.ColumnConfig{equality(t, "a", "json")}, []string{"column a", "json", "jsonb"}},
		{"of an array of json", []field.ColumnConfig{equality(t, "a", "json[]")}, []string{"column a", "json[]", "jsonb[]"}},
		{"a scope alone", []field.ColumnConfig{equality(t, "a", "text", unsearched, global)}, []string{"column a", "scope", "search: [equality]"}},
		{"a domain alone", []field.ColumnConfig{equality(t, "a", "text", unsearched, inDomain("d"))}, []string{"column a", "domain", "search: [equality]"}},
		{"an unknown scope", []field.ColumnConfig{equality(t, "a", "text", func(c *field.ColumnConfig) { c.Scope = 7 })}, []string{"column a", "unknown scope 7"}},
		{"a domain that is too long", []field.ColumnConfig{equality(t, "a", "text", inDomain(strings.Repeat("x", 256)))}, []string{"column a", "255"}},
		{"a domain that is no text", []field.ColumnConfig{equality(t, "a", "text", inDomain("\xff"))}, []string{"column a", "UTF-8"}},
		{
			"a domain of two families",
			[]field.ColumnConfig{equality(t, "a", "text", inDomain("d")), equality(t, "b", "int8", inDomain("d"))},
			[]string{"t.a", "t.b", "domain d", "text", "int8"},
		},
		{
			"a domain of two scopes",
			[]field.ColumnConfig{equality(t, "a", "text", inDomain("d")), equality(t, "b", "text", inDomain("d"), global)},
			[]string{"t.a", "t.b", "domain d", "tenant", "global"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := field.NewTable(field.TableConfig{Name: "t", Columns: tt.columns})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in %q", part, err)
				}
			}
			if len(tt.columns) < 2 {
				return
			}
			var tables []*field.Table
			for i, c := range tt.columns {
				tables = append(tables, mustTable(t, field.TableConfig{Name: "t" + string(rune('0'+i)), Columns: []field.ColumnConfig{c}}))
			}
			if _, err := field.NewPolicy(tables...); err == nil || !strings.Contains(err.Error(), "domain d") {
				t.Errorf("in two tables of a policy: %v", err)
			}
		})
	}
}

func mustTable(t testing.TB, cfg field.TableConfig) *field.Table {
	t.Helper()
	table, err := field.NewTable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAColumnSaysHowItIsFound(t *testing.T) {
	table := people(t)
	for name, want := range map[string]struct {
		search bool
		scope  field.Scope
		domain string
	}{
		"ssn": {true, field.ScopeTenant, ""}, "phone": {true, field.ScopeTenant, "contact"},
		"passport": {true, field.ScopeGlobal, ""}, "visa": {true, field.ScopeGlobal, "papers"}, "notes": {},
	} {
		c := table.Column(name)
		if c.Search().Equality != want.search || c.Scope() != want.scope || c.Domain() != want.domain {
			t.Errorf("%v: %+v, %v, %q", c, c.Search(), c.Scope(), c.Domain())
		}
	}
}

func TestColumnsAreComparableWithinTheirDomainAndScope(t *testing.T) {
	table := people(t)
	other := mustTable(t, field.TableConfig{Name: "staff", Columns: []field.ColumnConfig{
		equality(t, "phone", "text", inDomain("contact")),
		equality(t, "ssn", "text"),
		equality(t, "visa", "text", inDomain("papers")), // with another scope than people.visa
	}})
	of := func(name string) *field.Column {
		if table, name, ok := strings.Cut(name, "."); ok && table == "staff" {
			return other.Column(name)
		}
		return table.Column(name)
	}
	for pair, want := range map[[2]string]bool{
		{"ssn", "ssn"}: true, {"notes", "notes"}: false, {"ssn", "notes"}: false, {"ssn", "alias"}: false,
		{"phone", "fax"}: true, {"phone", "staff.phone"}: true, {"ssn", "staff.ssn"}: false,
		{"visa", "permit"}: true, {"visa", "passport"}: false, {"visa", "staff.visa"}: false,
	} {
		for _, p := range [][2]string{pair, {pair[1], pair[0]}} {
			if got := of(p[0]).Comparable(of(p[1])); got != want {
				t.Errorf("%s and %s: %v", p[0], p[1], got)
			}
		}
	}
}

// Every value that any suite seals begins with one of the prefixes, and no
// value of another column does.
func TestValuesBeginWithAPrefixAndHaveAFlag(t *testing.T) {
	f := newFixture(t)
	columns := map[string]int{"ssn": 4, "name": 4, "bio": 4, "dob": 2, "notes": 1, "name2": 2}
	for _, strict := range []bool{false, true} {
		for _, rowID := range []string{"", "id"} {
			table := users(t, searchable("ssn", "name", "bio"), func(cfg *field.TableConfig) {
				cfg.RowID = rowID
				for i := range cfg.Columns {
					if cfg.Columns[i].Mode != envelope.ModeKMS {
						cfg.Columns[i].StrictFIPS = strict
					}
				}
			})
			for name, n := range columns {
				col := table.Column(name)
				sealed := mustSeal(t, f.Cipher, col, field.Row{Tenant: "acme", ID: 7}, sample[name])
				begins := func(p []byte) bool { return len(p) == envelope.EqualityOffset && bytes.HasPrefix(sealed, p) }
				if list := col.Prefixes(); len(list) != n || !slices.ContainsFunc(list, begins) {
					t.Errorf("%v: %x begins with none of %x (want %d)", col, sealed[:8], list, n)
				}
				if flags := col.Flags(); flags[0] != envelope.Flags(sealed[7]) {
					t.Errorf("%v: flags %02x, want first %02x", col, flags, sealed[7])
				}
				for other := range columns {
					if other != name && slices.ContainsFunc(table.Column(other).Prefixes(), begins) {
						t.Errorf("a value of %s begins as one of %s", name, other)
					}
				}
			}
		}
	}
	flags := people(t).Column("ssn").Flags()
	if want := []envelope.Flags{envelope.FlagEquality, envelope.FlagEquality | envelope.FlagSecond}; !slices.Equal(flags, want) {
		t.Errorf("flags %02x, want %02x", flags, want)
	}
}
