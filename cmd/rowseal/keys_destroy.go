package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

func newKeysDestroy() *cobra.Command {
	var e endKeys
	c := &cobra.Command{
		Use:   "destroy -c FILE [--dsn DSN] [--also-dsn DSN]… --id KEY",
		Short: "Destroy a retired key that no value needs any more",
		Long: `Destroy a retired key that no value needs any more, and leave a tombstone. What is
still sealed under it is lost.

It is refused unless the key has been retired for an hour by the key store's clock,
the longest that any process may hold it, and a verify of each table began after
that and found nothing under it; then its id is looked for in the tables
themselves, which takes a scan of each. Databases that share the key store are
looked at where --also-dsn names them. --force does without the verify, not
without the hour. To end a tenant, use "rowseal rotate shred".`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if e.id == "" {
				return misused(c, "say which key: --id KEY")
			}
			return e.withStore(c, func(s *session) error { return e.destroy(c, s) })
		},
	}
	e.flags(c)
	c.Flags().StringVar(&e.reason, "reason", "destroyed", "kept in the tombstone")
	c.Flags().StringArrayVar(&e.alsoDSN, "also-dsn", nil, "another database with values under keys of this store, and the same tables; may be repeated")
	c.Flags().BoolVar(&e.force, "force", false, "without a verify: what is still sealed under the key is lost")
	return c
}

func (e *endKeys) destroy(c *cobra.Command, s *session) error {
	id, err := parseKeyID(c, e.id)
	if err != nil {
		return err
	}
	r, err := findKey(c, s, id)
	switch {
	case err != nil:
		return err
	case e.force || r.State != keyring.Retired:
		err = s.ring.DestroyUnverified(c.Context(), id, operator(), e.reason)
	default:
		err = e.destroyVerified(c, s, r)
	}
	if err == nil {
		_, err = fmt.Fprintf(c.OutOrStdout(), "Key %v is destroyed. Its tombstone says who, when and why.\n", id)
	}
	return err
}

// destroyVerified asks for the evidence only once the hour is over, so that the first thing said is the one to wait for.
func (e *endKeys) destroyVerified(c *cobra.Command, s *session, r *keyring.Record) error {
	now, err := s.store.Now(c.Context())
	if err != nil {
		return err
	}
	var evidence []keyring.Evidence
	if !now.Before(keyring.ReadyToDestroy(*r)) && r.Purpose != keyring.PurposeStore {
		if evidence, err = e.evidence(c, s, r); err != nil {
			return err
		}
	}
	return s.ring.Destroy(c.Context(), r.ID, operator(), e.reason, evidence...)
}

// evidence is that of the database with the data and of those that --also-dsn names. It says where it looked: what else shares the
// key store nobody here knows.
func (e *endKeys) evidence(c *cobra.Command, s *session, r *keyring.Record) (all []keyring.Evidence, err error) {
	if err := needDSN(c, s.dsn, "what verifies found is kept in the database with the data"); err != nil {
		return nil, err
	}
	here, err := s.database(c.Context())
	if err != nil {
		return nil, err
	}
	look := func(db *database) error {
		use, err := keyUseIn(c, s, db)
		if err != nil {
			return err
		}
		list, err := use.evidence(r)
		if err == nil {
			err = use.counted(c.Context(), db, r.ID, list)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", db.name, err)
		}
		for _, one := range list {
			fmt.Fprintf(c.OutOrStdout(), "Looked at table %s in %s.\n", one.Table, db.name)
		}
		all = append(all, list...)
		return nil
	}
	err = look(here)
	for _, dsn := range e.alsoDSN {
		if err == nil {
			err = withDatabase(c.Context(), dsn, look)
		}
	}
	if err == nil {
		fmt.Fprintln(c.OutOrStdout(), "Other databases whose programs use this key store are not known here; --also-dsn names them.")
	}
	return all, err
}

// findKey returns the record of a key.
func findKey(c *cobra.Command, s *session, id envelope.KeyID) (*keyring.Record, error) {
	list, err := s.store.ByID(c.Context(), []envelope.KeyID{id})
	for i := range list {
		if list[i].ID == id {
			return &list[i], err
		}
	}
	if err == nil {
		err = fmt.Errorf("the key store has no key %v; \"rowseal keys list\" shows those there are", id)
	}
	return nil, err
}
