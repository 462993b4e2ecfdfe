package field_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

func TestABinaryValueIsSealedAsItsGoValueIs(t *testing.T) {
	f, table := newFixture(t), users(t)
	for _, col := range table.Columns() {
		plain, _, err := col.Type().Encode(nil, sample[col.Name()])
		if err != nil {
			t.Fatal(err)
		}
		sealed := mustSeal(t, f.Cipher, col, acme, field.Binary(plain))
		got, err := f.OpenBytes(t.Context(), nil, col, acme, sealed)
		if err != nil || string(got) != string(plain) {
			t.Errorf("%v: %v", col, err)
		}
		if null := mustSeal(t, f.Cipher, col, acme, field.Binary(nil)); null != nil {
			t.Errorf("%v: a nil Binary is not NULL", col)
		}
	}
}

func TestABinaryValueIsChecked(t *testing.T) {
	f, table := newFixture(t), users(t)
	for column, bad := range map[string]field.Binary{"dob": {1, 2}, "ssn": {0xff}, "notes": {9, '{'}} {
		var failed *codec.Error
		if _, err := f.Seal(t.Context(), nil, table.Column(column), acme, bad); !errors.As(err, &failed) {
			t.Errorf("%s: sealed what is no value of its type: %v", column, err)
		}
	}
}

func TestACanonicalOperandMakesTheTermOfItsValue(t *testing.T) {
	f, col := newFixture(t), users(t, searchable("ssn")).Column("ssn")
	form, _, err := col.Type().Comparand(nil, "078-05-1120")
	if err != nil {
		t.Fatal(err)
	}
	terms := []field.Term{
		{Column: col, Tenant: "acme", Value: "078-05-1120"},
		{Column: col, Tenant: "acme", Value: field.Canonical(form)},
		{Column: col, Tenant: "acme", Value: field.Canonical(nil)},
	}
	if err := f.EqualityTerms(t.Context(), terms); err != nil {
		t.Fatal(err)
	}
	if string(terms[0].Bytes) != string(terms[1].Bytes) || terms[2].Bytes != nil {
		t.Error("terms differ, or NULL has one")
	}
}

func TestCellsOpenEachByItself(t *testing.T) {
	f, table := newFixture(t), users(t)
	ssn, bio := table.Column("ssn"), table.Column("bio")
	sealed := mustSeal(t, f.Cipher, ssn, acme, "078-05-1120")
	altered := append([]byte(nil), sealed...)
	altered[len(altered)-1] ^= 1
	cells := []field.OpenCell{
		{Column: ssn, Row: acme, Sealed: sealed},
		{Column: ssn, Row: acme, Sealed: altered},
		{Column: bio, Row: acme, Sealed: mustSeal(t, f.Cipher, bio, acme, "a poet")},
		{Column: bio, Row: acme, Sealed: sealed},
		{Column: ssn, Row: field.Row{Tenant: "other"}, Sealed: sealed},
		{Column: ssn, Sealed: mustSeal(t, f.Cipher, ssn, acme, "")},
	}
	t.Run("OpenCells", func(t *testing.T) { checkCells(t, cells, f.cold(t).OpenCells) })
	t.Run("OpenOnce", func(t *testing.T) { checkCells(t, cells, f.cold(t).OpenOnce) })
}

func checkCells(t *testing.T, cells []field.OpenCell, open func(context.Context, []byte, []field.OpenCell) []byte) {
	out := open(t.Context(), []byte("in front"), cells)
	for i, want := range []struct {
		plain string
		err   error
	}{{plain: "078-05-1120"}, {err: envelope.ErrOpen}, {plain: "a poet"}, {err: field.ErrWrongColumn}, {err: field.ErrTenantMismatch}, {}} {
		if !errors.Is(cells[i].Err, want.err) || string(cells[i].Plain) != want.plain || (cells[i].Plain == nil) != (want.err != nil) {
			t.Errorf("cell %d: %q, %v", i, cells[i].Plain, cells[i].Err)
		}
	}
	if string(out) != "in front078-05-1120a poet" {
		t.Errorf("%q", out)
	}
}

func TestWhatIsAtHandOpensWithoutTheKeyring(t *testing.T) {
	f, table := newFixture(t), users(t)
	ssn := table.Column("ssn")
	sealed := mustSeal(t, f.Cipher, ssn, acme, "078-05-1120")
	c := f.cold(t)
	if _, ok, err := c.OpenAtHand(nil, ssn, acme, sealed); ok || err != nil {
		t.Fatal("a cold cipher has the key at hand", err)
	}
	if _, err := c.OpenBytes(t.Context(), nil, ssn, acme, sealed); err != nil {
		t.Fatal(err)
	}
	got, ok, err := c.OpenAtHand([]byte("x"), ssn, acme, sealed)
	if !ok || err != nil || string(got) != "x078-05-1120" {
		t.Errorf("%q, %v, %v", got, ok, err)
	}
	if _, ok, err := c.OpenAtHand(nil, ssn, field.Row{Tenant: "other"}, sealed); !ok || !errors.Is(err, field.ErrTenantMismatch) {
		t.Error(err)
	}
	if _, ok, err := c.OpenAtHand(nil, table.Column("bio"), acme, sealed); !ok || !errors.Is(err, field.ErrWrongColumn) {
		t.Error(err)
	}
}

func TestACellOfAnotherTypeOpensWhereItIsAskedFor(t *testing.T) {
	f, table := newFixture(t), users(t)
	ssn := table.Column("ssn")
	other := users(t, func(cfg *field.TableConfig) {
		for i := range cfg.Columns {
			if cfg.Columns[i].Name == "ssn" {
				cfg.Columns[i].Type = mustType(t, "bytea")
			}
		}
	}).Column("ssn")
	sealed := mustSeal(t, f.Cipher, ssn, acme, "078-05-1120")
	cells := []field.OpenCell{
		{Column: other, Row: acme, Sealed: sealed},
		{Column: other, Row: acme, Sealed: sealed, AnyType: true},
		{Column: table.Column("bio"), Row: acme, Sealed: sealed, AnyType: true},
	}
	f.OpenCells(t.Context(), nil, cells)
	if !errors.Is(cells[0].Err, field.ErrWrongType) || cells[0].Owner != "" {
		t.Errorf("%+v", cells[0])
	}
	if cells[1].Err != nil || string(cells[1].Plain) != "078-05-1120" || cells[1].Owner != acme.Tenant {
		t.Errorf("%v, owner %q", cells[1].Err, cells[1].Owner)
	}
	if !errors.Is(cells[2].Err, field.ErrWrongColumn) {
		t.Errorf("a value of another column: %v", cells[2].Err)
	}
}
