package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// maxPasses is how often a table without a primary key is walked in one call of Run.
const maxPasses = 10

// byPlace is the option of jobs over tables that are walked by where their rows lie. A verify with it is no evidence that a
// key is not used any more.
const byPlace = "walk"

// checkPlaces refuses jobs that cannot tell what they have done already from what they have not: in a table
// without a primary key they would meet the rows that they wrote again and again.
func (r *run) checkPlaces() error {
	if !r.target.places {
		return nil
	}
	if r.job.Kind == Overwrite || r.job.Options["all"] == "true" {
		return fmt.Errorf("rotate: %w: %s; in a table without one, only jobs that can tell what is done are possible: add a PRIMARY KEY, "+
			"or rotate the tenants' keys and reseal what is under the old ones", ErrNoPrimaryKey, r.target.name)
	}
	r.job.Options = maps.Clone(r.job.Options)
	if r.job.Options == nil {
		r.job.Options = map[string]string{}
	}
	r.job.Options[byPlace] = "places"
	return nil
}

// placesWarning is what is to be known of a table without a primary key.
func (r *run) placesWarning() string {
	return fmt.Sprintf("table %s has no primary key and is walked by where its rows lie: rows that others update meanwhile move and "+
		"may be missed; add a primary key, or run the job again while nobody writes", r.target.name)
}

// repeat walks the table again until nothing is due any more: rows that somebody updates lie elsewhere afterwards, behind
// the walk too.
func repeat(ctx context.Context, cfg Config, job Job, result Result, err error) (Result, error) {
	for n := 1; moved(result.Counts) > 0 && goesOn(err); n++ {
		if n == maxPasses {
			return result, errors.Join(err, fmt.Errorf("%w: table %s has no primary key, and after %d walks there still was something to do; run it again, "+
				"or add a primary key", ErrIncomplete, job.Table.Name(), n))
		}
		var next Result
		next, _, err = runOnce(ctx, cfg, job)
		if next.ID == 0 {
			return result, err
		}
		left := moved(next.Counts)
		for _, name := range moving {
			if result.Counts[name] > 0 {
				next.Counts[name] += result.Counts[name]
			}
		}
		next.Started, next.Joined = result.Started, result.Joined
		if result = next; left == 0 {
			break
		}
	}
	return result, err
}

// goesOn says that a walk came to its end.
func goesOn(err error) bool { return err == nil || errors.Is(err, ErrIncomplete) }

// moving are the counts of what moves rows, or found them moved.
var moving = [...]string{"rewrapped", "resealed", "sealed", "unsealed", "reread"}

func moved(counts map[string]int64) (n int64) {
	for _, name := range moving {
		n += counts[name]
	}
	return n
}
