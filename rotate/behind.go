package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// maxWalks is how often one call of Run walks a table in which rows are due behind the walk.
const maxWalks = 3

// checked says that what the job has walked is looked at again: keys are current only when no row is under older ones.
func (r *run) checked() bool {
	return !r.target.places && (r.job.Kind == Rewrap || r.job.Kind == Reseal)
}

// behind looks whether rows are due that were written behind the walk, by programs that held older keys or moved a row to
// another primary key, and walks the table again while there are some.
func (r *run) behind(ctx context.Context, cfg Config, job Job, result Result, err error) (Result, error) {
	if job.Options["all"] == "true" { // which has been done
		job.Options = maps.Clone(job.Options)
		delete(job.Options, "all")
	}
	for n := 1; goesOn(err); n++ {
		due, failed := r.due(ctx)
		switch {
		case failed != nil:
			return result, errors.Join(err, r.wrap(ctx, failed))
		case due == 0:
			return result, err
		case n == maxWalks:
			return result, errors.Join(err, fmt.Errorf("%w: table %s: after %d walks %d rows are due still, as others write them with older keys or another policy, "+
				"or change primary keys; run it again when all programs have the current ones", ErrIncomplete, job.Table.Name(), n, due))
		}
		var next Result
		next, _, err = runOnce(ctx, cfg, job)
		if next.ID == 0 {
			return result, err
		}
		for _, name := range moving {
			if result.Counts[name] > 0 {
				next.Counts[name] += result.Counts[name]
			}
		}
		next.Started, next.Joined = result.Started, result.Joined
		result = next
	}
	return result, err
}

// due reads the table once more and counts the rows that the job would write.
func (r *run) due(ctx context.Context) (due int64, err error) {
	w := &worker{run: r, work: r.first, checks: true, release: func() {}}
	defer w.close()
	if c, ok := w.work.(checker); ok {
		c.check(true)
		defer c.check(false)
	}
	for at := (claim{}); !at.done; {
		err := w.patiently(ctx, func() error {
			limit, err := w.next(ctx, w.hold)
			if err != nil {
				return err
			}
			n, err := w.dueOf(ctx, &at, limit)
			due += n
			return err
		})
		if err != nil {
			return due, err
		}
	}
	return due, nil
}

// dueOf is due for one page.
func (w *worker) dueOf(ctx context.Context, at *claim, limit int) (due int64, err error) {
	if err := w.connect(ctx); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	var read []row
	err = w.inTime(ctx, func(ctx context.Context) (err error) {
		read, err = w.pageOf(ctx, at, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	w.weigh(read)
	verdicts, err := w.work.plan(ctx, read)
	if err != nil {
		return 0, err
	}
	for i := range verdicts {
		if verdicts[i].writes {
			due++
		}
	}
	if len(read) > 0 {
		if at.cursor, err = encodeKey(read[len(read)-1].key); err != nil {
			return 0, err
		}
	}
	at.done = len(read) < limit
	return due, nil
}
