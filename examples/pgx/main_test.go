package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
)

var want = regexp.MustCompile(`^1 north: Ann Example, 900-12-3456
2 north: Ben Example, 900-12-7890
3 south: Cleo Example, 900-34-0001
the database has: f5[0-9a-f]{14}…
$`)

func TestTheExampleReadsWhatItWrote(t *testing.T) {
	dsn, key := testpg.DSN(t), filepath.Join(t.TempDir(), "root.key")
	for range 2 { // the second run finds the first one's rows and keys
		var out bytes.Buffer
		if err := run(t.Context(), dsn, key, &out); err != nil {
			t.Fatal(err)
		}
		if !want.MatchString(out.String()) {
			t.Fatalf("got %q", out.String())
		}
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var all string
	if err := conn.QueryRow(t.Context(), "SELECT string_agg(encode(name || ssn, 'escape'), '') FROM patients").Scan(&all); err != nil {
		t.Fatal(err)
	}
	if all == "" || strings.Contains(all, "Example") || strings.Contains(all, "900-") {
		t.Errorf("the table holds %q", all)
	}
	for _, column := range []string{"name", "ssn"} {
		if _, err := conn.Exec(t.Context(), "UPDATE patients SET "+column+" = repeat('plain ', 20)::bytea"); err == nil || !strings.Contains(err.Error(), "check constraint") {
			t.Errorf("%s took plaintext: %v", column, err)
		}
	}
}

func TestTheExampleSaysWhatItNeeds(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), "", "root.key", &out); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("without a database: %v", err)
	}
}
