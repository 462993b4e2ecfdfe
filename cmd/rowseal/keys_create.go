package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/kms/localkms"
)

func newKeysCreate() *cobra.Command {
	return &cobra.Command{
		Use:   "create PATH",
		Short: "Create a key file with a new root key",
		Long: `Create a key file with a new root key, readable by its owner alone. A file that
exists is left as it is. Name it in the policy file, keys: {kms: local:///PATH},
and keep a copy apart from the database: without it nothing opens.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, "keys create takes the path of the key file")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			err = localkms.Create(path)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists already and was left as it is", path)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Created %s. Keep a copy apart from the database.\nIn the policy file:\n  keys: {kms: \"local://%s\"}\n", path, filepath.ToSlash(path))
			return err
		},
	}
}
