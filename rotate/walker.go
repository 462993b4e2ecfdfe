package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

var (
	// ErrNothingToDo: the kind of job has nothing to do with the table's columns.
	ErrNothingToDo = errors.New("the job has nothing to do in the table")
	// ErrOtherJob: the job in the journal was begun with another policy, or for other columns.
	ErrOtherJob = errors.New("the job was begun with another policy")
)

// Passes says whether an error of a job ends by itself: others' locks, a server or KMS that is away.
func Passes(d Dialect, err error) bool {
	db, dialectErr := d.open()
	return passes(err) || dialectErr == nil && db.fault(err) != fatal
}

// Walker is one process's part in a job whose ranges are handed out by somebody else, such as a job queue; [Run]
// hands them out by itself. It may be used by several goroutines, each of which walks a range for a while.
//
// The cursor of a range is in the journal, and is committed with the page that it stands behind. A range has one walker at a time,
// which holds a lease and a fencing token: where a queue runs a job twice, the second walker is held off, or the first
// one's pages are refused. So no row is counted twice, [Jobs] and [Command] see the job as any other, and a verify is one
// that [UseOfKey] knows.
type Walker struct {
	r *run

	mu   sync.Mutex
	free []*worker
	made int

	seen   sync.Mutex // serializes looks, and with them Config.Progress
	status Status
	looked time.Time
}

// Turn is what came of walking a range for a while.
type Turn struct {
	// Done says that nothing of the range is left.
	Done bool
	// Held says why the range was not walked on, although time was left: the job is paused, limits hold it, or another walker
	// has the range. "" where nothing of the kind.
	Held string

	shown string // what the journal says of it
}

// Begin enters the job in the journal, with up to n ranges of about one size by a sample of the table's keys, or joins the open job
// that is equal. With passes 2 each range is there twice, numbered from 0 and again behind the last: the second is for [Walker.Check].
//
// It returns ErrNothingToDo and the errors that Run returns for jobs that cannot begin.
func Begin(ctx context.Context, cfg Config, job Job, n, passes int) (*Walker, Status, error) {
	if n < 1 || passes < 1 {
		return nil, Status{}, fmt.Errorf("rotate: %d ranges in %d passes; 1 or more is allowed", n, passes)
	}
	w, e, err := newWalker(ctx, cfg, job)
	if err != nil {
		return nil, Status{}, err
	}
	if err := w.r.journal.install(ctx); err != nil {
		return nil, Status{}, w.r.wrap(ctx, err)
	}
	if err := w.r.closeStale(ctx, e.name); err != nil {
		return nil, Status{}, w.r.wrap(ctx, err)
	}
	w.r.id, w.r.joined, err = w.r.journal.begin(ctx, e, func(ctx context.Context) (int64, []span, error) {
		total, once, err := w.r.splitIn(ctx, func(total int64) int64 { return min(int64(n), total/int64(w.r.cfg.PageSize)) })
		var spans []span
		for range passes {
			spans = append(spans, once...)
		}
		return total, spans, err
	})
	if err != nil {
		return nil, Status{}, w.r.wrap(ctx, err)
	}
	if err := w.r.supersede(ctx); err != nil {
		return nil, Status{}, w.r.wrap(ctx, err)
	}
	s, err := w.Look(ctx)
	return w, s, err
}

// Open takes part in a job that was begun; job says which it is, as for [Begin].
//
// It returns ErrOtherJob where job is not the one with that id, because of another policy, say; ErrNoJob where there
// is none or it is over; ErrSuperseded where keys were rotated since it began, or its columns are gone: the job is closed then, and
// another one can be begun.
func Open(ctx context.Context, cfg Config, job Job, id int64) (*Walker, error) {
	s, err := JobByID(ctx, cfg.DB, cfg.Dialect, id)
	switch {
	case err != nil:
		return nil, err
	case s.State != StateRunning:
		return nil, fmt.Errorf("rotate: %w: %d is %s", ErrNoJob, id, s.State)
	}
	w, e, err := newWalker(ctx, cfg, job)
	if err != nil {
		if lacks := lacksColumns(ctx, cfg, job, s); lacks != nil {
			err = otherJob(id, lacks)
		}
		return nil, err
	}
	w.r.id, w.r.joined = id, true
	if err := w.r.opens(ctx, e, s); err != nil {
		return nil, err
	}
	_, err = w.Look(ctx)
	return w, err
}

// lacksColumns says that it is by this machine's policy that the job cannot be opened.
func lacksColumns(ctx context.Context, cfg Config, job Job, s Status) error {
	same, err := SameJob(ctx, cfg, job, s)
	if errors.Is(err, ErrNoColumn) || errors.Is(err, errNoTransition) {
		return err
	}
	if err == nil && !same {
		return errors.New("it is another job here")
	}
	return nil
}

