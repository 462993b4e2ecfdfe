package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/keyring"
)

// KeysConfig says what [RewrapKeys] works on.
type KeysConfig struct {
	// Keyring has the key store and the root keys; required.
	Keyring *keyring.Keyring
	// Concurrency bounds the KMS calls under way; 0 means 16.
	Concurrency int
	// DropRoots are root keys whose wraps are taken away, as [kms.Wrapped] names
	// them. Without it the wraps of root keys that Keyring does not have stay.
	DropRoots []string
	// Progress, if set, is told after each key, one call at a time.
	Progress func(Progress)
}

const (
	defaultConcurrency = 16
	maxConcurrency     = 1024
	// keyPasses is how often the key store is walked where records are
	// changed by others meanwhile.
	keyPasses = 3
)

func (c *KeysConfig) validate() error {
	if c.Keyring == nil {
		return errors.New("rotate: KeysConfig.Keyring is nil")
	}
	return checkConcurrency(&c.Concurrency)
}

func checkConcurrency(n *int) error {
	if *n < 0 || *n > maxConcurrency {
		return fmt.Errorf("rotate: Concurrency is %d; 1 to %d is allowed, 0 means %d", *n, maxConcurrency, defaultConcurrency)
	}
	if *n == 0 {
		*n = defaultConcurrency
	}
	return nil
}

// KeysResult counts the records of the key store that root keys wrap.
type KeysResult struct {
	Checked   int // records looked at
	Current   int // were wrapped by the current root keys already
	Rewrapped int // were brought to the current root keys
	Failed    int // stay as they were
	// Kept counts by root key the wraps beside those of the current root keys,
	// which were left, and Dropped those that were taken away.
	Kept, Dropped map[string]int
	// Failures are the first of the failed ones.
	Failures []Failure
}

// RewrapKeys brings every record of the key store to the root keys that are
// current now, with one KMS call for each record and root key that is due. It
// continues past records that fail; its error is then [ErrIncomplete]. Stopped
// by ctx, it returns ctx's error and what was done so far; run again, it does
// the rest.
func RewrapKeys(ctx context.Context, cfg KeysConfig) (KeysResult, error) {
	if err := cfg.validate(); err != nil {
		return KeysResult{}, err
	}
	w, err := cfg.Keyring.NewRewrapper(ctx, cfg.DropRoots...)
	if err != nil {
		return KeysResult{}, fmt.Errorf("rotate: asking for the current root keys: %w", err)
	}
	j := keysJob{cfg: cfg, rewrapper: w}
	if err := j.count(ctx); err != nil {
		return j.result, err
	}
	for pass := 1; ; pass++ {
		j.last = pass == keyPasses
		j.conflicts = 0
		if err := j.walk(ctx); err != nil {
			return j.result, err
		}
		if j.conflicts == 0 || j.last {
			return j.result, incomplete(j.result.Failed, j.result.Failures)
		}
	}
}

// keysJob is one call of RewrapKeys.
type keysJob struct {
	cfg       KeysConfig
	rewrapper *keyring.Rewrapper
	last      bool // this pass is the last one

	mu        sync.Mutex
	due       int
	done      map[string]bool // failed for good; not tried in a later pass
	conflicts int
	streak    streak
	result    KeysResult
}

var rootWrapped = keyring.Filter{RootWrapped: true}

// count finds how many records there are and how many of them are due.
func (j *keysJob) count(ctx context.Context) error {
	j.done = map[string]bool{}
	j.result.Kept, j.result.Dropped = map[string]int{}, map[string]int{}
	err := j.cfg.Keyring.Each(ctx, rootWrapped, func(r keyring.Record) error {
		j.result.Checked++
		if j.rewrapper.Due(r) {
			j.due++
		} else {
			j.result.Current++
			j.others(r, r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rotate: reading the key store: %w", err)
	}
	report(j.cfg.Progress, Progress{Total: j.due})
	return nil
}

// walk rewraps what is due, side by side.
func (j *keysJob) walk(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(j.cfg.Concurrency)
	err := j.cfg.Keyring.Each(gctx, rootWrapped, func(r keyring.Record) error {
		if !j.rewrapper.Due(r) || j.failedBefore(r) {
			return nil
		}
		if err := gctx.Err(); err != nil {
			return err
		}
		g.Go(func() error { return j.record(gctx, r) })
		return nil
	})
	if gaveUp := g.Wait(); gaveUp != nil {
		err = gaveUp // the walk's own error only says that it was stopped
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("rotate: stopped after %d keys; run again to go on: %w", j.result.Rewrapped, ctx.Err())
	case err != nil:
		return fmt.Errorf("rotate: rewrapping the key store: %w", err)
	}
	return nil
}

// others counts the wraps beside the current ones, before and after a record was rewrapped.
func (j *keysJob) others(before, after keyring.Record) {
	now := j.rewrapper.Others(after)
	for _, root := range now {
		j.result.Kept[root]++
	}
	for _, root := range j.rewrapper.Others(before) {
		if slices.Contains(j.cfg.DropRoots, root) && !slices.Contains(now, root) {
			j.result.Dropped[root]++
		}
	}
}

func (j *keysJob) failedBefore(r keyring.Record) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done[r.ID.String()]
}

// record rewraps one record and counts what became of it. Its error ends the
// walk.
func (j *keysJob) record(ctx context.Context, r keyring.Record) error {
	after, err := j.rewrapper.Record(ctx, r)
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err == nil:
		j.result.Rewrapped++
		j.others(r, after)
	case errors.Is(err, keyring.ErrConflict) && !j.last:
		j.conflicts++ // somebody wrote it meanwhile: the next pass reads it again
		return nil
	default:
		j.done[r.ID.String()] = true
		j.result.Failed++
		if len(j.result.Failures) < maxFailures {
			j.result.Failures = append(j.result.Failures, Failure{Err: err})
		}
	}
	report(j.cfg.Progress, Progress{
		Done: j.result.Rewrapped + j.result.Failed, Total: j.due, Failed: j.result.Failed,
	})
	return j.streak.count(err)
}
