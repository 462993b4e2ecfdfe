package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// runner runs jobs over the rows of an open place as a command's flags say, and shows them.
type runner struct {
	c       *cobra.Command
	session *session
	flags   *jobFlags
	shown   *display
	cfg     rotate.Config
}

// runner connects to the database. The pool keeps a connection for each worker, and those beside them.
func (j *jobFlags) runner(c *cobra.Command, s *session) (*runner, error) {
	shown, err := j.display(c)
	if err != nil {
		return nil, err
	}
	db, err := s.database(c.Context())
	if err != nil {
		return nil, err
	}
	cipher, err := field.New(field.Config{Keyring: s.ring})
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(j.workers.n + 2)
	keepSmall(j.workers.n)
	return &runner{c: c, session: s, flags: j, shown: shown, cfg: rotate.Config{
		DB: db.DB, Dialect: db.dialect, Keyring: s.ring, Cipher: cipher,
		Workers: j.workers.n, PageSize: j.page, Concurrency: j.concurrency, Limits: j.Limits,
		SkipTriggers: j.skipTriggers, Lease: j.lease, Patience: j.patience, Log: shown.logger(),
	}}, nil
}

// keepSmall has Go collect what pages leave behind before it takes more memory: what is in use at a time is far
// less, whatever the table's size. GOMEMLIMIT says otherwise.
func keepSmall(workers int) {
	const base, perWorker = 14 << 20, 8 << 20
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(base + workers*perWorker))
	}
}

// run runs a job and prints what was counted, names in the order given.
func (r *runner) run(job rotate.Job, names ...string) (rotate.Result, error) {
	m := r.shown.meter(string(job.Kind), job.Table.Name())
	cfg := r.cfg
	cfg.Progress = m.update
	start := time.Now()
	result, err := r.runSomewhere(cfg, job)
	m.finish()
	if err != nil && result.ID == 0 {
		return result, err // it did not begin, so that nothing was counted
	}
	printCounts(r.c.OutOrStdout(), job.Table.Name(), result, time.Since(start), names...)
	if err == nil && job.Tenant != "" && result.Counts["rows"] == 0 {
		err = r.knows(job)
	}
	return result, err
}

// knows refuses tenants of whom there is nothing, whose name is a mistyped one.
func (r *runner) knows(job rotate.Job) error {
	known := false
	err := r.session.ring.Each(r.c.Context(), keyring.Filter{Tenant: job.Tenant}, func(keyring.Record) error {
		known = true
		return nil
	})
	if err == nil && !known {
		err = fmt.Errorf("tenant %q has no rows in table %s and no keys; check --tenant, which takes the value of the tenant column", job.Tenant, job.Table.Name())
	}
	return err
}

// runSomewhere runs a job in this process, or together with others.
func (r *runner) runSomewhere(cfg rotate.Config, job rotate.Job) (result rotate.Result, err error) {
	if !r.flags.workers.river {
		return rotate.Run(r.c.Context(), cfg, job)
	}
	err = r.withRiver(cfg, func(river *riverjob.Runner) (err error) {
		result, err = river.Run(r.c.Context(), job)
		return err
	})
	return result, err
}

// eachOf goes on past tables that have findings or single values that fail.
func eachOf(tables []*field.Table, do func(*field.Table) error) (failed error) {
	for _, t := range tables {
		err := do(t)
		failed = errors.Join(failed, err)
		if err != nil && !errors.Is(err, rotate.ErrIncomplete) && !errors.Is(err, rotate.ErrFindings) {
			return failed
		}
	}
	return failed
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
