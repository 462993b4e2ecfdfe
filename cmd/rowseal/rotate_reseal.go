package main

import (
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

func newRotateReseal() *cobra.Command {
	var j valuesJob
	var all bool
	c := &cobra.Command{
		Use:   "reseal -c FILE --dsn DSN [--table TABLE [--column COLUMN]…]…",
		Short: "Open values and seal them again, as the policy says now",
		Long: `Open values and seal them again under the newest tenant keys, with the suite, key
mode, search terms, padding and type that the policy says now. Values that are so
already stay as they are; --all seals these too, with keys that are newer than a
compromise, say.

It may be interrupted and run again, on another machine too, and it may run beside
the application: a row that is changed meanwhile is read again and never
overwritten. Values that do not open stay as they are and are listed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return j.run(c, func(r *runner, t *field.Table) error {
				job := rotate.Job{Kind: rotate.Reseal, Table: t, Columns: j.columns, Tenant: j.tenant}
				if all {
					job.Options = map[string]string{"all": "true"}
				}
				_, err := r.run(job, "rows", "values", "resealed", "current", "destroyed", "failed")
				return err
			})
		},
	}
	j.flags(c)
	c.Flags().BoolVar(&all, "all", false, "also values that are sealed as the policy says already")
	return c
}
