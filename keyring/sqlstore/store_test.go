package sqlstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// The test binary is also the other process of the tests with several.
func TestMain(m *testing.M) {
	if job := os.Getenv(envJob); job != "" {
		os.Exit(runJob(job))
	}
	os.Exit(m.Run())
}

// products return the connection string of an empty database of each product.
func products() map[string]func(t testing.TB) string {
	return map[string]func(t testing.TB) string{"SQLite": sqliteURL, "PostgreSQL": testpg.DSN, "MySQL": testmysql.URL}
}

func sqliteURL(t testing.TB) string {
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "keys.db")}).String()
}

func open(t testing.TB, connection string) *Store {
	t.Helper()
	s, err := Open(t.Context(), connection)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func initialized(t testing.TB, connection string) *Store {
	t.Helper()
	s := open(t, connection)
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// each runs test with an empty store of each product.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) { test(t, initialized(t, connection(t))) })
	}
}

// soon is long enough for anything that is not blocked.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newID() (id envelope.KeyID) {
	_, _ = rand.Read(id[:])
	return id
}

// key is a record as keyring makes it.
func key(tenant string, version uint32) keyring.Record {
	id := newID()
	return keyring.Record{
		ID: id, Tenant: tenant, Purpose: keyring.PurposeTenant, Version: version, State: keyring.Active,
		Commitment: sha256.Sum256(id[:]),
		Wraps:      []kms.Wrapped{{RootKey: "local:5f0c/2", Blob: append([]byte("wrap of "), id[:]...)}},
	}
}

func under(parent, r keyring.Record) keyring.Record {
	r.Parent = parent.ID
	r.Wraps = []kms.Wrapped{{RootKey: "store:" + parent.ID.String(), Blob: r.Wraps[0].Blob}}
	return r
}

func storeKey(slot string) keyring.Record {
	r := key(slot, 1)
	r.Purpose = keyring.PurposeStore
	return r
}

// with returns r with another state; a destroyed key has no wraps.
func with(state keyring.State, r keyring.Record) keyring.Record {
	r.State = state
	if state == keyring.Destroyed {
		r.Wraps = nil
	}
	return r
}

func create(t testing.TB, s *Store, records ...keyring.Record) []keyring.Record {
	t.Helper()
	stored, err := s.Create(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func ids(records []keyring.Record) []envelope.KeyID {
	list := make([]envelope.KeyID, len(records))
	for i, r := range records {
		list[i] = r.ID
	}
	return list
}

// sameIDs compares as sets with multiplicity.
func sameIDs(t testing.TB, got []keyring.Record, want ...envelope.KeyID) {
	t.Helper()
	g, w := sorted(ids(got)), sorted(want)
	if !slices.Equal(g, w) {
		t.Errorf("got keys %v, want %v", g, w)
	}
}

func sorted(list []envelope.KeyID) []string {
	texts := make([]string, len(list))
	for i, id := range list {
		texts[i] = id.String()
	}
	slices.Sort(texts)
	return texts
}

// sameRecord compares everything but the times.
func sameRecord(t testing.TB, got, want keyring.Record) {
	t.Helper()
	got.CreatedAt, got.ChangedAt = time.Time{}, time.Time{}
	want.CreatedAt, want.ChangedAt = time.Time{}, time.Time{}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

// mustExec runs a statement behind the store's back.
func mustExec(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
