package integration

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/internal/testpg"
)

const poolerPolicy = `namespace: test
keys: {kms: "local://DIR/root.key", store: postgres}
tables:
  people:
    tenant: {column: tenant}
    columns:
      name: {type: text, transition: {plain: name_plain}}
`

// TestRotationThroughPgBouncerInTransactionMode: statements meet one session of the server after another.
func TestRotationThroughPgBouncerInTransactionMode(t *testing.T) {
	needsClients(t)
	dsn := testpg.DSN(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "rowseal")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/rowseal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	policy := filepath.Join(dir, "rowseal.yaml")
	if err := os.WriteFile(policy, []byte(strings.ReplaceAll(poolerPolicy, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Exec(`CREATE TABLE people (id integer PRIMARY KEY, tenant text, name_plain text);
INSERT INTO people SELECT n, 'tenant-' || n % 3, 'Name ' || n FROM generate_series(1, 300) n`); err != nil {
		t.Fatal(err)
	}
	through := pgbouncer(t, hostOf(t, dsn), "transaction", dsn)
	rowseal := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("rowseal %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	job := []string{"-c", policy, "--dsn", through}
	rowseal("keys", "create", filepath.Join(dir, "root.key"))
	if out, err := exec.CommandContext(t.Context(), program, "init", "-c", policy, "--dsn", through).CombinedOutput(); err == nil || !strings.Contains(string(out), "the server itself") {
		t.Errorf("init: %v\n%s", err, out)
	}
	rowseal("init", "-c", policy, "--dsn", dsn)
	rowseal(append([]string{"rotate", "seal", "--table", "people", "--column", "name", "--step", "prepare,backfill", "--workers", "3", "--page", "20"}, job...)...)
	rowseal(append([]string{"keys", "rotate", "--tenant", "tenant-1"}, job...)...)
	if out := rowseal(append([]string{"rotate", "reseal", "--workers", "3", "--page", "20"}, job...)...); !strings.Contains(out, "300 rows, 300 values, 100 resealed") {
		t.Error(out)
	}
	for range 3 {
		rowseal("rotate", "status", "--dsn", through, "--all")
	}
}
