package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// dueJob is what `rotate due` was asked to do, and what it found.
type dueJob struct {
	place
	screen
	apply, noRewrap, atOnce bool

	left    int // what is due and was not done
	roots   []int
	current map[int]string // the versions of roots that are due
	tenants []keyring.Record
	rewrap  int // keys of the store
}

// rotatorFrom is a rotator that one of several callers at once moves: a key file.
type rotatorFrom interface {
	RotateFrom(ctx context.Context, current string) (rootKey string, err error)
}

func newRotateDue() *cobra.Command {
	var j dueJob
	c := &cobra.Command{
		Use:   "due -c FILE [--dsn DSN] [--apply]",
		Short: "Say which keys are older than the policy allows, and rotate them",
		Long: `Say which keys are older than the section "rotation" of the policy file allows:

  rotation: {tenant_key: 365d, root_key: 90d}

and which keys of the store are not wrapped by the current root keys. With --apply
they are rotated and rewrapped, for cron. A root key in a service is rotated there;
where the service does so by itself, nothing is due.

It exits with 0 where nothing is due any more, else with 1. After a key file was
rotated, back it up and bring it to other machines that have a copy: the key store is
rewrapped by the next run with --apply, or in the same one with --rewrap-at-once. Of two
runs at once, one rotates.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := j.display(c); err != nil {
				return err
			}
			return j.withKeysToWalk(c, func(s *session) error { return j.run(c, s) })
		},
	}
	j.place.flags(c)
	j.screen.flags(c)
	c.Flags().BoolVar(&j.apply, "apply", false, "rotate and rewrap what is due")
	c.Flags().BoolVar(&j.noRewrap, "no-rewrap", false, "with --apply: leave the key store wrapped as it is")
	c.Flags().BoolVar(&j.atOnce, "rewrap-at-once", false, "with --apply: rewrap in the run that rotates a key file, before there is a backup of it")
	c.MarkFlagsMutuallyExclusive("no-rewrap", "rewrap-at-once")
	return c
}

func (j *dueJob) run(c *cobra.Command, s *session) error {
	policy := s.file.Rotation
	if policy.TenantKey == 0 && policy.RootKey == 0 {
		return fmt.Errorf("%s does not say how old keys may become; write rotation: {tenant_key: 365d, root_key: 90d}", j.config)
	}
	if err := j.findRoots(c, s); err != nil {
		return err
	}
	if err := j.findKeys(c, s); err != nil {
		return err
	}
	if j.apply {
		if err := j.rotate(c, s); err != nil {
			return err
		}
	} else {
		j.left += len(j.roots) + len(j.tenants) + j.rewrap
	}
	if j.left > 0 {
		return fmt.Errorf("%d keys are due", j.left)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), "Nothing is due.")
	return err
}

// findRoots looks at the age of the root keys.
func (j *dueJob) findRoots(c *cobra.Command, s *session) error {
	limit := s.file.Rotation.RootKey
	if limit == 0 {
		return nil
	}
	for i, root := range s.roots {
		aged, ok := root.(kms.Aged)
		if !ok {
			fmt.Fprintf(c.OutOrStdout(), "%s: this provider does not say how old its key is.\n", s.file.Keys.KMS[i])
			continue
		}
		age, err := aged.Age(c.Context())
		if err != nil {
			return fmt.Errorf("how old root key %d is: %w", i+1, err)
		}
		j.judge(c, s, i, age, limit)
	}
	return nil
}

func (j *dueJob) judge(c *cobra.Command, s *session, i int, age kms.Age, limit time.Duration) {
	out, old := c.OutOrStdout(), time.Since(age.Since)
	_, here := s.roots[i].(rotatorFrom)
	switch {
	case age.Automatic && age.Period <= limit:
		fmt.Fprintf(out, "root key %s is rotated by its service every %s; there is nothing to rewrap.\n", age.RootKey, days(age.Period))
	case age.Automatic:
		j.left++
		fmt.Fprintf(out, "root key %s is rotated by its service only every %s, and %s are allowed: change it there.\n", age.RootKey, days(age.Period), days(limit))
	case old <= limit:
		fmt.Fprintf(out, "root key %s is %s old.\n", age.RootKey, days(old))
	case here:
		j.roots = append(j.roots, i)
		if j.current == nil {
			j.current = map[int]string{}
		}
		j.current[i] = age.RootKey
		fmt.Fprintf(out, "root key %s is due: it is %s old, and %s are allowed.\n", age.RootKey, days(old), days(limit))
	default:
		j.left++
		fmt.Fprintf(out, "root key %s is due: it is %s old, and %s are allowed; rotate it in its service.\n", age.RootKey, days(old), days(limit))
	}
}

// days is a duration as people say it.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// findKeys looks at the keys of the store: their age by its clock, and their root keys.
func (j *dueJob) findKeys(c *cobra.Command, s *session) error {
	if s.store == nil {
		return nil
	}
	now, err := s.store.Now(c.Context())
	if err != nil {
		return err
	}
	w, err := s.ring.NewRewrapper(c.Context())
	if err != nil {
		return err
	}
	limit := s.file.Rotation.TenantKey
	newest := map[string]keyring.Record{} // of those that are due; most are not
	err = s.ring.Each(c.Context(), keyring.Filter{}, func(r keyring.Record) error {
		if w.Due(r) {
			j.rewrap++
		}
		if limit == 0 || r.Purpose != keyring.PurposeTenant || r.State != keyring.Active {
			return nil
		}
		if now.Sub(r.CreatedAt) > limit && r.Version > newest[r.Tenant].Version {
			newest[r.Tenant] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := j.confirm(c, s, newest, now); err != nil {
		return err
	}
	if j.rewrap > 0 {
		fmt.Fprintf(c.OutOrStdout(), "key store: %d keys are not wrapped by the current root keys.\n", j.rewrap)
	}
	return nil
}

// confirm leaves out tenants with a newer active key, which a stopped rotation may have left beside the old one.
func (j *dueJob) confirm(c *cobra.Command, s *session, due map[string]keyring.Record, now time.Time) error {
	for tenant, r := range due {
		latest, err := s.store.Latest(c.Context(), keyring.PurposeTenant, []string{tenant})
		if err != nil {
			return err
		}
		for _, l := range latest {
			if l.ID == r.ID {
				j.tenants = append(j.tenants, r)
				fmt.Fprintf(c.OutOrStdout(), "key %v of tenant %s is due: it is %s old, and %s are allowed.\n",
					r.ID, printable(tenant), days(now.Sub(r.CreatedAt)), days(s.file.Rotation.TenantKey))
			}
		}
	}
	return nil
}

// rotate does what is due.
func (j *dueJob) rotate(c *cobra.Command, s *session) error {
	out := c.OutOrStdout()
	for _, i := range j.roots {
		id, err := s.roots[i].(rotatorFrom).RotateFrom(c.Context(), j.current[i])
		if errors.Is(err, localkms.ErrRotated) {
			fmt.Fprintf(out, "%v\n", err) // by somebody else meanwhile
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is now at %s. Back the key file up.\n", s.file.Keys.KMS[i], id)
	}
	for _, old := range j.tenants {
		r, err := s.ring.RotateFrom(c.Context(), old, operator(), "due by policy")
		if errors.Is(err, keyring.ErrDestroyed) || errors.Is(err, keyring.ErrConflict) {
			fmt.Fprintf(out, "%v\n", err) // shredded or rotated by somebody else meanwhile
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Tenant %s now seals with key %v, version %d.\n", printable(r.Tenant), r.ID, r.Version)
	}
	if err := j.rewrapKeys(c, s); err != nil {
		return err
	}
	j.remains(c, s)
	return nil
}

func (j *dueJob) rewrapKeys(c *cobra.Command, s *session) error {
	if s.store == nil || len(j.roots) == 0 && j.rewrap == 0 {
		return nil
	}
	if j.noRewrap {
		j.left += j.rewrap
		_, err := fmt.Fprintln(c.OutOrStdout(), `The key store is wrapped as before. Bring the key file to all machines, then run "rowseal rotate due --apply" again.`)
		return err
	}
	if len(j.roots) > 0 && !j.atOnce {
		return j.rewrapNext(c, s)
	}
	return rewrapStore(c, s, &j.screen, 0)
}

// rewrapNext leaves the rewrap to a later run: until somebody has a copy of the rotated file, its
// loss must not take the key store with it.
func (j *dueJob) rewrapNext(c *cobra.Command, s *session) error {
	w, err := s.ring.NewRewrapper(c.Context())
	if err != nil {
		return err
	}
	err = s.ring.Each(c.Context(), keyring.Filter{RootWrapped: true}, func(r keyring.Record) error {
		if w.Due(r) {
			j.left++
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), `The key store is wrapped as before. Back up the key file, then run "rowseal rotate due --apply" again, which rewraps.`)
	return err
}

// remains says what is left to do in tables, where values keep the keys that they have.
func (j *dueJob) remains(c *cobra.Command, s *session) {
	for _, t := range s.file.Policy.Tables() {
		rows, tenants, services := false, false, false
		for _, col := range t.Columns() {
			rows = rows || col.Mode() == envelope.ModeRow
			tenants = tenants || col.Mode() == envelope.ModeTenant
			services = services || col.Mode() == envelope.ModeKMS
		}
		if rows && len(j.tenants) > 0 || services && len(j.roots) > 0 {
			fmt.Fprintf(c.OutOrStdout(), "%s: its row keys open as before; \"rowseal rotate rewrap --table %s\" brings them to the new keys.\n", t.Name(), t.Name())
		}
		if tenants && len(j.tenants) > 0 {
			fmt.Fprintf(c.OutOrStdout(), "%s: its values open as before; \"rowseal rotate reseal --table %s\" brings them to the new keys.\n", t.Name(), t.Name())
		}
	}
}
