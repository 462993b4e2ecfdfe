package field_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

type visitBase struct {
	Note      *string `rowseal:"seal"`
	CreatedBy string
}

// visit has a column of every sort.
type visit struct {
	ID     int64                `rowseal:"rowid"`
	Clinic string               `rowseal:"tenant"`
	Name   string               `db:"full_name" rowseal:"seal"`
	SSN    field.Secret[string] `rowseal:"seal"`
	Born   time.Time            `rowseal:"type=date,key=row"`
	visitBase
	Room  *int
	Cache string `db:"-"`
	_     struct{}
}

const (
	visitColumns = "id, clinic, full_name, ssn, born, note, created_by, room"
	visitDDL     = "create table visits (id bigint primary key, clinic text not null, full_name bytea, ssn bytea, born bytea, note bytea, created_by text, room int)"
)

func structTable(t testing.TB, model any, name string) *field.Table {
	t.Helper()
	table, err := field.TableOf(model, field.StructConfig{Table: name})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func visits() []visit {
	note, room := "careful", 7
	born := time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC)
	return []visit{
		{ID: 1, Clinic: "north", Name: "Ann Example", SSN: field.SecretOf("900-12-3456"), Born: born, visitBase: visitBase{&note, "bob"}, Room: &room},
		{ID: 2, Clinic: "south", Name: "", SSN: field.SecretOf("900-12-9999"), Born: born.AddDate(1, 0, 0), visitBase: visitBase{nil, ""}},
	}
}

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), visitDDL); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestStructsThroughPgx(t *testing.T) {
	f, conn, table := newFixture(t), connect(t), structTable(t, visit{}, "visits")
	ctx, want := t.Context(), visits()
	one, err := f.SealStruct(ctx, table, want[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "insert into visits ("+visitColumns+") values ($1,$2,$3,$4,$5,$6,$7,$8)", one.Args(strings.Split(visitColumns, ", ")...)...); err != nil {
		t.Fatal(err)
	}
	two, err := f.SealStruct(ctx, table, &want[1])
	if err != nil {
		t.Fatal(err)
	}
	if note := two.Args("note")[0]; note != nil {
		t.Errorf("NULL is the argument %#v, which a driver may take for no bytes", note)
	}
	if _, err := conn.Exec(ctx, "insert into visits ("+visitColumns+") values (@id, @clinic, @full_name, @ssn, @born, @note, @created_by, @room)", pgx.StrictNamedArgs(two.Map())); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(want, visits()) {
		t.Error("sealing changed the structs")
	}
	var read []visit
	rows, _ := conn.Query(ctx, "select room, "+strings.TrimSuffix(visitColumns, ", room")+" from visits order by id")
	if err := f.cold(t).OpenStructs(ctx, table, &read, rows); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, want %+v", read, want)
	}
	var pointers []*visit
	rows, _ = conn.Query(ctx, "select * from visits order by id")
	if err := f.OpenStructs(ctx, table, &pointers, rows); err != nil || len(pointers) != 2 || !reflect.DeepEqual(*pointers[1], want[1]) {
		t.Errorf("read %+v, %v", pointers, err)
	}
	var single visit
	rows, _ = conn.Query(ctx, "select * from visits where id = 1")
	if err := f.OpenStruct(ctx, table, &single, rows); err != nil || !reflect.DeepEqual(single, want[0]) {
		t.Errorf("read %+v, %v", single, err)
	}
	rows, _ = conn.Query(ctx, "select * from visits where id = 3")
	if err := f.OpenStruct(ctx, table, &single, rows); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no row: %v", err)
	}
	rows, _ = conn.Query(ctx, "select * from visits where id = 3")
	if err := f.OpenStructs(ctx, table, &read, rows); err != nil || len(read) != 0 || read == nil {
		t.Errorf("no rows: %v, %v", read, err)
	}
	rows, _ = conn.Query(ctx, "select nonsense")
	if err := f.OpenStructs(ctx, table, &read, rows); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a failed query: %v", err)
	}
	if err := conn.Ping(ctx); err != nil {
		t.Errorf("the connection is still busy: %v", err)
	}
}

