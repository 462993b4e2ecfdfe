package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

type Person struct {
	ID     uint
	Tenant string `rowseal:"tenant"`
	Name   string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,key=row"`
	SSN    string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,search=equality"`
}

const personPolicy = `keys: {kms: "local://WORK/root.key", store: postgres}
tables:
  people:
    tenant: {column: tenant}
    columns:
      name: {type: text, key: row}
      ssn: {type: text, search: [equality]}
`

// TestInitAndMigrationsAgree: what one of them made, the other finds.
func TestInitAndMigrationsAgree(t *testing.T) {
	migrate := func(t *testing.T, dsn string) {
		ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
		if err != nil {
			t.Fatal(err)
		}
		cipher, err := field.New(field.Config{Keyring: ring})
		if err != nil {
			t.Fatal(err)
		}
		db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		plugin := gormplugin.New(cipher)
		plugin.Models = []any{&Person{}}
		if err := errors.Join(db.Use(plugin), db.AutoMigrate(&Person{})); err != nil {
			t.Fatal(err)
		}
		if pool, err := db.DB(); err == nil {
			pool.Close()
		}
	}
	initialise := func(t *testing.T, dsn string) string {
		dir := t.TempDir()
		config := filepath.Join(dir, "rowseal.yaml")
		if err := os.WriteFile(config, []byte(strings.ReplaceAll(personPolicy, "WORK", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, problems strings.Builder
		if code := run(t.Context(), []string{"init", "-c", config, "--dsn", dsn}, streams{out: &out, err: &problems}); code != 0 {
			t.Fatalf("init: %s", problems.String())
		}
		return out.String()
	}
	made := func(t *testing.T, dsn string) (guards, indexes int) {
		db, _, err := dialDatabase(dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow(`SELECT (SELECT count(*) FROM pg_constraint WHERE conname LIKE 'rowseal\_%'),
			(SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'rowseal\_%')`).Scan(&guards, &indexes); err != nil {
			t.Fatal(err)
		}
		return guards, indexes
	}
	t.Run("init after a migration", func(t *testing.T) {
		dsn := testpg.DSN(t)
		migrate(t, dsn)
		if out := initialise(t, dsn); !strings.Contains(out, "Table people is ready: nothing was missing.") {
			t.Error(out)
		}
	})
	t.Run("a migration after init", func(t *testing.T) {
		dsn := testpg.DSN(t)
		db, _, err := dialDatabase(dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("CREATE TABLE people (id bigserial PRIMARY KEY, tenant text, name bytea, ssn bytea)"); err != nil {
			t.Fatal(err)
		}
		initialise(t, dsn)
		guards, indexes := made(t, dsn)
		migrate(t, dsn)
		if g, i := made(t, dsn); guards != 3 || indexes != 1 || g != guards || i != indexes {
			t.Errorf("%d guards and %d indexes, then %d and %d", guards, indexes, g, i)
		}
	})
}
