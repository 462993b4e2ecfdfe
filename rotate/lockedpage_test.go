package rotate_test

import (
	"testing"
	"time"

	"github.com/rowseal/rowseal/rotate"
)

// TestARowThatSomebodyKeepsLockedHoldsUpNoOther: the rows before it are written, and free, while it is waited for.
func TestARowThatSomebodyKeepsLockedHoldsUpNoOther(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	people := w.people(t, d, 20)
	w.rotateTenants(t)
	tx, err := d.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.Exec("SELECT FROM people WHERE id = 15 FOR UPDATE")
	must(t, err)
	ended := make(chan error, 1)
	var result rotate.Result
	go func() {
		var err error
		result, err = rotate.Run(t.Context(), w.config(d), w.rewrap())
		ended <- err
	}()
	for {
		jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, false)
		must(t, err)
		if len(jobs) > 0 && jobs[0].Counts["rows"] == 14 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended before the row was free: %v", err)
		case <-t.Context().Done():
			t.Fatal("the rows before the locked one are not written")
		case <-time.After(50 * time.Millisecond):
		}
	}
	must(t, tx.Rollback())
	must(t, <-ended)
	counted(t, result.Counts, counts{"rows": 20, "values": 40, "rewrapped": 20, "current": 20})
	w.opens(t, d, people)
}
