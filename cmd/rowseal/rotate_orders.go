package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

// newOrder is a command that changes what a job was told, and prints done.
func newOrder(use, short, done string, change func(*rotate.Order)) *cobra.Command {
	var dsn, by, reason string
	c := &cobra.Command{
		Use: use + " --dsn DSN ID", Short: short,
		Long: short + ".\nAll processes that work on the job, on any machine, hear of it within about a second.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, "%s takes one job's number; rowseal rotate status lists them", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			id, err := jobID(c, args[0])
			if err != nil {
				return err
			}
			return withJobs(c, dsn, func(db *database) error {
				err := rotate.Change(c.Context(), db.DB, db.dialect, id, func(o *rotate.Order) {
					o.By, o.Reason = by, reason
					change(o)
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "Job %d %s.\n", id, done)
				return err
			})
		},
	}
	dsnFlag(c, &dsn)
	c.Flags().StringVar(&by, "by", operator(), "who says so")
	c.Flags().StringVar(&reason, "reason", "", "why, for others to see")
	return c
}

func newRotatePause() *cobra.Command {
	return newOrder("pause", "Hold a job until it is resumed", "is paused", func(o *rotate.Order) { o.Pause = true })
}

func newRotateResume() *cobra.Command {
	return newOrder("resume", "Let a paused job go on", "goes on, where somebody works on it", func(o *rotate.Order) { o.Pause = false })
}

func newRotateCancel() *cobra.Command {
	return newOrder("cancel", "End a job where it stands; what it has written stays", "is canceled", func(o *rotate.Order) { o.Cancel = true })
}

func newRotateSpeed() *cobra.Command {
	var l limitFlags
	c := newOrder("speed", "Give a job other limits in place of those it had", "has other limits", func(o *rotate.Order) { o.Limits = &l.Limits })
	l.flags(c)
	return c
}
