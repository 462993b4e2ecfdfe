package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run does job, or what is left of it: an open job that is equal is joined, wherever it was begun, and its ranges of
// the table are shared with whoever works on it. It returns when all ranges are done.
//
// It may be stopped at any time, by ctx too: the journal keeps what was done, and Run with the same job
// goes on there. What was written and what the journal says of it is committed together, so nothing is lost and
// nothing counted twice. A row that others change meanwhile is read again and never overwritten. While the server or the KMS
// is away, Run waits up to cfg.Patience.
//
// Errors: ErrIncomplete where the job came to its end and single values failed, for a Verify ErrFindings; ErrCanceled; ErrSuperseded; ErrNoTable, ErrNoColumn,
// ErrNoPrimaryKey, ErrRowSecurity, ErrNoJournal; ctx's. The result says in each case what was done.
//
// A table of PostgreSQL without a primary key is walked by where its rows lie, again and again until nothing is due. Rows that
// move while they are looked for may be missed: Result.Warnings says so.
//
// Keys that are rotated, and a policy that is changed, make it another job: the open one is closed as superseded when the
// next one begins. Where that happens while Run works on it, Run goes on with the next one, three times at most, and says
// so in Result.Warnings; ErrSuperseded is left where somebody began the job with another policy, or the columns are gone.
func Run(ctx context.Context, cfg Config, job Job) (Result, error) {
	var before []string
	for followed := 0; ; followed++ {
		result, err := runToEnd(ctx, cfg, job)
		if followed < maxFollowed && follows(ctx, cfg, job, result.ID, err) {
			before = append(before, err.Error())
			if cfg.Log != nil {
				cfg.Log.Warn(err.Error())
			}
			continue
		}
		result.Warnings = append(before, result.Warnings...)
		return result, err
	}
}

// maxFollowed is how many jobs a call of Run goes on with where keys are rotated again and again.
const maxFollowed = 3

// follows says that a job was superseded, and that it is another one if it is begun now.
func follows(ctx context.Context, cfg Config, job Job, id int64, err error) bool {
	if id == 0 || !errors.Is(err, ErrSuperseded) {
		return false
	}
	s, err := JobByID(ctx, cfg.DB, cfg.Dialect, id)
	if err != nil {
		return false
	}
	same, err := SameJob(ctx, cfg, job, s)
	return err == nil && !same
}

// runToEnd does one job.
func runToEnd(ctx context.Context, cfg Config, job Job) (Result, error) {
	result, r, err := runOnce(ctx, cfg, job)
	if r == nil {
		return result, err
	}
	if r.checked() {
		return r.behind(ctx, cfg, job, result, err)
	}
	if !r.target.places {
		return result, err
	}
	r.cfg.Log.Warn(r.placesWarning())
	result, err = repeat(ctx, cfg, job, result, err)
	result.Warnings = append(result.Warnings, r.placesWarning())
	return result, err
}

// runOnce walks the table once. The run is nil where the job did not begin.
func runOnce(ctx context.Context, cfg Config, job Job) (result Result, r *run, err error) {
	if r, err = beginRun(ctx, &cfg, &job); err != nil || r == nil {
		return Result{Counts: map[string]int64{}}, nil, err
	}
	result, err = r.through(ctx)
	return result, r, err
}

// through begins or joins the job, and works on it until it is done.
func (r *run) through(ctx context.Context) (Result, error) {
	if err := beginPatiently(ctx, r.cfg, r.db, func() error { return r.start(ctx) }); err != nil {
		return Result{Counts: map[string]int64{}}, r.wrap(ctx, err)
	}
	err := r.work(ctx)
	s, readErr := r.final()
	result, failed := s.Result()
	result.ID, result.Joined = r.id, r.joined
	if w := s.unsettled(r.earlier.why); w != "" {
		result.Warnings = []string{w}
	}
	switch {
	case readErr == nil && s.overBy() != nil: // which may be what the error is of
		return result, r.wrap(ctx, s.overBy())
	case err != nil:
		return result, r.wrap(ctx, err)
	case readErr != nil:
		return result, r.wrap(ctx, readErr)
	}
	return result, failed
}

// run is one call of Run.
type run struct {
	cfg      *Config
	job      *Job
	asked    Job // job as it was asked for
	db       database
	journal  journal
	target   target
	throttle throttle
	first    work // the first worker's
	id       int64
	joined   bool
	turns    bool // ranges are handed out by others: between turns the journal knows what holds them
	orders   orders
	pace     rate
	busy     atomic.Int32 // workers with a range
	last     Status       // as the journal was last read
	earlier  earlier

	mu   sync.Mutex
	held map[int]string // why workers wait, by their number
}

