package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowseal/rowseal/kms/localkms"
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

// twice runs a command in two processes at once; their exit codes are not looked at: twice COMMAND ARGS…
func twice(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: twice command args…")
	}
	var wg sync.WaitGroup
	for range 2 {
		c := exec.Command(args[0], args[1:]...)
		c.Dir, c.Env = ts.MkAbs("."), append(os.Environ(), "PATH="+ts.Getenv("PATH"))
		wg.Go(func() { _ = c.Run() })
	}
	wg.Wait()
}

// rootID sets $ROOT to what wraps by a key file's first version carry: rootid FILE
func rootID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rootid file")
	}
	k, err := localkms.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	root, err := k.Current(context.Background())
	ts.Check(err)
	ts.Setenv("ROOT", root)
}
