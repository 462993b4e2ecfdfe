package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// placeless fills a table without a primary key.
func placeless(t *testing.T, w *world, d db, n int) []person {
	t.Helper()
	d.exec(t, "CREATE TABLE people (id int, tenant text, name bytea, memo bytea, note text)")
	people := make([]person, n)
	for i := range people {
		people[i] = personNumber(i)
	}
	for i, s := range w.seal(t, people) {
		d.exec(t, "INSERT INTO people VALUES ($1, $2, $3, $4, '')", i, people[i].tenant, s[0], s[2])
	}
	return people
}

func TestATableWithoutAPrimaryKeyIsWalkedUntilNothingIsDue(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			d := openPostgres(t)
			w := newWorld(t)
			const n = 300
			people := placeless(t, w, d, n)
			d.exec(t, "DELETE FROM people WHERE id < 20") // room behind the walk
			d.exec(t, "VACUUM people")
			w.rotateTenants(t)
			w.rotateRoot(t)
			cfg := w.config(d)
			cfg.PageSize, cfg.Workers = 7, workers
			result, err := rotate.Run(t.Context(), cfg, w.rewrap())
			must(t, err)
			if got := result.Counts["rewrapped"]; got != 2*(n-20) || result.Counts["failed"] != 0 {
				t.Errorf("counted %v", result.Counts)
			}
			if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "people has no primary key") {
				t.Errorf("warnings %q", result.Warnings)
			}
			counted(t, w.run(t, cfg), counts{"rows": n - 20, "values": 2 * (n - 20), "current": 2 * (n - 20)})
			checkPlaceless(t, w, d, people)
		})
	}
}

// checkPlaceless opens all values.
func checkPlaceless(t *testing.T, w *world, d db, people []person) {
	t.Helper()
	rows, err := d.Query("SELECT id, name, memo FROM people")
	must(t, err)
	defer rows.Close()
	c := w.cipher(t)
	for rows.Next() {
		var id int
		var sealed [2][]byte
		must(t, rows.Scan(&id, &sealed[0], &sealed[1]))
		for i, name := range []string{"name", "memo"} {
			var got string
			must(t, c.Open(t.Context(), &got, w.table.Column(name), field.Row{Tenant: people[id].tenant}, sealed[i]))
			if want := []string{people[id].name, people[id].memo}[i]; got != want {
				t.Fatalf("row %d: %s is %q, want %q", id, name, got, want)
			}
		}
	}
	must(t, rows.Err())
}

func TestWritersBesideAWalkWithoutAPrimaryKeyLoseNothing(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	const n = 200
	people := placeless(t, w, d, n)
	w.rotateTenants(t)
	fresh := w.seal(t, people) // what writers write beside the walk, under the new keys
	ctx, stop := context.WithCancel(t.Context())
	var writers errgroup.Group
	for part := range 2 {
		writers.Go(func() error {
			for i := part; ctx.Err() == nil; i += 2 {
				id := i * 7 % n
				if _, err := d.Exec("UPDATE people SET note = note || 'x' WHERE id = $1", id); err != nil { // moves the row
					return err
				}
				if _, err := d.Exec("UPDATE people SET name = $2 WHERE id = $1", id, fresh[id][0]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	cfg := w.config(d)
	cfg.PageSize = 5
	_, err := rotate.Run(t.Context(), cfg, w.rewrap())
	stop()
	must(t, writers.Wait())
	if err != nil && !errors.Is(err, rotate.ErrIncomplete) {
		t.Fatal(err)
	}
	w.run(t, cfg) // nobody writes any more
	counted(t, w.run(t, cfg), counts{"rows": n, "values": 2 * n, "current": 2 * n})
	checkPlaceless(t, w, d, people)
}

func TestWhatNeedsAPrimaryKeyIsRefusedWithoutOne(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	placeless(t, w, d, 3)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	all := rotate.Job{Kind: rotate.Reseal, Table: w.table, Columns: []string{"name"}, Options: map[string]string{"all": "true"}}
	if _, err := rotate.Run(t.Context(), cfg, all); !errors.Is(err, rotate.ErrNoPrimaryKey) || !strings.Contains(err.Error(), "reseal what is under the old ones") {
		t.Errorf("reseal of all: %v", err)
	}
	if _, _, err := rotate.Begin(t.Context(), cfg, w.rewrap(), 2, 1); !errors.Is(err, rotate.ErrNoPrimaryKey) {
		t.Errorf("ranges: %v", err)
	}
	// Rows may move past a verify, so it proves nothing of a key.
	verify := rotate.Job{Kind: rotate.Verify, Table: w.table, Columns: []string{"name", "memo"}}
	result, err := rotate.Run(t.Context(), cfg, verify)
	must(t, err)
	if result.Counts["rows"] != 3 {
		t.Errorf("verified %v", result.Counts)
	}
	jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
	must(t, err)
	if len(jobs) == 0 || !strings.Contains(jobs[0].Spec, `"walk":"places"`) {
		t.Errorf("jobs %+v", jobs)
	}
}
