package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring"
)

// exportKeys is what `keys export` was asked to do.
type exportKeys struct {
	place
	tenant, out string
}

func newKeysExport() *cobra.Command {
	var e exportKeys
	c := &cobra.Command{
		Use:   "export -c FILE [--dsn DSN] [--tenant TENANT] [--out FILE]",
		Short: "Copy the keys, still wrapped, to a file",
		Long: `Copy the keys, still wrapped, to a file of JSON lines. Who has the file and may use
the root key can open what the keys sealed.

That the copy was taken, by whom, when and where to, is kept in the key store:
"rowseal rotate shred" lists the copies that still hold a tenant's keys.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return e.withStore(c, func(s *session) error { return e.run(c, s) })
		},
	}
	e.flags(c)
	c.Flags().StringVar(&e.tenant, "tenant", "", "only this tenant's keys, and the store keys that wrap them")
	c.Flags().StringVar(&e.out, "out", "", "the file to write, which must not exist (default: the standard output)")
	return c
}

func (e *exportKeys) run(c *cobra.Command, s *session) (err error) {
	cfg := keyring.ExportConfig{Tenant: e.tenant, By: operator(), To: "the standard output"}
	var w io.Writer = c.OutOrStdout()
	if e.out != "" {
		if cfg.To, err = filepath.Abs(e.out); err != nil {
			return err
		}
		if host, err := os.Hostname(); err == nil {
			cfg.To = host + ":" + cfg.To
		}
		// Nobody else may read it, and what stands there is not lost.
		f, err := os.OpenFile(e.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("the export needs a file that does not exist yet: %w", err)
		}
		defer func() {
			if err = errors.Join(err, f.Close()); err != nil {
				err = errors.Join(err, os.Remove(e.out)) // half an export is none
			}
		}()
		w = f
	}
	done, err := s.ring.Export(c.Context(), w, cfg)
	if f, ok := w.(*os.File); ok && e.out != "" && err == nil {
		err = f.Sync()
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "%d keys exported to %s, sha256 %s. The key store keeps that you took them.\n", done.Keys, done.To, done.Digest)
	return err
}
