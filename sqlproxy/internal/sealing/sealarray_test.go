package sealing

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// arrayOfText is a text[] in text form, with its type.
func arrayOfText(s string) Value { return Value{OID: pgtype.TextArrayOID, Data: []byte(s)} }

// binaryArray is an array in binary form of elements of a type, nil for NULL.
func binaryArray(oid uint32, elements ...[]byte) []byte {
	array := appendByteaArray(nil, len(elements), func(i int) []byte { return elements[i] })
	binary.BigEndian.PutUint32(array[8:], oid)
	return array
}

func elementsOf(t *testing.T, array []byte) (out [][]byte) {
	t.Helper()
	if err := eachElement(array, func(e []byte) error { out = append(out, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func int4(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// seals is a plan whose parameters are arrays: tenants, and values of columns.
func (f *fixture) seals(as uint32, columns ...string) *plan.Plan {
	p := &plan.Plan{NumParams: 1 + len(columns), Params: []plan.Param{{Client: 1}}}
	for i, name := range columns {
		p.Cells = append(p.Cells, plan.Cell{
			Do: plan.Seals, Column: f.table.Column(name), From: param(i + 2),
			Tenant: plan.Source{Param: 1, Array: true, As: as}, Row: 1,
		})
		p.Params = append(p.Params, plan.Param{Cell: i + 1})
	}
	return p
}

func TestEachElementIsSealedForTheRowAtItsPlace(t *testing.T) {
	f := newFixture(t)
	for name, tenants := range map[string]Value{
		"text":            arrayOfText("{acme,zeta,NULL}"),
		"binary":          {OID: pgtype.TextArrayOID, Format: binaryFormat, Data: binaryArray(pgtype.TextOID, []byte("acme"), []byte("zeta"), nil)},
		"binary, no type": {Format: binaryFormat, Data: binaryArray(pgtype.TextOID, []byte("acme"), []byte("zeta"))},
	} {
		t.Run(name, func(t *testing.T) {
			values := Value{OID: pgtype.TextArrayOID, Format: binaryFormat, Data: binaryArray(pgtype.TextOID, []byte("078-05-1120"), []byte(""), nil)}
			out, err := f.Bind(t.Context(), f.seals(pgtype.TextOID, "ssn", "name", "bio"), []Value{tenants, values, arrayOfText(`{Ada,"B, b"}`), arrayOfText("{x,y}")})
			if err != nil {
				t.Fatal(err)
			}
			ssn, names, bio := elementsOf(t, out[1].Data), elementsOf(t, out[2].Data), elementsOf(t, out[3].Data)
			if out[1].OID != pgtype.ByteaArrayOID || out[1].Format != binaryFormat || len(ssn) != 3 || ssn[2] != nil || len(names) != 2 {
				t.Fatalf("%d elements of type %d: %v", len(ssn), out[1].OID, ssn)
			}
			for i, tenant := range []string{"acme", "zeta"} {
				row := field.Row{Tenant: tenant}
				got := []string{f.open(t, "ssn", row, ssn[i]), f.open(t, "name", row, names[i]), f.open(t, "bio", row, bio[i])}
				if want := [][]string{{"078-05-1120", "Ada", "x"}, {"", "B, b", "y"}}[i]; !slices.Equal(got, want) {
					t.Errorf("row %d opens as %q", i, got)
				}
				if !slices.Equal(rowKey(t, names[i]), rowKey(t, bio[i])) {
					t.Error("values of one row have keys of their own")
				}
			}
			if slices.Equal(rowKey(t, names[0]), rowKey(t, names[1])) {
				t.Error("two rows share a key")
			}
		})
	}
}

func TestTenantsOfAnArrayOfTextsAreCastToNumbers(t *testing.T) {
	f := newFixture(t)
	out, err := f.Bind(t.Context(), f.seals(pgtype.Int4OID, "ssn"), []Value{arrayOfText("{7,08}"), arrayOfText("{canary-1,canary-2}")})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range elementsOf(t, out[1].Data) {
		if got := f.open(t, "ssn", field.Row{Tenant: []string{"7", "8"}[i]}, e); got != []string{"canary-1", "canary-2"}[i] {
			t.Errorf("element %d opens as %q", i, got)
		}
	}
}

// rowKey is the wrapped key that a value carries.
func rowKey(t *testing.T, sealed []byte) []byte {
	t.Helper()
	e, err := envelope.Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	return e.Wrapped()
}

// refusedWith fails unless err is a refusal with this state, which tells nothing of the values.
func refusedWith(t *testing.T, err error, state string) {
	t.Helper()
	var r *plan.Refusal
	if !errors.As(err, &r) || r.SQLState != state {
		t.Fatalf("got %v, want %s", err, state)
	}
	if strings.Contains(r.Error()+r.Detail, "canary") {
		t.Errorf("the refusal holds the value: %v", r)
	}
}

func TestArraysThatFitNoRowsAreRefused(t *testing.T) {
	f := newFixture(t)
	deep := binaryArray(pgtype.TextOID, []byte("canary"))
	deep = slices.Concat(int4(2), deep[4:20], int4(1), int4(1), deep[20:])
	for name, c := range map[string]struct {
		column  string
		tenants Value
		values  Value
		state   string
	}{
		"two dimensions":            {"ssn", arrayOfText("{acme}"), arrayOfText("{{canary}}"), "0A000"},
		"two dimensions, in binary": {"ssn", arrayOfText("{acme}"), Value{OID: pgtype.TextArrayOID, Format: binaryFormat, Data: deep}, "0A000"},
		"no array":                  {"ssn", arrayOfText("{acme}"), arrayOfText("{canary"), "22P02"},
		"no binary array":           {"ssn", arrayOfText("{acme}"), Value{OID: pgtype.TextArrayOID, Format: binaryFormat, Data: []byte("canary")}, "22P03"},
		"a value too long":          {"name", arrayOfText("{acme}"), arrayOfText("{" + strings.Repeat("canary", 9) + "}"), "22001"},
		"a value of another type":   {"dob", arrayOfText("{acme}"), arrayOfText("{1987-06-05}"), "42804"},
		"a number too large":        {"age", arrayOfText("{acme}"), Value{OID: pgtype.Int8ArrayOID, Data: []byte("{4242424242424242}")}, "22003"},
		"fewer tenants":             {"ssn", arrayOfText("{acme}"), arrayOfText("{a,canary}"), "0A000"},
		"a NULL tenant":             {"ssn", arrayOfText("{acme,NULL}"), arrayOfText("{a,canary}"), "0A000"},
		"no tenants":                {"ssn", Value{}, arrayOfText("{canary}"), "0A000"},
		"tenants that are no array": {"ssn", Value{OID: pgtype.TextArrayOID, Format: binaryFormat, Data: []byte("canary")}, arrayOfText("{a}"), "XX000"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.Bind(t.Context(), f.seals(pgtype.TextOID, c.column), []Value{c.tenants, c.values})
			refusedWith(t, err, c.state)
		})
	}
	own := *f.Session
	own.Tenant = "acme"
	_, err := own.Bind(t.Context(), f.seals(pgtype.TextOID, "ssn"), []Value{arrayOfText("{acme,zeta}"), arrayOfText("{a,canary}")})
	refusedWith(t, err, "42501")
}

func TestAnArrayOfTextsIsCastElementByElement(t *testing.T) {
	f := newFixture(t)
	for _, values := range []Value{
		arrayOfText(`{1987-06-05,NULL,"06/06/1987"}`),
		{OID: pgtype.TextArrayOID, Format: binaryFormat, Data: binaryArray(pgtype.TextOID, []byte("1987-06-05"), nil, []byte("06/06/1987"))},
	} {
		p := f.seals(pgtype.TextOID, "dob")
		p.Cells[0].From.As = pgtype.DateOID
		out, err := f.Bind(t.Context(), p, []Value{arrayOfText("{acme,acme,acme}"), values})
		if err != nil {
			t.Fatal(err)
		}
		for i, sealed := range elementsOf(t, out[1].Data) {
			want := []string{"1987-06-05", "", "1987-06-06"}[i]
			if sealed == nil && want == "" {
				continue
			}
			var got time.Time
			if err := f.Cipher.Open(t.Context(), &got, f.table.Column("dob"), acme, sealed); err != nil || got.Format(time.DateOnly) != want {
				t.Errorf("element %d opens as %v, %v", i, got, err)
			}
		}
	}
}

// bound is a fixture with a table whose values are bound to a number.
func boundFixture(t *testing.T) (*fixture, *field.Table) {
	t.Helper()
	f := newFixture(t)
	table, err := field.NewTable(field.TableConfig{
		Name: "cards", Tenant: field.TenantSource{Default: "acme"}, RowID: "id",
		Columns: []field.ColumnConfig{{Name: "number", Type: mustType(t, "text")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, table
}

func TestEachElementIsBoundToTheIDAtItsPlace(t *testing.T) {
	f, table := boundFixture(t)
	p := &plan.Plan{
		NumParams: 2,
		Cells: []plan.Cell{{
			Do: plan.Seals, Column: table.Column("number"), From: param(2), RowID: plan.Source{Param: 1, Array: true, As: pgtype.Int4OID},
		}},
		Params: []plan.Param{{Client: 1}, {Cell: 1}},
	}
	for name, ids := range map[string]Value{
		"text":            {OID: pgtype.Int4ArrayOID, Data: []byte("{7, 8,NULL}")},
		"text, no type":   {Data: []byte("{07,8}")},
		"binary":          {OID: pgtype.Int4ArrayOID, Format: binaryFormat, Data: binaryArray(pgtype.Int4OID, int4(7), int4(8))},
		"binary, no type": {Format: binaryFormat, Data: binaryArray(pgtype.Int4OID, int4(7), int4(8))},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := f.Bind(t.Context(), p, []Value{ids, arrayOfText("{4111,5500}")})
			if err != nil {
				t.Fatal(err)
			}
			for i, sealed := range elementsOf(t, out[1].Data) {
				var got string
				row := field.Row{Tenant: "acme", ID: int64(7 + i)}
				if err := f.Cipher.Open(t.Context(), &got, table.Column("number"), row, sealed); err != nil || got != []string{"4111", "5500"}[i] {
					t.Errorf("element %d opens as %q, %v", i, got, err)
				}
			}
		})
	}
	_, err := f.Bind(t.Context(), p, []Value{{OID: pgtype.Int4ArrayOID, Data: []byte("{7}")}, arrayOfText("{4111,canary}")})
	refusedWith(t, err, "23502")
	p.Cells[0].RowID.Sought = true
	out, err := f.Bind(t.Context(), p, []Value{{OID: pgtype.Int4ArrayOID, Data: []byte("{7,NULL}")}, arrayOfText("{4111,5500}")})
	if err != nil {
		t.Fatal(err)
	}
	if got := elementsOf(t, out[1].Data); len(got) != 2 || got[0] == nil || got[1] != nil {
		t.Errorf("the value of nobody's row is %x", got)
	}
}

// A parameter whose type is left open comes in binary form as the type of the column that it is for.
func TestAnIDInBinaryFormNeedsNoType(t *testing.T) {
	for as, c := range map[uint32]struct {
		data []byte
		want any
	}{
		pgtype.Int4OID: {int4(7), int64(7)},
		pgtype.Int8OID: {slices.Concat(int4(0), int4(7)), int64(7)},
		pgtype.UUIDOID: {make([]byte, 16), "00000000-0000-0000-0000-000000000000"},
		pgtype.TextOID: {[]byte("acme"), "acme"},
	} {
		got, err := identity(Value{Format: binaryFormat, Data: c.data}, as)
		if err != nil || got != c.want {
			t.Errorf("%d: %v, %v", as, got, err)
		}
	}
}

// What the server takes for a text is one, even if it is as long as a number would be.
func TestAnIDThatIsCastFromATextIsRead(t *testing.T) {
	f, table := boundFixture(t)
	p := &plan.Plan{
		NumParams: 2,
		Cells: []plan.Cell{{
			Do: plan.Seal, Column: table.Column("number"), From: param(2),
			RowID: plan.Source{Param: 1, As: pgtype.Int4OID, Type: pgtype.TextOID},
		}},
		Params: []plan.Param{{Client: 1}, {Cell: 1}},
	}
	out, err := f.Bind(t.Context(), p, []Value{{Format: binaryFormat, Data: []byte("12")}, text("4111")})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := f.Cipher.Open(t.Context(), &got, table.Column("number"), field.Row{Tenant: "acme", ID: int64(12)}, out[1].Data); err != nil {
		t.Error(err)
	}
}

func TestAnArrayOfConstantsIsSealedInTheText(t *testing.T) {
	f := newFixture(t)
	array := plan.Const{Text: "{canary-1,NULL}", OID: pgtype.TextArrayOID}
	p := &plan.Plan{
		Cells:  []plan.Cell{{Do: plan.Seals, Column: f.table.Column("ssn"), From: plan.Source{Const: &array}, Tenant: textConst("acme")}},
		Pieces: []plan.Piece{{Text: "SELECT "}, {Cell: 1}},
	}
	r, err := f.Text(t.Context(), p, "SELECT '{canary-1,NULL}'::text[]")
	if err != nil {
		t.Fatal(err)
	}
	inside, ok := strings.CutPrefix(r.Text, "SELECT ARRAY[pg_catalog.decode('")
	sealed, rest, _ := strings.Cut(inside, "'")
	if raw, err := hex.DecodeString(sealed); !ok || err != nil || rest != ", 'hex'),NULL]::pg_catalog.bytea[]" || f.open(t, "ssn", acme, raw) != "canary-1" {
		t.Errorf("the text is %s", r.Text)
	}
}

// Where no row can have the tenant, terms are equal to one another as their values are, and to nothing else.
func TestTermsOfNobodyAreOfNoTenant(t *testing.T) {
	f := newFixture(t)
	nobody := plan.Source{Param: 1, Sought: true, As: pgtype.TextOID}
	p := &plan.Plan{NumParams: 4, Params: []plan.Param{{Client: 1}, {Cell: 1}, {Cell: 2}, {Cell: 3}, {Cell: 4}}}
	for i, do := range []plan.Action{plan.Term, plan.Term, plan.Terms, plan.Seal} {
		c := plan.Cell{Do: do, Column: f.table.Column("ssn"), From: param(2 + i%3), Tenant: nobody}
		p.Cells = append(p.Cells, c)
	}
	values := []Value{{}, text("a"), text("b"), arrayOfText("{a,NULL,c}")}
	out, err := f.Bind(t.Context(), p, values)
	if err != nil {
		t.Fatal(err)
	}
	list := elementsOf(t, out[3].Data)
	switch {
	case len(out[1].Data) != 16 || slices.Equal(out[1].Data, out[2].Data):
		t.Error("terms of different values are one")
	case len(list) != 3 || !slices.Equal(list[0], out[1].Data) || list[1] != nil || len(list[2]) != 16:
		t.Errorf("the array's terms are %x", list)
	case out[4].Data != nil:
		t.Error("a value of nobody is sealed")
	}
	again, err := f.Bind(t.Context(), p, values)
	if err != nil || slices.Equal(again[1].Data, out[1].Data) {
		t.Errorf("the term is the same twice, %v", err)
	}
	p.Cells[0].Tenant.Sought = false
	_, err = f.Bind(t.Context(), p, values)
	refusedWith(t, err, "0A000")
	bad := []Value{{}, {Data: []byte("\xff")}, text("b"), arrayOfText("{a}")}
	p.Cells[0].Tenant.Sought = true
	_, err = f.Bind(t.Context(), p, bad)
	refusedWith(t, err, "22021")
}
