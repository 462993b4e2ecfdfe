package riverjob

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowseal/rowseal/rotate"
)

// plan is what a planner leaves behind. Job is 0 where there is nothing to do.
type plan struct {
	Job    int64 `json:"job"`
	Joined bool  `json:"joined"`
	Ranges int   `json:"ranges"`
}

type planWorker struct {
	river.WorkerDefaults[planArgs]
	*Runner
}

// planTimeout is for tables of which a sample takes long. A planner that was killed is missed no sooner.
const planTimeout = 2 * time.Minute

func (*planWorker) Timeout(*river.Job[planArgs]) time.Duration { return planTimeout }

func (*planWorker) NextRetry(j *river.Job[planArgs]) time.Time { return retryAfter(j.Attempt) }

// Work may be done twice: the second time joins what the first began, and what is handed out already is not again.
func (p *planWorker) Work(ctx context.Context, j *river.Job[planArgs]) error {
	made, err := p.plan(ctx, j.Args)
	switch {
	case err == nil:
		return river.RecordOutput(ctx, made)
	case errors.Is(err, rotate.ErrNothingToDo):
		return river.RecordOutput(ctx, plan{})
	case errors.Is(err, errNoTable):
		return river.JobSnooze(strangeFor)
	case errors.Is(ctx.Err(), context.Canceled):
		return river.JobSnooze(again)
	case ctx.Err() != nil || rotate.Passes(p.cfg.Rotate.Dialect, err):
		return err
	}
	return river.JobCancel(err)
}

func (p *planWorker) plan(ctx context.Context, a planArgs) (plan, error) {
	table := p.cfg.Policy.Table(a.Spec.Table)
	if table == nil {
		return plan{}, errNoTable
	}
	w, s, err := rotate.Begin(ctx, p.cfg.Rotate, a.Spec.job(table), a.Ranges, a.Spec.passes())
	if err != nil {
		return plan{}, err
	}
	first := s.Ranges / a.Spec.passes()
	if err := p.handOut(ctx, w.ID(), a.Spec, first); err != nil {
		return plan{}, err
	}
	_, err = p.client.Insert(ctx, finishArgs{Job: w.ID(), Spec: a.Spec, First: first}, nil)
	return plan{Job: w.ID(), Joined: w.Joined(), Ranges: first}, err
}

// handOut gives River the ranges that it does not have.
func (r *Runner) handOut(ctx context.Context, id int64, s spec, first int) error {
	return r.insertEach(ctx, first, func(no int) river.JobArgs { return rangeArgs{Job: id, No: no, Spec: s, First: first} })
}

func (r *Runner) insertEach(ctx context.Context, n int, args func(no int) river.JobArgs) error {
	const chunk = 500
	for from := 0; from < n; from += chunk {
		var list []river.InsertManyParams
		for no := from; no < min(from+chunk, n); no++ {
			list = append(list, river.InsertManyParams{Args: args(no)})
		}
		if _, err := r.client.InsertMany(ctx, list); err != nil {
			return fmt.Errorf("riverjob: %w", err)
		}
	}
	return nil
}

type rangeWorker struct {
	river.WorkerDefaults[rangeArgs]
	*Runner
}

func (*rangeWorker) NextRetry(j *river.Job[rangeArgs]) time.Time { return retryAfter(j.Attempt) }

// Work walks a range for a turn. When nothing is left of it, its check is handed out; before the turn's own job is
// completed, so that it comes again where that fails.
func (r *rangeWorker) Work(ctx context.Context, j *river.Job[rangeArgs]) error {
	w, err := r.walker(ctx, j.Args.Job, j.Args.Spec)
	if err != nil {
		return r.failed(ctx, j.JobRow, j.Args.Job, err)
	}
	t, err := r.turn(ctx, func(until time.Time) (rotate.Turn, error) { return w.Walk(ctx, j.Args.No, until) })
	if err == nil && t.Done && j.Args.Spec.passes() > 1 {
		_, err = r.client.Insert(ctx, checkArgs{j.Args}, nil)
	}
	return r.next(ctx, j.JobRow, j.Args.Job, t, err)
}

// turn waits for a slot, and then does what takes a turn's time.
func (r *Runner) turn(ctx context.Context, do func(until time.Time) (rotate.Turn, error)) (rotate.Turn, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return rotate.Turn{}, ctx.Err()
	}
	defer func() { <-r.slots }()
	return do(time.Now().Add(r.cfg.Turn))
}

