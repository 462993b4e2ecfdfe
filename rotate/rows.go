package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// RowsConfig says what [RewrapRows] works on.
type RowsConfig struct {
	// DB is where the table is; required. The walk uses one connection at a
	// time and holds none while it waits for the KMS.
	DB *sql.DB
	// Dialect is the SQL that DB speaks; required.
	Dialect Dialect
	// Keyring has the keys; required. What it holds is forgotten at the
	// start, so that rotations by other processes are seen.
	Keyring *keyring.Keyring
	// Table is the table to walk; required. It must have a primary key.
	Table *field.Table
	// PageSize is how many rows are read and written at a time, 1 to 5,000;
	// 0 means 2,000.
	PageSize int
	// Concurrency bounds the KMS calls under way; 0 means 16.
	Concurrency int
	// Progress, if set, is told after each page.
	Progress func(Progress)
}

const (
	defaultPage = 2000
	maxPage     = 5000
	// rowAttempts is how often a row is read again that others keep changing.
	rowAttempts = 8
	// writeAttempts is how often a page is written that meets a deadlock or
	// a lock; writePause is the first wait between two, which doubles.
	writeAttempts = 6
	writePause    = 20 * time.Millisecond
)

func (c *RowsConfig) validate() error {
	switch {
	case c.DB == nil || c.Keyring == nil || c.Table == nil:
		return errors.New("rotate: RowsConfig needs DB, Keyring and Table")
	case c.PageSize < 0 || c.PageSize > maxPage:
		return fmt.Errorf("rotate: PageSize is %d; 1 to %d is allowed, 0 means %d", c.PageSize, maxPage, defaultPage)
	}
	if c.PageSize == 0 {
		c.PageSize = defaultPage
	}
	return checkConcurrency(&c.Concurrency)
}

// RowsResult counts what became of a table's row keys.
type RowsResult struct {
	Rows      int // rows read
	Values    int // sealed values seen in them
	Current   int // carried the current key already
	Rewrapped int // carry the current key now
	Reread    int // rows that others changed meanwhile, and that were read again
	Destroyed int // values whose tenant's key was destroyed: nothing to do
	Failed    int // values that stay as they were
	// Failures are the first of the failed ones.
	Failures []Failure
}

// RewrapRows brings the row keys in a table's values to the key that is
// current now: for `key: row` the newest version of the tenant's key, for
// `key: row, wrap: kms` the current version of the first root key. Columns of
// `key: tenant` carry no row key and are not read; a table that has no others
// is not touched at all.
//
// It walks the primary key in pages. A value is replaced only if its bytes are
// still those that were read. Each distinct wrapped key is rewrapped once,
// with at most one KMS call, also where several values carry it, as long as
// fewer than 65,536 others lie between them.
//
// It continues past values that fail; its error is then [ErrIncomplete].
// Stopped by ctx, it returns ctx's error and what was done so far; run again,
// it does the rest. Writers may go on using a key for as long as their caches
// hold it: to let go of the old key altogether, run it once more after that.
func RewrapRows(ctx context.Context, cfg RowsConfig) (RowsResult, error) {
	if err := cfg.validate(); err != nil {
		return RowsResult{}, err
	}
	columns := rowKeyColumns(cfg.Table)
	if len(columns) == 0 {
		return RowsResult{}, nil
	}
	j, err := newRowsJob(ctx, cfg, columns)
	if err != nil {
		return RowsResult{}, err
	}
	if err := j.walk(ctx); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // drivers name a canceled query in their own ways
		}
		return j.result, fmt.Errorf("rotate: table %s: stopped after %d rows; run again to go on: %w", cfg.Table.Name(), j.result.Rows, err)
	}
	return j.result, incomplete(j.result.Failed, j.result.Failures)
}

// rowKeyColumns are the columns whose values carry a row key.
func rowKeyColumns(t *field.Table) []*field.Column {
	var columns []*field.Column
	for _, c := range t.Columns() {
		if c.Mode() != envelope.ModeTenant {
			columns = append(columns, c)
		}
	}
	return columns
}

// rowsJob is one call of RewrapRows.
type rowsJob struct {
	cfg     RowsConfig
	db      database
	target  target
	columns []*field.Column
	refs    *references
	total   int
	result  RowsResult
}

