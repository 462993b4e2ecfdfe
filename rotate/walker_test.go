package rotate_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/rotate"
)

func begin(t *testing.T, cfg rotate.Config, job rotate.Job, n, passes int) (*rotate.Walker, rotate.Status) {
	t.Helper()
	w, s, err := rotate.Begin(t.Context(), cfg, job, n, passes)
	must(t, err)
	return w, s
}

func anHour() time.Time { return time.Now().Add(time.Hour) }

func TestRangesAreWalkedForSchedulersAndChecked(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		const n = 300
		people := w.people(t, d, n)
		old := d.sealed(t)[7][0]
		w.rotateTenants(t)
		cfg := w.config(d)
		cfg.PageSize = 20
		walker, s := begin(t, cfg, w.rewrap(), 3, 2)
		if d.dialect != rotate.SQLite && s.Ranges != 6 {
			t.Fatalf("%d ranges", s.Ranges)
		}
		first := s.Ranges / 2
		for no := range first {
			turn, err := walker.Walk(t.Context(), no, time.Time{})
			if turn.Done || err != nil {
				t.Fatalf("a walk without time: %+v, %v", turn, err)
			}
			turn, err = walker.Walk(t.Context(), no, anHour())
			if !turn.Done || err != nil {
				t.Fatalf("%+v, %v", turn, err)
			}
		}
		if done, err := walker.Finish(t.Context()); done || err != nil {
			t.Fatalf("finished before the check: %v, %v", done, err)
		}
		// Somebody writes with an old key behind the walk.
		d.exec(t, "UPDATE people SET name = $1 WHERE id = 7", old)
		for no := range first {
			turn, err := walker.Check(t.Context(), first+no, anHour())
			if !turn.Done || err != nil {
				t.Fatalf("%+v, %v", turn, err)
			}
		}
		done, err := walker.Finish(t.Context())
		if !done || err != nil {
			t.Fatalf("not finished: %v", err)
		}
		end, err := rotate.JobByID(t.Context(), d.DB, d.dialect, walker.ID())
		must(t, err)
		result, err := end.Result()
		if !errors.Is(err, rotate.ErrIncomplete) || !strings.Contains(err.Error(), "1 rows were written behind the walk") {
			t.Fatalf("got %v", err)
		}
		counted(t, result.Counts, counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n, "checked": n, "due": 1})
		w.opens(t, d, people)
		if string(d.sealed(t)[7][0]) != string(old) {
			t.Fatal("the check wrote")
		}
	})
}

// TestACheckOfAResealOfAll: what is current is not due, although the reseal would write it.
func TestACheckOfAResealOfAll(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 30)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	job := rotate.Job{Kind: rotate.Reseal, Table: w.table, Options: map[string]string{"all": "true"}}
	walker, _ := begin(t, cfg, job, 1, 2)
	for _, f := range []func() (rotate.Turn, error){
		func() (rotate.Turn, error) { return walker.Walk(t.Context(), 0, anHour()) },
		func() (rotate.Turn, error) { return walker.Check(t.Context(), 1, anHour()) },
	} {
		if turn, err := f(); !turn.Done || err != nil {
			t.Fatalf("%+v, %v", turn, err)
		}
	}
	s, err := rotate.JobByID(t.Context(), d.DB, d.dialect, walker.ID())
	must(t, err)
	counted(t, s.Counts, counts{"rows": 30, "values": 90, "resealed": 90, "checked": 30})
}

func TestARangeHasOneWalkerAtATime(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 40)
	w.rotateTenants(t)
	cfg := w.config(d)
	cfg.PageSize, cfg.Owner = 10, "first"
	walker, _ := begin(t, cfg, w.rewrap(), 1, 1)

	// The first walker is stopped within its second page, and the second one comes meanwhile.
	cfg.Owner = "second"
	other, err := rotate.Open(t.Context(), cfg, w.rewrap(), walker.ID())
	must(t, err)
	d.exec(t, "UPDATE rowseal.job_ranges SET owner = 'first', until_at = $1", time.Now().Add(time.Hour).UnixMicro())
	turn, err := other.Walk(t.Context(), 0, anHour())
	if turn.Done || !strings.Contains(turn.Held, "first") || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
	// Its lease is over: the second takes it, and what the first writes under the old number is refused.
	d.exec(t, "UPDATE rowseal.job_ranges SET until_at = 0")
	if turn, err = other.Walk(t.Context(), 0, anHour()); !turn.Done || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
	if turn, err = walker.Walk(t.Context(), 0, anHour()); !turn.Done || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
	if _, err := walker.Walk(t.Context(), 9, anHour()); !errors.Is(err, rotate.ErrNoJob) {
		t.Fatalf("a range that is not there: %v", err)
	}
	s, err := walker.Look(t.Context())
	must(t, err)
	if s.Counts["rows"] != 40 && s.Counts["rows"] != 0 { // as of at most half a second ago
		t.Fatalf("counted %v", s.Counts)
	}
}