// beginRun is newRun that waits for a server or KMS that is away.
func beginRun(ctx context.Context, cfg *Config, job *Job) (r *run, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	db, err := cfg.Dialect.open()
	if err != nil {
		return nil, err
	}
	err = beginPatiently(ctx, cfg, db, func() (err error) {
		r, err = newRun(ctx, cfg, job)
		return err
	})
	return r, err
}

// newRun prepares a run; nil where the kind has nothing to do with the table.
func newRun(ctx context.Context, cfg *Config, job *Job) (*run, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if _, err := job.entry(""); err != nil {
		return nil, err
	}
	db, err := cfg.Dialect.open()
	if err != nil {
		return nil, err
	}
	cfg.Keyring.Forget()
	if err := withSchema(ctx, cfg, job); err != nil {
		return nil, err
	}
	asked := *job
	w, err := newWork(ctx, cfg, job)
	if err != nil {
		return nil, err
	}
	r := &run{
		cfg: cfg, job: job, asked: asked, db: db, first: w, held: map[int]string{}, pace: rate{since: time.Now()},
		target: target{name: job.Table.Name(), reads: w.reads(), skipTriggers: cfg.SkipTriggers},
	}
	r.orders.changed = make(chan struct{})
	if len(r.target.sealed)+len(r.target.plain) == 0 {
		return nil, nil
	}
	if err := db.describe(ctx, cfg.DB, &r.target); err != nil {
		if errors.Is(err, ErrNoColumn) {
			err = r.lost(ctx, err)
		}
		return nil, fmt.Errorf("rotate: %w", err)
	}
	if c, ok := r.target.writtenKey(); ok {
		return nil, fmt.Errorf("rotate: %w: %s.%s is sealed and part of the key", ErrNoPrimaryKey, r.target.name, c)
	}
	if err := r.checkPlaces(); err != nil {
		return nil, err
	}
	r.throttle, err = startThrottle(ctx, cfg)
	return r, err
}

// start finds or makes the job in the journal.
func (r *run) start(ctx context.Context) error {
	j, err := newJournal(r.cfg.Dialect, r.cfg.DB)
	if err != nil {
		return err
	}
	r.journal = j
	if err := j.install(ctx); err != nil {
		return err
	}
	e, err := r.job.entry(r.cfg.Owner)
	if err != nil {
		return err
	}
	if err := r.closeStale(ctx, e.name); err != nil {
		return err
	}
	if r.id, r.joined, err = j.begin(ctx, e, r.split); err != nil {
		return err
	}
	return r.supersede(ctx)
}

// work runs the workers until the job is done.
func (r *run) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A pause holds before the first page.
	if err := beginPatiently(ctx, r.cfg, r.db, func() error { return r.look(ctx) }); err != nil {
		return err
	}
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(ctx, stop, cancel)
	}()
	err := r.awaitEarlier(ctx)
	if err == nil {
		err = r.workers(ctx)
	}
	if err == nil {
		w := worker{run: r}
		err = w.patiently(ctx, func() error {
			return r.inTime(ctx, r.end)
		})
	} else if ctx.Err() == nil && r.faultOf(err) == fatal {
		err = r.lost(ctx, err)
	}
	close(stop)
	<-watched
	if cause := context.Cause(ctx); isOver(cause) {
		return cause
	}
	return err
}

func (r *run) workers(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for no := range r.cfg.Workers {
		g.Go(func() error { return r.worker(gctx, no) })
	}
	return g.Wait()
}

// isOver says that somebody ended the job early.
func isOver(err error) bool { return errors.Is(err, ErrCanceled) || errors.Is(err, ErrSuperseded) }

// worker claims and walks ranges until none is left that is not another worker's of this process, which sees to it.
func (r *run) worker(ctx context.Context, no int) error {
	w, err := r.newWorker(ctx, no)
	if err != nil {
		return err
	}
	defer w.close()
	for {
		c, left, err := w.claim(ctx)
		if err != nil {
			return err
		}
		if c == nil && left <= int(r.busy.Load()) {
			return nil
		}
		if c == nil {
			w.hold(fmt.Sprintf("what is left is other processes': %d ranges", left))
			if err := pause(ctx, pollEvery); err != nil {
				return err
			}
			w.hold("")
			continue
		}
		r.busy.Add(1)
		err = w.walk(ctx, *c)
		r.busy.Add(-1)
		if err != nil && !errors.Is(err, ErrFenced) {
			return err
		}
	}
}

// final reads what the journal has, also where ctx has ended.
func (r *run) final() (Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := r.journal.read(ctx, r.id)
	if err == nil {
		r.report(s)
	}
	return s, err
}

