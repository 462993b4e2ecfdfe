package main

import (
	"context"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring"
)

func newKeysRotate() *cobra.Command {
	var p place
	var tenant, reason string
	var root bool
	c := &cobra.Command{
		Use:   "rotate -c FILE [--dsn DSN] (--tenant TENANT | --root)",
		Short: "Make a new version of a tenant's key or of a root key",
		Long: `Make a new version of a tenant's key, or with --root of the root key in a key
file. New values use the new version; everything sealed before still opens.

After --root run "rowseal rotate rewrap", which brings the key store to the new
version. Root keys in a service are rotated there.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case root == (tenant != ""):
				return misused(c, "say what to rotate: either --tenant TENANT or --root")
			case root:
				return rotateRoots(c, &p)
			}
			return p.withStore(c, func(s *session) error { return rotateTenant(c, s, tenant, reason) })
		},
	}
	p.flags(c)
	c.Flags().StringVar(&tenant, "tenant", "", "the tenant whose key is rotated")
	c.Flags().StringVar(&reason, "reason", "rotated", "kept in the record of the version before")
	c.Flags().BoolVar(&root, "root", false, "rotate the root key in the key file")
	return c
}

// rotator is a KMS whose root key this program can rotate: a key file.
type rotator interface {
	Rotate(ctx context.Context) (rootKey string, err error)
}

func rotateRoots(c *cobra.Command, p *place) error {
	file, err := p.load(c)
	if err != nil {
		return err
	}
	roots, err := openRoots(c.Context(), p.config, file)
	if err != nil {
		return err
	}
	rotated := 0
	for i, root := range roots {
		r, ok := root.(rotator)
		if !ok {
			continue
		}
		id, err := r.Rotate(c.Context())
		if err != nil {
			return err
		}
		rotated++
		fmt.Fprintf(c.OutOrStdout(), "%s is now at %s.\n", file.Keys.KMS[i], id)
	}
	if rotated == 0 {
		return fmt.Errorf("%s names no key file; a root key in a service is rotated there, then run \"rowseal rotate rewrap\"", p.config)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), `Back the key file up, then run "rowseal rotate rewrap".`)
	return err
}

func rotateTenant(c *cobra.Command, s *session, tenant, reason string) error {
	if _, err := recordsOf(c.Context(), s.ring, tenant, keyring.PurposeTenant); err != nil {
		return err // a mistyped name must not make a key for a tenant that is none
	}
	r, err := s.ring.Rotate(c.Context(), keyring.PurposeTenant, tenant, operator(), reason)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "Tenant %s now seals with key %v, version %d. Running processes follow within their cache's TTL.\n",
		printable(tenant), r.ID, r.Version)
	return err
}

// operator is who runs the program, for the records.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
