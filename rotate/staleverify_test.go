package rotate_test

import (
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// TestAVerifyOfYesterdayIsNotGoneOnWith, unless somebody still works on it.
func TestAVerifyOfYesterdayIsNotGoneOnWith(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 20)
		cfg := w.config(d)
		cfg.Cipher = w.cipher(t)
		job := rotate.Job{Kind: rotate.Verify, Table: w.table}
		const day = "86401000000"
		old, _ := begin(t, cfg, job, 1, 1)
		d.exec(t, "UPDATE "+d.table("jobs")+" SET started_at = started_at - "+day)
		d.exec(t, "UPDATE "+d.table("job_ranges")+" SET until_at = (SELECT started_at FROM "+d.table("jobs")+") + "+day)
		if joined, _ := begin(t, cfg, job, 1, 1); joined.ID() != old.ID() {
			t.Error("one that is worked on is not joined")
		}
		d.exec(t, "UPDATE "+d.table("job_ranges")+" SET until_at = until_at - 601000000")
		result, err := rotate.Run(t.Context(), cfg, job)
		must(t, err)
		if result.Joined || result.ID == old.ID() || d.status(t, old.ID()).State != rotate.StateSuperseded {
			t.Errorf("%+v; the old one is %s", result, d.status(t, old.ID()).State)
		}
	})
}