// TestStructsInEveryModeOfPgx reads results whose columns become known in other ways.
func TestStructsInEveryModeOfPgx(t *testing.T) {
	f, conn, ctx := newFixture(t), connect(t), t.Context()
	type noted struct {
		ID     int64
		Clinic string                `rowseal:"tenant"`
		Note   field.Secret[*string] `rowseal:"seal"`
	}
	text := "careful"
	want := []noted{{1, "north", field.SecretOf(&text)}, {2, "north", field.Secret[*string]{}}}
	table := structTable(t, noted{}, "visits")
	page, err := f.SealStructs(ctx, table, want)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		if _, err := conn.Exec(ctx, "truncate visits"); err != nil {
			t.Fatal(err)
		}
		for _, row := range page {
			if _, err := conn.Exec(ctx, "insert into visits (id, clinic, note) values ($1, $2, $3)", append([]any{mode}, row.Args()...)...); err != nil {
				t.Fatal(err)
			}
		}
		var nulls int
		if err := conn.QueryRow(ctx, "select count(*) from visits where note is null").Scan(&nulls); err != nil || nulls != 1 {
			t.Errorf("%v: %d NULLs, %v", mode, nulls, err)
		}
		var read []noted
		rows, _ := conn.Query(ctx, "select id, clinic, note from visits order by id", mode)
		if err := f.OpenStructs(ctx, table, &read, rows); err != nil || !reflect.DeepEqual(read, want) {
			t.Errorf("%v: read %v, %v", mode, read, err)
		}
	}
	var batch pgx.Batch
	batch.Queue("select id, clinic, note from visits where id = $1", 1)
	batch.Queue("select id, clinic, note from visits order by id")
	results := conn.SendBatch(ctx, &batch)
	defer results.Close()
	var one noted
	var all []noted
	rows, _ := results.Query()
	errOne := f.OpenStruct(ctx, table, &one, rows)
	rows, _ = results.Query()
	if err := errors.Join(errOne, f.OpenStructs(ctx, table, &all, rows)); err != nil || !reflect.DeepEqual(append(all, one), append(want, want[0])) {
		t.Errorf("a batch: %v, %v, %v", one, all, err)
	}
}

func TestStructsCopyFrom(t *testing.T) {
	f, conn, table := newFixture(t), connect(t), structTable(t, visit{}, "visits")
	ctx, want := t.Context(), visits()
	page, err := f.SealStructs(ctx, table, want)
	if err != nil {
		t.Fatal(err)
	}
	columns := page[0].Columns()
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"visits"}, columns,
		pgx.CopyFromSlice(len(page), func(i int) ([]any, error) { return page[i].Args(columns...), nil }))
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	var read []visit
	rows, _ := conn.Query(ctx, "select * from visits order by id")
	if err := f.OpenStructs(ctx, table, &read, rows); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
}

func TestStructsThroughDatabaseSQL(t *testing.T) {
	for driver, dsn := range map[string]string{"pgx": testpg.DSN(t), "sqlite": "file:" + t.TempDir() + "/visits.db"} {
		t.Run(driver, func(t *testing.T) {
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			f, table, ctx, want := newFixture(t), structTable(t, &visit{}, "visits"), t.Context(), visits()
			if _, err := db.ExecContext(ctx, visitDDL); err != nil {
				t.Fatal(err)
			}
			page, err := f.SealStructs(ctx, table, []*visit{&want[0], &want[1]})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page {
				if _, err := db.ExecContext(ctx, "insert into visits ("+visitColumns+") values ($1,$2,$3,$4,$5,$6,$7,$8)", row.Args()...); err != nil {
					t.Fatal(err)
				}
			}
			var nulls int
			if err := db.QueryRowContext(ctx, "select count(*) from visits where note is null and room is null").Scan(&nulls); err != nil || nulls != 1 {
				t.Errorf("%d rows with NULLs, %v", nulls, err)
			}
			rows, err := db.QueryContext(ctx, "select "+visitColumns+" from visits order by id")
			if err != nil {
				t.Fatal(err)
			}
			var read []visit
			if err := f.OpenStructs(ctx, table, &read, rows); err != nil || !reflect.DeepEqual(read, want) {
				t.Errorf("read %+v, %v", read, err)
			}
			if in := db.Stats().InUse; in != 0 {
				t.Errorf("%d connections are still in use", in)
			}
			var all []byte
			for _, col := range []string{"full_name", "ssn", "born", "note"} {
				var b []byte
				if err := db.QueryRowContext(ctx, "select "+col+" from visits where id = 1").Scan(&b); err != nil || len(b) == 0 || b[0] != 0xf5 {
					t.Errorf("%s holds %x, %v", col, b, err)
				}
				all = append(all, b...)
			}
			for _, plain := range []string{"Ann", "900-12", "careful"} {
				if bytes.Contains(all, []byte(plain)) {
					t.Errorf("%q is stored in clear", plain)
				}
			}
		})
	}
}

