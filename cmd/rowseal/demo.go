package main

import (
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/cmd/rowseal/internal/demo"
	"github.com/rowseal/rowseal/rotate"
)

func newDemo() *cobra.Command {
	var people int
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show it all on this machine, with a PostgreSQL of its own",
		Long: `Show it all on this machine: start a PostgreSQL in a temporary folder, seal a
table through GORM, rotate its keys, and try what must not work. Nothing is left
behind. It needs PostgreSQL's programs (on Debian: apt install postgresql).`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if people < 1 || people > maxPeople {
				return misused(c, "--people is %d; 1 to %d is allowed", people, maxPeople)
			}
			return demo.Run(c.Context(), demo.Config{
				People: people, Out: c.OutOrStdout(),
				Meter: func(name string) demo.Meter { return demoMeter{newMeter(c.OutOrStdout(), c.ErrOrStderr(), name)} },
			})
		},
	}
	c.Flags().IntVar(&people, "people", demo.DefaultPeople, "how many people to seal")
	return c
}

const maxPeople = 1_000_000

// demoMeter is a meter as package demo knows it.
type demoMeter struct{ m *meter }

func (d demoMeter) Update(p rotate.Progress) { d.m.update(p) }
func (d demoMeter) Finish()                  { d.m.finish() }
