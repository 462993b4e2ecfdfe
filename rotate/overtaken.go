package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSuperseded: the job was closed, because the keys, the policy or the columns that it was begun for are not those of
// today. The error's text says what took its place. What it wrote stays.
var ErrSuperseded = errors.New("the job was superseded")

// errNoTransition: the policy declares no transition for a column that is to be filled from another.
var errNoTransition = errors.New("no transition")

// today is job as it is begun now.
func today(ctx context.Context, cfg *Config, job Job) (entry, error) {
	if _, err := job.entry(""); err != nil {
		return entry{}, err
	}
	places := job.Options[byPlace]
	if _, err := newWork(ctx, cfg, &job); err != nil {
		return entry{}, err
	}
	if places != "" {
		identify(&job, byPlace, places)
	}
	return job.entry(cfg.Owner)
}

// SameJob says whether job, begun now, is the one that the journal has: no if keys were rotated since, or the policy
// is another one. It returns the errors of [Run] for jobs that cannot begin.
func SameJob(ctx context.Context, cfg Config, job Job, s Status) (bool, error) {
	if err := cfg.validate(); err != nil {
		return false, err
	}
	if s.Kind != job.Kind || job.Table == nil || s.Table != job.Table.Name() {
		return false, nil
	}
	spec, err := specOf(s.Spec)
	if err != nil {
		return false, err
	}
	if at := spec.Options[byPlace]; at != "" {
		identify(&job, byPlace, at)
	}
	if err := withSchema(ctx, &cfg, &job); err != nil {
		return false, err
	}
	e, err := today(ctx, &cfg, job)
	return e.spec == s.Spec, err
}

// supersede closes open jobs over the table that this one takes the place of: those that cannot be gone on with, as keys
// were rotated since they began, or the policy was changed; and backfills whose columns are gone.
func (r *run) supersede(ctx context.Context) error {
	jobs, err := r.journal.list(ctx, false)
	if err != nil {
		return err
	}
	mine, err := r.job.entry("")
	if err != nil {
		return err
	}
	spec, err := specOf(mine.spec)
	if err != nil {
		return err
	}
	for _, s := range jobs {
		if s.ID == r.id || s.Table != r.target.name || s.Elsewhere || s.State != StateRunning {
			continue
		}
		why, err := r.overtakes(ctx, &spec, s)
		if err != nil {
			return err
		}
		if why == "" {
			continue
		}
		if err := r.closeJob(ctx, s.ID, fmt.Sprintf("superseded by job %d: %s", r.id, why)); err != nil {
			return err
		}
	}
	return nil
}

// closeStale closes a verify that would be joined, and was left a day ago.
func (r *run) closeStale(ctx context.Context, name string) error {
	if r.job.Kind != Verify {
		return nil
	}
	id, err := r.journal.staleVerify(ctx, name)
	if err != nil || id == 0 {
		return err
	}
	return r.closeJob(ctx, id, "superseded: it was begun more than a day ago, and nobody works on it; another verify begins at the first row")
}

// closeJob ends a job as superseded.
func (r *run) closeJob(ctx context.Context, id int64, reason string) error {
	return supersedeIn(ctx, r.journal, r.cfg, id, reason)
}

func supersedeIn(ctx context.Context, j journal, cfg *Config, id int64, reason string) error {
	if cfg.Log != nil {
		cfg.Log.Warn("a job is closed", "job", id, "reason", reason)
	}
	return j.supersede(ctx, id, Order{Cancel: true, By: orElse(cfg.Owner, "rotate"), Reason: reason})
}

// overtakes says why an open job is no good any more, where this one takes its place; "" where it is, or this one does not.
func (r *run) overtakes(ctx context.Context, mine *jobSpec, s Status) (string, error) {
	theirs, err := specOf(s.Spec)
	if err != nil {
		return "", err
	}
	if why, err := lostColumns(ctx, r.cfg, r.db, s.Table, &theirs); why != "" || err != nil {
		return why, err
	}
	if opposite := s.Kind == Seal && r.job.Kind == Unseal || s.Kind == Unseal && r.job.Kind == Seal; opposite && mine.covers(&theirs) {
		return "its columns go the other way now", nil
	}
	if s.Kind != r.job.Kind || r.job.part || s.Kind == Verify && len(s.Owners) > 0 { // verifies of two policies are in nobody's way
		return "", nil
	}
	now, err := today(ctx, r.cfg, Job{Kind: s.Kind, Table: r.job.Table, Columns: theirs.Columns, Tenant: theirs.Tenant, Options: theirs.asked()})
	switch {
	case errors.Is(err, ErrNoColumn), errors.Is(err, errNoTransition):
		return "the policy has not the columns any more that it is about", nil
	case err != nil && faultOf(r.db, err) != fatal:
		return "", err
	case err != nil || now.spec == s.Spec || !mine.covers(&theirs):
		return "", nil //nolint:nilerr // what that job cannot begin for is no reason for this one not to
	}
	spec, err := specOf(now.spec)
	return theirs.changed(&spec), err
}

