package rotate_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// world is a key hierarchy in memory.
type world struct {
	root  *localkms.KMS
	calls *kmscount.KMS
	store *keyringtest.Store
	ring  *keyring.Keyring
	table *field.Table
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{root: localkms.Memory(), store: &keyringtest.Store{}}
	w.calls = kmscount.New(w.root)
	w.ring = w.newRing(t)
	text, err := codec.ParseType("text")
	must(t, err)
	w.table, err = field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"},
		Columns: []field.ColumnConfig{
			{Name: "name", Type: text, Mode: envelope.ModeRow},
			{Name: "ssn", Type: text},
			{Name: "memo", Type: text, Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Values: 10, Age: time.Hour}},
		},
	})
	must(t, err)
	return w
}

// newRing returns a keyring that holds nothing yet.
func (w *world) newRing(t testing.TB, roots ...kms.KMS) *keyring.Keyring {
	t.Helper()
	if roots == nil {
		roots = []kms.KMS{w.calls}
	}
	ring, err := keyring.New(keyring.Config{Namespace: "test", Roots: roots, Store: w.store})
	must(t, err)
	return ring
}

func (w *world) cipher(t testing.TB) *field.Cipher {
	t.Helper()
	c, err := field.New(field.Config{Keyring: w.ring})
	must(t, err)
	return c
}

// person is a row in clear.
type person struct{ tenant, name, ssn, memo string }

func personNumber(i int) person {
	return person{
		tenant: fmt.Sprintf("tenant-%d", i%3), name: fmt.Sprintf("Name %d", i),
		ssn: fmt.Sprintf("%09d", i), memo: fmt.Sprintf("memo of %d", i),
	}
}

// seal returns the sealed name, ssn and memo of people.
func (w *world) seal(t testing.TB, people []person) [][][]byte {
	t.Helper()
	rows := make([]field.SealRow, len(people))
	for i, p := range people {
		rows[i] = field.SealRow{Row: field.Row{Tenant: p.tenant}, Values: []any{p.name, p.ssn, p.memo}}
	}
	must(t, w.cipher(t).SealRows(t.Context(), w.table.Columns(), rows))
	sealed := make([][][]byte, len(rows))
	for i := range rows {
		sealed[i] = rows[i].Sealed
	}
	return sealed
}

// db is a database that a test runs on.
type db struct {
	*sql.DB
	dialect rotate.Dialect
	bytea   string // the type of sealed columns
}

// onEach runs a test on every database.
func onEach(t *testing.T, test func(*testing.T, db)) {
	t.Run("PostgreSQL", func(t *testing.T) { test(t, openPostgres(t)) })
	t.Run("SQLite", func(t *testing.T) {
		d, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		must(t, err)
		t.Cleanup(func() { must(t, d.Close()) })
		test(t, db{d, rotate.SQLite, "blob"})
	})
	t.Run("MySQL", func(t *testing.T) { test(t, openMySQL(t)) })
}

