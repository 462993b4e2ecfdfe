package rotate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

const (
	// pollEvery is how often orders are looked for, and ranges that others had.
	pollEvery = time.Second
	// The first waits between two attempts, and the longest; each doubles.
	contendedPause = 10 * time.Millisecond
	awayPause      = 200 * time.Millisecond
	longestPause   = 15 * time.Second
)

// passes says whether a failure of keys ends by itself: a KMS or key store that is away, a key that a cache
// just dropped.
func passes(err error) bool {
	return kms.Temporary(err) || errors.Is(err, keyring.ErrStore) || errors.Is(err, envelope.ErrKeyGone)
}

// faultOf says what an error of a page means.
func (r *run) faultOf(err error) fault { return faultOf(r.db, err) }

func faultOf(db database, err error) fault {
	if passes(err) {
		return away
	}
	return db.fault(err)
}

// networkFault tells a connection that is gone from an error of the program's.
func networkFault(err error) fault {
	var network net.Error
	for _, known := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, known) {
			return away
		}
	}
	if errors.As(err, &network) {
		return away
	}
	return fatal
}

// inTime calls do, whose statements have so long to be answered: where the other end is gone without a word, as after
// a failover, a connection says nothing for a quarter of an hour.
func (r *run) inTime(ctx context.Context, do func(context.Context) error) error {
	limit := max(2*r.cfg.Lease, r.cfg.Patience/5)
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer for %v: %w", limit, short.Err())
	}
	return err
}

// patiently calls do until it succeeds, as long as its errors are ones that pass, up to Config.Patience. It tells
// meanwhile why it waits.
func (w *worker) patiently(ctx context.Context, do func() error) error {
	return patiently(ctx, w.cfg, w.faultOf, w.hold, do)
}

// beginPatiently is patiently for what comes before a job has workers: it tells Config.Progress itself why it waits.
func beginPatiently(ctx context.Context, cfg *Config, db database, do func() error) error {
	return patiently(ctx, cfg, func(err error) fault {
		if stateOf(err) == "25006" { // a standby that was one at the start is not what a failover leaves for a while
			return fatal
		}
		return faultOf(db, err)
	}, func(why string) {
		if why != "" {
			report(cfg.Progress, Progress{Held: why})
		}
	}, do)
}

// patiently calls do until it succeeds. hold is told why it waits, "" for no more.
func patiently(ctx context.Context, cfg *Config, faultOf func(error) fault, hold func(string), do func() error) error {
	start := time.Now()
	wait := contendedPause
	for {
		err := do()
		if err == nil {
			hold("")
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := faultOf(err)
		if errors.Is(err, ErrFenced) || f == fatal {
			return err
		}
		if time.Since(start) > cfg.Patience {
			return fmt.Errorf("waited %v: %w", cfg.Patience, err)
		}
		if f == away {
			wait = max(wait, awayPause)
			hold("waiting for the server or the KMS: " + err.Error())
			cfg.Log.Warn("the server or the KMS is waited for", "error", err)
		}
		// Jitter, so that workers that lost the same server do not come back as one.
		left := cfg.Patience - time.Since(start)
		if err := pause(ctx, min(wait/2+rand.N(wait), left+time.Millisecond)); err != nil {
			return err
		}
		wait = min(2*wait, longestPause)
	}
}

// pause waits for d, or for ctx, whose error it then returns.
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