func TestAPageFetchesItsKeysOnce(t *testing.T) {
	f, conn := newFixture(t), connect(t)
	type kept struct {
		ID     int64
		Clinic string `rowseal:"tenant"`
		SSN    string `rowseal:"key=row,wrap=kms"`
	}
	table := structTable(t, kept{}, "visits")
	list := make([]kept, 20)
	for i := range list {
		list[i] = kept{int64(i + 1), "north", fmt.Sprint("900-", i)}
	}
	page, err := f.SealStructs(t.Context(), table, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range page {
		if _, err := conn.Exec(t.Context(), "insert into visits (id, clinic, ssn) values ($1, $2, $3)", row.Args()...); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{f.kms}, Store: f.store})
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingKeyring{Keyring: ring}
	c, err := field.New(field.Config{Keyring: counted, Namespace: ring.Namespace()})
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := conn.Query(t.Context(), "select id, clinic, ssn from visits order by id")
	var read []kept
	if err := c.OpenStructs(t.Context(), table, &read, rows); err != nil || !reflect.DeepEqual(read, list) {
		t.Fatal(read, err)
	}
	if counted.opens != 1 {
		t.Errorf("%d fetches for one page", counted.opens)
	}
	var one kept
	rows, _ = conn.Query(t.Context(), "select id, clinic, ssn from visits order by id desc")
	counted.during = func() { // a key store may wait for the connection
		if conn.PgConn().IsBusy() {
			t.Error("the connection is busy while keys are fetched")
		}
	}
	if err := c.OpenStruct(t.Context(), table, &one, rows); err != nil || one != list[19] || counted.opens != 2 {
		t.Errorf("%v after %d fetches, %v", one, counted.opens, err)
	}
}

type countingKeyring struct {
	field.Keyring
	opens  int
	during func()
}

func (k *countingKeyring) OpenKeys(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant) {
	k.opens++
	if k.during != nil {
		k.during()
	}
	k.Keyring.OpenKeys(ctx, refs, grants)
}

// TestAForgottenStepSendsNothing uses a struct without sealing and opening it.
func TestAForgottenStepSendsNothing(t *testing.T) {
	f, conn, ctx, v := newFixture(t), connect(t), t.Context(), visits()[0]
	table := structTable(t, visit{}, "visits")
	const insert = "insert into visits (id, clinic, ssn) values ($1, $2, $3)"
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		_, err := conn.Exec(ctx, insert, mode, v.ID, v.Clinic, v.SSN)
		if err == nil || strings.Contains(err.Error(), "900-12") || !strings.Contains(err.Error(), "not sealed") {
			t.Errorf("%v: a Secret as an argument: %v", mode, err)
		}
		_, err = conn.Exec(ctx, insert, mode, v.ID, v.Clinic, &v.SSN)
		if err == nil || strings.Contains(err.Error(), "900-12") {
			t.Errorf("%v: a pointer to a Secret as an argument: %v", mode, err)
		}
		var unsealed field.SealedStruct
		if _, err := conn.Exec(ctx, insert, append([]any{mode}, unsealed.Args("id", "clinic", "ssn")...)...); err == nil || !strings.Contains(err.Error(), "no row was sealed") {
			t.Errorf("%v: the arguments of no row: %v", mode, err)
		}
	}
	sealed, err := f.SealStruct(ctx, table, v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, insert, sealed.Args("id", "clinic", "snn")...); err == nil || !strings.Contains(err.Error(), `no column "snn"`) || strings.Contains(err.Error(), "900-12") {
		t.Errorf("an unknown column: %v", err)
	}
	if _, err := conn.Exec(ctx, insert, sealed.Args("id", "clinic", "ssn")...); err != nil {
		t.Fatal(err)
	}
	type short struct{ SSN field.Secret[string] }
	rows, _ := conn.Query(ctx, "select ssn from visits")
	if got, err := pgx.CollectRows(rows, pgx.RowToStructByName[short]); err == nil {
		t.Errorf("a Secret was filled with %v", got)
	}
	var count int
	if err := conn.QueryRow(ctx, "select count(*) from visits").Scan(&count); err != nil || count != 1 {
		t.Errorf("%d rows, %v", count, err)
	}
}