func TestWalkersHeedOrders(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 10)
	walker, _ := begin(t, w.config(d), w.rewrap(), 1, 1)
	order := func(o rotate.Order) {
		t.Helper()
		must(t, rotate.Command(t.Context(), d.DB, d.dialect, walker.ID(), o))
		var err error
		walker, err = rotate.Open(t.Context(), w.config(d), w.rewrap(), walker.ID())
		must(t, err)
	}
	order(rotate.Order{Pause: true, By: "ann", Reason: "lunch"})
	turn, err := walker.Walk(t.Context(), 0, anHour())
	if turn.Held != "paused by ann: lunch" || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
	order(rotate.Order{Limits: &rotate.Limits{PauseFile: "."}})
	turn, err = walker.Walk(t.Context(), 0, time.Now().Add(50*time.Millisecond))
	if turn.Done || !strings.Contains(turn.Held, "file") || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
	order(rotate.Order{})
	fresh := walker
	must(t, rotate.Command(t.Context(), d.DB, d.dialect, walker.ID(), rotate.Order{Cancel: true}))
	deadline := time.Now().Add(10 * time.Second)
	for err = nil; !errors.Is(err, rotate.ErrCanceled); { // it looks twice a second
		if time.Now().After(deadline) {
			t.Fatalf("got %v", err)
		}
		_, err = fresh.Walk(t.Context(), 0, time.Time{})
	}
	if _, err := rotate.Open(t.Context(), w.config(d), w.rewrap(), walker.ID()); !errors.Is(err, rotate.ErrNoJob) {
		t.Fatalf("a job that is over was opened: %v", err)
	}
}

func TestWalkersRefuse(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 3)
	walker, _ := begin(t, w.config(d), w.rewrap(), 1, 1)
	other := w.rewrap()
	other.Tenant = "tenant-1"
	if _, err := rotate.Open(t.Context(), w.config(d), other, walker.ID()); !errors.Is(err, rotate.ErrOtherJob) {
		t.Errorf("another job: %v", err)
	}
	if _, err := rotate.Open(t.Context(), w.config(d), w.rewrap(), 99); !errors.Is(err, rotate.ErrNoJob) {
		t.Errorf("no job: %v", err)
	}
	ssn := w.rewrap()
	ssn.Columns = []string{"ssn"}
	if _, _, err := rotate.Begin(t.Context(), w.config(d), ssn, 1, 1); !errors.Is(err, rotate.ErrNothingToDo) {
		t.Errorf("a rewrap of a column without row keys: %v", err)
	}
	if _, _, err := rotate.Begin(t.Context(), w.config(d), w.rewrap(), 0, 1); err == nil {
		t.Error("no ranges were accepted")
	}
}

// TestWhatHoldsARangeIsShownBetweenItsTurns: nobody has the range then who would say so.
func TestWhatHoldsARangeIsShownBetweenItsTurns(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 10)
		w.rotateTenants(t)
		stop := filepath.Join(t.TempDir(), "stop")
		must(t, os.WriteFile(stop, nil, 0o600))
		cfg := w.config(d)
		cfg.Limits.PauseFile = stop
		var last rotate.Progress
		cfg.Progress = func(p rotate.Progress) { last = p }
		walker, _ := begin(t, cfg, w.rewrap(), 1, 1)
		soon := func() time.Time { return time.Now().Add(50 * time.Millisecond) }
		held := func() string {
			t.Helper()
			jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
			must(t, err)
			return jobs[0].Held
		}
		for range 2 { // the second turn takes over what the first one said
			turn, err := walker.Walk(t.Context(), 0, soon())
			must(t, err)
			if turn.Done || !strings.Contains(turn.Held, stop) {
				t.Fatalf("%+v", turn)
			}
			if got := held(); rotate.HeldBy(got) != "file" || !strings.Contains(got, stop) {
				t.Fatalf("the journal says %q", got)
			}
		}
		d.exec(t, "UPDATE "+d.table("job_ranges")+" SET until_at = 0") // time goes by
		if got := held(); got != "" {
			t.Fatalf("what nobody has confirmed for long is shown still: %q", got)
		}
		if turn, err := walker.Walk(t.Context(), 0, soon()); turn.Done || err != nil {
			t.Fatalf("%+v, %v", turn, err)
		}
		again, err := rotate.Open(t.Context(), cfg, w.rewrap(), walker.ID())
		must(t, err)
		if _, err := again.Look(t.Context()); err != nil || rotate.HeldBy(last.Held) != "file" {
			t.Fatalf("the progress that is shown is held by %q: %v", last.Held, err)
		}
		must(t, os.Remove(stop))
		if turn, err := walker.Walk(t.Context(), 0, anHour()); !turn.Done || err != nil {
			t.Fatalf("%+v, %v", turn, err)
		}
		if got := held(); got != "" {
			t.Fatalf("done, and held: %q", got)
		}
		// Its own speed is nothing that holds it.
		slow := w.config(d)
		slow.Limits.RowsPerSecond, slow.PageSize = 1, 2
		walker, _ = begin(t, slow, rotate.Job{Kind: rotate.Rewrap, Table: w.table, Columns: []string{"name"}}, 1, 1)
		for range 2 {
			if turn, err := walker.Walk(t.Context(), 0, soon()); turn.Done || err != nil {
				t.Fatalf("%+v, %v", turn, err)
			}
		}
		if got := held(); got != "" {
			t.Fatalf("its own speed is shown as %q", got)
		}
	})
}

// TestAKmsThatIsAwayIsShownBetweenTurns, as it is where a process waits for it.
func TestAKmsThatIsAwayIsShownBetweenTurns(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 10)
	w.rotateRoot(t)
	away := true
	mine := newWorldOn(t, w, func(op string) error {
		if away && op != "current" {
			return kms.ErrUnavailable
		}
		return nil
	})
	walker, _ := begin(t, mine.config(d), w.rewrap(), 1, 1)
	_, err := walker.Walk(t.Context(), 0, anHour())
	if !rotate.Passes(d.dialect, err) {
		t.Fatalf("got %v", err)
	}
	s, err := rotate.JobByID(t.Context(), d.DB, d.dialect, walker.ID())
	must(t, err)
	if rotate.HeldBy(s.Held) != "away" {
		t.Errorf("held: %q", s.Held)
	}
	away = false
	if turn, err := walker.Walk(t.Context(), 0, anHour()); !turn.Done || err != nil {
		t.Fatalf("%+v, %v", turn, err)
	}
}
