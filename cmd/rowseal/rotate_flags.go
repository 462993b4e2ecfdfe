package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

// limitFlags are what slows a job down for the sake of others.
type limitFlags struct{ rotate.Limits }

func (l *limitFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&l.RowsPerSecond, "rows-per-second", 0, "at most so many rows a second")
	f.Float64Var(&l.Share, "share", 0, "the part of its time that a worker spends in the database, up to 1")
	f.DurationVar(&l.PageTime, "page-time", 0, "what a page should take, such as 200ms; pages grow and shrink to it")
	f.DurationVar(&l.ReplicaLag, "max-replica-lag", 0, "wait while a replica is further behind, such as 10s")
	f.Int64Var(&l.ReplicaLagBytes, "max-replica-lag-bytes", 0, "wait while a replica is more bytes behind")
	f.Int64Var(&l.WALPerSecond, "max-wal", 0, "wait while the server writes more bytes of WAL a second")
	f.IntVar(&l.ActiveConnections, "max-active", 0, "wait while more other connections are active")
	f.StringVar(&l.PauseFile, "pause-file", "", "wait while this file exists")
	f.StringVar(&l.Hours, "hours", "", "run in these hours of the day only, such as 22-6")
}

// jobFlags are what jobs over rows run with.
type jobFlags struct {
	limitFlags
	workers      int
	page         int
	concurrency  int
	tenant       string
	skipTriggers bool
	lease        time.Duration
	patience     time.Duration
	screen
}

func (j *jobFlags) flags(c *cobra.Command) {
	j.limitFlags.flags(c)
	f := c.Flags()
	f.IntVar(&j.workers, "workers", 1, "ranges of the table that are walked side by side, each on a connection of its own")
	f.IntVar(&j.page, "page", 0, "rows read and written at a time, up to 5000 (default 2000)")
	f.IntVar(&j.concurrency, "concurrency", 0, "KMS calls under way at a time (default 16)")
	f.StringVar(&j.tenant, "tenant", "", "only the rows of this tenant")
	f.BoolVar(&j.skipTriggers, "skip-triggers", false, "keep triggers from firing for rows that are written; needs superuser and switches foreign keys off too (PostgreSQL)")
	f.DurationVar(&j.lease, "lease", 0, "how long ranges stay a process's that is not heard of (default 30s)")
	f.DurationVar(&j.patience, "patience", 0, "how long to wait for a server or KMS that is gone (default 5m)")
	j.screen.flags(c)
}

// runConfig is what a job over rows runs with. The pool keeps a connection for each worker, and those beside them.
func (j *jobFlags) runConfig(s *session, db *database) rotate.Config {
	db.SetMaxIdleConns(j.workers + 2)
	return rotate.Config{
		DB: db.DB, Dialect: db.dialect, Keyring: s.ring,
		Workers: j.workers, PageSize: j.page, Concurrency: j.concurrency, Limits: j.Limits,
		SkipTriggers: j.skipTriggers, Lease: j.lease, Patience: j.patience,
	}
}

// runJob runs a job and prints what was counted, names in the order given.
func (j *jobFlags) runJob(c *cobra.Command, cfg rotate.Config, job rotate.Job, names ...string) (rotate.Result, error) {
	d, err := j.display(c)
	if err != nil {
		return rotate.Result{}, err
	}
	m := d.meter(string(job.Kind), job.Table.Name())
	cfg.Progress, cfg.Log = m.update, d.logger()
	start := time.Now()
	result, err := rotate.Run(c.Context(), cfg, job)
	m.finish()
	printCounts(c.OutOrStdout(), job.Table.Name(), result, time.Since(start), names...)
	return result, err
}

// countWords say what was counted, where the name alone does not.
var countWords = map[string]string{"current": "were current", "destroyed": "of destroyed keys", "reread": "read again"}

// printCounts prints names that were counted, and the given ones also at 0.
func printCounts(out io.Writer, table string, r rotate.Result, took time.Duration, names ...string) {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		word := countWords[name]
		if word == "" {
			word = name
		}
		parts = append(parts, fmt.Sprintf("%d %s", r.Counts[name], word))
	}
	if r.Joined {
		parts = append(parts, fmt.Sprintf("with what job %d had done before", r.ID))
	}
	fmt.Fprintf(out, "%s: %s, in %s\n", table, strings.Join(parts, ", "), seconds(took))
}
