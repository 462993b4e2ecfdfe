package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring"
)

func newKeysImport() *cobra.Command {
	var p place
	var check, destroy bool
	c := &cobra.Command{
		Use:   "import -c FILE [--dsn DSN] [--check] EXPORT",
		Short: "Bring exported keys back into a key store",
		Long: `Bring the keys of an export back into a key store that is empty or lacks some. A
record that is there already stays as it is, and what is destroyed in the store
gets nothing back. Where other keys were made since, the old ones come under the
next free versions and open what they sealed.

A key that lives in the store and is destroyed in the export, or whose tenant is
shredded there, is listed and left, and the exit code is 1; --destroy has the store
follow the export. Store keys and the global search key are left in any case.

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
			return p.withStore(c, func(s *session) error {
				return importKeys(c, s, f, keyring.ImportConfig{By: operator(), Check: check, Destroy: destroy})
			})
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&check, "check", false, "unwrap each key in the end, to see that it can be used")
	c.Flags().BoolVar(&destroy, "destroy", false, "destroy keys that live in the store and are destroyed in the export, and shred tenants that are shredded there")
	return c
}

func importKeys(c *cobra.Command, s *session, f *os.File, cfg keyring.ImportConfig) error {
	done, err := s.ring.Import(c.Context(), f, cfg)
	fmt.Fprintf(c.OutOrStdout(), "%d keys: %d created, %d were there, %d destroyed as in the export, %d stay destroyed, %d failed\n",
		done.Keys, done.Created, done.Present, done.Destroyed, done.Refused, done.Failed)
	if done.Moved > 0 {
		fmt.Fprintf(c.OutOrStdout(), "%d keys came under the next free version, because others were made since; they open what they sealed, and seal nothing.\n", done.Moved)
	}
	for i := range done.LeftAlive {
		fmt.Fprintf(c.ErrOrStderr(), "%v lives, and not in the export\n", printable(done.LeftAlive[i].String()))
	}
	for _, failure := range done.Failures {
		fmt.Fprintf(c.ErrOrStderr(), "%v\n", failure)
	}
	switch {
	case err != nil:
		return err
	case done.Failed > 0:
		return fmt.Errorf("%d keys were not imported or do not unwrap; the rest is done", done.Failed)
	case done.Left > 0:
		return fmt.Errorf("%d keys live that are destroyed in the export, or whose tenant is; they were left, --destroy destroys those of tenants. The rest is done", done.Left)
	case cfg.Check:
		_, err = fmt.Fprintln(c.OutOrStdout(), "Each key unwraps.")
	}
	return err
}
