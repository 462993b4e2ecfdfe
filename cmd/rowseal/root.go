package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(s streams) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "rowseal",
		Short: "Field-level encryption for databases",
		Long: `Rowseal seals single columns before they reach the database and opens them on
the way back: whoever holds the database, its backups or its logs holds
nothing readable. "rowseal demo" shows it on this machine.`,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	})
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return misused(c, "%v", err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newCheck(), newDemo(), newInit(), newInspect(), newKeys(), newProxy(), newRotate(), newVersion())
	return root
}

// group makes c a command that only has others. Without one of them it
// prints its help; what it does not know is a mistake in calling it.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := ""
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf(`; did you mean "%s"?`, strings.Join(near, `" or "`))
		}
		return misused(c, "unknown command %q%s", args[0], hint)
	}
	c.SuggestionsMinimumDistance = 2
	return c
}

func misused(c *cobra.Command, format string, args ...any) error {
	return &usageError{command: c.CommandPath(), text: fmt.Sprintf(format, args...)}
}

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused(c, "%s takes no arguments, but got %q", c.CommandPath(), args[0])
	}
	return nil
}
