package rotate_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// status reads a job.
func (d db) status(t testing.TB, id int64) rotate.Status {
	t.Helper()
	s, err := rotate.JobByID(t.Context(), d.DB, d.dialect, id)
	must(t, err)
	return s
}

// superseded wants a job to be closed, with a reason that has all of parts.
func (d db) superseded(t testing.TB, id int64, parts ...string) {
	t.Helper()
	s := d.status(t, id)
	if s.State != rotate.StateSuperseded || s.Ended.IsZero() {
		t.Fatalf("job %d is %s, ended %v", id, s.State, s.Ended)
	}
	for _, p := range parts {
		if !strings.Contains(s.Order.Reason, p) {
			t.Errorf("the reason lacks %q: %s", p, s.Order.Reason)
		}
	}
}

// onlyName is the table without some columns, or with its name sealed otherwise.
func onlyName(t testing.TB, mode envelope.Mode, more ...field.ColumnConfig) *field.Table {
	t.Helper()
	text, err := codec.ParseType("text")
	must(t, err)
	table, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"},
		Columns: append([]field.ColumnConfig{{Name: "name", Type: text, Mode: mode}}, more...),
	})
	must(t, err)
	return table
}

// TestTheNextJobTakesThePlaceOfOneThatIsOvertaken, whoever left that one open.
func TestTheNextJobTakesThePlaceOfOneThatIsOvertaken(t *testing.T) {
	reseal := rotate.Job{Kind: rotate.Reseal}
	tests := []struct {
		name      string
		left      rotate.Job
		table     func(t *testing.T) *field.Table // of the policy afterwards; nil for the same
		meanwhile func(t *testing.T, w *world)
		next      rotate.Job
		reason    string
	}{
		{"tenants' keys", reseal, nil, func(t *testing.T, w *world) { w.rotateTenants(t) }, reseal, "tenants' keys were rotated"},
		{"a tenant's keys", rotate.Job{Kind: rotate.Reseal, Tenant: "tenant-1"}, nil, func(t *testing.T, w *world) { w.rotateTenants(t) }, reseal, "tenants' keys were rotated"},
		{"row keys", rotate.Job{Kind: rotate.Rewrap}, nil, func(t *testing.T, w *world) { w.rotateTenants(t) }, rotate.Job{Kind: rotate.Rewrap}, "tenants' keys were rotated"},
		{"the root key", rotate.Job{Kind: rotate.Rewrap}, nil, func(t *testing.T, w *world) { w.rotateRoot(t) }, rotate.Job{Kind: rotate.Rewrap}, "the root key is local:"},
		{
			"a queue's",
			rotate.Job{Kind: rotate.Reseal, Options: map[string]string{"workers": "river"}},
			nil,
			func(t *testing.T, w *world) { w.rotateTenants(t) }, reseal, "tenants' keys were rotated",
		},
		{"the policy", reseal, func(t *testing.T) *field.Table { return onlyName(t, envelope.ModeTenant) }, nil, reseal, "the policy declares its columns otherwise"},
		{
			"row keys of other columns",
			rotate.Job{Kind: rotate.Rewrap},
			func(t *testing.T) *field.Table { return onlyName(t, envelope.ModeRow) }, nil,
			rotate.Job{Kind: rotate.Rewrap},
			"the policy declares its columns otherwise",
		},
		{
			"a column that left the policy",
			rotate.Job{Kind: rotate.Reseal, Columns: []string{"ssn"}},
			func(t *testing.T) *field.Table { return onlyName(t, envelope.ModeRow) }, nil, reseal, "the policy has not the columns any more",
		},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, d db) {
				w := newWorld(t)
				w.people(t, d, 20)
				cfg := w.config(d)
				cfg.Cipher = w.cipher(t)
				c.left.Table, c.next.Table = w.table, w.table
				left, _ := begin(t, cfg, c.left, 1, 1)
				if c.table != nil {
					c.next.Table = c.table(t)
				}
				if c.meanwhile != nil {
					c.meanwhile(t, w)
				}
				result, err := rotate.Run(t.Context(), cfg, c.next)
				must(t, err)
				if result.ID == left.ID() || result.Joined {
					t.Fatalf("job %d was joined", result.ID)
				}
				d.superseded(t, left.ID(), fmt.Sprintf("superseded by job %d: ", result.ID), c.reason)
				leftOver(t, d, 0)
				for err = nil; err == nil && t.Context().Err() == nil; { // it looks twice a second
					_, err = left.Walk(t.Context(), 0, time.Time{})
				}
				if !errors.Is(err, rotate.ErrSuperseded) || !strings.Contains(err.Error(), c.reason) {
					t.Errorf("who works on it still: %v", err)
				}
				if _, err := rotate.Open(t.Context(), cfg, c.left, left.ID()); !errors.Is(err, rotate.ErrNoJob) {
					t.Errorf("who comes later: %v", err)
				}
			})
		})
	}
}