// lostColumns says which column of a backfill the table has not any more, after a swap or a drop.
func lostColumns(ctx context.Context, cfg *Config, db database, table string, s *jobSpec) (string, error) {
	columns := s.moved()
	if len(columns) == 0 {
		return "", nil
	}
	err := db.describe(ctx, cfg.DB, &target{name: table, reads: reads{beside: columns}})
	if errors.Is(err, ErrNoColumn) {
		return fmt.Sprintf("the column was swapped or dropped (%v)", err), nil
	}
	if err != nil && faultOf(db, err) != fatal {
		return "", err
	}
	return "", nil
}

// lost closes this job where what it failed of is that its columns are gone, and says so; else it returns err.
func (r *run) lost(ctx context.Context, err error) error {
	e, badJob := r.job.entry("")
	spec, badSpec := specOf(e.spec)
	if badJob != nil || badSpec != nil {
		return err
	}
	why, lookErr := lostColumns(ctx, r.cfg, r.db, r.target.name, &spec)
	j, _ := newJournal(r.cfg.Dialect, r.cfg.DB) // the dialect is known by now
	if ok, notThere := j.installed(ctx); why == "" || lookErr != nil || !ok || notThere != nil {
		return err
	}
	id, lookErr := j.opened(ctx, r.cfg.DB, e.name)
	if id == 0 || lookErr != nil || supersedeIn(ctx, j, r.cfg, id, "superseded: "+why) != nil {
		return err
	}
	return fmt.Errorf("%w: %d: %w", ErrSuperseded, id, err)
}

// overtaken says why the values that the job has dealt with may not be as they should be now; "" where nothing
// happened since it began.
func (r *run) overtaken(ctx context.Context) (string, error) {
	if r.job.Options[keysOption] == "" {
		return "", nil // and the policy of a process does not change
	}
	was, err := r.job.entry("")
	if err != nil {
		return "", err
	}
	now, err := today(ctx, r.cfg, r.asked)
	if err != nil || now.spec == was.spec {
		return "", err
	}
	before, err := specOf(was.spec)
	if err != nil {
		return "", err
	}
	after, err := specOf(now.spec)
	return before.changed(&after), err
}

// end marks the job done; where keys were rotated meanwhile, superseded: what was done before that is under old ones.
func (r *run) end(ctx context.Context) error {
	why, err := r.overtaken(ctx)
	if err != nil {
		return err
	}
	if why == "" {
		_, err := r.journal.finish(ctx, r.id)
		return err
	}
	if err := r.closeJob(ctx, r.id, "superseded: "+why); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrSuperseded, why)
}

// overBy is the error that the state of a job which was ended early is; nil for others.
func (s *Status) overBy() error {
	switch {
	case s.State == StateCanceled:
		return ErrCanceled
	case s.State == StateSuperseded:
		return fmt.Errorf("%w%s", ErrSuperseded, strings.TrimPrefix(s.Order.Reason, "superseded"))
	}
	return nil
}

// closeBackfills closes jobs that fill columns which are gone by a step that has just been done. Where it cannot, because
// the journal is another role's, whoever goes on with such a job does.
func (m *Move) closeBackfills(ctx context.Context) {
	if err := m.tryCloseBackfills(ctx); err != nil && m.cfg.Log != nil {
		m.cfg.Log.Warn("backfills that are over could not be closed", "column", m.String(), "error", err)
	}
}

func (m *Move) tryCloseBackfills(ctx context.Context) error {
	db, err := m.cfg.Dialect.open()
	if err != nil {
		return err
	}
	j, err := newJournal(m.cfg.Dialect, m.cfg.DB)
	if err != nil {
		return err
	}
	jobs, err := j.list(ctx, false)
	if err != nil {
		return err
	}
	for _, s := range jobs {
		spec, err := specOf(s.Spec)
		if err != nil {
			return err
		}
		if s.Table != m.table.Name() || s.Elsewhere || !slices.Contains(spec.moved(), m.sealed) {
			continue
		}
		why, err := lostColumns(ctx, &m.cfg, db, s.Table, &spec)
		if err == nil && why != "" {
			err = supersedeIn(ctx, j, &m.cfg, s.ID, "superseded: "+why)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
