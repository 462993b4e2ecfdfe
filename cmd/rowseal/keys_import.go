package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring"
)

func newKeysImport() *cobra.Command {
	var p place
	var check bool
	c := &cobra.Command{
		Use:   "import -c FILE [--dsn DSN] [--check] EXPORT",
		Short: "Bring exported keys back into a key store",
		Long: `Bring the keys of an export back into a key store that is empty or lacks some. A
record that is there already stays as it is. Tombstones win: a key that was
destroyed, in the export or in the store, is destroyed afterwards, and a tenant
that was shredded gets nothing back.

Nothing is written where the file is damaged or of another namespace. It may be
run again.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, "keys import takes one file, as \"rowseal keys export\" wrote it")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close() // only read
			return p.withStore(c, func(s *session) error { return importKeys(c, s, f, check) })
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&check, "check", false, "unwrap each key in the end, to see that it can be used")
	return c
}

func importKeys(c *cobra.Command, s *session, f *os.File, check bool) error {
	done, err := s.ring.Import(c.Context(), f, keyring.ImportConfig{By: operator(), Check: check})
	fmt.Fprintf(c.OutOrStdout(), "%d keys: %d created, %d were there, %d destroyed as in the export, %d stay destroyed, %d failed\n",
		done.Keys, done.Created, done.Present, done.Destroyed, done.Refused, done.Failed)
	for _, failure := range done.Failures {
		fmt.Fprintf(c.ErrOrStderr(), "%v\n", failure)
	}
	switch {
	case err != nil:
		return err
	case done.Failed > 0:
		return fmt.Errorf("%d keys were not imported or do not unwrap; the rest is done", done.Failed)
	case check:
		_, err = fmt.Fprintln(c.OutOrStdout(), "Each key unwraps.")
	}
	return err
}
