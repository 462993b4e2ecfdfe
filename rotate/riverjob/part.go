package riverjob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowseal/rowseal/rotate"
)

// errNoTable: this machine's policy has no such table.
var errNoTable = errors.New("the policy has no such table; give all machines the same policy file")

// part is this process's part in a job. What it knows of keys serves all its turns.
type part struct {
	mu     sync.Mutex
	walker *rotate.Walker
}

// walker returns the part in a job; rotate.ErrNoJob where it is over.
func (r *Runner) walker(ctx context.Context, id int64, s spec) (*rotate.Walker, error) {
	r.mu.Lock()
	p := r.parts[id]
	if p == nil {
		p = &part{}
		r.parts[id] = p
	}
	r.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.walker != nil {
		return p.walker, nil
	}
	table := r.cfg.Policy.Table(s.Table)
	if table == nil {
		return nil, errNoTable
	}
	w, err := rotate.Open(ctx, r.cfg.Rotate, s.job(table), id)
	if err != nil {
		if errors.Is(err, rotate.ErrSuperseded) && !errors.Is(err, rotate.ErrNoColumn) {
			err = errors.Join(err, r.succeed(ctx, s))
		}
		return nil, err
	}
	p.walker = w
	return w, nil
}

// succeed has the job planned that takes the place of one which keys have overtaken.
func (r *Runner) succeed(ctx context.Context, s spec) error {
	if _, err := r.client.Insert(ctx, planArgs{Spec: s, Ranges: r.cfg.Ranges}, nil); err != nil {
		return fmt.Errorf("riverjob: %w", err)
	}
	return nil
}

// forget lets go of a job that is over.
func (r *Runner) forget(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parts, id)
}

// Times after which River gives a job its next turn.
const (
	again      = 0
	heldFor    = 2 * time.Second
	strangeFor = 15 * time.Second // for another machine
	lookEvery  = time.Second
	longestTry = 30 * time.Second
)

// failed is what River is told of a turn that ended with err.
//
// What passes is tried again after a while; so is what only this machine cannot do. Anything else would meet
// every range on every machine alike: it ends the job, with the reason in its order.
func (r *Runner) failed(ctx context.Context, row *rivertype.JobRow, id int64, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), rivertype.ErrJobCancelledRemotely):
		return err // handed out again by the finisher
	case errors.Is(ctx.Err(), context.Canceled):
		return river.JobSnooze(again) // this process stops
	case errors.Is(err, rotate.ErrOtherJob), errors.Is(err, errNoTable):
		r.cfg.Rotate.Log.Warn("a job is left to other machines", "job", id, "error", err)
		return river.JobSnooze(strangeFor)
	case errors.Is(err, rotate.ErrCanceled), errors.Is(err, rotate.ErrSuperseded):
		r.forget(id)
		return river.JobCancel(err)
	case errors.Is(err, rotate.ErrNoJob):
		r.forget(id)
		return r.over(ctx, id, err)
	case row.Attempt < row.MaxAttempts && (ctx.Err() != nil || rotate.Passes(r.cfg.Rotate.Dialect, err)):
		r.cfg.Rotate.Log.Warn("a turn is tried again", "job", id, "error", err)
		return err
	}
	order := rotate.Order{Cancel: true, By: r.cfg.By, Reason: err.Error()}
	told := rotate.Command(ctx, r.cfg.Rotate.DB, r.cfg.Rotate.Dialect, id, order)
	if told != nil && !errors.Is(told, rotate.ErrNoJob) {
		return errors.Join(err, told) // the next turn comes here again
	}
	r.forget(id)
	return river.JobCancel(err)
}

// over is for turns that come when their job has ended: a turn that River gave out twice.
func (r *Runner) over(ctx context.Context, id int64, err error) error {
	s, lookErr := rotate.JobByID(ctx, r.cfg.Rotate.DB, r.cfg.Rotate.Dialect, id)
	if lookErr == nil && s.State == rotate.StateDone {
		return nil
	}
	return river.JobCancel(errors.Join(err, lookErr))
}

// retryAfter grows from a second to longestTry.
func retryAfter(attempt int) time.Time {
	return time.Now().Add(min(time.Second<<min(max(attempt-1, 0), 10), longestTry))
}
