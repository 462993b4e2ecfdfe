package riverjob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowseal/rowseal/rotate"
)

const (
	fetchEvery  = 200 * time.Millisecond // turns are short, and are to follow on each other
	waitEvery   = 300 * time.Millisecond
	stopPatient = 20 * time.Second
	atHand      = 2 // turns for each that is under way
)

// Runner is one process's part in jobs.
type Runner struct {
	cfg    Config
	client *river.Client[pgx.Tx]
	// slots bounds the ranges that are walked at a time. River is asked for more, so that one is at hand when a
	// turn ends: it hands out only so often.
	slots chan struct{}

	mu    sync.Mutex
	parts map[int64]*part
}

// New returns a Runner that does not work yet. It returns ErrNotMigrated where River's tables are not there, and ErrShared where they are an
// application's.
func New(ctx context.Context, cfg Config) (*Runner, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := checkTables(ctx, cfg.Pool, cfg.Schema); err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, slots: make(chan struct{}, cfg.Rotate.Workers), parts: map[int64]*part{}}
	workers := river.NewWorkers()
	river.AddWorker(workers, &planWorker{Runner: r})
	river.AddWorker(workers, &rangeWorker{Runner: r})
	river.AddWorker(workers, &checkWorker{Runner: r})
	river.AddWorker(workers, &finishWorker{Runner: r})
	var err error
	r.client, err = river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Schema: cfg.Schema, Workers: workers, Logger: cfg.Rotate.Log,
		Queues:   map[string]river.QueueConfig{queue: {MaxWorkers: atHand * cfg.Rotate.Workers}},
		PollOnly: true, FetchPollInterval: fetchEvery, FetchCooldown: fetchEvery / 2,
		JobTimeout: cfg.Rescue, RescueStuckJobsAfter: cfg.Rescue, SoftStopTimeout: stopPatient,
	})
	if err != nil {
		return nil, fmt.Errorf("riverjob: %w", err)
	}
	return r, nil
}

// Work works on what is in the queue until ctx ends, which is no error: pages that are under way are finished. A
// Runner works once.
func (r *Runner) Work(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return r.stop()
}

// Run hands a job to the queue, or joins the equal one that is there, and works until it is done. A Runner runs or works once.
//
// The result is that of [rotate.Run], counted over all machines, with the counts "checked", rows that were read once more behind the walk,
// and "due", those of them that are to be written still: where there are any the error is rotate.ErrIncomplete.
// Keys that are rotated make it another job, as for rotate.Run. An error that does not pass by itself ends the job on all machines, with [rotate.ErrCanceled] and the reason. Where ctx ends, the job stays in the
// queue, for others or for the next Run.
func (r *Runner) Run(ctx context.Context, job rotate.Job) (rotate.Result, error) {
	none := rotate.Result{Counts: map[string]int64{}}
	if job.Table == nil || r.cfg.Policy.Table(job.Table.Name()) == nil {
		return none, errors.New("riverjob: Job.Table is not a table of the policy")
	}
	switch job.Kind {
	case rotate.Rewrap, rotate.Reseal, rotate.Verify, rotate.Seal, rotate.Unseal:
	default:
		return none, fmt.Errorf("riverjob: a %s is not for several machines; rotate.Run does it", job.Kind)
	}
	if err := r.start(ctx); err != nil {
		return none, err
	}
	result, err := r.drive(ctx, job)
	return result, errors.Join(err, r.stop())
}

// start begins to work. What works has a context of its own, so that it can finish its pages when ctx ends.
func (r *Runner) start(ctx context.Context) error {
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("riverjob: %w", err)
	}
	return nil
}

func (r *Runner) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopPatient)
	defer cancel()
	if err := r.client.Stop(ctx); err != nil {
		return fmt.Errorf("riverjob: stopping: %w", err)
	}
	return nil
}

// maxFollowed is how many jobs Run goes on with where keys are rotated again and again.
const maxFollowed = 3

