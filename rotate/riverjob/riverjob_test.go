package riverjob_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

func joined(errs ...error) error { return errors.Join(errs...) }

func counted(t *testing.T, got, want map[string]int64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("counted %v, want %v", got, want)
	}
}

func TestAJobIsPlannedWalkedCheckedAndFinished(t *testing.T) {
	const n = 400
	m := newMachine(t, n)
	m.rotate(t)
	for _, job := range []rotate.Job{m.rewrap(), m.reseal()} {
		result, err := newRunner(t, m.config()).Run(t.Context(), job)
		must(t, err)
		if job.Kind == rotate.Rewrap {
			counted(t, result.Counts, map[string]int64{"rows": n, "values": 2 * n, "rewrapped": 2 * n, "checked": n})
		} else {
			counted(t, result.Counts, map[string]int64{"rows": n, "values": 2 * n, "current": 2 * n, "checked": n})
		}
		if result.Ended.IsZero() {
			t.Error("the job has no end")
		}
	}
	m.opens(t, n, nil)
	for kind, want := range map[string]int{"rowseal_plan": 2, "rowseal_range": 16, "rowseal_check": 16, "rowseal_finish": 2} {
		if got := m.inRiver(t, kind); got["completed"] != want || len(got) != 1 {
			t.Errorf("%s: %v, want %d completed", kind, got, want)
		}
	}
}

func TestTwoOperatorsStartTheSameOnce(t *testing.T) {
	const n = 400
	m := newMachine(t, n)
	m.rotate(t)
	var results [2]rotate.Result
	var all sync.WaitGroup
	for i := range results {
		r := newRunner(t, m.config())
		all.Go(func() {
			var err error
			results[i], err = r.Run(t.Context(), m.rewrap())
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if results[0].ID != results[1].ID || results[0].ID == 0 {
		t.Errorf("jobs %d and %d", results[0].ID, results[1].ID)
	}
	counted(t, results[0].Counts, map[string]int64{"rows": n, "values": 2 * n, "rewrapped": 2 * n, "checked": n})
	if got := m.inRiver(t, "rowseal_plan"); got["completed"] != 1 {
		t.Errorf("planners: %v", got)
	}
	if got := m.inRiver(t, "rowseal_range"); got["completed"] != 8 {
		t.Errorf("ranges: %v", got)
	}
}

func TestAVerifyIsOneThatKeysAreJudgedBy(t *testing.T) {
	const n = 100
	m := newMachine(t, n)
	var key [8]byte
	for id := range m.keys(t, keyring.Active) {
		key = id
		break
	}
	m.exec(t, "UPDATE people SET name = 'in clear' WHERE id = 3")
	result, err := newRunner(t, m.config()).Run(t.Context(), rotate.Job{Kind: rotate.Verify, Table: m.people})
	if !errors.Is(err, rotate.ErrFindings) || len(result.Findings) != 1 || result.Findings[0].Kind != rotate.FindingUnsealed {
		t.Fatalf("%+v, %v", result.Findings, err)
	}
	if _, ok := result.Counts["checked"]; ok || result.Counts["values"] != 2*n {
		t.Errorf("counted %v", result.Counts)
	}
	jobs, err := rotate.Jobs(t.Context(), m.db, rotate.PostgreSQL, true)
	must(t, err)
	if use := rotate.UseOfKey(jobs, []*field.Table{m.people}, key, time.Time{}); use.Values < n/2 || len(use.Unverified) > 0 {
		t.Errorf("%+v", use)
	}
}

func TestAnOlderKeyThatIsStillActiveIsRetired(t *testing.T) {
	const n = 60
	for _, job := range []func(*machine) rotate.Job{
		(*machine).rewrap,
		(*machine).reseal,
		func(m *machine) rotate.Job {
			return rotate.Job{Kind: rotate.Rewrap, Table: m.people, Columns: []string{"name"}}
		},
	} {
		m := newMachine(t, n)
		m.rotate(t)
		m.exec(t, "UPDATE rowseal.keys SET state = 'active'") // as a rotation leaves them that is interrupted
		j := job(m)
		_, err := newRunner(t, m.config()).Run(t.Context(), j)
		must(t, err)
		want := 3
		if len(j.Columns) > 0 { // which proves nothing of the other column
			want = 0
		}
		if got := len(m.keys(t, keyring.Retired)); got != want {
			t.Errorf("%s of columns %v: %d keys are retired, want %d", j.Kind, j.Columns, got, want)
		}
		if len(j.Columns) == 0 {
			m.opens(t, n, nil)
		}
	}
}

func TestAJobIsPausedResumedAndCanceled(t *testing.T) {
	m := newMachine(t, 200)
	m.rotate(t)
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 40
	var failure error
	var all sync.WaitGroup
	all.Go(func() { _, failure = newRunner(t, cfg).Run(t.Context(), m.rewrap()) })
	s := m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	must(t, rotate.Command(t.Context(), m.db, rotate.PostgreSQL, s.ID, rotate.Order{Pause: true}))
	m.await(t, `SELECT count(*) = 0 FROM rowseal.job_ranges WHERE owner <> ''`)
	paused := m.awaitJob(t, func(s rotate.Status) bool { return len(s.Owners) == 0 })
	must(t, rotate.Command(t.Context(), m.db, rotate.PostgreSQL, s.ID, rotate.Order{}))
	m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > paused.Counts["rows"] })
	must(t, rotate.Command(t.Context(), m.db, rotate.PostgreSQL, s.ID, rotate.Order{Cancel: true, By: "ann", Reason: "wrong table"}))
	all.Wait()
	if !errors.Is(failure, rotate.ErrCanceled) || !strings.Contains(failure.Error(), "wrong table") {
		t.Errorf("got %v", failure)
	}
	// Another worker clears the queue of what the first one left.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRunner(t, m.config())
	all.Go(func() {
		if err := r.Work(ctx); err != nil {
			t.Error(err)
		}
	})
	m.await(t, `SELECT count(*) = 0 FROM rowseal_river.river_job WHERE state NOT IN ('completed', 'cancelled')`)
	cancel()
	all.Wait()
}

func TestAWorkerThatLosesItsConnectionsGoesOn(t *testing.T) {
	const n = 400
	m := newMachine(t, n)
	m.rotate(t)
	victim, err := place{m.dsn + "&application_name=victim", m.root}.open(t.Context())
	must(t, err)
	defer func() { must(t, victim.close()) }()
	cfg := victim.config()
	cfg.Rotate.Limits.RowsPerSecond = 150
	r := newRunner(t, cfg)
	var result rotate.Result
	var failure error
	var all sync.WaitGroup
	all.Go(func() { result, failure = r.Run(t.Context(), victim.rewrap()) })
	for cut := range int64(3) {
		m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 100*cut })
		m.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'")
	}
	all.Wait()
	must(t, failure)
	counted(t, result.Counts, map[string]int64{"rows": n, "values": 2 * n, "rewrapped": 2 * n, "checked": n})
	m.opens(t, n, nil)
}

