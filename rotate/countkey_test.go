package rotate_test

import (
	"database/sql"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestCountKeyLooksEverywhere: in rows that moved past a verify, in values that nothing parses, in columns outside the policy.
func TestCountKeyLooksEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 20)
		sealed, key := w.lateValue(t)
		count := func(want int64) {
			t.Helper()
			found, err := rotate.CountKey(t.Context(), d.DB, d.dialect, []*field.Table{w.table}, key)
			if err != nil || !maps.Equal(found, map[string]int64{"people": want}) {
				t.Errorf("found %v, %v; want %d", found, err, want)
			}
		}
		count(0)
		d.exec(t, "UPDATE people SET ssn = $1 WHERE id = 3", sealed)
		count(1)
		d.exec(t, "UPDATE people SET ssn = NULL, name = $1 WHERE id = 3", append([]byte("cut "), sealed[2:len(sealed)-3]...))
		count(1)
		d.exec(t, "ALTER TABLE people ADD COLUMN ssn_rowseal_old "+d.bytea)
		d.exec(t, "UPDATE people SET ssn_rowseal_old = $1 WHERE id = 4", sealed)
		count(2)
		_, err := rotate.CountKey(t.Context(), d.DB, d.dialect, []*field.Table{namedTable(t, "nowhere")}, key)
		if !errors.Is(err, rotate.ErrNoTable) {
			t.Errorf("got %v", err)
		}
	})
}

// TestARowThatMovesPastAVerifyIsCounted, by the look into the whole table that comes behind it.
func TestARowThatMovesPastAVerifyIsCounted(t *testing.T) {
	dsn, moved := testpg.DSN(t), false
	other, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })
	f := &faulty{after: func(_ int, s string) error {
		if !strings.Contains(s, "SET pos = ") || moved { // the first page is being left
			return nil
		}
		moved = true
		_, err := other.Exec("UPDATE people SET id = -1 WHERE id = 300")
		return err
	}}
	d := f.over(t, dsn)
	w := newWorld(t)
	w.people(t, d, 300)
	sealed, key := w.lateValue(t)
	d.exec(t, "UPDATE people SET ssn = $1, tenant = 'late', name = NULL, memo = NULL WHERE id = 300", sealed)
	cfg := w.config(d)
	cfg.Cipher, cfg.PageSize = w.cipher(t), 100
	_, err = rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table})
	must(t, err)
	jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
	must(t, err)
	tables := []*field.Table{w.table}
	if use := rotate.UseOfKey(jobs, tables, key, time.Time{}); !moved || !use.Unused() {
		t.Fatalf("the row did not get past: %+v", use)
	}
	if found, err := rotate.CountKey(t.Context(), d.DB, d.dialect, tables, key); err != nil || found["people"] != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}