// TestJobsThatAreNotOvertakenStayOpen: another job begins that does not do what they have to do, or they are as good as ever.
func TestJobsThatAreNotOvertakenStayOpen(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	job := func(kind rotate.Kind, tenant string, all bool, columns ...string) rotate.Job {
		j := rotate.Job{Kind: kind, Table: w.table, Tenant: tenant, Columns: columns}
		if all {
			j.Options = map[string]string{"all": "true"}
		}
		return j
	}
	tests := []struct {
		name       string
		rotate     bool
		left, next rotate.Job
	}{
		{"nothing happened", false, job(rotate.Reseal, "", false), job(rotate.Reseal, "tenant-1", false)},
		{"another kind", true, job(rotate.Reseal, "", false), job(rotate.Rewrap, "", false)},
		{"verifies know no keys", true, job(rotate.Verify, "", false), job(rotate.Verify, "", false, "name")},
		{"fewer tenants", true, job(rotate.Reseal, "", false), job(rotate.Reseal, "tenant-1", false)},
		{"another tenant", true, job(rotate.Reseal, "tenant-2", false), job(rotate.Reseal, "tenant-1", false)},
		{"fewer columns", true, job(rotate.Reseal, "", false), job(rotate.Reseal, "", false, "name")},
		{"other columns", true, job(rotate.Reseal, "", false, "ssn"), job(rotate.Reseal, "", false, "name")},
		{"less to do", true, job(rotate.Reseal, "", true), job(rotate.Reseal, "", false)},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			left, _ := begin(t, cfg, c.left, 1, 1)
			if c.rotate {
				w.rotateTenants(t)
			}
			_, err := rotate.Run(t.Context(), cfg, c.next)
			must(t, err)
			if s := d.status(t, left.ID()); s.State != rotate.StateRunning {
				t.Errorf("it is %s: %s", s.State, s.Order.Reason)
			}
			must(t, rotate.Command(t.Context(), d.DB, d.dialect, left.ID(), rotate.Order{Cancel: true}))
		})
	}
}

// TestWhoWorksOnAJobThatIsOvertakenGoesOnWithTheNext: two operators, and keys that are rotated between their commands.
func TestWhoWorksOnAJobThatIsOvertakenGoesOnWithTheNext(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 20)
		cfg := w.config(d)
		first, _ := begin(t, cfg, w.rewrap(), 1, 1)
		must(t, rotate.Command(t.Context(), d.DB, d.dialect, first.ID(), rotate.Order{Pause: true}))
		var result rotate.Result
		var failure error
		var joined sync.Once
		works := make(chan struct{})
		waiting := cfg
		waiting.Progress = func(p rotate.Progress) {
			if rotate.HeldBy(p.Held) == "order" {
				joined.Do(func() { close(works) })
			}
		}
		var all sync.WaitGroup
		all.Go(func() { result, failure = rotate.Run(t.Context(), waiting, w.rewrap()) })
		<-works
		w.rotateTenants(t)
		other := *w
		other.ring = w.newRing(t)
		next, err := rotate.Run(t.Context(), other.config(d), w.rewrap())
		must(t, err)
		all.Wait()
		must(t, failure)
		d.superseded(t, first.ID(), "tenants' keys were rotated")
		if result.ID <= first.ID() || len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], fmt.Sprintf("superseded by job %d", next.ID)) {
			t.Errorf("job %d, then %d: %q", first.ID(), result.ID, result.Warnings)
		}
		leftOver(t, d, 0)
		w.opens(t, d, people)
		w.destroyRetired(t)
		w.namesOpen(t, d, people)
	})
}

