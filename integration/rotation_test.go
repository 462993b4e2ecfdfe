package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// place is a database with a table of people and the key store beside it.
type place struct {
	dialect rotate.Dialect
	driver  string
	data    string // connection string of the data
	keys    string // connection string of the key store
	keyDB   string // the same for the driver
	age     string // makes retired keys two days older
	bytea   string
}

func places(t *testing.T) map[string]place {
	dsn, dir := testpg.DSN(t), t.TempDir()
	return map[string]place{
		"PostgreSQL": {
			dialect: rotate.PostgreSQL, driver: "pgx", data: dsn, keys: dsn, keyDB: dsn, bytea: "bytea",
			age: "UPDATE rowseal.keys SET changed_at = changed_at - 172800000000 WHERE state = 'retired'",
		},
		"SQLite": {
			dialect: rotate.SQLite, driver: "sqlite", data: filepath.Join(dir, "app.db"),
			keys: "sqlite://" + filepath.Join(dir, "keys.db"), keyDB: filepath.Join(dir, "keys.db"), bytea: "blob",
			age: "UPDATE rowseal_keys SET changed_at = changed_at - 172800000000 WHERE state = 'retired'",
		},
	}
}

func openDB(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// TestRowKeysOutliveTheTenantKeyThatWrappedThem: a table whose columns have
// row keys opens after the tenants' first keys were rotated, rewrapped away
// from and destroyed, and after the root key was rotated and its first version
// removed.
func TestRowKeysOutliveTheTenantKeyThatWrappedThem(t *testing.T) {
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) {
			root := localkms.Memory()
			ring := newRing(t, p.keys, root)
			table := peopleTable(t)
			db := openDB(t, p.driver, p.data)
			const n = 200
			sealPeople(t, db, p.bytea, ring, table, n)

			for _, tenant := range []string{"t0", "t1", "t2"} {
				_, err := ring.Rotate(t.Context(), keyring.PurposeTenant, tenant, "test", "due")
				must(t, err)
			}
			refuseEarlyDestruction(t, ring)
			rows, err := rotate.Run(t.Context(), rotate.Config{DB: db, Dialect: p.dialect, Keyring: ring}, rotate.Job{Kind: rotate.Rewrap, Table: table})
			must(t, err)
			if rows.Counts["rewrapped"] != n {
				t.Fatalf("got %+v", rows)
			}
			_, err = openDB(t, p.driver, p.keyDB).Exec(p.age)
			must(t, err)
			if destroyed := destroyRetired(t, ring); destroyed != 3 {
				t.Fatalf("%d keys destroyed, want 3", destroyed)
			}

			_, err = root.Rotate(t.Context())
			must(t, err)
			keys, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: ring})
			must(t, err)
			if keys.Rewrapped != 3 { // tombstones have nothing to rewrap
				t.Fatalf("got %+v", keys)
			}
			must(t, root.Remove(t.Context(), 1))
			opensAll(t, db, newRing(t, p.keys, root), table, n)
		})
	}
}

func newRing(t *testing.T, store string, root kms.KMS) *keyring.Keyring {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), store)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Init(t.Context()))
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: s})
	must(t, err)
	return ring
}

func peopleTable(t *testing.T) *field.Table {
	t.Helper()
	file, err := field.ParseFile("test", []byte(`
tables:
  people:
    tenant: {column: tenant}
    columns:
      name: {type: text, key: row}
`))
	must(t, err)
	return file.Policy.Table("people")
}

func sealPeople(t *testing.T, db *sql.DB, bytea string, ring *keyring.Keyring, table *field.Table, n int) {
	t.Helper()
	cipher, err := field.New(field.Config{Keyring: ring})
	must(t, err)
	_, err = db.Exec("CREATE TABLE people (id integer PRIMARY KEY, tenant text, name " + bytea + ")")
	must(t, err)
	for i := range n {
		tenant := fmt.Sprint("t", i%3)
		sealed, err := cipher.Seal(t.Context(), nil, table.Column("name"), field.Row{Tenant: tenant}, fmt.Sprint("Name ", i))
		must(t, err)
		_, err = db.Exec("INSERT INTO people VALUES ($1, $2, $3)", i, tenant, sealed)
		must(t, err)
	}
}

// refuseEarlyDestruction: writers may still hold a key that was just retired.
func refuseEarlyDestruction(t *testing.T, ring *keyring.Keyring) {
	t.Helper()
	must(t, ring.Each(t.Context(), keyring.Filter{}, func(r keyring.Record) error {
		if err := ring.Destroy(t.Context(), r.ID, "test", "too early"); !errors.Is(err, keyring.ErrInUse) {
			return fmt.Errorf("destroying %v gave %w", &r, err)
		}
		return nil
	}))
}

func destroyRetired(t *testing.T, ring *keyring.Keyring) (n int) {
	t.Helper()
	must(t, ring.Each(t.Context(), keyring.Filter{}, func(r keyring.Record) error {
		if r.State != keyring.Retired {
			return nil
		}
		n++
		return ring.DestroyUnverified(t.Context(), r.ID, "test", "rewrapped")
	}))
	return n
}

func opensAll(t *testing.T, db *sql.DB, ring *keyring.Keyring, table *field.Table, n int) {
	t.Helper()
	cipher, err := field.New(field.Config{Keyring: ring})
	must(t, err)
	rows, err := db.Query("SELECT id, tenant, name FROM people")
	must(t, err)
	defer rows.Close()
	opened := 0
	for rows.Next() {
		var id int
		var tenant, name string
		var sealed []byte
		must(t, rows.Scan(&id, &tenant, &sealed))
		must(t, cipher.Open(t.Context(), &name, table.Column("name"), field.Row{Tenant: tenant}, sealed))
		if name != fmt.Sprint("Name ", id) {
			t.Fatalf("row %d opens to %q", id, name)
		}
		opened++
	}
	must(t, rows.Err())
	if opened != n {
		t.Fatalf("%d rows opened, want %d", opened, n)
	}
}

func TestTenThousandTenantKeysInPostgreSQLAreRewrappedWithOneCallEach(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 10,000 keys twice")
	}
	const n = 10_000
	root := localkms.Memory()
	calls := kmscount.New(root)
	ring := newRing(t, testpg.DSN(t), calls)
	tenants := make([]string, n)
	for i := range tenants {
		tenants[i] = fmt.Sprint("tenant-", i)
	}
	must(t, ring.Prepare(t.Context(), tenants...))
	_, err := root.Rotate(t.Context())
	must(t, err)
	before, start := calls.Calls(), time.Now()
	result, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: ring})
	must(t, err)
	c := calls.Calls().Sub(before)
	if result.Rewrapped != n || c.Rewrap != n || c.Total() != n+1 {
		t.Fatalf("got %+v with calls %+v", result, c)
	}
	t.Logf("%d tenant keys rewrapped in %v", n, time.Since(start).Round(time.Millisecond))
}
