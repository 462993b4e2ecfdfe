package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
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
	workers      workersFlag
	river        riverFlags
	page         int
	concurrency  int
	tenant       string
	skipTriggers bool
	lease        time.Duration
	patience     time.Duration
	screen

	policy *field.Policy // of the session that runConfig was called for
	db     *database
}

func (j *jobFlags) flags(c *cobra.Command) {
	j.runFlags(c)
	c.Flags().StringVar(&j.tenant, "tenant", "", "only the rows of this tenant")
}

// runFlags are those that are this process's, and not the job's.
func (j *jobFlags) runFlags(c *cobra.Command) {
	j.limitFlags.flags(c)
	j.river.flags(c)
	f := c.Flags()
	j.workers = workersFlag{n: 1}
	f.Var(&j.workers, "workers", "ranges of the table that are walked side by side, each on a connection of its own; river, or river:4, where other machines work on the job too")
	f.IntVar(&j.page, "page", 0, "rows read and written at a time, up to 5000 (default 2000)")
	f.IntVar(&j.concurrency, "concurrency", 0, "KMS calls under way at a time (default 16)")
	f.BoolVar(&j.skipTriggers, "skip-triggers", false, "keep triggers from firing for rows that are written; needs superuser and switches foreign keys off too (PostgreSQL)")
	f.DurationVar(&j.lease, "lease", 0, "how long ranges stay a process's that is not heard of (default 30s)")
	f.DurationVar(&j.patience, "patience", 0, "how long to wait for a server or KMS that is gone (default 5m)")
	j.screen.flags(c)
}

// runConfig is what a job over rows runs with. The pool keeps a connection for each worker, and those beside them.
func (j *jobFlags) runConfig(s *session, db *database) rotate.Config {
	j.policy, j.db = s.file.Policy, db
	db.SetMaxIdleConns(j.workers.n + 2)
	keepSmall(j.workers.n)
	return rotate.Config{
		DB: db.DB, Dialect: db.dialect, Keyring: s.ring,
		Workers: j.workers.n, PageSize: j.page, Concurrency: j.concurrency, Limits: j.Limits,
		SkipTriggers: j.skipTriggers, Lease: j.lease, Patience: j.patience,
	}
}

// keepSmall has Go collect what pages leave behind before it takes more memory: what is in use at a time is far
// less, whatever the table's size. GOMEMLIMIT says otherwise.
func keepSmall(workers int) {
	const base, perWorker = 14 << 20, 8 << 20
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(base + workers*perWorker))
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
	result, err := j.runSomewhere(c, cfg, job)
	m.finish()
	printCounts(c.OutOrStdout(), job.Table.Name(), result, time.Since(start), names...)
	return result, err
}

// runSomewhere runs a job in this process, or together with others.
func (j *jobFlags) runSomewhere(c *cobra.Command, cfg rotate.Config, job rotate.Job) (result rotate.Result, err error) {
	if !j.workers.river {
		if j.river != (riverFlags{}) {
			return result, misused(c, "--river-schema and --migrate go with --workers river")
		}
		return rotate.Run(c.Context(), cfg, job)
	}
	err = j.river.withRunner(c, cfg, j.db, j.policy, func(r *riverjob.Runner) (err error) {
		result, err = r.Run(c.Context(), job)
		return err
	})
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
