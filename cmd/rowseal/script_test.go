package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rowseal": main})
}

// TestScripts runs the command line as a user would. Each script has a
// database of its own, $DSN.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DSN", testpg.DSN(t))
			if name := filepath.Base(env.WorkDir); name == "script-mysql" || name == "script-keystores" { // the others need no such server
				env.Setenv("MYSQL", testmysql.URL(t))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "seed": seed, "sql": runSQL, "subst": subst,
			"keyid": keyID, "agekey": ageKey, "twice": twice, "rootid": rootID,
		},
	})
}

// exits runs a command and checks its exit code: exits CODE COMMAND ARGS…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// seed makes table people with sealed rows: seed CONFIG DSN N
func seed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: seed config dsn n")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(seedPeople(ts.MkAbs(args[0]), args[1], n))
}

func seedPeople(config, dsn string, n int) error {
	ctx := context.Background()
	file, err := field.LoadFile(config)
	if err != nil {
		return err
	}
	roots, err := openRoots(ctx, config, file)
	if err != nil {
		return err
	}
	at := file.Keys.Store
	if at == sameDatabase {
		at = dsn
	}
	store, err := sqlstore.Open(ctx, at)
	if err != nil {
		return err
	}
	defer store.Close()
	ring, err := keyring.New(keyring.Config{Namespace: file.Namespace, Roots: roots, Store: store})
	if err != nil {
		return err
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		return err
	}
	db, _, err := dialDatabase(dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return insertPeople(ctx, db.DB, cipher, file.Policy.Table("people"), n)
}

func insertPeople(ctx context.Context, db *sql.DB, cipher *field.Cipher, table *field.Table, n int) error {
	typ := "bytea"
	if _, err := db.ExecContext(ctx, "SELECT sqlite_version()"); err == nil {
		typ = "blob"
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("CREATE TABLE people (id integer PRIMARY KEY, tenant text, name %[1]s, ssn %[1]s)", typ)); err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		row := field.Row{Tenant: "tenant-" + strconv.Itoa(i%2)}
		name, err := cipher.Seal(ctx, nil, table.Column("name"), row, "Name "+strconv.Itoa(i))
		if err != nil {
			return err
		}
		ssn, err := cipher.Seal(ctx, nil, table.Column("ssn"), row, strconv.Itoa(i))
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO people VALUES ($1, $2, $3, $4)", i, row.Tenant, name, ssn); err != nil {
			return err
		}
	}
	return nil
}

// runSQL runs a statement, or writes the only value of a query to a file:
// sql DSN STATEMENT [FILE]
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: sql dsn statement [file]")
	}
	db, _, err := dialDatabase(args[0])
	ts.Check(err)
	defer db.Close()
	if len(args) == 2 {
		_, err := db.Exec(args[1])
		ts.Check(err)
		return
	}
	var value string
	ts.Check(db.QueryRow(args[1]).Scan(&value))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(value+"\n"), 0o600))
}

// subst replaces WORK in files by the script's folder, and MYSQL by the URL of
// the script's database on MariaDB: subst FILE…
func subst(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: subst file…")
	}
	for _, name := range args {
		text := strings.NewReplacer("WORK", ts.Getenv("WORK"), "MYSQL", ts.Getenv("MYSQL")).Replace(ts.ReadFile(name))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