// wrap says what became of the job. Drivers name a canceled query in their own ways.
func (r *run) wrap(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	err = r.explain(err)
	if isOver(err) {
		return fmt.Errorf("rotate: %s of table %s: %w", r.job.Kind, r.target.name, err)
	}
	return fmt.Errorf("rotate: %s of table %s: stopped; run it again to go on: %w", r.job.Kind, r.target.name, err)
}

// explain says what to do about what PostgreSQL refuses.
func (r *run) explain(err error) error {
	if hidden := rowSecurity(err); errors.Is(hidden, ErrRowSecurity) {
		return hidden
	}
	switch stateOf(err) {
	case "42501":
		if errors.Is(err, ErrNoJournal) { // which says it
			return err
		}
		rights := "SELECT"
		if r.target.writes {
			rights = "SELECT, UPDATE"
		}
		return fmt.Errorf("%w; the role needs USAGE ON SCHEMA and GRANT %s ON %s", err, rights, quoteName(r.target.name))
	case "25006":
		return fmt.Errorf("%w; the server is a standby, or its transactions are read-only: connect to the primary", err)
	case "57014":
		return fmt.Errorf("%w; where statement_timeout did it: ALTER ROLE … SET statement_timeout = 0 for the role that runs jobs", err)
	}
	return err
}

// Result is what became of a job, as Run returns it: ErrIncomplete, or ErrFindings, where values failed. A
// job that is not over has its counts so far.
func (s *Status) Result() (Result, error) {
	result := Result{ID: s.ID, Joined: true, Counts: s.Counts, Findings: s.Findings, Started: s.Started, Ended: s.Ended}
	if w := s.unsettled(""); w != "" {
		result.Warnings = []string{w}
	}
	return result, s.incomplete()
}

// incomplete is nil where no value failed.
func (s *Status) incomplete() error {
	failed := s.Counts["failed"]
	switch due := s.Counts["due"]; {
	case failed == 0 && due > 0:
		return fmt.Errorf("%w: %d rows were written behind the walk by processes that still held older keys or another policy; run it again", ErrIncomplete, due)
	case failed == 0:
		return nil
	}
	problem := ErrIncomplete
	if s.Kind == Verify {
		problem = ErrFindings
	}
	const shown = 3
	var lines []string
	for _, f := range s.Findings[:min(shown, len(s.Findings))] {
		lines = append(lines, f.String())
	}
	more := ""
	if failed > int64(len(lines)) {
		more = fmt.Sprintf("; and %d more", failed-int64(len(lines)))
	}
	return fmt.Errorf("%w (%d failed): %s%s", problem, failed, strings.Join(lines, "; "), more)
}

// String is `people.name, row id=42: what is wrong`.
func (f Finding) String() string {
	at := f.Table
	if f.Column != "" {
		at += "." + f.Column
	}
	return fmt.Sprintf("%s, row %s: %s", at, f.Row, f.Detail)
}

// split parts the table for the workers.
func (r *run) split(ctx context.Context) (total int64, spans []span, err error) {
	const perWorker, rowsPerRange, maxRanges = 4, 250_000, 4096
	return r.splitIn(ctx, func(total int64) int64 {
		n := total / rowsPerRange
		if r.cfg.Workers > 1 {
			n = max(n, int64(perWorker*r.cfg.Workers))
		}
		return min(n, maxRanges, total/int64(r.cfg.PageSize))
	})
}

// splitIn parts the table in as many ranges of about one size as ranges makes of the number of its rows.
func (r *run) splitIn(ctx context.Context, ranges func(total int64) int64) (total int64, spans []span, err error) {
	if total, err = r.db.count(ctx, r.cfg.DB, &r.target); err != nil {
		return 0, nil, err
	}
	n := ranges(total)
	if n <= 1 {
		return total, []span{{}}, nil
	}
	bounds, err := r.db.sample(ctx, r.cfg.DB, &r.target, total, int(n))
	if err != nil {
		return 0, nil, err
	}
	var last []byte
	for _, b := range bounds {
		key, err := encodeKey(b)
		if err != nil {
			return 0, nil, err
		}
		spans, last = append(spans, span{lo: last, hi: key}), key
	}
	return total, append(spans, span{lo: last}), nil
}

// open is a connection of a worker's own. A pool too small for that is used as it is.
func (r *run) open(ctx context.Context) (beginner, func(), error) {
	if most := r.cfg.DB.Stats().MaxOpenConnections; r.cfg.Dialect == SQLite || most > 0 && most < r.cfg.Workers+2 {
		return r.cfg.DB, func() {}, nil
	}
	c, err := r.cfg.DB.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	if r.cfg.Dialect == PostgreSQL {
		if w := wireOn(c); w != nil {
			return w, w.close, nil
		}
	}
	return c, func() { closeConn(c) }, nil
}

func closeConn(c *sql.Conn) {
	_ = c.Close() // it goes back to the pool; what is wrong with it is the pool's to see
}
