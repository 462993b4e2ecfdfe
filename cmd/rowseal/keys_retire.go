package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// endKeys is what `keys retire` and `keys destroy` were asked to do.
type endKeys struct {
	place
	id, tenant, reason string
	alsoDSN            []string
	force              bool
}

func newKeysRetire() *cobra.Command {
	var e endKeys
	c := &cobra.Command{
		Use:   "retire -c FILE [--dsn DSN] (--id KEY | --tenant TENANT)",
		Short: "End the use of a key for new values; it still opens",
		Long: `End the use of a key for new values; what it sealed still opens. With --tenant all
keys of the tenant are retired but the newest.

It is refused while the last verify of a table found values under the key, or
where no verify of a table is known. A tenant's last key is never retired: make
another with "rowseal keys rotate", which retires those before by itself.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (e.id == "") == (e.tenant == "") {
				return misused(c, "say which key: either --id KEY or --tenant TENANT")
			}
			return e.withStore(c, func(s *session) error { return e.retire(c, s) })
		},
	}
	e.flags(c)
	c.Flags().StringVar(&e.tenant, "tenant", "", "all keys of this tenant but the newest")
	c.Flags().StringVar(&e.reason, "reason", "retired", "kept in the record")
	c.Flags().BoolVar(&e.force, "force", false, "even where values are under the key, or may be")
	return c
}

func (e *endKeys) flags(c *cobra.Command) {
	e.place.flags(c)
	c.Flags().StringVar(&e.id, "id", "", "the key's id, 16 hex digits, as keys list shows it")
}

func parseKeyID(c *cobra.Command, text string) (id envelope.KeyID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != text {
		return id, misused(c, "--id takes a key's id, 16 hex digits, as \"rowseal keys list\" shows it")
	}
	return envelope.KeyID(b), nil
}

func (e *endKeys) retire(c *cobra.Command, s *session) error {
	ids, err := e.toRetire(c, s)
	if err != nil {
		return err
	}
	if len(ids) > 0 && !e.force {
		use, err := openKeyUse(c, s)
		if err != nil {
			return err
		}
		for _, id := range ids { // before any is changed
			if err := use.found(id); err != nil {
				return err
			}
		}
	}
	for _, id := range ids {
		if err := s.ring.Retire(c.Context(), id, operator(), e.reason); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "Key %v is retired: it opens, and seals nothing any more.\n", id)
	}
	if len(ids) == 0 && e.id == "" {
		fmt.Fprintf(c.OutOrStdout(), "Tenant %s has no key to retire: only its newest is active.\n", printable(e.tenant))
	}
	return nil
}

// named is the key of --id, unless it is retired already.
func (e *endKeys) named(c *cobra.Command, s *session) ([]envelope.KeyID, error) {
	id, err := parseKeyID(c, e.id)
	if err != nil {
		return nil, err
	}
	r, err := findKey(c, s, id)
	if err != nil || r.State != keyring.Retired {
		return []envelope.KeyID{id}, err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "Key %v is retired already, since %s.\n", id, r.ChangedAt.UTC().Format(time.DateTime))
	return nil, err
}

// toRetire are the keys that were asked for, the oldest first.
func (e *endKeys) toRetire(c *cobra.Command, s *session) ([]envelope.KeyID, error) {
	if e.id != "" {
		return e.named(c, s)
	}
	active, err := recordsOf(c.Context(), s.ring, e.tenant, keyring.PurposeTenant)
	if err != nil {
		return nil, err
	}
	active = slices.DeleteFunc(active, func(r keyring.Record) bool { return r.State != keyring.Active })
	newest := uint32(0)
	for _, r := range active {
		newest = max(newest, r.Version)
	}
	var ids []envelope.KeyID
	for _, r := range active {
		if r.Version != newest {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}
