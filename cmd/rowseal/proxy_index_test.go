package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

func TestEqualityThroughTheProxyUsesTheIndexOfInit(t *testing.T) {
	p := startProxy(t)
	direct, through := dial(t, p.dsn), dial(t, p.through)
	var rows strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&rows, "%d\tssn-%04d\n", i, i)
	}
	if _, err := through.PgConn().CopyFrom(t.Context(), strings.NewReader(rows.String()), "COPY people (id, ssn) FROM STDIN"); err != nil {
		t.Fatal(err)
	}
	execute(t, direct, "ANALYZE people")
	file, err := field.LoadFile(p.dir + "/rowseal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	index := guard.IndexName("people", file.Policy.Table("people").Column("ssn"))
	if got := ask(t, through, "SELECT id::text FROM people WHERE ssn = $1", "ssn-0042"); got != "42" {
		t.Errorf("row %s", got)
	}
	term := ask(t, direct, "SELECT encode(pg_catalog.substr(ssn, 9, 16), 'hex') FROM people WHERE id = 42")
	for name, plan := range map[string]string{
		"a parameter":         explain(t, through, "SELECT id FROM people WHERE ssn = $1", "ssn-0042"),
		"a constant":          explain(t, through, "SELECT id FROM people WHERE ssn = 'ssn-0042'"),
		"a list":              explain(t, through, "SELECT id FROM people WHERE ssn IN ('ssn-0042', 'ssn-0043')"),
		"an array":            explain(t, through, "SELECT id FROM people WHERE ssn = ANY ($1::text[])", []string{"ssn-0042", "ssn-0043"}),
		"an update":           explain(t, through, "UPDATE people SET note = NULL WHERE ssn = $1", "ssn-0042"),
		"the text as written": explain(t, direct, "SELECT id FROM people WHERE pg_catalog.substr(ssn, 9, 16) = pg_catalog.decode('"+term+"', 'hex')"),
	} {
		if !strings.Contains(plan, index) {
			t.Errorf("%s: %s is not used:\n%s", name, index, plan)
		}
	}
}

func explain(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN "+sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

func TestAUniqueIndexIsNamedAsOnAPlainDatabase(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.through)
	for _, want := range []string{"people_ssn_idx", "people_ssn_idx1"} {
		execute(t, conn, "CREATE UNIQUE INDEX ON people (ssn)")
		if got := ask(t, conn, "SELECT count(*)::text FROM pg_indexes WHERE indexname = $1", want); got != "1" {
			t.Errorf("there is no index %s", want)
		}
	}
	execute(t, conn, "DROP INDEX people_ssn_idx1")
	execute(t, conn, "INSERT INTO people (id, ssn) VALUES (1, $1)", "078-05-1120")
	_, err := conn.Exec(t.Context(), "INSERT INTO people (id, ssn) VALUES (2, $1)", "078-05-1120")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "23505" || refused.ConstraintName != "people_ssn_idx" {
		t.Errorf("a second one gives %v", err)
	}
}