func TestAPermanentErrorEndsTheJobWithItsReason(t *testing.T) {
	m := newMachine(t, 200)
	m.rotate(t)
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 40
	var failure error
	var all sync.WaitGroup
	all.Go(func() { _, failure = newRunner(t, cfg).Run(t.Context(), m.rewrap()) })
	m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	m.exec(t, "ALTER TABLE people RENAME COLUMN memo TO note")
	all.Wait()
	if !errors.Is(failure, rotate.ErrCanceled) || !strings.Contains(failure.Error(), "memo") {
		t.Errorf("got %v", failure)
	}
	_, failure = newRunner(t, m.config()).Run(t.Context(), m.rewrap())
	if failure == nil || !strings.Contains(failure.Error(), "could not be planned") || !strings.Contains(failure.Error(), "memo") {
		t.Errorf("a job that cannot be planned: %v", failure)
	}
}

func TestWhatRiverLostIsHandedOutAgain(t *testing.T) {
	const n = 200
	m := newMachine(t, n)
	m.rotate(t)
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 60
	var result rotate.Result
	var failure error
	var all sync.WaitGroup
	all.Go(func() { result, failure = newRunner(t, cfg).Run(t.Context(), m.rewrap()) })
	m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	m.exec(t, "DELETE FROM rowseal_river.river_job WHERE kind = 'rowseal_range' AND state <> 'running'")
	all.Wait()
	must(t, failure)
	counted(t, result.Counts, map[string]int64{"rows": n, "values": 2 * n, "rewrapped": 2 * n, "checked": n})
}

func TestNewRefuses(t *testing.T) {
	m := newMachine(t, 1)
	cfg := m.config()
	cfg.Schema = "elsewhere"
	if _, err := riverjob.New(t.Context(), cfg); !errors.Is(err, riverjob.ErrNotMigrated) || !strings.Contains(err.Error(), "--migrate") {
		t.Errorf("without tables: %v", err)
	}
	for name, change := range map[string]func(*riverjob.Config){
		"no pool": func(c *riverjob.Config) { c.Pool = nil }, "no policy": func(c *riverjob.Config) { c.Policy = nil },
		"SQLite": func(c *riverjob.Config) { c.Rotate.Dialect = rotate.SQLite }, "ranges": func(c *riverjob.Config) { c.Ranges = -1 },
		"a turn that lasts": func(c *riverjob.Config) { c.Turn = 4 * time.Second }, "a rescue at once": func(c *riverjob.Config) { c.Rescue = time.Second },
	} {
		cfg := m.config()
		change(&cfg)
		if _, err := riverjob.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := newRunner(t, m.config())
	if _, err := r.Run(t.Context(), rotate.Job{Kind: rotate.Overwrite, Table: m.people}); err == nil {
		t.Error("an overwrite was accepted")
	}
	if _, err := r.Run(t.Context(), rotate.Job{Kind: rotate.Rewrap}); err == nil {
		t.Error("a job without table was accepted")
	}
	m.exec(t, `INSERT INTO rowseal_river.river_job (args, kind, max_attempts, queue) VALUES ('{}', 'send_mail', 3, 'mail')`)
	if _, err := riverjob.New(t.Context(), m.config()); !errors.Is(err, riverjob.ErrShared) || !strings.Contains(err.Error(), `"mail"`) {
		t.Errorf("an application's schema: %v", err)
	}
}

// awaitJob waits until the newest job is as asked for.
func (m *machine) awaitJob(t testing.TB, is func(rotate.Status) bool) rotate.Status {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		jobs, err := rotate.Jobs(t.Context(), m.db, rotate.PostgreSQL, true)
		must(t, err)
		if len(jobs) > 0 && is(jobs[0]) {
			return jobs[0]
		}
	}
	t.Fatal("the job did not come to be so within a minute")
	return rotate.Status{}
}

// await waits until a query says true.
func (m *machine) await(t testing.TB, query string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var ok bool
		must(t, m.db.QueryRowContext(t.Context(), query).Scan(&ok))
		if ok {
			return
		}
	}
	t.Fatalf("not so within a minute: %s", query)
}