func TestASecretDoesNotShow(t *testing.T) {
	s := field.SecretOf("900-12-3456")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s)
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %q", s, s, s), fmt.Sprintf("%+v", visits()[0]), log.String()} {
		if strings.Contains(shown, "900-12") {
			t.Errorf("it shows: %s", shown)
		}
	}
	if b, err := json.Marshal(s); !errors.Is(err, field.ErrNotSealed) {
		t.Errorf("marshalled as %s, %v", b, err)
	}
	if err := s.Scan("x"); !errors.Is(err, field.ErrNotSealed) {
		t.Errorf("scanned: %v", err)
	}
}

func TestStructRefusals(t *testing.T) {
	f, table, ctx := newFixture(t), structTable(t, visit{}, "visits"), t.Context()
	v := visits()[0]
	type renamed struct {
		ID     int64
		Clinic string
		SSN    string `rowseal:"seal" db:"ssn_no"`
	}
	type hidden struct {
		Clinic string
		ID     int64
		ssn    string `rowseal:"seal"`
	}
	type pointing struct {
		*visitBase
		ID     int64
		Clinic string
	}
	type twice struct {
		ID     int64
		Clinic string
		SSN    string
		Other  string `db:"ssn"`
	}
	type openSecret struct {
		ID     int64
		Clinic string
		SSN    string
		Room   field.Secret[int]
	}
	type embeddedSecret struct {
		ID     int64
		Clinic string
		SSN    string
		field.Secret[int]
	}
	type otherTenant struct {
		ID     int64
		Clinic string
		Org    string `rowseal:"tenant"`
		SSN    string
	}
	type otherRow struct {
		ID     int64
		Clinic string
		Key    string `rowseal:"rowid"`
		SSN    string
	}
	type otherCase struct {
		ID     int64
		Clinic string
		Name   string `db:"full_name"`
		SSN    string `db:"SSN"`
	}
	type badTag struct {
		SSN string `rowseal:"seel"`
	}
	type plain struct{ ID int64 }
	type noID struct{ Clinic, SSN string }
	for name, c := range map[string]struct {
		src  any
		want string
		is   error
	}{
		"no struct":             {src: 7, want: "no struct"},
		"nil":                   {src: nil, want: "nil"},
		"a nil pointer":         {src: (*visit)(nil), want: "nil"},
		"a renamed column":      {src: renamed{}, want: `no sealed column "ssn_no"`},
		"an unexported field":   {src: hidden{ssn: "x"}, want: "not exported"},
		"an embedded pointer":   {src: pointing{}, want: "embedded"},
		"two fields, a column":  {src: twice{}, want: "belongs to field SSN too"},
		"a Secret in clear":     {src: openSecret{}, want: "column room of the table is not sealed"},
		"an embedded Secret":    {src: embeddedSecret{}, want: "is not sealed"},
		"another tenant column": {src: otherTenant{}, want: `tenant column is "clinic"`},
		"another row id":        {src: otherRow{}, want: `row id column is "id"`},
		"a column in capitals":  {src: otherCase{}, want: "in case only"},
		"a wrong tag":           {src: badTag{}, want: "seel"},
		"nothing sealed":        {src: plain{}, want: "no field has a sealed column"},
		"no row id field":       {src: noID{"north", "900-12-3456"}, is: field.ErrRowUnknown},
		"no row id":             {src: visit{Clinic: "north"}, is: field.ErrRowUnknown},
		"no tenant":             {src: visit{ID: 1}, want: "field Clinic is empty", is: field.ErrTenantUnknown},
	} {
		s, err := f.SealStruct(ctx, table, c.src)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) || s.Columns() != nil || strings.Contains(err.Error(), "900-12") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.SealStruct(field.WithTenant(ctx, "south"), table, v); !errors.Is(err, field.ErrTenantMismatch) || strings.Contains(err.Error(), "page") {
		t.Errorf("another tenant than the context's: %v", err)
	}
	if _, err := f.SealStruct(ctx, nil, v); err == nil || !strings.Contains(err.Error(), "nil") {
		t.Errorf("no table: %v", err)
	}
	for name, src := range map[string]any{"no slice": v, "a nil row": []*visit{nil}, "no structs": []int{1}, "nil": nil} {
		if _, err := f.SealStructs(ctx, table, src); err == nil {
			t.Errorf("SealStructs took %s", name)
		}
	}
	var e *field.Error
	if _, err := f.SealStructs(ctx, table, []visit{v, {ID: 3}}); !errors.As(err, &e) || e.Row != 1 {
		t.Errorf("the second row has no tenant: %v", err)
	}
}

