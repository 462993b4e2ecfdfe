package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

func newRotateUnseal() *cobra.Command {
	j := moveJob{steps: []string{"prepare", "backfill", "drop"}}
	c := &cobra.Command{
		Use:   "unseal -c FILE --dsn DSN --table TABLE [--column COLUMN] [--step STEP]",
		Short: "Take a sealed column back to a plain one, in place",
		Long: `Take a sealed column back to a plain one while programs use it. The policy
declares it with "transition: {plain: COLUMN, write: both}" throughout.

  prepare   the sealed column gets the name that it has in transition, and a plain
            column stands beside it: the old one if it was not dropped
  backfill  open what is sealed into the plain column
  drop      drop the sealed column, once programs use the plain one only

Without --step it prepares and backfills. Each step may be interrupted and run
again. Schema steps are PostgreSQL's; for SQLite and MySQL --print shows what to
run.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c, (*moving).unseal) },
	}
	j.flags(c)
	return c
}

// unsealSteps are the steps' names for Move.Print.
var unsealSteps = map[string]string{"": "reopen", "prepare": "reopen", "drop": "drop-sealed"}

func (m *moving) unseal() error {
	ctx, step := m.c.Context(), m.job.step
	if m.job.print {
		return m.print(unsealSteps[step])
	}
	if step == "drop" {
		if err := m.confirmed(fmt.Sprintf("drop takes %s away, and with it the sealed values", m.move.Column().Name())); err != nil {
			return err
		}
		if err := m.move.DropSealed(ctx); err != nil {
			return err
		}
		m.say("%s: %s holds values in clear, and the sealed column is dropped. Take it out of the policy.", m.table.Name(), m.move.Plain())
		return nil
	}
	if step == "prepare" || step == "" && m.cfg.Dialect == rotate.PostgreSQL {
		if err := m.move.Reopen(ctx); err != nil {
			return err
		}
		m.say("%s: both columns are there, %s and %s.", m.table.Name(), m.move.Plain(), m.move.Column().Name())
	}
	if step == "prepare" {
		return nil
	}
	if err := m.backfill(rotate.Unseal, "rows", "values", "unsealed", "current", "failed"); err != nil {
		return err
	}
	left, err := m.move.Left(ctx)
	if err != nil {
		return err
	}
	m.say("%v: %d sealed values are not in the plain column yet. Next: let programs use the plain column only, then rowseal rotate unseal --table %s --column %s --step drop --yes.",
		m.move, left.Empty, shellWord(m.table.Name()), shellWord(m.move.Column().Name()))
	return nil
}