// drive hands the job in and waits for its end. Where keys were rotated since it began, another one took its place: that
// is what is waited for then.
func (r *Runner) drive(ctx context.Context, job rotate.Job) (rotate.Result, error) {
	var before []string
	s := specOf(job)
	for followed := 0; ; followed++ {
		result, status, err := r.driveOne(ctx, s)
		if followed < maxFollowed && errors.Is(err, rotate.ErrSuperseded) {
			same, lookErr := rotate.SameJob(ctx, r.cfg.Rotate, s.job(job.Table), status)
			if lookErr == nil && !same {
				before = append(before, err.Error())
				r.cfg.Rotate.Log.Warn(err.Error())
				continue
			}
		}
		result.Warnings = append(before, result.Warnings...)
		return result, err
	}
}

func (r *Runner) driveOne(ctx context.Context, s spec) (rotate.Result, rotate.Status, error) {
	none := rotate.Result{Counts: map[string]int64{}}
	planned, err := r.client.Insert(ctx, planArgs{Spec: s, Ranges: r.cfg.Ranges}, nil)
	if err != nil {
		return none, rotate.Status{}, fmt.Errorf("riverjob: %w", err)
	}
	p, err := r.planned(ctx, planned.Job.ID)
	if err != nil || p.Job == 0 {
		return none, rotate.Status{}, err
	}
	status, err := r.ended(ctx, p.Job, s)
	if err != nil {
		return none, status, fmt.Errorf("riverjob: job %d: stopped; run it again to go on: %w", p.Job, err)
	}
	result, failed := status.Result()
	result.Joined = p.Joined
	switch status.State {
	case rotate.StateCanceled:
		failed = fmt.Errorf("riverjob: %s of table %s: %w: %s", s.Kind, s.Table, rotate.ErrCanceled, status.Order.Reason)
	case rotate.StateSuperseded:
		failed = fmt.Errorf("riverjob: %s of table %s: %w: job %d was %s", s.Kind, s.Table, rotate.ErrSuperseded, p.Job, status.Order.Reason)
	}
	return result, status, failed
}

// planned waits for the planner.
func (r *Runner) planned(ctx context.Context, id int64) (p plan, err error) {
	for {
		job, err := r.client.JobGet(ctx, id)
		switch {
		case err != nil && !r.passes(ctx, err):
			return p, fmt.Errorf("riverjob: waiting for the planner: %w", err)
		case err != nil:
		case job.State == rivertype.JobStateCompleted:
			return p, json.Unmarshal(job.Output(), &p)
		case job.State == rivertype.JobStateCancelled || job.State == rivertype.JobStateDiscarded:
			return p, fmt.Errorf("riverjob: the job could not be planned: %s", lastError(job))
		}
		if err := pause(ctx, waitEvery); err != nil {
			return p, err
		}
	}
}

func lastError(job *rivertype.JobRow) string {
	if len(job.Errors) == 0 {
		return "it was canceled in River"
	}
	return strings.TrimPrefix(job.Errors[len(job.Errors)-1].Error, "JobCancelError: ")
}

// ended waits until the job is over. A server that is away meanwhile is waited for, as those do who work.
func (r *Runner) ended(ctx context.Context, id int64, s spec) (rotate.Status, error) {
	for {
		running, err := r.look(ctx, id, s)
		if err != nil || !running {
			last, readErr := rotate.JobByID(ctx, r.cfg.Rotate.DB, r.cfg.Rotate.Dialect, id)
			switch {
			case readErr == nil && last.State != rotate.StateRunning:
				r.forget(id)
				return last, nil
			case err == nil:
				err = readErr
			}
		}
		if err != nil && !r.passes(ctx, err) {
			return rotate.Status{}, err
		}
		if err := pause(ctx, waitEvery); err != nil {
			return rotate.Status{}, err
		}
	}
}

// look tells Config.Progress how far the job is.
func (r *Runner) look(ctx context.Context, id int64, s spec) (running bool, err error) {
	w, err := r.walker(ctx, id, s)
	if err != nil {
		return false, err
	}
	status, err := w.Look(ctx)
	return status.State == rotate.StateRunning, err
}

// passes says that an error that came of no job ends by itself.
func (r *Runner) passes(ctx context.Context, err error) bool {
	return ctx.Err() == nil && rotate.Passes(r.cfg.Rotate.Dialect, err)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
