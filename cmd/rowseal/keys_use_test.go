package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
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
	verify := rotate.Status{
		Kind: rotate.Verify, Table: "people", Spec: "{}", State: rotate.StateDone, Started: began,
		Counts: map[string]int64{"key/" + id.String(): 7},
	}
	u := keyUse{jobs: []rotate.Status{verify}, tables: []string{"people"}, ahead: -time.Hour}
	list, err := u.evidence(&keyring.Record{ID: id})
	if err != nil || len(list) != 1 || list[0] != (keyring.Evidence{Table: "people", Began: began.Add(-time.Hour), Values: 7}) {
		t.Errorf("got %v, %v", list, err)
	}
	u.tables = append(u.tables, "notes")
	if _, err := u.evidence(&keyring.Record{ID: id}); err == nil || !strings.Contains(err.Error(), "has values in notes; run") {
		t.Errorf("a table without a verify: %v", err)
	}
}
