package rotate

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"
)

// Range is a part of a table, for schedulers that keep their own cursor: jobs of a queue in the
// same database. Keys are in the journal's form, which may change between versions.
type Range struct {
	// Cursor is where to go on; nil at the beginning. The rows above it are left.
	Cursor []byte `json:"cursor,omitempty"`
	// End is the range's last key; nil for the table's end.
	End []byte `json:"end,omitempty"`
}

// Walked is what a page of a range did.
type Walked struct {
	// Cursor is the key that the range was walked up to.
	Cursor []byte
	// Done says that nothing of the range is left.
	Done bool
	// Counts and Findings are as in [Result], of this page alone.
	Counts   map[string]int64
	Findings []Finding
}

// Plan parts the table in n ranges of about one size, by a sample of its keys; there may be fewer. It writes nothing.
func Plan(ctx context.Context, cfg Config, job Job, n int) ([]Range, error) {
	if n < 1 {
		return nil, fmt.Errorf("rotate: %d ranges; 1 or more is allowed", n)
	}
	r, err := newRun(ctx, &cfg, &job)
	if err != nil || r == nil {
		return nil, err
	}
	if r.target.places {
		return nil, errPlaces(r)
	}
	_, spans, err := r.splitIn(ctx, func(total int64) int64 { return min(int64(n), total) })
	ranges := make([]Range, len(spans))
	for i, s := range spans {
		ranges[i] = Range{Cursor: s.lo, End: s.hi}
	}
	return ranges, err
}

// WalkRange walks rg, page by page, until nothing is left or until has passed, and reports which. onPage is called in each
// page's transaction, behind its writes: what it writes there is committed with them, or not at all. Its
// error ends the walk and rolls the page back. A page that met a deadlock or a lock is done again, so that
// onPage may be called again for it, in another transaction. Where the server or the KMS is away the walk ends with an
// error: whether the last page was committed, the cursor that onPage wrote says then.
//
// Nothing is written to the journal: cursor, counts and who may walk a range are the caller's to keep. Two that walk
// the same range do no harm to the data, since rows are compared before they are written; but both count.
func WalkRange(ctx context.Context, cfg Config, job Job, rg Range, until time.Time, onPage func(tx *sql.Tx, w Walked) error) (done bool, err error) {
	r, err := newRun(ctx, &cfg, &job)
	if err != nil || r == nil {
		return err == nil, err
	}
	if r.target.places {
		return false, errPlaces(r)
	}
	c := claim{span: span{lo: rg.Cursor, hi: rg.End}}
	r.journal = &callersJournal{onPage: onPage}
	w, err := r.newWorker(ctx, 0)
	if err != nil {
		return false, err
	}
	defer w.close()
	for !c.done && time.Now().Before(until) {
		limit, err := w.next(ctx)
		if err != nil {
			return false, err
		}
		if err := w.stepThrough(ctx, &c, limit); err != nil {
			return false, r.wrap(ctx, err)
		}
	}
	return c.done, nil
}

// errPlaces refuses a table whose rows move when they are written: which of them a range has is not known.
func errPlaces(r *run) error {
	return fmt.Errorf("rotate: %w: %s; its rows are in no ranges that stay: add a PRIMARY KEY, or use Run", ErrNoPrimaryKey, r.target.name)
}

// stepThrough deals with one page, again where it met others' locks.
func (w *worker) stepThrough(ctx context.Context, c *claim, limit int) error {
	start := time.Now()
	for wait := contendedPause; ; wait = min(2*wait, longestPause) {
		err := w.step(ctx, c, limit)
		if err == nil || w.faultOf(err) != contended || time.Since(start) > w.cfg.Patience {
			return err
		}
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
	}
}

// callersJournal lets a caller keep the cursor.
type callersJournal struct {
	journal
	onPage func(tx *sql.Tx, w Walked) error
}

func (j *callersJournal) advance(_ context.Context, tx *sql.Tx, _ claim, a advance, _ time.Duration) error {
	return j.onPage(tx, Walked{Cursor: a.cursor, Done: a.done, Counts: a.counts, Findings: a.findings})
}

// renew leaves the claim as it is: an attempt that met a lock was rolled back as a whole.
func (j *callersJournal) renew(_ context.Context, c claim, _ time.Duration, _ string) (claim, error) {
	return c, nil
}
