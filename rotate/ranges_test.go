package rotate_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/rowseal/rowseal/rotate"
)

func TestRangesAreWalkedForSchedulersThatKeepTheCursor(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		const n = 300
		people := w.people(t, d, n)
		w.rotateTenants(t)
		d.exec(t, "CREATE TABLE cursors (page integer PRIMARY KEY)")
		cfg := w.config(d)
		cfg.PageSize = 20
		ranges, err := rotate.Plan(t.Context(), cfg, w.rewrap(), 3)
		must(t, err)
		if d.dialect != rotate.SQLite && len(ranges) != 3 {
			t.Fatalf("%d ranges", len(ranges))
		}
		var rows, rewrapped int64
		pages := 0
		planted := errors.New("planted")
		for _, rg := range ranges {
			// A page whose onPage fails leaves nothing behind.
			_, err := rotate.WalkRange(t.Context(), cfg, w.rewrap(), rg, time.Now().Add(time.Hour), func(tx *sql.Tx, _ rotate.Walked) error {
				_, err := tx.Exec("INSERT INTO cursors VALUES (-1)")
				return errors.Join(err, planted)
			})
			if !errors.Is(err, planted) {
				t.Fatalf("got %v", err)
			}
			done, err := rotate.WalkRange(t.Context(), cfg, w.rewrap(), rg, time.Now().Add(time.Hour), func(tx *sql.Tx, p rotate.Walked) error {
				rows, rewrapped = rows+p.Counts["rows"], rewrapped+p.Counts["rewrapped"]
				pages++
				_, err := tx.Exec(d.sql("INSERT INTO cursors VALUES ($1)"), pages)
				return err
			})
			if err != nil || !done {
				t.Fatalf("done %v, %v", done, err)
			}
		}
		var kept, wrong int
		must(t, d.QueryRow("SELECT count(*) FROM cursors").Scan(&kept))
		must(t, d.QueryRow("SELECT count(*) FROM cursors WHERE page < 0").Scan(&wrong))
		if rows != n || rewrapped != n || kept != pages || wrong != 0 {
			t.Fatalf("%d rows, %d rewrapped, %d pages of which %d were kept and %d wrongly", rows, rewrapped, pages, kept, wrong)
		}
		w.opens(t, d, people)
		done, err := rotate.WalkRange(t.Context(), cfg, w.rewrap(), ranges[0], time.Now().Add(-time.Second), nil)
		if done || err != nil {
			t.Fatalf("a walk without time: %v, %v", done, err)
		}
	})
}