// namesOpen checks that names, which were rewrapped, open without the older keys.
func (w *world) namesOpen(t *testing.T, d db, people []person) {
	t.Helper()
	w.ring = w.newRing(t)
	c := w.cipher(t)
	for id, sealed := range d.sealed(t) {
		var got string
		must(t, c.Open(t.Context(), &got, w.table.Columns()[0], field.Row{Tenant: people[id-1].tenant}, sealed[0]))
	}
}

// TestKeysThatAreRotatedWhileAJobRuns: what was done before that is under the older ones, so that the job is not done.
func TestKeysThatAreRotatedWhileAJobRuns(t *testing.T) {
	w := newWorld(t)
	var rotations, most int
	f := &faulty{after: func(_ int, s string) error {
		if isPageWrite(s) && rotations < most {
			rotations++
			for i := range 3 {
				if _, err := w.newRing(t).Rotate(t.Context(), "tenant", fmt.Sprintf("tenant-%d", i), "test", "due"); err != nil {
					return err
				}
			}
		}
		return nil
	}}
	d := f.over(t, testpg.DSN(t))
	people := w.people(t, d, 20)
	w.rotateTenants(t)
	most = 1
	cfg := w.config(d)
	cfg.PageSize = 7
	result, err := rotate.Run(t.Context(), cfg, w.rewrap())
	must(t, err)
	if len(result.Warnings) != 1 || result.Counts["rows"] != 20 || result.Counts["rewrapped"] == 0 {
		t.Errorf("counted %v, warned %q", result.Counts, result.Warnings)
	}
	d.superseded(t, result.ID-1, "tenants' keys were rotated since it began")
	w.destroyRetired(t)
	w.namesOpen(t, d, people)

	// Again and again: it ends, and says why.
	w.rotateTenants(t)
	rotations, most = 0, 1000
	_, err = rotate.Run(t.Context(), cfg, w.rewrap())
	if !errors.Is(err, rotate.ErrSuperseded) {
		t.Errorf("got %v", err)
	}
	leftOver(t, d, 0)
}