func otherJob(id int64, err error) error {
	return fmt.Errorf("rotate: %w: %d: %w; give all machines the same policy file", ErrOtherJob, id, err)
}

// opens checks that e, as it is begun here and now, is the job that the journal has. Where only the tenants' keys are newer, that is so
// for all: the store is one. What else differs may be this machine's fault.
func (r *run) opens(ctx context.Context, e entry, s Status) error {
	if e.spec == s.Spec && e.kind == s.Kind && e.table == s.Table {
		return nil
	}
	theirs, err := specOf(s.Spec)
	if err != nil {
		return err
	}
	mine, err := specOf(e.spec)
	if err != nil {
		return err
	}
	why := theirs.changed(&mine)
	if e.kind == s.Kind && e.table == s.Table && theirs.rotated(&mine) {
		if err := r.closeJob(ctx, s.ID, "superseded: "+why); err != nil {
			return r.wrap(ctx, err)
		}
		return fmt.Errorf("rotate: %w: %d: %s", ErrSuperseded, s.ID, why)
	}
	return otherJob(s.ID, errors.New(orElse(why, "it is about something else")))
}

func newWalker(ctx context.Context, cfg Config, job Job) (*Walker, entry, error) {
	r, err := newRun(ctx, &cfg, &job)
	if err != nil {
		return nil, entry{}, err
	}
	if r == nil {
		return nil, entry{}, fmt.Errorf("rotate: %w: %s of table %s", ErrNothingToDo, job.Kind, job.Table.Name())
	}
	if r.target.places { // which of its rows a range has changes when they are written
		return nil, entry{}, fmt.Errorf("rotate: %w: %s; its rows are in no ranges that stay: add a PRIMARY KEY, or use Run", ErrNoPrimaryKey, r.target.name)
	}
	if r.journal, err = newJournal(cfg.Dialect, cfg.DB); err != nil {
		return nil, entry{}, err
	}
	r.turns = true
	e, err := job.entry(cfg.Owner)
	return &Walker{r: r}, e, err
}

// ID is the job's number in the journal.
func (w *Walker) ID() int64 { return w.r.id }

// Look reads the job as the journal has it, without its findings, takes an operator's limits and tells Config.Progress.
// Twice within half a second the journal is asked once. It returns ErrNoJob where there is no such job any more, and the database's errors.
func (w *Walker) Look(ctx context.Context) (Status, error) {
	w.seen.Lock()
	defer w.seen.Unlock()
	if time.Since(w.looked) < pollEvery/2 {
		return w.status, nil
	}
	s, err := w.r.journal.status(ctx, w.r.id)
	if err != nil {
		return s, err
	}
	w.r.heed(s)
	w.status, w.looked = s, time.Now()
	return s, nil
}

// Walk walks range no, page by page, until nothing of it is left or until has passed, and gives it up then. It hears of an
// operator's orders when it begins.
//
// It returns ErrCanceled where the job was canceled. Where [Passes] says so of an error, walk the range again
// later.
func (w *Walker) Walk(ctx context.Context, no int, until time.Time) (Turn, error) {
	return w.turn(ctx, no, until, false)
}

// Check is Walk without writing: it counts the rows that it reads as "checked", and as "due" those that Walk would still
// write; with option "all" those that it would write without it. Its errors are those of Walk.
func (w *Walker) Check(ctx context.Context, no int, until time.Time) (Turn, error) {
	return w.turn(ctx, no, until, true)
}

// Overtaken closes the job as superseded where keys were rotated since it began, and reports whether it did: what was walked before that
// is under old ones. Ask before [Walker.Finish]. Its errors are the database's and the key store's.
func (w *Walker) Overtaken(ctx context.Context) (bool, error) {
	why, err := w.r.overtaken(ctx)
	if err != nil || why == "" {
		return false, err
	}
	return true, w.r.closeJob(ctx, w.r.id, "superseded: "+why)
}

// Finish marks the job done where all its ranges are, and reports whether it is. Its errors are the database's.
func (w *Walker) Finish(ctx context.Context) (bool, error) {
	done, err := w.r.journal.finish(ctx, w.r.id)
	if done {
		w.seen.Lock()
		w.looked = time.Time{}
		w.seen.Unlock()
	}
	return done, err
}

// Joined says that the job was there already.
func (w *Walker) Joined() bool { return w.r.joined }

