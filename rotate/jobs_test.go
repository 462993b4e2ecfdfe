package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// errKilled is what a process that is killed does not live to see.
var errKilled = errors.New("killed")

// TestAProcessThatIsKilledAnywhereLosesAndRepeatsNothing kills a run before, and another one after, each of
// its statements: nothing that it would do then is done, giving its range up included.
func TestAProcessThatIsKilledAnywhereLosesAndRepeatsNothing(t *testing.T) {
	dsn := testpg.DSN(t)
	w := newWorld(t)
	d := (&faulty{}).over(t, dsn)
	const n = 24
	people := w.people(t, d, n)
	cases := 0
	for at := 1; at < 200; at++ {
		survived := 0
		for _, after := range []bool{false, true} {
			w.rotateTenants(t)
			ctx, cancel := ctxOf(t)
			strike := func(k int, _ string) error {
				if k >= at {
					cancel()
					return errKilled
				}
				return nil
			}
			f := &faulty{before: strike}
			if after {
				f = &faulty{after: strike, before: func(k int, s string) error {
					if k > at {
						return errKilled
					}
					return nil
				}}
			}
			process := f.over(t, dsn)
			cfg := w.config(process)
			cfg.PageSize, cfg.Owner = 7, "killed"
			_, err := rotate.Run(ctx, cfg, w.rewrap())
			cancel()
			must(t, process.Close())
			if err == nil {
				survived++
			}
			// Time goes by, until its lease is over.
			_, _ = d.Exec("UPDATE rowseal.job_ranges SET until_at = 0") // the first runs die before there is such a table
			result, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
			must(t, err)
			want := counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n}
			if survived > 0 {
				want = counts{"rows": n, "values": 2 * n, "current": 2 * n}
			}
			if !result.Ended.IsZero() && result.Counts["rewrapped"] == 0 { // the job was over before the blow
				want = counts{"rows": n, "values": 2 * n, "current": 2 * n}
			}
			counted(t, result.Counts, want)
			cases++
		}
		if survived == 2 {
			break
		}
	}
	if cases < 60 {
		t.Fatalf("a run had %d statements only", cases/2)
	}
	w.opens(t, d, people)
	leftOver(t, d, n)
}

// leftOver checks that all jobs but those that were killed at the end are over.
func leftOver(t *testing.T, d db, _ int) {
	t.Helper()
	jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, false)
	must(t, err)
	if len(jobs) > 0 {
		t.Fatalf("jobs are open that nobody works on: %+v", jobs)
	}
}

func TestARunOutlivesConnectionsThatAreCut(t *testing.T) {
	dsn := testpg.DSN(t)
	w := newWorld(t)
	admin := (&faulty{}).over(t, dsn)
	const n = 24
	people := w.people(t, admin, n)
	const cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	for at := 3; at < 40; at += 4 {
		w.rotateTenants(t)
		f := &faulty{before: func(k int, s string) error {
			if k == at || k == at+9 {
				_, err := admin.Exec(cut)
				return err
			}
			return nil
		}}
		process := f.over(t, dsn)
		cfg := w.config(process)
		cfg.PageSize = 7
		result, err := rotate.Run(t.Context(), cfg, w.rewrap())
		must(t, process.Close())
		if err != nil && result.ID == 0 {
			continue // before the job began there is nothing to go on with
		}
		must(t, err)
		counted(t, result.Counts, counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n})
	}
	w.ring = w.newRing(t)
	w.run(t, w.config(admin))
	w.opens(t, admin, people)
}

func TestPagesThatMeetAConflictAreTriedAgain(t *testing.T) {
	for _, state := range []string{"40P01", "40001", "55P03", "57P01", "53100", "53300"} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t)
			met := 0
			f := &faulty{after: func(_ int, s string) error {
				if isPageWrite(s) {
					if met++; met <= 2 {
						return &pgconn.PgError{Code: state, Message: "planted"}
					}
				}
				return nil
			}}
			d := f.over(t, testpg.DSN(t))
			w.people(t, d, 20)
			w.rotateTenants(t)
			counted(t, w.run(t, w.config(d)), counts{"rows": 20, "values": 40, "rewrapped": 20, "current": 20})
			if met < 3 {
				t.Fatalf("the page was written %d times", met)
			}
		})
	}
}