// TestAMachineThatComesLaterClosesAJobThatIsOvertaken, by keys, of which there is one store; not by a policy, which may be
// this machine's fault.
func TestAMachineThatComesLaterClosesAJobThatIsOvertaken(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	left, _ := begin(t, cfg, rotate.Job{Kind: rotate.Reseal, Table: w.table}, 1, 1)
	for name, table := range map[string]*field.Table{"another mode": onlyName(t, envelope.ModeTenant), "fewer columns": onlyName(t, envelope.ModeRow)} {
		if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: table}, left.ID()); !errors.Is(err, rotate.ErrOtherJob) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: onlyName(t, envelope.ModeRow), Columns: []string{"ssn"}}, left.ID()); !errors.Is(err, rotate.ErrOtherJob) {
		t.Errorf("a column that this policy has not: %v", err)
	}
	if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Seal, Table: w.table}, left.ID()); !errors.Is(err, rotate.ErrOtherJob) {
		t.Errorf("a transition that this policy has not: %v", err)
	}
	text, err := codec.ParseType("text")
	must(t, err)
	more := onlyName(t, envelope.ModeRow, field.ColumnConfig{Name: "mail", Type: text})
	if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: more}, left.ID()); !errors.Is(err, rotate.ErrOtherJob) {
		t.Errorf("a column that the table has not: %v", err)
	}
	if s := d.status(t, left.ID()); s.State != rotate.StateRunning {
		t.Fatalf("it is %s", s.State)
	}
	d.exec(t, "ALTER TABLE people RENAME COLUMN memo TO gone")
	if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: w.table}, left.ID()); !errors.Is(err, rotate.ErrNoColumn) || errors.Is(err, rotate.ErrOtherJob) {
		t.Errorf("a column that the table has not any more: %v", err)
	}
	d.exec(t, "ALTER TABLE people RENAME COLUMN gone TO memo")
	w.rotateTenants(t)
	if _, err := rotate.Open(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: w.table}, left.ID()); !errors.Is(err, rotate.ErrSuperseded) {
		t.Fatalf("got %v", err)
	}
	d.superseded(t, left.ID(), "superseded: tenants' keys were rotated")

	// A root key that differs may be a key file that is old here.
	left, _ = begin(t, cfg, w.rewrap(), 1, 1)
	w.rotateRoot(t)
	if _, err := rotate.Open(t.Context(), cfg, w.rewrap(), left.ID()); !errors.Is(err, rotate.ErrOtherJob) || !strings.Contains(err.Error(), "root key") {
		t.Errorf("got %v", err)
	}
	if s := d.status(t, left.ID()); s.State != rotate.StateRunning {
		t.Fatalf("it is %s", s.State)
	}
	// Who walks it already knows that it is a newer one.
	must(t, rotate.Command(t.Context(), d.DB, d.dialect, left.ID(), rotate.Order{}))
	if over, err := left.Overtaken(t.Context()); !over || err != nil {
		t.Errorf("%v, %v", over, err)
	}
	d.superseded(t, left.ID(), "the root key is local:")
}

// backfill leaves a job of Seal open over a prepared column.
func (m *mover) backfill(write string) *rotate.Walker {
	m.t.Helper()
	w, _, err := rotate.Begin(m.t.Context(), m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy(write)}, 1, 1)
	must(m.t, err)
	return w
}

// TestABackfillWhoseColumnIsGoneIsClosed, by whoever comes first: the swap, who works on it, starts it again, or begins any other job.
func TestABackfillWhoseColumnIsGoneIsClosed(t *testing.T) {
	const byHand = "ALTER TABLE people RENAME COLUMN email TO email_rowseal_old; ALTER TABLE people RENAME COLUMN email_sealed TO email"
	const gone = "the column was swapped or dropped"
	tests := map[string]struct {
		end    func(m *mover, left *rotate.Walker)
		reason string
	}{
		"the swap":       {func(m *mover, _ *rotate.Walker) { must(m.t, m.move("both").Swap(m.t.Context())) }, gone},
		"drop-plain":     {func(m *mover, _ *rotate.Walker) { must(m.t, m.move("both").DropPlain(m.t.Context())) }, gone},
		"the way back":   {func(m *mover, _ *rotate.Walker) { m.fill(rotate.Unseal, "both") }, "go the other way"},
		"the transition": {func(m *mover, _ *rotate.Walker) { m.fill(rotate.Seal, "sealed") }, "the policy has another transition for email_sealed"},
		"by hand, who works on it": {func(m *mover, left *rotate.Walker) {
			m.db.exec(m.t, byHand)
			if _, err := left.Walk(m.t.Context(), 0, anHour()); !errors.Is(err, rotate.ErrSuperseded) {
				m.t.Errorf("got %v", err)
			}
		}, gone},
		"by hand, who starts it again": {func(m *mover, _ *rotate.Walker) {
			m.db.exec(m.t, byHand)
			_, err := rotate.Run(m.t.Context(), m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy("both")})
			if !errors.Is(err, rotate.ErrSuperseded) || !errors.Is(err, rotate.ErrNoColumn) {
				m.t.Errorf("got %v", err)
			}
		}, gone},
		"by hand, a machine that comes later": {func(m *mover, left *rotate.Walker) {
			m.db.exec(m.t, byHand)
			_, err := rotate.Open(m.t.Context(), m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy("both")}, left.ID())
			if !errors.Is(err, rotate.ErrSuperseded) {
				m.t.Errorf("got %v", err)
			}
		}, gone},
		"by hand, another job": {func(m *mover, _ *rotate.Walker) {
			m.db.exec(m.t, byHand)
			_, err := rotate.Run(m.t.Context(), m.config(), rotate.Job{Kind: rotate.Verify, Table: m.policy("")})
			must(m.t, err)
		}, gone},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMover(t, openPostgres(t))
			m.db.exec(t, fmt.Sprintf(peopleSQL, 30))
			must(t, m.move("both").Prepare(t.Context()))
			if name != "the swap" && name != "the way back" {
				m.fill(rotate.Seal, "sealed") // the values are sealed, and this job, which another one began, did not get so far
			}
			left := m.backfill("both")
			c.end(m, left)
			m.db.superseded(t, left.ID(), c.reason)
			leftOver(t, m.db, 0)
			if m.db.status(t, left.ID()).Order.By == "" {
				t.Error("nobody closed it")
			}
		})
	}
}

