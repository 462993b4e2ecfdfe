package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
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
