package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// keyUse asks the journal of the database with the data what verifies found under keys.
type keyUse struct {
	jobs   []rotate.Status
	tables []*field.Table // all of the policy: older values may be under keys of the store whatever it says now
	ahead  time.Duration  // the key store's clock before the database's
}

// openKeyUse reads the journal. The database is asked once.
func openKeyUse(c *cobra.Command, s *session) (*keyUse, error) {
	if err := needDSN(c, s.dsn, "what verifies found is kept in the database with the data"); err != nil {
		return nil, err
	}
	db, err := s.database(c.Context())
	if err != nil {
		return nil, err
	}
	return keyUseIn(c, s, db)
}

func keyUseIn(c *cobra.Command, s *session, db *database) (u *keyUse, err error) {
	u = &keyUse{tables: s.file.Policy.Tables()}
	if u.jobs, err = rotate.Jobs(c.Context(), db.DB, db.dialect, true); err != nil {
		return nil, fmt.Errorf("reading what jobs there were: %w", err)
	}
	// In this order a slow answer makes verifies look older, not newer, than they are.
	there, err := s.store.Now(c.Context())
	if err != nil {
		return nil, err
	}
	now, err := db.now(c.Context())
	u.ahead = there.Sub(now)
	return u, err
}

// found refuses while the last verify of a table found values under a key, or where there is none.
func (u *keyUse) found(id envelope.KeyID) error {
	use := rotate.UseOfKey(u.jobs, u.tables, id, time.Time{})
	for _, table := range use.Crowded {
		use.Unverified = append(use.Unverified, rotate.Unverified{Table: table, Why: "its last verify met more keys than it told apart"})
	}
	switch {
	case use.Values > 0:
		return fmt.Errorf("key %v still has %d values in %s; reseal or rewrap them and run \"rowseal rotate verify\", or give --force",
			id, use.Values, strings.Join(use.Tables, ", "))
	case len(use.Unverified) > 0:
		return notShown(id, use.Unverified[0])
	}
	return nil
}

func notShown(id envelope.KeyID, u rotate.Unverified) error {
	return fmt.Errorf("nothing shows whether key %v has values in %s: %s; run \"rowseal rotate verify\" with this policy, or give --force", id, u.Table, u.Why)
}

// evidence is what the last verifies say about a key, one for each table.
func (u *keyUse) evidence(r *keyring.Record) ([]keyring.Evidence, error) {
	list := make([]keyring.Evidence, 0, len(u.tables))
	for _, table := range u.tables {
		last, _ := rotate.LastVerify(u.jobs, table, time.Time{})
		use := rotate.UseOfKey(u.jobs, []*field.Table{table}, r.ID, time.Time{})
		if len(use.Unverified) > 0 {
			return nil, notShown(r.ID, use.Unverified[0])
		}
		list = append(list, keyring.Evidence{Table: table.Name(), Began: last.Started.Add(u.ahead), Values: use.Values})
	}
	return list, nil
}

// counted looks for the key in the tables themselves, in one snapshot, and adds what it finds. Where a verify found values nobody
// need look.
func (u *keyUse) counted(ctx context.Context, db *database, id envelope.KeyID, list []keyring.Evidence) error {
	if slices.ContainsFunc(list, func(e keyring.Evidence) bool { return e.Values > 0 }) {
		return nil
	}
	found, err := rotate.CountKey(ctx, db.DB, db.dialect, u.tables, id)
	for i := range list {
		list[i].Values, list[i].Counted = found[list[i].Table], err == nil
	}
	return err
}