func openMySQL(t testing.TB) db {
	t.Helper()
	d, err := sql.Open("mysql", testmysql.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return db{d, rotate.MySQL, "mediumblob"}
}

// dollar finds parameters as PostgreSQL and SQLite have them.
var dollar = regexp.MustCompile(`\$[0-9]`)

// sql writes a statement for the database.
func (d db) sql(query string) string {
	if d.dialect == rotate.MySQL {
		return dollar.ReplaceAllString(query, "?")
	}
	return query
}

func openPostgres(t testing.TB) db {
	t.Helper()
	d, err := sql.Open("pgx", testpg.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return db{d, rotate.PostgreSQL, "bytea"}
}

// people creates the table with n sealed rows, ids 1 to n.
func (w *world) people(t testing.TB, d db, n int) []person {
	t.Helper()
	d.exec(t, fmt.Sprintf("CREATE TABLE people (id integer PRIMARY KEY, tenant text NOT NULL, name %[1]s, ssn %[1]s, memo %[1]s)", d.bytea))
	people := make([]person, n)
	for i := range people {
		people[i] = personNumber(i + 1)
	}
	tx, err := d.Begin()
	must(t, err)
	for i, s := range w.seal(t, people) {
		_, err := tx.Exec(d.sql("INSERT INTO people VALUES ($1, $2, $3, $4, $5)"), i+1, people[i].tenant, s[0], s[1], s[2])
		must(t, err)
	}
	must(t, tx.Commit())
	return people
}

func (d db) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	_, err := d.Exec(d.sql(query), args...)
	must(t, err)
}

// sealed reads the table's values by id.
func (d db) sealed(t testing.TB) map[int][][]byte {
	t.Helper()
	rows, err := d.Query("SELECT id, name, ssn, memo FROM people")
	must(t, err)
	defer rows.Close()
	all := map[int][][]byte{}
	for rows.Next() {
		var id int
		v := make([][]byte, 3)
		must(t, rows.Scan(&id, &v[0], &v[1], &v[2]))
		all[id] = v
	}
	must(t, rows.Err())
	return all
}

// opens checks that every row opens to what people says, with a fresh keyring.
func (w *world) opens(t testing.TB, d db, people []person) {
	t.Helper()
	w.ring = w.newRing(t)
	c := w.cipher(t)
	all := d.sealed(t)
	if len(all) != len(people) {
		t.Fatalf("the table has %d rows, want %d", len(all), len(people))
	}
	for id, sealed := range all {
		p := people[id-1]
		for i, want := range []string{p.name, p.ssn, p.memo} {
			var got string
			must(t, c.Open(t.Context(), &got, w.table.Columns()[i], field.Row{Tenant: p.tenant}, sealed[i]))
			if got != want {
				t.Fatalf("row %d, column %d: got %q, want %q", id, i, got, want)
			}
		}
	}
}

func (w *world) config(d db) rotate.Config {
	return rotate.Config{DB: d.DB, Dialect: d.dialect, Keyring: w.ring}
}

func (w *world) rewrap() rotate.Job { return rotate.Job{Kind: rotate.Rewrap, Table: w.table} }

// run rewraps, and wants no error.
func (w *world) run(t testing.TB, cfg rotate.Config) map[string]int64 {
	t.Helper()
	result, err := rotate.Run(t.Context(), cfg, w.rewrap())
	must(t, err)
	return result.Counts
}

// counted checks what was counted, and that nothing else was.
func counted(t testing.TB, got map[string]int64, want map[string]int64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("counted %v, want %v", got, want)
	}
}

type counts = map[string]int64

// records lists the key store.
func (w *world) records(t testing.TB) (list []keyring.Record) {
	t.Helper()
	must(t, w.ring.Each(t.Context(), keyring.Filter{}, func(r keyring.Record) error {
		list = append(list, r)
		return nil
	}))
	return list
}

func (w *world) rotateRoot(t testing.TB) string {
	t.Helper()
	id, err := w.root.Rotate(t.Context())
	must(t, err)
	return id
}

// rotateTenants gives every tenant a new key version.
func (w *world) rotateTenants(t testing.TB) {
	t.Helper()
	for _, r := range w.records(t) {
		if r.State == keyring.Active {
			_, err := w.ring.Rotate(t.Context(), r.Purpose, r.Tenant, "test", "due")
			must(t, err)
		}
	}
}

// destroyRetired destroys all retired keys, as if they had been so for days.
func (w *world) destroyRetired(t testing.TB) (n int) {
	t.Helper()
	for _, r := range w.records(t) {
		if r.State != keyring.Retired {
			continue
		}
		w.store.Edit(r.ID, func(r *keyring.Record) { r.ChangedAt = r.ChangedAt.Add(-48 * time.Hour) })
		must(t, w.ring.Destroy(t.Context(), r.ID, "test", "rewrapped"))
		n++
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ctxOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// newCounter counts the calls of another process to w's root key, and lets fail decide of them.
func newCounter(w *world, fail func(op string) error) *kmscount.KMS {
	c := kmscount.New(w.root)
	c.Fail = fail
	return c
}

// table is the name of a table of the journal.
func (d db) table(name string) string {
	if d.dialect == rotate.PostgreSQL {
		return "rowseal." + name
	}
	return "rowseal_" + name
}