func TestOpenStructsRefusals(t *testing.T) {
	f, conn, table, ctx := newFixture(t), connect(t), structTable(t, visit{}, "visits"), t.Context()
	page, err := f.SealStructs(ctx, table, visits())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range page {
		if _, err := conn.Exec(ctx, "insert into visits ("+visitColumns+") values ($1,$2,$3,$4,$5,$6,$7,$8)", row.Args()...); err != nil {
			t.Fatal(err)
		}
	}
	type noID struct{ Clinic, SSN string }
	type noClinic struct {
		ID  int64
		SSN string
	}
	type note struct {
		ID     int64
		Clinic string
		Note   string
	}
	type name struct {
		ID     int64
		Clinic string
		Name   string `db:"full_name"`
	}
	for what, c := range map[string]struct {
		ctx   context.Context
		into  any
		query string
		want  string
		is    error
	}{
		"a field without column":     {into: new([]visit), query: "select id, clinic from visits", want: `no column "full_name" for field Name`},
		"a column without field":     {into: new([]name), query: "select id, clinic, full_name, room from visits", want: `a column "room"`},
		"a column twice":             {into: new([]name), query: "select id, clinic, full_name, full_name from visits", want: "two columns"},
		"no row id":                  {into: new([]noID), query: "select clinic, ssn from visits", want: "column id"},
		"no tenant":                  {into: new([]noClinic), query: "select id, ssn from visits", want: "column clinic"},
		"another row's value":        {into: new([]name), query: "select 2 as id, clinic, full_name from visits where id = 1", is: field.ErrRowMismatch},
		"another tenant's value":     {into: new([]name), query: "select id, 'south' as clinic, full_name from visits where id = 1", is: field.ErrTenantMismatch},
		"an empty tenant":            {into: new([]name), query: "select id, '' as clinic, full_name from visits", is: field.ErrTenantUnknown},
		"another column's value":     {into: new([]name), query: "select id, clinic, ssn as full_name from visits", is: field.ErrWrongColumn},
		"a value in clear":           {into: new([]name), query: `select id, clinic, '\x61'::bytea as full_name from visits`, want: "full_name"},
		"the context's other tenant": {ctx: field.WithTenant(ctx, "south"), into: new([]name), query: "select id, clinic, full_name from visits where id = 1", is: field.ErrTenantMismatch},
		"NULL into a string":         {into: new([]note), query: "select id, clinic, note from visits", want: "NULL does not fit"},
		"a column of another type":   {into: new([]name), query: "select 'x' as id, clinic, full_name from visits", want: "id"},
		"a query that fails at once": {into: new([]name), query: "select 1/(2-visits.id) as id, clinic, full_name from visits order by visits.id desc", want: "division by zero"},
		"a query that fails late":    {into: new([]name), query: "select 1/(2-visits.id) as id, clinic, full_name from visits", want: "division by zero"},
		"no slice":                   {into: new(name), query: "select id, clinic, full_name from visits", want: "slice"},
		"no pointer":                 {into: []name{}, query: "select id, clinic, full_name from visits", want: "slice"},
	} {
		t.Run(what, func(t *testing.T) {
			rows, _ := conn.Query(ctx, c.query)
			if c.ctx == nil {
				c.ctx = ctx
			}
			err := f.OpenStructs(c.ctx, table, c.into, rows)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v", err)
			}
			if rv := reflect.Indirect(reflect.ValueOf(c.into)); !rv.IsZero() && rv.Len() > 0 {
				t.Error("the destination was changed")
			}
			if err := conn.Ping(ctx); err != nil {
				t.Errorf("the connection is still busy: %v", err)
			}
		})
	}
	var one name
	rows, _ := conn.Query(ctx, "select id, 'south' as clinic, full_name from visits where id = 1")
	if err := f.OpenStruct(ctx, table, &one, rows); !errors.Is(err, field.ErrTenantMismatch) || one != (name{}) {
		t.Errorf("%v, %v", one, err)
	}
	rows, _ = conn.Query(ctx, "select id, clinic, full_name from visits")
	if err := f.OpenStruct(ctx, table, one, rows); err == nil {
		t.Error("OpenStruct took a struct")
	}
	if err := f.OpenStructs(ctx, table, new([]name), (*sql.Rows)(nil)); err == nil || !strings.Contains(err.Error(), "rows is nil") {
		t.Errorf("no rows: %v", err)
	}
	if err := f.OpenStructs(ctx, table, new([]name), strangeRows{}); err == nil || !strings.Contains(err.Error(), "strangeRows") {
		t.Errorf("rows without columns: %v", err)
	}
	var tenantOfContext []noClinic
	rows, _ = conn.Query(ctx, "select id, ssn from visits where id = 1")
	if err := f.OpenStructs(field.WithTenant(ctx, "north"), table, &tenantOfContext, rows); err != nil || tenantOfContext[0].SSN != "900-12-3456" {
		t.Errorf("the context's tenant: %v, %v", tenantOfContext, err)
	}
}

