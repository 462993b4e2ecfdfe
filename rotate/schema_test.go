package rotate_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// inSchema is the database seen with a search path of one schema.
func inSchema(t *testing.T, dsn, schema string) db {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	must(t, err)
	c.RuntimeParams["search_path"] = schema
	d := stdlib.OpenDB(*c)
	t.Cleanup(func() { must(t, d.Close()) })
	return db{d, rotate.PostgreSQL, "bytea"}
}

// TestTablesOfOneNameInTwoSchemasHaveJobsOfTheirOwn: one does not go on where the other one stood, closes none of the
// other's, and is no evidence for it.
func TestTablesOfOneNameInTwoSchemasHaveJobsOfTheirOwn(t *testing.T) {
	dsn := testpg.DSN(t)
	root, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { must(t, root.Close()) })
	_, err = root.Exec("CREATE SCHEMA a; CREATE SCHEMA b")
	must(t, err)
	a, b := inSchema(t, dsn, "a"), inSchema(t, dsn, "b")
	w := newWorld(t)
	w.people(t, a, 20)
	people := w.people(t, b, 20)
	cfgA, cfgB := w.config(a), w.config(b)
	cfgA.Cipher, cfgB.Cipher = w.cipher(t), w.cipher(t)
	w.rotateTenants(t)

	reseal := rotate.Job{Kind: rotate.Reseal, Table: w.table}
	left, _ := begin(t, cfgA, reseal, 1, 1)
	result, err := rotate.Run(t.Context(), cfgB, reseal)
	must(t, err)
	if result.Joined || result.ID == left.ID() || result.Counts["resealed"] != 40 {
		t.Errorf("b: %+v", result)
	}
	w.opens(t, b, people)
	w.rotateTenants(t) // the next one in b would take the place of an older one
	_, err = rotate.Run(t.Context(), cfgB, reseal)
	must(t, err)
	if s := a.status(t, left.ID()); s.State != rotate.StateRunning || s.Schema != "a" || s.Elsewhere {
		t.Errorf("a's job: %+v", s)
	}
	if s := b.status(t, left.ID()); !s.Elsewhere {
		t.Errorf("a's job as b sees it: %+v", s)
	}
	if _, err := rotate.Open(t.Context(), cfgB, reseal, left.ID()); !errors.Is(err, rotate.ErrOtherJob) || !strings.Contains(err.Error(), "schema a") {
		t.Errorf("to open a's job in b: %v", err)
	}

	_, err = rotate.Run(t.Context(), cfgA, rotate.Job{Kind: rotate.Verify, Table: w.table})
	must(t, err)
	for _, d := range []db{a, b} {
		jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
		must(t, err)
		if _, why := rotate.LastVerify(jobs, w.table, time.Time{}); (why == "") != (d == a) {
			t.Errorf("a's verify is evidence in a's schema alone; in a = %v it says %q", d == a, why)
		}
	}
}

// TestTablesThatOthersInheritFromAreRefused, whose children may have rows of the same keys.
func TestTablesThatOthersInheritFromAreRefused(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 5)
	d.exec(t, "CREATE TABLE guests (PRIMARY KEY (id)) INHERITS (people)")
	d.exec(t, "INSERT INTO guests SELECT * FROM people")
	_, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
	if !errors.Is(err, rotate.ErrNoPrimaryKey) || !strings.Contains(err.Error(), `NO INHERIT "people"`) {
		t.Fatalf("got %v", err)
	}
	d.exec(t, "ALTER TABLE guests NO INHERIT people")
	counted(t, w.run(t, w.config(d)), counts{"rows": 5, "values": 10, "current": 10})
}
