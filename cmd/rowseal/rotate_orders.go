package main

import (
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

// newOrder is a command that changes what a job was told, and prints done.
func newOrder(use, short, done string, change func(c *cobra.Command, o *rotate.Order) error) *cobra.Command {
	var p jobPlace
	var by, reason string
	c := &cobra.Command{
		Use: use + " --dsn DSN ID", Short: short,
		Long: short + ".\nAll processes that work on the job, on any machine, hear of it within about a second.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			id, err := jobID(c, args[0])
			if err != nil {
				return err
			}
			db, err := p.open(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			s, err := rotate.JobByID(c.Context(), db.DB, db.dialect, id)
			if err != nil {
				return err
			}
			o := s.Order
			o.By, o.Reason = by, reason
			if err := change(c, &o); err != nil {
				return err
			}
			if err := rotate.Command(c.Context(), db.DB, db.dialect, id, o); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Job %d %s.\n", id, done)
			return err
		},
	}
	p.flags(c)
	c.Flags().StringVar(&by, "by", userName(), "who says so")
	c.Flags().StringVar(&reason, "reason", "", "why, for others to see")
	return c
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

func newRotatePause() *cobra.Command {
	return newOrder("pause", "Hold a job until it is resumed", "is paused", func(_ *cobra.Command, o *rotate.Order) error {
		o.Pause = true
		return nil
	})
}

func newRotateResume() *cobra.Command {
	return newOrder("resume", "Let a paused job go on", "goes on, where somebody works on it", func(_ *cobra.Command, o *rotate.Order) error {
		o.Pause = false
		return nil
	})
}

func newRotateCancel() *cobra.Command {
	return newOrder("cancel", "End a job where it stands; what it has written stays", "is canceled", func(_ *cobra.Command, o *rotate.Order) error {
		o.Cancel = true
		return nil
	})
}

func newRotateSpeed() *cobra.Command {
	var l limitFlags
	c := newOrder("speed", "Give a job other limits in place of those it had", "has other limits", func(_ *cobra.Command, o *rotate.Order) error {
		o.Limits = &l.Limits
		return nil
	})
	l.flags(c)
	return c
}
