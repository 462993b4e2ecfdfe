package main

import (
	"crypto/rand"
	"errors"
	"fmt"
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

// inDatabase runs a command with personPolicy, whose key store is a file of its
// own where the database is not to be written to.
func inDatabase(t *testing.T, command, dsn, store string) (code int, out, problems string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "rowseal.yaml")
	policy := strings.ReplaceAll(strings.Replace(personPolicy, "store: postgres", "store: "+store, 1), "WORK", dir)
	if err := os.WriteFile(config, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e strings.Builder
	code = run(t.Context(), []string{command, "-c", config, "--dsn", dsn}, streams{out: &o, err: &e})
	return code, o.String(), e.String()
}

func openTest(t *testing.T, dsn string, setUp ...string) *database {
	t.Helper()
	db, _, err := dialDatabase(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, statement := range setUp {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

const peopleTable = "CREATE TABLE people (id bigserial PRIMARY KEY, tenant text, name bytea, ssn bytea)"

// TestInitDoesNotQueueForLocks: others would wait behind it.
func TestInitDoesNotQueueForLocks(t *testing.T) {
	dsn := testpg.DSN(t)
	db := openTest(t, dsn, peopleTable)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("SELECT * FROM people"); err != nil {
		t.Fatal(err)
	}
	if code, _, problems := inDatabase(t, "init", dsn, `"sqlite://WORK/keys.db"`); code != exitFailed || !strings.Contains(problems, "use the table without a pause") {
		t.Errorf("exit code %d: %s", code, problems)
	}
}

func TestInitNeedsTheOwner(t *testing.T) {
	dsn := testpg.DSN(t)
	role := "rowseal_test_" + strings.ToLower(rand.Text())
	db := openTest(t, dsn, peopleTable, "CREATE ROLE "+role,
		fmt.Sprintf("DO $$BEGIN EXECUTE format('ALTER DATABASE %%I SET role = %s', current_database()); END$$", role))
	defer db.Exec("DROP ROLE " + role)
	code, _, problems := inDatabase(t, "init", dsn, `"sqlite://WORK/keys.db"`)
	if code != exitFailed || !strings.Contains(problems, "as the table's owner") {
		t.Errorf("exit code %d: %s", code, problems)
	}
	// check reads the catalog, which every role may.
	if _, out, problems := inDatabase(t, "check", dsn, `"sqlite://WORK/keys.db"`); !strings.Contains(out, "people.ssn: equality is declared, and no index serves it") {
		t.Errorf("%s%s", out, problems)
	}
}

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
		code, out, problems := inDatabase(t, "init", dsn, "postgres")
		if code != 0 {
			t.Fatalf("init: %s", problems)
		}
		return out
	}
	made := func(t *testing.T, dsn string) (guards, indexes int) {
		if err := openTest(t, dsn).QueryRow(`SELECT (SELECT count(*) FROM pg_constraint WHERE conname LIKE 'rowseal\_%'),
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
		openTest(t, dsn, peopleTable)
		initialise(t, dsn)
		guards, indexes := made(t, dsn)
		migrate(t, dsn)
		if g, i := made(t, dsn); guards != 3 || indexes != 1 || g != guards || i != indexes {
			t.Errorf("%d guards and %d indexes, then %d and %d", guards, indexes, g, i)
		}
	})
}
