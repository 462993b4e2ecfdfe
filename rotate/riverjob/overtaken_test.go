package riverjob_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// TestAJobThatKeysHaveOvertakenIsClosedAndTheNextTakesItsPlace: its operator has gone, keys were rotated, and a machine comes that only
// helps.
func TestAJobThatKeysHaveOvertakenIsClosedAndTheNextTakesItsPlace(t *testing.T) {
	const n = 200
	m := newMachine(t, n)
	m.rotate(t)
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 60
	ctx, leave := context.WithCancel(t.Context())
	first := newRunner(t, cfg)
	var all sync.WaitGroup
	all.Go(func() { _, _ = first.Run(ctx, m.reseal()) }) // it is left
	left := m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	leave()
	all.Wait()
	m.rotate(t)

	other, err := m.open(t.Context())
	must(t, err)
	defer func() { must(t, other.close()) }()
	ctx, end := context.WithCancel(t.Context())
	helper := newRunner(t, other.config())
	all.Go(func() {
		if err := helper.Work(ctx); err != nil {
			t.Error(err)
		}
	})
	done := m.awaitJob(t, func(s rotate.Status) bool { return s.ID != left.ID && s.State == rotate.StateDone })
	m.await(t, `SELECT count(*) = 0 FROM rowseal_river.river_job WHERE state NOT IN ('completed', 'cancelled')`)
	end()
	all.Wait()
	s, err := rotate.JobByID(t.Context(), m.db, rotate.PostgreSQL, left.ID)
	must(t, err)
	if s.State != rotate.StateSuperseded || !strings.Contains(s.Order.Reason, "tenants' keys were rotated") {
		t.Errorf("it is %s: %s", s.State, s.Order.Reason)
	}
	if done.Counts["rows"] != n || done.Counts["due"] != 0 {
		t.Errorf("counted %v", done.Counts)
	}
	m.opens(t, n, nil)
}

// TestKeysThatAreRotatedWhileMachinesWork: who waits for the job waits for the one that takes its place.
func TestKeysThatAreRotatedWhileMachinesWork(t *testing.T) {
	const n = 200
	m := newMachine(t, n)
	m.rotate(t)
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 100
	var result rotate.Result
	var failure error
	var all sync.WaitGroup
	r := newRunner(t, cfg)
	all.Go(func() { result, failure = r.Run(t.Context(), m.reseal()) })
	first := m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	m.interrupted(t) // so that there are keys to retire
	all.Wait()
	must(t, failure)
	m.await(t, fmt.Sprintf("SELECT count(*) = 6 AND every(reason = 'job %d left no value under it') FROM rowseal.keys WHERE state = 'retired'", result.ID))
	if result.ID == first.ID || len(result.Warnings) != 1 || result.Counts["rows"] != n || result.Counts["due"] != 0 {
		t.Errorf("job %d after %d, warned %q, counted %v", result.ID, first.ID, result.Warnings, result.Counts)
	}
	s, err := rotate.JobByID(t.Context(), m.db, rotate.PostgreSQL, first.ID)
	must(t, err)
	if s.State != rotate.StateSuperseded {
		t.Errorf("the first one is %s", s.State)
	}
	m.opens(t, n, nil)
}

// TestABackfillWhoseColumnIsSwappedEndsOnAllMachines, and no other one is begun.
func TestABackfillWhoseColumnIsSwappedEndsOnAllMachines(t *testing.T) {
	m := newLetters(t, 100)
	p, err := lettersPolicy()
	must(t, err)
	cfg := m.config()
	cfg.Policy = p
	move, err := newMove(cfg.Rotate, p)
	must(t, err)
	must(t, move.Prepare(t.Context()))
	cfg.Rotate.Limits.RowsPerSecond = 15
	var failure error
	var all sync.WaitGroup
	r := newRunner(t, cfg)
	all.Go(func() { _, failure = r.Run(t.Context(), lettersJob(rotate.Seal, p)) })
	m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	must(t, move.Swap(t.Context())) // the rest fits a page
	all.Wait()
	if !errors.Is(failure, rotate.ErrSuperseded) || !strings.Contains(failure.Error(), "swapped") {
		t.Errorf("got %v", failure)
	}
	jobs, err := rotate.Jobs(t.Context(), m.db, rotate.PostgreSQL, true)
	must(t, err)
	if len(jobs) != 1 || jobs[0].State != rotate.StateSuperseded {
		t.Errorf("%d jobs, the last one is %s", len(jobs), jobs[0].State)
	}
	m.letters(t, "email", 100, nil)
}

// interrupted leaves all versions of the tenants' keys active, as a rotation does that is interrupted.
func (m *machine) interrupted(t *testing.T) {
	t.Helper()
	m.rotate(t)
	m.exec(t, "UPDATE rowseal.keys SET state = 'active'")
}

