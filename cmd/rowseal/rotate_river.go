package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// workersFlag is --workers: a number, or river, for jobs that several machines work on.
type workersFlag struct {
	n     int
	river bool
}

// riverWorkers is how many ranges `--workers river` walks at a time.
const riverWorkers = 2

func (w *workersFlag) String() string {
	if w.river {
		return fmt.Sprintf("river:%d", w.n)
	}
	return strconv.Itoa(w.n)
}

// Set takes 4, river, or river:4.
func (w *workersFlag) Set(text string) error {
	if text == "river" {
		*w = workersFlag{n: riverWorkers, river: true}
		return nil
	}
	number, river := strings.CutPrefix(text, "river:")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is neither a number of workers, nor river or river:4", text)
	}
	*w = workersFlag{n: n, river: river}
	return nil
}

// Type is what help says of the value.
func (w *workersFlag) Type() string { return "N|river" }

// riverFlags say where River's tables are.
type riverFlags struct {
	schema  string
	migrate bool
}

func (r *riverFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.schema, "river-schema", "", "schema of River's tables, which no application's may share (default "+riverjob.DefaultSchema+")")
	f.BoolVar(&r.migrate, "migrate", false, "make River's tables, or bring them up to date, first")
}

// withRiver gives do a part in the jobs that River has in the database.
func (r *runner) withRiver(cfg rotate.Config, do func(*riverjob.Runner) error) error {
	if cfg.Dialect != rotate.PostgreSQL {
		return misused(r.c, "several machines work on tables in PostgreSQL; these are in %v, where --workers takes a number", cfg.Dialect)
	}
	ctx, flags := r.c.Context(), &r.flags.river
	pool, err := pgxpool.New(ctx, r.session.dsn)
	if err != nil { // it may hold the password
		return errors.New("--dsn is not a connection string of a pool of PostgreSQL's")
	}
	defer pool.Close()
	if flags.migrate {
		if err := riverjob.Migrate(ctx, pool, flags.schema); err != nil {
			return err
		}
	}
	river, err := riverjob.New(ctx, riverjob.Config{Rotate: cfg, Pool: pool, Schema: flags.schema, Policy: r.session.file.Policy, By: operator()})
	if err != nil {
		return err
	}
	return do(river)
}

func newRotateWork() *cobra.Command {
	var p place
	var j jobFlags
	c := &cobra.Command{
		Use:   "work -c FILE --dsn DSN",
		Short: "Work on jobs that another machine began with --workers river",
		Long: `Work on the jobs that another machine began with --workers river, until it is
interrupted. The policy file and the keys are the same on all machines.

"rowseal rotate status" shows the jobs; pause, resume, speed and cancel reach all
machines within about two seconds.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.needDSN(c, jobsAreIn); err != nil {
				return err
			}
			if _, err := j.display(c); err != nil {
				return err
			}
			return p.withKeysToWalk(c, func(s *session) error { return j.work(c, s) })
		},
	}
	p.flags(c)
	j.runFlags(c)
	j.logFlag(c)
	return c
}

func (j *jobFlags) work(c *cobra.Command, s *session) error {
	r, err := j.runner(c, s)
	if err != nil {
		return err
	}
	return r.withRiver(r.cfg, func(river *riverjob.Runner) error {
		fmt.Fprintln(c.OutOrStdout(), "Working on what is in the queue; interrupt to end.")
		return river.Work(c.Context())
	})
}