// TestTheVerifyBeforeADropIsNoEvidenceOfOtherColumns: keys are destroyed by what verifies of whole tables found.
func TestTheVerifyBeforeADropIsNoEvidenceOfOtherColumns(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.db.exec(t, fmt.Sprintf(peopleSQL, 30))
	must(t, m.move("both").Prepare(t.Context()))
	whole, _ := begin(t, m.config(), rotate.Job{Kind: rotate.Verify, Table: m.policy("both")}, 1, 1)
	part, _ := begin(t, m.config(), rotate.Job{Kind: rotate.Verify, Table: m.policy("both"), Columns: []string{"email_sealed"}}, 1, 1)
	m.fill(rotate.Seal, "both")
	must(t, m.move("both").Swap(t.Context()))
	must(t, m.move("both").Drop(t.Context()))
	jobs, err := rotate.Jobs(t.Context(), m.db.DB, m.db.dialect, true)
	must(t, err)
	if _, why := rotate.LastVerify(jobs, m.policy("both"), time.Time{}); why == "" {
		t.Error("it counts as a verify of the whole table")
	}
	if jobs[0].Kind != rotate.Verify || jobs[0].State != rotate.StateDone {
		t.Errorf("the last job is %s %s", jobs[0].Kind, jobs[0].State)
	}
	for _, w := range []*rotate.Walker{whole, part} { // of which it knows nothing: its table has one column
		if s := m.db.status(t, w.ID()); s.State != rotate.StateRunning {
			t.Errorf("a verify of the table was closed: %s", s.Order.Reason)
		}
	}
}

// TestVerifiesOfTwoPolicies are in nobody's way, as long as somebody works on them.
func TestVerifiesOfTwoPolicies(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	left, _ := begin(t, cfg, rotate.Job{Kind: rotate.Verify, Table: w.table}, 1, 1)
	next := rotate.Job{Kind: rotate.Verify, Table: onlyName(t, envelope.ModeRow)}
	for _, c := range []struct {
		until int64
		state string
	}{{time.Now().Add(time.Hour).UnixMicro(), rotate.StateRunning}, {0, rotate.StateSuperseded}} {
		d.exec(t, "UPDATE rowseal.job_ranges SET owner = 'somebody', until_at = $1 WHERE job = $2", c.until, left.ID())
		_, err := rotate.Run(t.Context(), cfg, next)
		must(t, err)
		if s := d.status(t, left.ID()); s.State != c.state {
			t.Errorf("it is %s, want %s", s.State, c.state)
		}
	}
}