func newRowsJob(ctx context.Context, cfg RowsConfig, columns []*field.Column) (*rowsJob, error) {
	j := &rowsJob{cfg: cfg, columns: columns, target: target{name: cfg.Table.Name()}}
	for _, c := range columns {
		j.target.columns = append(j.target.columns, c.Name())
	}
	var err error
	if j.db, err = cfg.Dialect.open(cfg.DB); err != nil {
		return nil, err
	}
	if err := j.db.describe(ctx, &j.target); err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	if c, ok := j.target.sealedKey(); ok {
		return nil, fmt.Errorf("rotate: %w: %s.%s is sealed and part of the key", ErrNoPrimaryKey, cfg.Table.Name(), c)
	}
	cfg.Keyring.Forget()
	w, err := cfg.Keyring.NewRewrapper(ctx)
	if err != nil {
		return nil, fmt.Errorf("rotate: asking for the current root keys: %w", err)
	}
	if j.refs, err = newReferences(w, cfg.Concurrency); err != nil {
		return nil, err
	}
	if cfg.Progress != nil {
		query := "SELECT count(*) FROM " + quoteName(j.target.name)
		if err := cfg.DB.QueryRowContext(ctx, query).Scan(&j.total); err != nil {
			return nil, fmt.Errorf("rotate: counting the rows of %s: %w", cfg.Table.Name(), err)
		}
		report(cfg.Progress, Progress{Total: j.total})
	}
	return j, nil
}

func (j *rowsJob) walk(ctx context.Context) error {
	var after []any
	for {
		page, err := j.db.page(ctx, &j.target, after, j.cfg.PageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := j.rewrap(ctx, page); err != nil {
			return err
		}
		j.result.Rows += len(page)
		report(j.cfg.Progress, Progress{Done: j.result.Rows, Total: j.total, Failed: j.result.Failed})
		if len(page) < j.cfg.PageSize {
			return nil
		}
		after = page[len(page)-1].key
	}
}

// rewrap deals with one page, and again with those rows of it that others
// changed between reading and writing.
func (j *rowsJob) rewrap(ctx context.Context, rows []row) error {
	for attempt := 1; len(rows) > 0; attempt++ {
		outcomes, err := j.plan(ctx, rows)
		if err != nil {
			return err
		}
		missed, err := j.write(ctx, outcomes)
		if err != nil {
			return err
		}
		if len(missed) == 0 {
			return nil
		}
		if attempt == rowAttempts {
			j.busy(missed)
			return nil
		}
		j.result.Reread += len(missed)
		if rows, err = j.db.again(ctx, &j.target, missed); err != nil {
			return err
		}
	}
	return nil
}

func (j *rowsJob) busy(missed []row) {
	for _, r := range missed {
		j.fail(Failure{At: fmt.Sprintf("%s, row %s", j.target.name, j.target.rowName(r)), Err: ErrBusy})
	}
}

func (j *rowsJob) fail(f Failure) {
	j.result.Failed++
	if len(j.result.Failures) < maxFailures {
		j.result.Failures = append(j.result.Failures, f)
	}
}

// write stores what is due, counts the rows that are settled, and returns
// those that are to be read again.
func (j *rowsJob) write(ctx context.Context, outcomes []outcome) (missed []row, err error) {
	var changes []change
	var of []int
	for i := range outcomes {
		if outcomes[i].due > 0 {
			changes, of = append(changes, outcomes[i].change), append(of, i)
		}
	}
	lost := map[int]bool{}
	if len(changes) > 0 {
		places, err := j.tryWrite(ctx, changes)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			lost[of[p]] = true
			missed = append(missed, changes[p].row)
		}
	}
	for i := range outcomes {
		if !lost[i] {
			j.settle(&outcomes[i])
		}
	}
	return missed, nil
}

func (j *rowsJob) settle(o *outcome) {
	j.result.Values += o.values
	j.result.Rewrapped += o.due
	j.result.Destroyed += o.destroyed
	j.result.Current += o.values - o.due - o.destroyed - len(o.failures)
	for _, f := range o.failures {
		j.fail(f)
	}
}

// tryWrite writes again what met a deadlock or a lock: nothing of it stands.
func (j *rowsJob) tryWrite(ctx context.Context, changes []change) ([]int, error) {
	pause := writePause
	for attempt := 1; ; attempt++ {
		missed, err := j.db.write(ctx, &j.target, changes)
		if err == nil || attempt == writeAttempts || !j.db.transient(err) {
			return missed, err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