func TestOtherErrorsEndTheRunAndSayThatItCanBeRunAgain(t *testing.T) {
	w := newWorld(t)
	broken := true
	f := &faulty{before: func(_ int, s string) error {
		if broken && isPageWrite(s) {
			return &pgconn.PgError{Code: "23514", Message: "planted"}
		}
		return nil
	}}
	d := f.over(t, testpg.DSN(t))
	w.people(t, d, 20)
	w.rotateTenants(t)
	_, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
	if err == nil || !strings.Contains(err.Error(), "run it again to go on") || !strings.Contains(err.Error(), "23514") {
		t.Fatalf("got %v", err)
	}
	broken = false
	counted(t, w.run(t, w.config(d)), counts{"rows": 20, "values": 40, "rewrapped": 20, "current": 20})
}

func TestTwoRunsOfAJobShareItsRanges(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		if d.dialect == rotate.SQLite {
			return // one writer, one range
		}
		w := newWorld(t)
		const n = 2000
		people := w.people(t, d, n)
		w.rotateRoot(t)
		// Both are under way before either goes on.
		var met sync.WaitGroup
		met.Add(2)
		var first atomic.Int32
		rings := make([]*sync.Once, 2)
		results := make([]rotate.Result, 2)
		errs := make([]error, 2)
		var runs sync.WaitGroup
		for i := range 2 {
			rings[i] = &sync.Once{}
			runs.Go(func() {
				mine := newWorldOn(t, w, func(op string) error {
					if op == "rewrap" {
						rings[i].Do(func() {
							first.Add(1)
							met.Done()
							met.Wait()
						})
					}
					return nil
				})
				cfg := mine.config(d)
				cfg.Workers, cfg.PageSize, cfg.Owner = 2, 50, fmt.Sprint("machine-", i)
				results[i], errs[i] = rotate.Run(t.Context(), cfg, w.rewrap())
			})
		}
		runs.Wait()
		for i := range 2 {
			must(t, errs[i])
			counted(t, results[i].Counts, counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n})
		}
		if results[0].ID != results[1].ID || results[0].Joined == results[1].Joined {
			t.Fatalf("two jobs: %+v", results)
		}
		w.opens(t, d, people)
	})
}

func TestARangeWhoseOwnerIsNotHeardOfIsTakenOverAndItsLateWriteRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		const n = 100
		people := w.people(t, d, n)
		w.rotateRoot(t)
		var once sync.Once
		slow := newWorldOn(t, w, func(op string) error {
			if op == "rewrap" { // its first page is read
				once.Do(func() {
					d.exec(t, "UPDATE "+d.table("job_ranges")+" SET until_at = 0")
					other := w.config(d)
					other.Keyring = w.newRing(t)
					result, err := rotate.Run(t.Context(), other, w.rewrap())
					must(t, err)
					if !result.Joined {
						t.Error("the other one did not join")
					}
				})
			}
			return nil
		})
		cfg := slow.config(d)
		cfg.PageSize = 10
		result, err := rotate.Run(t.Context(), cfg, w.rewrap())
		must(t, err)
		counted(t, result.Counts, counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n})
		w.opens(t, d, people)
	})
}

func TestAJobIsPausedResumedAndCanceledByOrders(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 30)
		w.rotateTenants(t)
		must(t, rotate.InitJournal(t.Context(), d.DB, d.dialect))
		id := w.begun(t, d)
		command := func(o rotate.Order) { must(t, rotate.Command(t.Context(), d.DB, d.dialect, id, o)) }
		command(rotate.Order{Pause: true, By: "ann", Reason: "market day"})
		held := 0
		cfg := w.config(d)
		cfg.Progress = func(p rotate.Progress) {
			if p.Held == "paused by ann: market day" {
				if p.Done != 0 {
					t.Errorf("%d rows were done in the pause", p.Done)
				}
				if held++; held == 1 {
					command(rotate.Order{By: "ann"})
				}
			}
		}
		result, err := rotate.Run(t.Context(), cfg, w.rewrap())
		must(t, err)
		if held == 0 || result.ID != id || result.Counts["rows"] != 30 {
			t.Fatalf("held %d times: %+v", held, result)
		}
		if err := rotate.Command(t.Context(), d.DB, d.dialect, id, rotate.Order{Pause: true}); !errors.Is(err, rotate.ErrNoJob) {
			t.Fatalf("a job that is over took an order: %v", err)
		}

		id = w.begun(t, d)
		command(rotate.Order{Pause: true})
		var once sync.Once
		cfg.Progress = func(p rotate.Progress) {
			if p.Held == "paused" {
				once.Do(func() { command(rotate.Order{Cancel: true}) })
			}
		}
		if _, err := rotate.Run(t.Context(), cfg, w.rewrap()); !errors.Is(err, rotate.ErrCanceled) {
			t.Fatalf("got %v", err)
		}
		s, err := rotate.JobByID(t.Context(), d.DB, d.dialect, id)
		must(t, err)
		if s.State != rotate.StateCanceled || s.Ended.IsZero() || s.Counts["rows"] != 0 {
			t.Fatalf("got %+v", s)
		}
		next, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
		must(t, err)
		if next.Joined || next.ID == id {
			t.Fatal("a canceled job was joined")
		}
		all, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
		must(t, err)
		open, err := rotate.Jobs(t.Context(), d.DB, d.dialect, false)
		must(t, err)
		if len(all) != 3 || len(open) != 0 || all[0].ID != next.ID {
			t.Fatalf("%d jobs, %d open", len(all), len(open))
		}
	})
}

