package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// moveJob takes one column from clear to sealed or back.
type moveJob struct {
	place
	jobFlags
	table, column, step string
	steps               []string
	acceptOrder, yes    bool
	print               bool
	lockTimeout         time.Duration
	attempts            int
}

func (j *moveJob) flags(c *cobra.Command) {
	j.place.flags(c)
	j.jobFlags.flags(c)
	f := c.Flags()
	f.StringVar(&j.table, "table", "", "the table")
	f.StringVar(&j.column, "column", "", "the column; needed where the table has several in transition")
	f.StringVar(&j.step, "step", "", "only this step, or these one after the other, as in prepare,backfill: "+strings.Join(j.steps, ", ")+" (default: what is next)")
	f.BoolVar(&j.yes, "yes", false, "drop a column without asking back")
	f.BoolVar(&j.print, "print", false, "show the step's SQL and run nothing")
	f.DurationVar(&j.lockTimeout, "lock-timeout", 0, "how long to wait for a lock on the table, with others waiting behind (default 2s)")
	f.IntVar(&j.attempts, "attempts", 0, "how often to try for the lock, with pauses between (default 20)")
}

// moving is a move and what its backfill runs with.
type moving struct {
	*runner
	job   *moveJob
	table *field.Table
	move  *rotate.Move
}

// run opens keys and database and calls do.
func (j *moveJob) run(c *cobra.Command, do func(*moving) error) error {
	if j.table == "" {
		return misused(c, "--table names no table; a column is moved at a time")
	}
	steps := strings.Split(j.step, ",")
	for _, step := range steps {
		if j.step != "" && !slices.Contains(j.steps, step) {
			return misused(c, "--step is %q; write one of %s, or several with commas between", j.step, strings.Join(j.steps, ", "))
		}
	}
	if err := j.needDSN(c, "the table is in a database"); err != nil {
		return err
	}
	if err := j.misused(c); err != nil {
		return err
	}
	return j.withKeys(c, func(s *session) error {
		m, err := j.open(c, s)
		if err != nil {
			return err
		}
		for _, j.step = range steps {
			if err := do(m); err != nil {
				return err
			}
		}
		return nil
	})
}

func (j *moveJob) open(c *cobra.Command, s *session) (*moving, error) {
	table, column, err := j.what(s.file)
	if err != nil {
		return nil, err
	}
	r, err := j.runner(c, s)
	if err != nil {
		return nil, err
	}
	opt := rotate.MoveOptions{LockTimeout: j.lockTimeout, Attempts: j.attempts, AcceptOrder: j.acceptOrder}
	move, err := rotate.NewMove(r.cfg, table, column, opt)
	if err != nil {
		return nil, err
	}
	return &moving{runner: r, job: j, table: table, move: move}, nil
}

// what is the table and its column. Where one column is in transition, that is meant.
func (j *moveJob) what(file *field.File) (*field.Table, string, error) {
	t, err := j.policyTable(file, j.table)
	if err != nil {
		return nil, "", err
	}
	if j.column != "" {
		return t, j.column, nil
	}
	var names []string
	for _, c := range t.Columns() {
		if c.Transition().Plain != "" {
			names = append(names, c.Name())
		}
	}
	switch len(names) {
	case 0:
		return nil, "", fmt.Errorf("table %s has no column in transition; write `transition: {plain: COLUMN, write: both}` in its declaration, or name the column by --column", j.table)
	case 1:
		return t, names[0], nil
	}
	return nil, "", fmt.Errorf("table %s has several columns in transition; name one of %s by --column", j.table, strings.Join(names, ", "))
}

func (m *moving) say(format string, args ...any) {
	fmt.Fprintf(m.c.OutOrStdout(), format+"\n", args...)
}

// backfill runs a job over the rows.
func (m *moving) backfill(kind rotate.Kind, names ...string) error {
	columns := []string{m.move.Column().Name()}
	_, err := m.run(rotate.Job{Kind: kind, Table: m.table, Columns: columns, Tenant: m.job.tenant}, names...)
	return err
}

// print shows a step.
func (m *moving) print(step string) error {
	text, err := m.move.Print(m.c.Context(), step)
	if err == nil {
		_, err = fmt.Fprint(m.c.OutOrStdout(), text)
	}
	return err
}

// obstacles lists what hangs on the plain column, before it stops the swap.
func (m *moving) obstacles() error {
	all, err := m.move.Obstacles(m.c.Context())
	for _, o := range all {
		word := "note"
		if o.Stops {
			word = "stops the swap"
		}
		m.say("  %s: %s", word, o)
	}
	return err
}

// confirmed wants --yes for what cannot be taken back.
func (m *moving) confirmed(what string) error {
	if m.job.yes {
		return nil
	}
	return misused(m.c, "%s; give --yes", what)
}
