package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// shredJob is what `rotate shred` was asked to do.
type shredJob struct {
	place
	screen
	tenant, reason string
	yes            bool
	wait           time.Duration
}

func newRotateShred() *cobra.Command {
	var j shredJob
	c := &cobra.Command{
		Use:   "shred -c FILE [--dsn DSN] --tenant TENANT --reason REASON [--yes]",
		Short: "Destroy all keys of a tenant, so that its values never open again",
		Long: `Destroy all keys of a tenant, so that its values never open again, and leave
tombstones that say who, when and why and that block new keys for the tenant.
What outlives the tenant's keys is overwritten: search terms under a global index
key, and the values of tables that carry keys which the KMS wraps; the plain columns
of columns in transition are emptied.

First sealing is ended, then, after --wait, the keys are destroyed. A process that
does not hear of it (the key store is not PostgreSQL, or it does not listen) goes on
with keys that it holds until its cache's TTL is over, an hour at most. What it seals
meanwhile does not open, but what outlives the keys stays readable in it: where there is
something to overwrite, the command says when to run it again for that, and exits
with 1. With --wait 1h all processes have been refused before anything is destroyed, and
one run does.

Without --yes it only shows what it would destroy, and exits with 1. It may be run
again.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := j.misused(c); err != nil {
				return err
			}
			if _, err := j.display(c); err != nil {
				return err
			}
			return j.withKeysToWalk(c, func(s *session) error { return j.run(c, s) })
		},
	}
	j.place.flags(c)
	j.screen.flags(c)
	c.Flags().StringVar(&j.tenant, "tenant", "", "the tenant whose keys are destroyed")
	c.Flags().StringVar(&j.reason, "reason", "", "kept in the tombstones, such as the number of the request")
	c.Flags().BoolVar(&j.yes, "yes", false, "destroy; without it nothing is changed")
	c.Flags().DurationVar(&j.wait, "wait", 0, "how long writers are refused before the keys are destroyed, up to 1h")
	return c
}

func (j *shredJob) misused(c *cobra.Command) error {
	switch {
	case j.tenant == "":
		return misused(c, "say whose keys are to be destroyed: --tenant TENANT")
	case j.reason == "":
		return misused(c, "say why, for the tombstones: --reason REASON")
	case j.wait < 0 || j.wait > dekcache.MaxTTL:
		return misused(c, "--wait is %v; 0 to %v is allowed", j.wait, dekcache.MaxTTL)
	}
	return nil
}

func (j *shredJob) run(c *cobra.Command, s *session) error {
	if s.store == nil {
		return fmt.Errorf("%s names no key store: the row keys in values are wrapped by the root key alone, and only destroying that ends them", j.config)
	}
	keys, err := recordsOf(c.Context(), s.ring, j.tenant, keyring.PurposeTenant, keyring.PurposeIndex)
	if err != nil {
		return err
	}
	rest := remnants(s.file)
	if len(rest) > 0 {
		if err := j.needDSN(c, "what outlives the keys in "+strings.Join(names(rest), ", ")+" is to be overwritten in the database"); err != nil {
			return err
		}
	}
	if !j.yes {
		j.list(c, "Would destroy", keys)
		return errors.New("nothing was changed; give --yes to destroy these keys for good")
	}
	if err := j.shred(c, s); err != nil {
		return err
	}
	if err := j.overwrite(c, s, rest); err != nil || len(rest) == 0 {
		return err
	}
	return j.late(c, s)
}

// late fails while a process may still hold a key with which it writes what outlives the keys.
func (j *shredJob) late(c *cobra.Command, s *session) error {
	if j.wait >= dekcache.MaxTTL {
		return nil
	}
	now, err := s.store.Now(c.Context())
	if err != nil {
		return err
	}
	var until time.Time
	err = s.ring.Each(c.Context(), keyring.Filter{Tenant: j.tenant}, func(r keyring.Record) error {
		if at := r.ChangedAt.Add(dekcache.MaxTTL); (r.Purpose == keyring.PurposeTenant || r.Purpose == keyring.PurposeIndex) && at.After(until) {
			until = at
		}
		return nil
	})
	if err != nil || !now.Before(until) {
		return err
	}
	return fmt.Errorf("the keys are destroyed, and processes that did not hear of it may write for tenant %q with keys that they hold; run it again after %s to overwrite what they wrote",
		j.tenant, until.UTC().Format(time.RFC3339))
}

// shred ends sealing, waits, and destroys.
func (j *shredJob) shred(c *cobra.Command, s *session) error {
	ctx, out := c.Context(), c.OutOrStdout()
	if err := s.ring.Bar(ctx, j.tenant, operator(), j.reason); err != nil {
		return err
	}
	if j.wait > 0 {
		fmt.Fprintf(out, "Tenant %s gets no new values. Its keys are destroyed in %v; interrupt to keep them.\n", printable(j.tenant), j.wait)
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted: sealing for tenant %q has ended, and its values still open; run it again to destroy the keys: %w", j.tenant, ctx.Err())
		case <-time.After(j.wait):
		}
	}
	done, err := s.ring.Shred(ctx, j.tenant, operator(), j.reason)
	if err != nil {
		return err
	}
	j.list(c, "Destroyed", done.Keys)
	return j.left(c, s, &done)
}

// list names the keys, but not the marks that never were any.
func (j *shredJob) list(c *cobra.Command, what string, keys []keyring.Record) {
	for i := range keys {
		if r := &keys[i]; !r.Mark() {
			fmt.Fprintf(c.OutOrStdout(), "%s: %s key %v, version %d, created %s\n", what, r.Purpose, r.ID, r.Version, r.CreatedAt.UTC().Format(time.DateTime))
		}
	}
}

// left says where copies of the keys may be.
func (j *shredJob) left(c *cobra.Command, s *session, done *keyring.Shredded) error {
	out := c.OutOrStdout()
	var first time.Time
	for i := range done.Keys {
		if r := &done.Keys[i]; !r.Mark() && (first.IsZero() || r.CreatedAt.Before(first)) {
			first = r.CreatedAt
		}
	}
	exports, err := s.ring.Exports(c.Context(), j.tenant)
	if err != nil {
		fmt.Fprintf(out, "Which exports there are is not known: %v\n", err)
	}
	for _, e := range exports {
		if e.At.Before(first) {
			continue
		}
		fmt.Fprintf(out, "Export of %s to %s by %s may hold them: destroy it.\n", e.At.UTC().Format(time.DateTime), printable(e.To), printable(e.By))
	}
	if !first.IsZero() {
		fmt.Fprintf(out, "Backups of the key store and its log from %s on hold them, wrapped.\n", first.UTC().Format(time.DateTime))
	}
	for _, root := range done.RootKeys {
		fmt.Fprintf(out, "They open with root key %s until it is destroyed.\n", printable(root))
	}
	if !first.IsZero() {
		fmt.Fprintln(out, "Backups from before a rewrap open with the root keys of that time, which the key store does not keep.")
	}
	_, err = fmt.Fprintf(out, "Tenant %s is shredded. Processes that listen have dropped its keys; others do within their cache's TTL, %v at most.\n",
		printable(j.tenant), dekcache.MaxTTL)
	return err
}

// overwrite replaces what outlives the tenant's keys.
func (j *shredJob) overwrite(c *cobra.Command, s *session, tables []remnant) error {
	if len(tables) == 0 {
		return nil
	}
	flags := jobFlags{workers: workersFlag{n: 1}, screen: j.screen}
	run, err := flags.runner(c, s)
	if err != nil {
		return fmt.Errorf("the keys are destroyed, and what outlives them was not overwritten; run it again: %w", err)
	}
	for _, r := range tables {
		name := r.table.Name()
		if r.table.Tenant().Column == "" {
			fmt.Fprintf(c.OutOrStdout(), "%s has no tenant column by which the tenant's rows could be told: delete them.\n", name)
			continue
		}
		job := rotate.Job{Kind: rotate.Overwrite, Table: r.table, Tenant: j.tenant, Options: map[string]string{"all": strconv.FormatBool(r.all)}}
		if _, err := run.run(job, "rows", "values", "overwritten", "emptied"); err != nil {
			return fmt.Errorf("the keys are destroyed, and what outlives them in %s was not all overwritten; run it again: %w", name, err)
		}
	}
	return nil
}

// remnant is a table in which something outlives the tenant's keys.
type remnant struct {
	table *field.Table
	// Values in clear of columns in transition do in any case. all says that sealed values do, which carry keys of their own that the KMS wraps; else search terms
	// do, which are alike for all tenants.
	all bool
}

func remnants(file *field.File) (list []remnant) {
	for _, t := range file.Policy.Tables() {
		r, found := remnant{table: t}, false
		for _, col := range t.Columns() {
			r.all = r.all || col.Mode() == envelope.ModeKMS
			found = found || r.all || col.Scope() == field.ScopeGlobal || col.Transition().Plain != ""
		}
		if found {
			list = append(list, r)
		}
	}
	return list
}

func names(tables []remnant) []string {
	list := make([]string, len(tables))
	for i, r := range tables {
		list[i] = r.table.Name()
	}
	return list
}
