package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
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

// withRunner gives do a part in the jobs of River's in db.
func (r *riverFlags) withRunner(c *cobra.Command, cfg rotate.Config, db *database, policy *field.Policy, do func(*riverjob.Runner) error) (err error) {
	if db.dialect != rotate.PostgreSQL {
		return misused(c, "several machines work on tables in PostgreSQL; these are in %v, where --workers takes a number", db.dialect)
	}
	pool, err := pgxpool.New(c.Context(), db.dsn)
	if err != nil { // it may hold the password
		return errors.New("--dsn is not a connection string of a pool of PostgreSQL's")
	}
	defer pool.Close()
	if r.migrate {
		if err := riverjob.Migrate(c.Context(), pool, r.schema); err != nil {
			return err
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	runner, err := riverjob.New(c.Context(), riverjob.Config{Rotate: cfg, Pool: pool, Schema: r.schema, Policy: policy, By: operator()})
	if err != nil {
		return err
	}
	return do(runner)
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
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := p.needDSN(c, "jobs are kept in the database with the tables, and --dsn names none"); err != nil {
				return err
			}
			s, err := p.openToWalk(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			db, err := openDatabase(c.Context(), p.dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			cfg := j.runConfig(s, db)
			if cfg.Cipher, err = field.New(field.Config{Keyring: s.ring}); err != nil {
				return err
			}
			return j.river.withRunner(c, cfg, db, s.file.Policy, func(r *riverjob.Runner) error {
				fmt.Fprintln(c.OutOrStdout(), "Working on what is in the queue; interrupt to end.")
				return r.Work(c.Context())
			})
		},
	}
	p.flags(c)
	j.runFlags(c)
	return c
}
