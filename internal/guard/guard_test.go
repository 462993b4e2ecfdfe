package guard_test

import (
	"slices"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// TestNamesAndConditionsStay: databases hold these; other names would make second ones.
func TestNamesAndConditionsStay(t *testing.T) {
	typ, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{
		Name: "app.People", Columns: []field.ColumnConfig{{Name: "ssn", Type: typ, Search: field.Search{Equality: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := table.Column("ssn")
	var got []string
	for _, g := range guard.Of(c) {
		got = append(got, g.Name("app.People"), guard.PostgreSQL.Condition(g, `"ssn"`))
	}
	got = append(got, guard.IndexName("people", c))
	want := []string{
		"rowseal_app_people_ssn_guard_1dced09d9bcca2fa", `octet_length("ssn") >= 56 AND "ssn" >= '\xf51dced09d01'::bytea AND "ssn" < '\xf51dced09d02'::bytea`,
		"rowseal_app_people_ssn_terms_1dced09dcb2b778f", `octet_length("ssn") >= 56 AND substr("ssn", 8, 1) IN ('\x01'::bytea, '\x03'::bytea)`,
		"rowseal_people_ssn_eq_1dced09d1b725477",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
