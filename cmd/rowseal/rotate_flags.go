package main

import (
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
	workers      workersFlag
	river        riverFlags
	page         int
	concurrency  int
	tenant       string
	skipTriggers bool
	lease        time.Duration
	patience     time.Duration
	screen
}

func (j *jobFlags) flags(c *cobra.Command) {
	j.runFlags(c)
	j.screen.flags(c)
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
}

// misused is about what can be told before anything is opened.
func (j *jobFlags) misused(c *cobra.Command) error {
	if !j.workers.river && j.river != (riverFlags{}) {
		return misused(c, "--river-schema and --migrate go with --workers river")
	}
	_, err := j.display(c)
	return err
}
