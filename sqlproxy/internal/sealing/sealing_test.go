package sealing

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

type fixture struct {
	*Session
	kms   *kmscount.KMS
	store *keyringtest.Store
	table *field.Table
}

func mustType(t testing.TB, s string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{kms: kmscount.New(localkms.Memory()), store: &keyringtest.Store{}}
	table, err := field.NewTable(field.TableConfig{
		Name: "users", Tenant: field.TenantSource{Column: "org_id"},
		Columns: []field.ColumnConfig{
			{Name: "ssn", Type: mustType(t, "text"), Search: field.Search{Equality: true}},
			{Name: "dob", Type: mustType(t, "date")},
			{Name: "age", Type: mustType(t, "int4"), Search: field.Search{Equality: true}, Scope: field.ScopeGlobal},
			{Name: "name", Type: mustType(t, "varchar(45)"), Mode: envelope.ModeRow},
			{Name: "bio", Type: mustType(t, "text"), Mode: envelope.ModeRow},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.table = table
	f.Session = f.cold(t)
	return f
}

// cold gives a session over the same keys with nothing at hand.
func (f *fixture) cold(t testing.TB) *Session {
	t.Helper()
	k, err := keyring.New(keyring.Config{Roots: []kms.KMS{f.kms}, Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := pgtext.Parse("ISO, MDY", "UTC", "postgres", "hex", "1")
	if err != nil {
		t.Fatal(err)
	}
	return &Session{Cipher: c, Settings: settings}
}

func (f *fixture) open(t testing.TB, column string, row field.Row, sealed []byte) string {
	t.Helper()
	var got string
	if err := f.Cipher.Open(t.Context(), &got, f.table.Column(column), row, sealed); err != nil {
		t.Fatalf("%s: %v", column, err)
	}
	return got
}

func textConst(s string) plan.Source {
	return plan.Source{Const: &plan.Const{Text: s, OID: pgtype.UnknownOID}}
}

func param(n int) plan.Source { return plan.Source{Param: n} }

func text(s string) Value { return Value{Data: []byte(s)} }

var acme = field.Row{Tenant: "acme"}

func TestParametersAreSealedForTheTenantOfTheirRow(t *testing.T) {
	f := newFixture(t)
	col := f.table.Column
	p := &plan.Plan{
		NumParams: 5,
		Cells: []plan.Cell{
			{Do: plan.Seal, Column: col("ssn"), From: param(2), Tenant: param(1), Row: 0},
			{Do: plan.Seal, Column: col("name"), From: param(3), Tenant: param(1), Row: 0},
			{Do: plan.Seal, Column: col("bio"), From: param(4), Tenant: param(1), Row: 0},
			{Do: plan.Seal, Column: col("ssn"), From: param(5), Tenant: textConst("zeta"), Row: 1},
		},
		Params: []plan.Param{{Client: 1}, {Cell: 1}, {Cell: 2}, {Cell: 3}, {Cell: 4}, {OID: pgtype.TextOID}},
	}
	out, err := f.Bind(t.Context(), p, []Value{text("acme"), text("078-05-1120"), text("Ada"), text("poet"), text("219-09-9999")})
	if err != nil {
		t.Fatal(err)
	}
	if string(out[0].Data) != "acme" || out[5].Data != nil {
		t.Error("plain parameters changed")
	}
	zeta := field.Row{Tenant: "zeta"}
	for i, want := range map[int]struct {
		column, value string
		row           field.Row
	}{1: {"ssn", "078-05-1120", acme}, 2: {"name", "Ada", acme}, 3: {"bio", "poet", acme}, 4: {"ssn", "219-09-9999", zeta}} {
		if out[i].Format != binaryFormat || out[i].OID != pgtype.ByteaOID || f.open(t, want.column, want.row, out[i].Data) != want.value {
			t.Errorf("parameter %d", i+1)
		}
	}
}

func TestCellsOfARowShareItsKey(t *testing.T) {
	f := newFixture(t)
	p := &plan.Plan{
		NumParams: 2,
		Cells: []plan.Cell{
			{Do: plan.Seal, Column: f.table.Column("name"), From: param(1), Tenant: textConst("acme")},
			{Do: plan.Seal, Column: f.table.Column("bio"), From: param(2), Tenant: textConst("acme")},
			{Do: plan.Seal, Column: f.table.Column("bio"), From: param(2), Tenant: textConst("acme"), Row: 1},
		},
		Params: []plan.Param{{Cell: 1}, {Cell: 2}, {Cell: 3}},
	}
	out, err := f.Bind(t.Context(), p, []Value{text("Ada"), text("poet")})
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) string {
		v, err := envelope.Parse(out[i].Data)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(v.Wrapped())
	}
	if key(0) != key(1) || key(1) == key(2) {
		t.Error("one row has two keys, or two rows one")
	}
}

func TestATermFindsTheValue(t *testing.T) {
	f := newFixture(t)
	for column, values := range map[string]struct{ stored, asked Value }{
		"ssn": {text("078-05-1120"), Value{OID: pgtype.TextOID, Data: []byte("078-05-1120")}},
		"age": {Value{OID: pgtype.Int4OID, Format: binaryFormat, Data: []byte{0, 0, 0, 42}}, Value{OID: pgtype.Int8OID, Format: binaryFormat, Data: []byte{0, 0, 0, 0, 0, 0, 0, 42}}},
	} {
		col := f.table.Column(column)
		p := &plan.Plan{
			NumParams: 2,
			Cells: []plan.Cell{
				{Do: plan.Seal, Column: col, From: param(1), Tenant: textConst("acme")},
				{Do: plan.Term, Column: col, From: param(2), Tenant: textConst("acme")},
				{Do: plan.Term, Column: col, From: textConst("7"), Tenant: textConst("acme")},
			},
			Params: []plan.Param{{Cell: 1}, {Cell: 2}, {Cell: 3}},
		}
		out, err := f.Bind(t.Context(), p, []Value{values.stored, values.asked})
		if err != nil {
			t.Fatal(err)
		}
		term := string(out[0].Data[envelope.EqualityOffset:][:16])
		if term != string(out[1].Data) || term == string(out[2].Data) {
			t.Errorf("%s: the term does not find its value, or another's does", column)
		}
	}
}

func TestAnArrayBecomesItsTerms(t *testing.T) {
	f := newFixture(t)
	col := f.table.Column("ssn")
	p := &plan.Plan{
		NumParams: 1,
		Cells: []plan.Cell{
			{Do: plan.Terms, Column: col, From: param(1), Tenant: textConst("acme")},
			{Do: plan.Term, Column: col, From: textConst("a"), Tenant: textConst("acme")},
		},
		Params: []plan.Param{{Cell: 1}, {Cell: 2}},
	}
	out, err := f.Bind(t.Context(), p, []Value{{OID: 1009, Data: []byte(`{a,NULL,"b c"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	_ = eachElement(out[0].Data, func(e []byte) error { got = append(got, string(e)); return nil })
	if len(got) != 3 || got[0] != string(out[1].Data) || got[1] != "" || len(got[2]) != 16 {
		t.Errorf("%x", got)
	}
	if out[0].OID != pgtype.ByteaArrayOID || binary.BigEndian.Uint32(out[0].Data[4:]) != 1 {
		t.Error("no bytea[] with a NULL")
	}
}

func TestTheTextHoldsNoConstantThatWasSealed(t *testing.T) {
	f := newFixture(t)
	const client = "INSERT INTO users VALUES ('acme', 'ünder-05-1120', NULL) -- é"
	at := strings.Index(client, "'ü")
	p := &plan.Plan{
		Cells: []plan.Cell{{Do: plan.Seal, Column: f.table.Column("ssn"), From: textConst("ünder-05-1120"), Tenant: textConst("acme")}},
		Pieces: []plan.Piece{
			{From: 0, To: at},
			{Cell: 1},
			{From: at + len("'ünder-05-1120'"), To: len(client)},
		},
	}
	r, err := f.Text(t.Context(), p, client)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^INSERT INTO users VALUES \('acme', pg_catalog\.decode\('([0-9a-f]+)', 'hex'\), NULL\) -- é$`).FindStringSubmatch(r.Text)
	if m == nil {
		t.Fatal(r.Text)
	}
	sealed, _ := hex.DecodeString(m[1])
	if f.open(t, "ssn", acme, sealed) != "ünder-05-1120" {
		t.Error("another value")
	}
	for _, word := range []string{"INSERT", "acme", "NULL)", "é"} {
		in := len([]rune(r.Text[:strings.LastIndex(r.Text, word)])) + 1
		want := len([]rune(client[:strings.LastIndex(client, word)])) + 1
		if got := r.Position(in); got != want {
			t.Errorf("%s at %d is mapped to %d, not %d", word, in, got, want)
		}
	}
	if got := r.Position(len([]rune("INSERT INTO users VALUES ('acme', pg_cat"))); got < at || got > at+len("'ünder-05-1120'")+1 {
		t.Errorf("a position in what was replaced is mapped to %d", got)
	}
}

func TestRefusalsNameColumnAndState(t *testing.T) {
	f := newFixture(t)
	col := f.table.Column
	away := errors.New("down")
	for name, c := range map[string]struct {
		cell   plan.Cell
		tenant string
		value  Value
		away   error
		state  string
		hint   string // a part of it
	}{
		"bad date":        {cell: plan.Cell{Column: col("dob"), From: param(1), Tenant: textConst("acme")}, value: text("canary-date"), state: "22007", hint: "Expected an ISO 8601 date"},
		"too long":        {cell: plan.Cell{Column: col("name"), From: param(1), Tenant: textConst("acme")}, value: text(strings.Repeat("canary", 9)), state: "22001"},
		"no tenant":       {cell: plan.Cell{Column: col("ssn"), From: param(1)}, value: text("canary-1"), state: stateNotSupported},
		"NULL tenant":     {cell: plan.Cell{Column: col("ssn"), From: param(1), Tenant: plan.Source{Const: &plan.Const{Null: true}}}, value: text("canary-1"), state: stateNotSupported},
		"another tenant":  {cell: plan.Cell{Column: col("ssn"), From: param(1), Tenant: textConst("acme")}, tenant: "zeta", value: text("canary-1"), state: stateDenied, hint: "rowseal.tenant"},
		"no such param":   {cell: plan.Cell{Column: col("ssn"), From: param(9), Tenant: textConst("acme")}, value: text("canary-1"), state: stateNoParameter},
		"KMS away":        {cell: plan.Cell{Column: col("ssn"), From: param(1), Tenant: textConst("new")}, value: text("canary-1"), away: away, state: stateKeyAway},
		"unsearchable":    {cell: plan.Cell{Do: plan.Term, Column: col("dob"), From: param(1), Tenant: textConst("acme")}, value: text("2020-01-01"), state: stateNotSupported},
		"term, no tenant": {cell: plan.Cell{Do: plan.Term, Column: col("ssn"), From: param(1)}, value: text("canary-1"), state: stateNotSupported},
	} {
		f.kms.Fail = func(string) error { return c.away }
		s := f.cold(t)
		s.Tenant = c.tenant
		_, err := s.Bind(t.Context(), &plan.Plan{Cells: []plan.Cell{c.cell}, Params: []plan.Param{{Cell: 1}}}, []Value{c.value})
		var r *plan.Refusal
		if !errors.As(err, &r) || r.SQLState != c.state {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(fmt.Sprintf("%+v", *r), "canary") {
			t.Errorf("%s: the refusal quotes the value", name)
		}
		if !strings.Contains(r.Hint, c.hint) || r.Hint != "" && !strings.HasSuffix(r.Hint, ".") || strings.Contains(r.Message, ";") {
			t.Errorf("%s: message %q, hint %q", name, r.Message, r.Hint)
		}
	}
}

// row is the body of a DataRow.
func row(values ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

func hexText(b []byte) []byte { return []byte(`\x` + hex.EncodeToString(b)) }

func (f *fixture) seal(t testing.TB, column, tenant string, v any) []byte {
	t.Helper()
	sealed, err := f.Cipher.Seal(t.Context(), nil, f.table.Column(column), field.Row{Tenant: tenant}, v)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// openRow opens a row, loading what is not at hand.
func openRow(ctx context.Context, o *Opener, body []byte) ([]byte, error) {
	out, ok, err := o.Row(ctx, nil, body)
	if !ok && err == nil {
		if err = o.Load(ctx, [][]byte{body}); err == nil {
			out, ok, err = o.Row(ctx, nil, body)
		}
	}
	if !ok && err == nil {
		err = errors.New("not ok after Load")
	}
	return out, err
}

func TestRowsOpenInEveryFormat(t *testing.T) {
	f := newFixture(t)
	output := func(column string) plan.Output {
		return plan.Output{Possible: []*field.Column{f.table.Column(column)}, TenantAt: -1, RowIDAt: -1}
	}
	plainOut := plan.Output{TenantAt: -1, RowIDAt: -1}
	dob, name := f.seal(t, "dob", "acme", "2001-02-03"), f.seal(t, "name", "acme", "Ada")
	binaryDate := binary.BigEndian.AppendUint32(nil, 399)
	for label, s := range map[string]*Session{"warm": f.Session, "cold": f.cold(t)} {
		for range 2 {
			o := s.NewOpener([]Column{
				{Output: plainOut},
				{Output: output("dob"), Server: 1},
				{Output: output("dob"), Server: 0, Client: 1},
				{Output: output("name")},
				{Output: plainOut},
				{Output: output("name"), Server: 1, Client: 1},
			})
			got, err := openRow(t.Context(), o, row([]byte("7"), dob, hexText(dob), hexText(name), nil, nil))
			if want := row([]byte("7"), []byte("2001-02-03"), binaryDate, []byte("Ada"), nil, nil); err != nil || string(got) != string(want) {
				t.Errorf("%s: %q, %v", label, got, err)
			}
		}
	}
}

func TestTheHeaderChoosesAmongPossibleColumnsOnly(t *testing.T) {
	f := newFixture(t)
	both := plan.Output{Possible: []*field.Column{f.table.Column("ssn"), f.table.Column("bio")}, TenantAt: -1, RowIDAt: -1}
	o := f.NewOpener([]Column{{Output: both, Server: 1}})
	for column, want := range map[string]string{"ssn": "078-05-1120", "bio": "poet"} {
		got, err := openRow(t.Context(), o, row(f.seal(t, column, "acme", want)))
		if err != nil || string(got) != string(row([]byte(want))) {
			t.Errorf("%s: %v", column, err)
		}
	}
	var r *plan.Refusal
	if _, err := openRow(t.Context(), o, row(f.seal(t, "name", "acme", "Ada"))); !errors.As(err, &r) || r.SQLState != stateCorrupted || !strings.Contains(r.Hint, "rowseal inspect") {
		t.Errorf("a value of another column opened: %v", err)
	}
}

func TestASealedValueInAPlainColumnIsNotedAndNeverOpened(t *testing.T) {
	f := newFixture(t)
	sealed := f.seal(t, "ssn", "acme", "078-05-1120")
	plainOut := plan.Output{TenantAt: -1, RowIDAt: -1}
	o := f.NewOpener([]Column{{Output: plainOut, Watch: true, Server: 1, Client: 1}, {Output: plainOut, Watch: true}, {Output: plainOut}})
	body := row(sealed, hexText(sealed), sealed)
	got, err := openRow(t.Context(), o, body)
	if err != nil || string(got) != string(body) || o.Noted() != 2 {
		t.Errorf("noted %d, %v", o.Noted(), err)
	}
}

func TestAValueOfAnotherTenantThanItsRowDoesNotOpen(t *testing.T) {
	f := newFixture(t)
	sealed := f.seal(t, "ssn", "acme", "078-05-1120")
	out := plan.Output{Possible: []*field.Column{f.table.Column("ssn")}, TenantAt: 1, RowIDAt: -1}
	columns := []Column{{Output: out, Server: 1}, {Output: plan.Output{TenantAt: -1, RowIDAt: -1}, OID: pgtype.TextOID}}
	for _, c := range []struct {
		session, row string
		ok           bool
	}{{"", "acme", true}, {"acme", "acme", true}, {"", "zeta", false}, {"zeta", "zeta", false}, {"zeta", "acme", false}} {
		for _, s := range []*Session{f.cold(t), f.Session} {
			s.Tenant = c.session
			_, err := openRow(t.Context(), s.NewOpener(columns), row(sealed, []byte(c.row)))
			if (err == nil) != c.ok {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
}

func TestOneFetchLoadsAWindow(t *testing.T) {
	f := newFixture(t)
	var bodies [][]byte
	for i := range 50 {
		bodies = append(bodies, row(f.seal(t, "ssn", fmt.Sprintf("t%d", i), fmt.Sprint(i))))
	}
	bodies[20][len(bodies[20])-1] ^= 1
	out := plan.Output{Possible: []*field.Column{f.table.Column("ssn")}, TenantAt: -1, RowIDAt: -1}
	o := f.cold(t).NewOpener([]Column{{Output: out, Server: 1}})
	if err := o.Load(t.Context(), bodies); err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		got, ok, err := o.Row(t.Context(), nil, body)
		var r *plan.Refusal
		switch {
		case i == 20 && (!errors.As(err, &r) || r.SQLState != stateCorrupted):
			t.Errorf("an altered value opened: %v", err)
		case i != 20 && (!ok || err != nil || string(got) != string(row([]byte(fmt.Sprint(i))))):
			t.Errorf("row %d: %q, %v, %v", i, got, ok, err)
		}
	}
}

func TestRowsThatAreNoRowsAreRefused(t *testing.T) {
	f := newFixture(t)
	out := plan.Output{Possible: []*field.Column{f.table.Column("ssn")}, TenantAt: -1, RowIDAt: -1}
	o := f.NewOpener([]Column{{Output: out}})
	for _, body := range [][]byte{nil, {0}, {0, 1}, {0, 2, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 9, 1}, append(row([]byte("x")), 1), row([]byte("plain text")), row([]byte(`\`)), row([]byte{})} {
		if _, err := openRow(t.Context(), o, body); err == nil {
			t.Errorf("%x passed", body)
		}
	}
}

func BenchmarkOpenRow(b *testing.B) {
	f := newFixture(b)
	out := func(column string) plan.Output {
		return plan.Output{Possible: []*field.Column{f.table.Column(column)}, TenantAt: -1, RowIDAt: -1}
	}
	plainOut := plan.Output{TenantAt: -1, RowIDAt: -1}
	for name, format := range map[string]int16{"binary": 1, "hex": 0} {
		b.Run(name, func(b *testing.B) {
			ssn, dob := f.seal(b, "ssn", "acme", "078-05-1120"), f.seal(b, "dob", "acme", "2001-02-03")
			if format == 0 {
				ssn, dob = hexText(ssn), hexText(dob)
			}
			body := row([]byte("123456"), ssn, dob)
			o := f.NewOpener([]Column{{Output: plainOut}, {Output: out("ssn"), Server: format}, {Output: out("dob"), Server: format}})
			if err := o.Load(b.Context(), [][]byte{body}); err != nil {
				b.Fatal(err)
			}
			dst, _, _ := o.Row(b.Context(), nil, body)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				var ok bool
				if dst, ok, err = o.Row(b.Context(), dst[:0], body); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
