package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/rotate"
)

// keyID sets $KEY to the id of a tenant's key in $DSN: keyid TENANT VERSION
func keyID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keyid tenant version")
	}
	db, _, err := dialDatabase(ts.Getenv("DSN"))
	ts.Check(err)
	defer db.Close()
	var id string
	ts.Check(db.QueryRow("SELECT id FROM rowseal.keys WHERE tenant = $1 AND version = $2::bigint AND purpose = 'tenant'", args[0], args[1]).Scan(&id))
	ts.Setenv("KEY", id)
}

var versionDate = regexp.MustCompile(`(?m)^(version \d+ )\S+`)

// ageKey has all versions of a key file be made in 2020: agekey FILE
func ageKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: agekey file")
	}
	text := versionDate.ReplaceAllString(ts.ReadFile(args[0]), "${1}2020-01-01T00:00:00Z")
	text = text[:strings.LastIndex(text, "sum ")]
	text += fmt.Sprintf("sum %x\n", sha256.Sum256([]byte(text)))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// verifyTable opens all values of a table: verify CONFIG DSN TABLE; with !, it must find something.
func verifyTable(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: verify config dsn table")
	}
	err := verified(ts.MkAbs(args[0]), args[1], args[2])
	if found := errors.Is(err, rotate.ErrFindings); neg && found {
		return
	}
	ts.Check(err)
	if neg {
		ts.Fatalf("verify found nothing")
	}
}

func verified(config, dsn, table string) (err error) {
	ctx := context.Background()
	file, err := field.LoadFile(config)
	if err != nil {
		return err
	}
	roots, err := openRoots(ctx, config, file)
	if err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ring, err := keyring.New(keyring.Config{Namespace: file.Namespace, Roots: roots, Store: store})
	if err != nil {
		return err
	}
	cipher, err := field.New(field.Config{Keyring: ring, Namespace: file.Namespace})
	if err != nil {
		return err
	}
	db, _, err := dialDatabase(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = rotate.Run(ctx, rotate.Config{DB: db.DB, Dialect: db.dialect, Keyring: ring, Cipher: cipher},
		rotate.Job{Kind: rotate.Verify, Table: file.Policy.Table(table)})
	return err
}