// begun begins a job, of which nothing is done, and returns its number.
func (w *world) begun(t *testing.T, d db) int64 {
	t.Helper()
	ctx, cancel := ctxOf(t)
	cfg := w.config(d)
	cfg.Progress = func(rotate.Progress) { cancel() } // before the first page
	result, err := rotate.Run(ctx, cfg, w.rewrap())
	if !errors.Is(err, context.Canceled) || result.Counts["rows"] != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	return result.ID
}

// newWorldOn is a process of its own with w's keys.
func newWorldOn(t *testing.T, w *world, fail func(op string) error) *world {
	t.Helper()
	other := *w
	other.calls = newCounter(w, fail)
	other.ring = other.newRing(t)
	return &other
}

func TestTriggersFireUnlessTheyAreSkipped(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	d.exec(t, "CREATE TABLE fired (n int)")
	d.exec(t, `CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); RETURN NEW; END $$`)
	d.exec(t, "CREATE TRIGGER fire BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fire()")
	fired := func() (n int) {
		must(t, d.QueryRow("SELECT count(*) FROM fired").Scan(&n))
		return n
	}
	w.rotateTenants(t)
	cfg := w.config(d)
	cfg.SkipTriggers = true
	w.run(t, cfg)
	if n := fired(); n != 0 {
		t.Fatalf("%d triggers fired that were to be skipped", n)
	}
	w.rotateTenants(t)
	w.run(t, w.config(d))
	if n := fired(); n != 20 {
		t.Fatalf("%d triggers fired, want 20", n)
	}
}

func TestTheRowsOfOneTenantAloneAreWalked(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 30)
		w.rotateTenants(t)
		job := w.rewrap()
		job.Tenant = "tenant-1"
		cfg := w.config(d)
		cfg.PageSize = 3
		result, err := rotate.Run(t.Context(), cfg, job)
		must(t, err)
		counted(t, result.Counts, counts{"rows": 10, "values": 20, "rewrapped": 10, "current": 10})
	})
}

func TestProcessesThatStartAtOnceMakeOneJournal(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if err := rotate.InitJournal(t.Context(), d.DB, d.dialect); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
		if err != nil || len(jobs) != 0 {
			t.Fatalf("got %v, %v", jobs, err)
		}
	})
}

func TestAnAccountThatMayNotMakeTheJournalIsToldWhatItNeeds(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 3)
	w.rotateTenants(t)
	role := "walker_" + strings.ToLower(time.Now().Format("150405.000000")[7:])
	d.exec(t, "CREATE ROLE "+role)
	defer d.exec(t, "DROP OWNED BY "+role+"; DROP ROLE "+role)
	d.exec(t, "GRANT SELECT, UPDATE ON people TO "+role)
	conn := d.DB
	conn.SetMaxOpenConns(1)
	d.exec(t, "SET ROLE "+role)
	defer d.exec(t, "RESET ROLE")
	_, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
	if !errors.Is(err, rotate.ErrNoJournal) || !strings.Contains(err.Error(), "rowseal init") {
		t.Fatalf("got %v", err)
	}
	d.exec(t, "RESET ROLE")
	must(t, rotate.InitJournal(t.Context(), d.DB, d.dialect))
	d.exec(t, "SET ROLE "+role)
	if _, err = rotate.Run(t.Context(), w.config(d), w.rewrap()); !errors.Is(err, rotate.ErrNoJournal) || !strings.Contains(err.Error(), "GRANT") {
		t.Fatalf("got %v", err)
	}
	d.exec(t, "RESET ROLE; GRANT USAGE ON SCHEMA rowseal TO "+role+"; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA rowseal TO "+role+"; SET ROLE "+role)
	if _, err = rotate.Run(t.Context(), w.config(d), w.rewrap()); err != nil {
		t.Fatal(err)
	}
}