func TestStructColumnNames(t *testing.T) {
	type named struct {
		OrgID  *string `db:"tenant,omitempty" rowseal:"tenant"`
		SSN    string  `db:",omitempty" rowseal:"seal"`
		Ignore string  `db:"-"`
	}
	f, table := newFixture(t), structTable(t, named{}, "t")
	if table.Tenant().Column != "tenant" || table.Column("ssn") == nil {
		t.Errorf("tenant %q, columns %v", table.Tenant().Column, table.Columns())
	}
	org, empty := "north", ""
	s, err := f.SealStruct(t.Context(), table, named{OrgID: &org})
	if err != nil || !reflect.DeepEqual(s.Columns(), []string{"tenant", "ssn"}) || len(s.Map("ssn")) != 1 {
		t.Errorf("%v, %v", s.Columns(), err)
	}
	if _, err := f.SealStruct(t.Context(), table, named{OrgID: &empty}); !errors.Is(err, field.ErrTenantUnknown) {
		t.Errorf("a pointer to no tenant: %v", err)
	}
	if _, err := field.TableOf(struct {
		SSN string `db:"-" rowseal:"seal"`
	}{}, field.StructConfig{Table: "t"}); err == nil {
		t.Error("TableOf seals a field that no statement writes")
	}
	if _, err := f.SealStruct(t.Context(), table, reflect.New(reflect.StructOf([]reflect.StructField{ // go vet would find it if it stood here
		{Name: "SSN", Type: reflect.TypeFor[string](), Tag: `rowseal: "seal"`},
	})).Interface()); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("a malformed tag: %v", err)
	}
}

type strangeRows struct{}

func (strangeRows) Next() bool        { return false }
func (strangeRows) Scan(...any) error { return nil }
func (strangeRows) Err() error        { return nil }