func (w *Walker) turn(ctx context.Context, no int, until time.Time, check bool) (t Turn, err error) {
	if over, t, err := w.mayWalk(ctx); over || err != nil {
		return t, err
	}
	c, holder, err := w.r.journal.claimRange(ctx, w.r.id, no, w.r.cfg.Owner, w.r.cfg.Lease)
	switch {
	case err != nil:
		return Turn{}, w.r.wrap(ctx, err)
	case holder != "":
		return Turn{Held: "the range is with " + holder}, nil
	case c.done:
		return Turn{Done: true}, nil
	}
	held, err := w.r.waitsFor(ctx)
	if err != nil || held != "" {
		t = Turn{Held: held, shown: held}
		w.giveUp(ctx, c, t, err)
		if err != nil {
			err = w.r.wrap(ctx, err)
		}
		return t, err
	}
	k, err := w.take(ctx)
	if err != nil {
		return Turn{}, w.r.wrap(ctx, err)
	}
	k.checks = check
	if c, ok := k.work.(checker); ok {
		c.check(check)
	}
	defer w.put(k)
	t, err = w.walk(ctx, k, &c, until)
	if errors.Is(err, ErrFenced) {
		return Turn{Held: "another process took the range over"}, nil
	}
	if !c.done {
		w.giveUp(ctx, c, t, err)
	}
	if err != nil && ctx.Err() == nil && w.r.faultOf(err) == fatal {
		err = w.r.lost(ctx, err)
	}
	if err != nil {
		return t, w.r.wrap(ctx, err)
	}
	return t, nil
}

// parkedFor is how long the journal shows what held a range: until its next turn, and a little longer. What passes is tried
// again after half a minute at the latest.
const parkedFor = 40 * time.Second

// giveUp lets go of a range, so that the next one need not wait for the lease, and leaves in the journal what held it: between
// turns nobody has a range who would say so.
func (w *Walker) giveUp(ctx context.Context, c claim, t Turn, err error) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err != nil && ctx.Err() == nil && w.r.faultOf(err) == away {
		t.shown = heldAway + "the server or the KMS: " + err.Error()
	}
	if t.shown != "" {
		_ = w.r.journal.park(short, c, t.shown, parkedFor) // it is shown, and nothing hangs on it
		return
	}
	_ = w.r.journal.release(short, c) // the lease ends by itself
}

// mayWalk says what the job's state and its orders mean for a range.
func (w *Walker) mayWalk(ctx context.Context) (over bool, t Turn, err error) {
	s, err := w.Look(ctx)
	switch {
	case err != nil:
		return true, t, w.r.wrap(ctx, err)
	case s.overBy() != nil:
		return true, t, w.r.wrap(ctx, s.overBy())
	case s.State == StateDone:
		return true, Turn{Done: true}, nil
	case s.Order.Pause:
		return true, Turn{Held: s.Order.whyPaused()}, nil
	}
	return false, t, nil
}

func (w *Walker) walk(ctx context.Context, k *worker, c *claim, until time.Time) (Turn, error) {
	for !c.done && time.Now().Before(until) {
		limit, why, err := k.nextBefore(ctx, until)
		if err != nil {
			return Turn{}, err
		}
		if limit == 0 {
			return Turn{Held: cmp.Or(why, "limits"), shown: why}, nil
		}
		if err := k.stepThrough(ctx, c, limit); err != nil {
			return Turn{}, err
		}
	}
	return Turn{Done: c.done}, nil
}

// nextBefore is how many rows the next page may have; 0 where none may begin before until. why says then what holds the
// worker, "" where it is its own speed.
func (w *worker) nextBefore(ctx context.Context, until time.Time) (limit int, why string, err error) {
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	limit, err = w.next(bounded, func(reason string) {
		if reason != "" {
			why = reason
		}
		w.hold(reason)
	})
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return 0, why, nil
	}
	w.hold("")
	return limit, "", err
}

// stepThrough deals with one page, again where it met others' locks.
func (w *worker) stepThrough(ctx context.Context, c *claim, limit int) error {
	start := time.Now()
	for wait := contendedPause; ; wait = min(2*wait, longestPause) {
		err := w.step(ctx, c, w.shorter(limit))
		if err == nil || w.faultOf(err) != contended || time.Since(start) > w.cfg.Patience {
			return err
		}
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
	}
}

// take returns a worker that nobody uses. What workers have learned of keys stays with them from turn to turn.
func (w *Walker) take(ctx context.Context) (*worker, error) {
	w.mu.Lock()
	if n := len(w.free); n > 0 {
		k := w.free[n-1]
		w.free = w.free[:n-1]
		w.mu.Unlock()
		return k, nil
	}
	no := w.made
	w.made++
	w.mu.Unlock()
	return w.r.newWorker(ctx, no)
}

// put gives a worker and its connection back.
func (w *Walker) put(k *worker) {
	k.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, k)
}