// TestAKeyStaysActiveWhereValuesMayBeUnderIt: a range that fails for good, a value that does, and one that somebody writes under the
// old key behind the walk.
func TestAKeyStaysActiveWhereValuesMayBeUnderIt(t *testing.T) {
	trigger := func(m *machine, t *testing.T, body string) {
		m.exec(t, "CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+body+" RETURN NEW; END $$")
		m.exec(t, "CREATE TRIGGER plant BEFORE UPDATE ON people FOR EACH ROW WHEN (OLD.id = 77) EXECUTE FUNCTION plant()")
	}
	tests := []struct {
		name  string
		plant func(m *machine, t *testing.T)
		want  error
	}{
		{"a range", func(m *machine, t *testing.T) { trigger(m, t, "RAISE check_violation USING MESSAGE = 'planted';") }, rotate.ErrCanceled},
		{"a value", func(m *machine, t *testing.T) { m.exec(t, "UPDATE people SET memo = 'cut' WHERE id = 77") }, rotate.ErrIncomplete},
		{"behind the walk", func(m *machine, t *testing.T) { trigger(m, t, "NEW.name := OLD.name;") }, rotate.ErrIncomplete},
	}
	for _, c := range tests {
		for _, kind := range []rotate.Kind{rotate.Rewrap, rotate.Reseal} {
			t.Run(c.name+"/"+string(kind), func(t *testing.T) {
				m := newMachine(t, 100)
				m.interrupted(t)
				c.plant(m, t)
				_, err := newRunner(t, m.config()).Run(t.Context(), rotate.Job{Kind: kind, Table: m.people})
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if got := m.keys(t, keyring.Retired); len(got) != 0 {
					t.Fatalf("%d keys were retired", len(got))
				}
				// Mended, the next run retires them.
				m.exec(t, "DROP TRIGGER IF EXISTS plant ON people")
				m.write(t, 77, "mended")
				_, err = newRunner(t, m.config()).Run(t.Context(), rotate.Job{Kind: kind, Table: m.people})
				must(t, err)
				if got := m.keys(t, keyring.Retired); len(got) != 3 {
					t.Errorf("%d keys were retired, want 3", len(got))
				}
				m.opens(t, 100, map[int]string{77: "mended"})
			})
		}
	}
}

// TestAKeyOfSeveralTablesIsRetiredAfterAVerifyOfTheOthers that found nothing under it.
func TestAKeyOfSeveralTablesIsRetiredAfterAVerifyOfTheOthers(t *testing.T) {
	m := newMachine(t, 30)
	m.exec(t, "CREATE TABLE notes AS SELECT id, tenant, NULL::bytea AS body FROM people")
	m.exec(t, "ALTER TABLE notes ADD PRIMARY KEY (id)")
	text, err := codec.ParseType("text")
	must(t, err)
	notes, err := field.NewTable(field.TableConfig{
		Name: "notes", Tenant: field.TenantSource{Column: "tenant"},
		Columns: []field.ColumnConfig{{Name: "body", Type: text, Mode: envelope.ModeRow}},
	})
	must(t, err)
	m.policy, err = field.NewPolicy(m.people, notes)
	must(t, err)
	for id := 1; id <= 30; id++ {
		sealed, err := m.cipher.Seal(t.Context(), nil, notes.Columns()[0], field.Row{Tenant: tenantOf(id)}, "note")
		must(t, err)
		m.exec(t, "UPDATE notes SET body = $1 WHERE id = $2", sealed, id)
	}
	m.interrupted(t)
	run := func(kind rotate.Kind, table *field.Table, retired int) {
		t.Helper()
		_, err := newRunner(t, m.config()).Run(t.Context(), rotate.Job{Kind: kind, Table: table})
		must(t, err)
		if got := m.keys(t, keyring.Retired); len(got) != retired {
			t.Fatalf("after %s of %s: %d keys are retired, want %d", kind, table.Name(), len(got), retired)
		}
	}
	run(rotate.Rewrap, m.people, 0) // of notes nothing is known
	run(rotate.Verify, notes, 0)
	run(rotate.Rewrap, m.people, 0) // they have values under it
	run(rotate.Rewrap, notes, 0)    // of people no verify
	run(rotate.Verify, m.people, 0)
	run(rotate.Rewrap, notes, 3)
}

// TestWhatHoldsMachinesIsShown by the journal, to whoever asks, as of a process that works alone.
func TestWhatHoldsMachinesIsShown(t *testing.T) {
	const n = 100
	m := newMachine(t, n)
	m.rotate(t)
	stop := filepath.Join(t.TempDir(), "stop")
	must(t, os.WriteFile(stop, nil, 0o600))
	cfg := m.config()
	cfg.Rotate.Limits.PauseFile = stop
	var failure error
	var all sync.WaitGroup
	r := newRunner(t, cfg)
	all.Go(func() { _, failure = r.Run(t.Context(), m.rewrap()) })
	held := func(s rotate.Status) bool { return rotate.HeldBy(s.Held) == "file" && strings.Contains(s.Held, stop) }
	m.awaitJob(t, held)
	m.await(t, "SELECT count(*) = 0 FROM rowseal.job_ranges WHERE owner <> ''") // between turns
	for range 5 {
		jobs, err := rotate.Jobs(t.Context(), m.db, rotate.PostgreSQL, false)
		must(t, err)
		if !held(jobs[0]) {
			t.Fatalf("it is shown to be held by %q", jobs[0].Held)
		}
	}
	must(t, os.Remove(stop))
	all.Wait()
	must(t, failure)
	if s := m.awaitJob(t, func(s rotate.Status) bool { return s.State == rotate.StateDone }); s.Held != "" || s.Counts["rewrapped"] != 2*n {
		t.Errorf("%+v", s)
	}
}
