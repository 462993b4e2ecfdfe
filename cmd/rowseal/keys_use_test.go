package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

func TestEachDatabaseTellsItsTime(t *testing.T) {
	file := t.TempDir() + "/app.db"
	write(t, file, "")
	for _, dsn := range []string{testpg.DSN(t), testmysql.URL(t), "sqlite://" + file} {
		db, _, err := dialDatabase(dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if now, err := db.now(t.Context()); err != nil || time.Since(now).Abs() > time.Minute {
			t.Errorf("%v says %v, %v", db.dialect, now, err)
		}
	}
}

// TestEvidenceIsByTheKeyStoresClock: a verify's time is the database's, which may be another server.
func TestEvidenceIsByTheKeyStoresClock(t *testing.T) {
	id := envelope.KeyID{1}
	began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	policy, err := field.ParseFile("rowseal.yaml", []byte(`keys: {kms: "local:///root.key"}
tables: {people: {columns: {name: {type: text}}}, notes: {columns: {text: {type: text}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	people := policy.Policy.Table("people")
	verify := verified(t, people)
	verify.Started, verify.Counts = began, map[string]int64{"key/" + id.String(): 7}
	u := keyUse{jobs: []rotate.Status{verify}, tables: []*field.Table{people}, ahead: -time.Hour}
	list, err := u.evidence(&keyring.Record{ID: id})
	if err != nil || len(list) != 1 || list[0] != (keyring.Evidence{Table: "people", Began: began.Add(-time.Hour), Values: 7}) {
		t.Errorf("got %v, %v", list, err)
	}
	u.tables = append(u.tables, policy.Policy.Table("notes"))
	if _, err := u.evidence(&keyring.Record{ID: id}); err == nil || !strings.Contains(err.Error(), "has values in notes: there is no verify") {
		t.Errorf("a table without a verify: %v", err)
	}
}

// verified is a verify of a table that is empty.
func verified(t *testing.T, table *field.Table) rotate.Status {
	t.Helper()
	file := t.TempDir() + "/app.db"
	write(t, file, "")
	db, _, err := dialDatabase("sqlite://" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE people (id integer PRIMARY KEY, name blob)"); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rotate.Config{DB: db.DB, Dialect: db.dialect, Keyring: ring, Cipher: cipher}
	if _, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: table}); err != nil {
		t.Fatal(err)
	}
	jobs, err := rotate.Jobs(t.Context(), db.DB, db.dialect, true)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %v", jobs, err)
	}
	return jobs[0]
}
