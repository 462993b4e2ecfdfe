package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

func newKeysList() *cobra.Command {
	var p place
	var tenant string
	c := &cobra.Command{
		Use:   "list -c FILE [--dsn DSN] [--tenant TENANT]",
		Short: "List the keys of the key store; nothing shown is secret",
		Long: `List the keys of the key store: their tenants, versions, states, and what wraps
them. Nothing shown is secret.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c, func(s *session) error { return listKeys(c, s, keyring.Filter{Tenant: tenant}) })
		},
	}
	p.flags(c)
	c.Flags().StringVar(&tenant, "tenant", "", "only this tenant's keys")
	return c
}

// flushEvery keeps the columns of a long list from being measured all at once.
const flushEvery = 500

func listKeys(c *cobra.Command, s *session, f keyring.Filter) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
	n := 0
	err := s.ring.Each(c.Context(), f, func(r keyring.Record) error {
		if n == 0 {
			fmt.Fprintln(w, "KEY\tTENANT\tPURPOSE\tVERSION\tSTATE\tCREATED\tWRAPPED BY")
		}
		if n++; n%flushEvery == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "%v\t%s\t%s\t%d\t%s\t%s\t%s\n", r.ID, printable(r.Tenant), r.Purpose, r.Version,
			r.State, r.CreatedAt.UTC().Format(time.DateTime), wrappedBy(&r))
		return err
	})
	if err == nil && n == 0 {
		_, err = fmt.Fprintln(w, "no keys")
	}
	return errors.Join(err, w.Flush())
}

func wrappedBy(r *keyring.Record) string {
	if r.Parent != (envelope.KeyID{}) {
		return "store key " + r.Parent.String()
	}
	names := make([]string, len(r.Wraps))
	for i, w := range r.Wraps {
		names[i] = printable(w.RootKey)
	}
	return strings.Join(names, ", ")
}

// printable quotes s where it would disturb a terminal.
func printable(s string) string {
	if q := fmt.Sprintf("%q", s); q != `"`+s+`"` {
		return q
	}
	return s
}
