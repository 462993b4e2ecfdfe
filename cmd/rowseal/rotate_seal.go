package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

func newRotateSeal() *cobra.Command {
	j := moveJob{steps: []string{"prepare", "backfill", "swap", "drop", "drop-plain"}}
	c := &cobra.Command{
		Use:   "seal -c FILE --dsn DSN --table TABLE [--column COLUMN] [--step STEP]",
		Short: "Seal a plain column in place, while programs use it",
		Long: `Take a plain column to a sealed one while programs use it. The policy declares
the sealed column with "transition: {plain: COLUMN, write: both}", later with
"write: sealed".

  prepare     add the sealed column, its guards and indexes, and a trigger that
              lets no program leave stale values which knows the plain one only
  backfill    seal what stands in the plain column; with "write: sealed" empty it
  swap        seal the last rows and give the sealed column the plain one's name
  drop        verify, then drop the plain column, which swap keeps
  drop-plain  in place of swap and drop: the sealed column keeps its name

Without --step it prepares and backfills, and says what is next: swap and drop
are asked for, as in --step prepare,backfill,swap. With --workers river other
machines help with the backfill ("rowseal rotate work"). Each step may be interrupted and run again. It never waits long
for a lock with others waiting behind it. Schema steps are PostgreSQL's; for
SQLite and MySQL --print shows what to run.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c, (*moving).seal) },
	}
	j.flags(c)
	c.Flags().BoolVar(&j.acceptOrder, "accept-order", false, "let the column stand elsewhere in SELECT * after the swap")
	return c
}

func (m *moving) seal() error {
	ctx, step := m.c.Context(), m.job.step
	var stage rotate.Stage
	if m.cfg.Dialect == rotate.PostgreSQL {
		var err error
		if stage, err = m.move.Stage(ctx); err != nil {
			return err
		}
	}
	if m.job.print {
		if step == "" {
			step = nextSchemaStep(stage)
		}
		return m.print(step)
	}
	switch step {
	case "prepare":
		return m.prepare()
	case "backfill":
		return m.sealRows()
	case "swap":
		return m.swap()
	case "drop":
		return m.drop()
	case "drop-plain":
		return m.dropPlain()
	}
	switch stage {
	case rotate.StageClear, rotate.StagePreparing:
		if err := m.prepare(); err != nil {
			return err
		}
		return m.sealRows()
	case rotate.StageSwapped:
		return m.swap()
	case rotate.StageFinished, rotate.StageSealed:
		return m.next()
	}
	if stage == rotate.StagePrepared { // a drop-plain that was begun may be to be taken back
		if err := m.move.Prepare(m.c.Context()); err != nil {
			return err
		}
	}
	return m.sealRows()
}

// nextSchemaStep is what --print shows without --step.
func nextSchemaStep(s rotate.Stage) string {
	switch s {
	case rotate.StagePrepared, rotate.StageSwapped:
		return "swap"
	case rotate.StageFinished:
		return "drop"
	}
	return "prepare"
}

func (m *moving) prepare() error {
	if err := m.obstacles(); err != nil { // before, as some of it is about the column that is added
		return err
	}
	if err := m.move.Prepare(m.c.Context()); err != nil {
		return err
	}
	m.say("%s: both columns are there, %s and %s.", m.table.Name(), m.move.Plain(), m.move.Column().Name())
	return nil
}

func (m *moving) sealRows() error {
	names := []string{"rows", "values", "sealed", "resealed", "current"}
	if !m.move.Column().Transition().Both {
		names = append(names, "emptied")
	}
	if err := m.backfill(rotate.Seal, append(names, "failed")...); err != nil {
		return err
	}
	return m.next()
}

// next says what comes next.
func (m *moving) next() error {
	if m.cfg.Dialect != rotate.PostgreSQL {
		left, err := m.move.Left(m.c.Context())
		if err == nil {
			m.say("%d rows are not sealed yet, %d have a value in clear.", left.Unsealed, left.Plain)
		}
		return err
	}
	what, err := whatIsNext(m.c.Context(), m.move)
	if err == nil {
		m.say("%v: %s.", m.move, what)
	}
	return err
}

func (m *moving) swap() error {
	if err := m.move.Swap(m.c.Context()); err != nil {
		return err
	}
	m.say("%s: %s holds sealed values now; the plain column is %s until it is dropped.", m.table.Name(), m.move.Plain(), m.move.Old())
	return m.next()
}

func (m *moving) drop() error {
	if err := m.confirmed(fmt.Sprintf("drop takes %s away, and with it the values in clear", m.move.Old())); err != nil {
		return err
	}
	if err := m.move.Drop(m.c.Context()); err != nil {
		return err
	}
	m.dropped(m.move.Old())
	return nil
}

func (m *moving) dropPlain() error {
	if err := m.confirmed(fmt.Sprintf("drop-plain takes %s away", m.move.Plain())); err != nil {
		return err
	}
	if err := m.move.DropPlain(m.c.Context()); err != nil {
		return err
	}
	m.dropped(m.move.Plain())
	m.say("Take `transition` out of the declaration of %v, and deploy it.", m.move.Column())
	return nil
}

func (m *moving) dropped(column string) {
	m.say("%s: %s is dropped. Backups, replicas' files, the WAL and dead rows of the table keep its values: "+
		"VACUUM FULL or pg_repack rewrites the table; the others end when they are deleted.", m.table.Name(), column)
}