// next is what River is told of a turn.
func (r *Runner) next(ctx context.Context, row *rivertype.JobRow, id int64, t rotate.Turn, err error) error {
	switch {
	case err != nil:
		return r.failed(ctx, row, id, err)
	case t.Done:
		return nil
	case t.Held != "":
		return river.JobSnooze(heldFor)
	}
	return river.JobSnooze(again)
}

type checkWorker struct {
	river.WorkerDefaults[checkArgs]
	*Runner
}

func (*checkWorker) NextRetry(j *river.Job[checkArgs]) time.Time { return retryAfter(j.Attempt) }

// Work checks a range for a turn. Walking it for no time tells whether it was walked to its end.
func (c *checkWorker) Work(ctx context.Context, j *river.Job[checkArgs]) error {
	a := j.Args
	w, err := c.walker(ctx, a.Job, a.Spec)
	if err != nil {
		return c.failed(ctx, j.JobRow, a.Job, err)
	}
	t, err := w.Walk(ctx, a.No, time.Time{})
	if err == nil && !t.Done {
		return river.JobSnooze(heldFor)
	}
	if err == nil {
		t, err = c.turn(ctx, func(until time.Time) (rotate.Turn, error) { return w.Check(ctx, a.First+a.No, until) })
	}
	return c.next(ctx, j.JobRow, a.Job, t, err)
}

// finishWorker looks whether all is done.
type finishWorker struct {
	river.WorkerDefaults[finishArgs]
	*Runner
}

func (*finishWorker) NextRetry(j *river.Job[finishArgs]) time.Time { return retryAfter(j.Attempt) }

func (f *finishWorker) Work(ctx context.Context, j *river.Job[finishArgs]) error {
	a := j.Args
	w, err := f.walker(ctx, a.Job, a.Spec)
	if err != nil {
		return f.failed(ctx, j.JobRow, a.Job, err)
	}
	s, err := w.Look(ctx)
	switch {
	case err != nil:
	case s.State == rotate.StateCanceled:
		err = rotate.ErrCanceled
	case s.State == rotate.StateSuperseded:
		err = rotate.ErrSuperseded
	case s.State == rotate.StateRunning && s.Left > 0:
		if err = f.heal(ctx, a); err == nil {
			return river.JobSnooze(lookEvery)
		}
	default:
		err = f.finish(ctx, w, a, s)
	}
	if err != nil {
		return f.failed(ctx, j.JobRow, a.Job, err)
	}
	f.forget(a.Job)
	return nil
}

// finish looks which keys may be retired before it looks whether keys were rotated since the job began: of those that are made
// later the job proves nothing.
func (f *finishWorker) finish(ctx context.Context, w *rotate.Walker, a finishArgs, s rotate.Status) error {
	older, err := f.unused(ctx, a.Spec, s)
	if err != nil {
		return err
	}
	overtaken, err := w.Overtaken(ctx)
	switch {
	case err != nil:
		return err
	case overtaken:
		return errors.Join(rotate.ErrSuperseded, f.succeed(ctx, a.Spec))
	}
	if err := f.retire(ctx, older, a.Job); err != nil {
		return err
	}
	_, err = w.Finish(ctx)
	return err
}

// heal hands out again what River has lost, because somebody canceled or deleted it there.
func (f *finishWorker) heal(ctx context.Context, a finishArgs) error {
	var waiting bool
	err := f.cfg.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+pgx.Identifier{f.cfg.Schema, "river_job"}.Sanitize()+
		` WHERE kind = ANY($1) AND args->>'job' = $2 AND state IN ('available', 'pending', 'running', 'retryable', 'scheduled'))`,
		[]string{rangeArgs{}.Kind(), checkArgs{}.Kind()}, strconv.FormatInt(a.Job, 10)).Scan(&waiting)
	if err != nil || waiting {
		return err
	}
	f.cfg.Rotate.Log.Warn("ranges are not in River's queue any more, and are handed out again", "job", a.Job)
	if err := f.handOut(ctx, a.Job, a.Spec, a.First); err != nil || a.Spec.passes() == 1 {
		return err
	}
	return f.insertEach(ctx, a.First, func(no int) river.JobArgs {
		return checkArgs{rangeArgs{Job: a.Job, No: no, Spec: a.Spec, First: a.First}}
	})
}
