package main

import (
	"context"
	"errors"
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
	f.StringVar(&j.step, "step", "", "only this step: "+strings.Join(j.steps, ", ")+" (default: what is next)")
	f.BoolVar(&j.yes, "yes", false, "drop a column without asking back")
	f.BoolVar(&j.print, "print", false, "show the step's SQL and run nothing")
	f.DurationVar(&j.lockTimeout, "lock-timeout", 0, "how long to wait for a lock on the table, with others waiting behind (default 2s)")
	f.IntVar(&j.attempts, "attempts", 0, "how often to try for the lock, with pauses between (default 20)")
}

// moving is a move and what its backfill runs with.
type moving struct {
	c     *cobra.Command
	job   *moveJob
	cfg   rotate.Config
	table *field.Table
	move  *rotate.Move
}

// run opens keys and database and calls do.
func (j *moveJob) run(c *cobra.Command, do func(*moving) error) (err error) {
	switch {
	case j.table == "":
		return misused(c, "--table names no table; a column is moved at a time")
	case j.step != "" && !slices.Contains(j.steps, j.step):
		return misused(c, "--step is %q; write one of %s", j.step, strings.Join(j.steps, ", "))
	}
	if err := j.needDSN(c, "the table is in a database, and --dsn names none"); err != nil {
		return err
	}
	s, err := j.openToWalk(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	table, column, err := j.chosen(s.file)
	if err != nil {
		return err
	}
	db, err := openDatabase(c.Context(), j.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	cfg := j.runConfig(s, db)
	if cfg.Cipher, err = field.New(field.Config{Keyring: s.ring}); err != nil {
		return err
	}
	opt := rotate.MoveOptions{LockTimeout: j.lockTimeout, Attempts: j.attempts, AcceptOrder: j.acceptOrder}
	move, err := rotate.NewMove(cfg, table, column, opt)
	if err != nil {
		return err
	}
	return do(&moving{c: c, job: j, cfg: cfg, table: table, move: move})
}

// chosen is the table and its column. Where one column is in transition, that is meant.
func (j *moveJob) chosen(file *field.File) (*field.Table, string, error) {
	t := file.Policy.Table(j.table)
	if t == nil {
		return nil, "", fmt.Errorf("%s has no table %q", j.place.config, j.table)
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
	_, err := m.job.runJob(m.c, m.cfg, rotate.Job{Kind: kind, Table: m.table, Columns: columns, Tenant: m.job.tenant}, names...)
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

// movesLeft says of each column in transition how far it is, how many rows are left, and what is next.
func (j *checkJob) movesLeft(ctx context.Context, file *field.File) (err error) {
	db, err := openDatabase(ctx, j.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, t := range file.Policy.Tables() {
		for _, c := range t.Columns() {
			if c.Transition().Plain == "" {
				continue
			}
			move, err := rotate.NewMove(rotate.Config{DB: db.DB, Dialect: db.dialect}, t, c.Name(), rotate.MoveOptions{})
			if err != nil {
				return err
			}
			what, err := whatIsNext(ctx, move)
			if errors.Is(err, rotate.ErrNoTable) || errors.Is(err, rotate.ErrNoColumn) {
				continue // it is named already
			}
			if err != nil {
				return err
			}
			j.note(c.String(), what)
		}
	}
	return nil
}

// whatIsNext is a column's stage, what is left and the next step, in a sentence.
func whatIsNext(ctx context.Context, m *rotate.Move) (string, error) {
	stage, err := m.Stage(ctx)
	if err != nil {
		return "", err
	}
	at := fmt.Sprintf("it takes over from %s; ", m.Plain())
	if stage == rotate.StagePreparing || stage == rotate.StagePrepared {
		left, err := m.Left(ctx)
		if err != nil {
			return "", err
		}
		at += fmt.Sprintf("%d rows are not sealed yet, %d have a value in clear; ", left.Unsealed, left.Plain)
		return at + "next: " + nextStep(m, stage, left), nil
	}
	return at + "next: " + nextStep(m, stage, rotate.Left{}), nil
}

// nextStep says what an operator does next.
func nextStep(m *rotate.Move, stage rotate.Stage, left rotate.Left) string {
	c := m.Column()
	command := fmt.Sprintf("rowseal rotate seal --table %s --column %s", c.Table().Name(), c.Name())
	switch stage {
	case rotate.StageClear, rotate.StagePreparing:
		return command
	case rotate.StageSwapped:
		return command + " --step swap"
	case rotate.StageFinished, rotate.StageSealed:
		next := fmt.Sprintf("write %s: {id: %s, …} without `transition` in place of %s in the policy, and deploy it", m.Plain(), c.Field().Column(), c.Name())
		if c.Transition().Plain == "" {
			next = "nothing"
		}
		if stage == rotate.StageFinished {
			next = strings.TrimPrefix(next+", then ", "nothing, then ") + fmt.Sprintf("rowseal rotate seal --table %s --column %s --step drop --yes", c.Table().Name(), m.Plain())
		}
		return next
	}
	switch {
	case left.Unsealed > 0 || !c.Transition().Both && left.Plain > 0:
		return command
	case c.Transition().Both:
		return "deploy `write: sealed`, then " + command + " empties the plain column; or --step swap at once, which keeps the values in clear until the drop"
	}
	return command + " --step swap; or --step drop-plain, where the sealed column is to keep its name"
}
