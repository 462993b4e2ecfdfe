package rotate_test

import (
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestAReplicaThatIsHeldBackPausesAJobAndReleasesIt: the replica is resumed only when the job says that
// it waits for it, and the job ends only behind that.
func TestAReplicaThatIsHeldBackPausesAJobAndReleasesIt(t *testing.T) {
	primary := testpg.Start(t, map[string]string{"synchronous_commit": "on"}) // else the WAL is written a moment later
	replica := testpg.Replica(t, primary)
	follows, err := sql.Open("pgx", replica.DSN("postgres"))
	must(t, err)
	t.Cleanup(func() { must(t, follows.Close()) })
	server, err := sql.Open("pgx", primary.DSN("postgres"))
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	d := db{server, rotate.PostgreSQL, "bytea"}
	w := newWorld(t)
	const n = 2000
	people := w.people(t, d, n)
	w.rotateRoot(t)
	testpg.HoldBack(t, replica)
	d.exec(t, "CREATE TABLE ballast AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 5000)")

	cfg := w.config(d)
	cfg.Workers, cfg.Limits = 2, rotate.Limits{ReplicaLagBytes: 1 << 20}
	var held atomic.Bool
	cfg.Progress = func(p rotate.Progress) {
		if strings.HasPrefix(p.Held, "replica 127.0.0.1 is ") && held.CompareAndSwap(false, true) {
			if p.Done > 0 || p.Lag < 1<<20 {
				t.Errorf("%+v", p)
			}
			if _, err := follows.ExecContext(t.Context(), "SELECT pg_wal_replay_resume()"); err != nil {
				t.Error(err)
			}
		}
	}
	counted(t, w.run(t, cfg), counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n})
	if !held.Load() {
		t.Error("the job did not wait for its replica")
	}
	w.opens(t, d, people)
}
