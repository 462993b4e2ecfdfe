package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// rewrapJob is what `rotate rewrap` was asked to do.
type rewrapJob struct {
	place
	jobFlags
	tables   []string
	drop     []string
	keysOnly bool
}

func newRotateRewrap() *cobra.Command {
	var j rewrapJob
	c := &cobra.Command{
		Use:   "rewrap -c FILE --dsn DSN [--table TABLE]…",
		Short: "Bring wrapped keys to the keys that are current now",
		Long: `Bring wrapped keys to the keys that are current now: first the key store to the
current root keys, then the row keys in columns with "key: row". No value is
opened, and columns with "key: tenant" are not touched.

It may be interrupted and run again, on another machine too, and it may run
beside the application. Who starts it while it runs joins it. With --tenant the
key store is left as it is.

Wraps by root keys that the policy file does not list stay, and are said; --drop-root
takes away those of one such root key.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c) },
	}
	j.place.flags(c)
	j.jobFlags.flags(c)
	c.Flags().StringArrayVar(&j.tables, "table", nil, "only the row keys in this table; may be repeated")
	c.Flags().StringArrayVar(&j.drop, "drop-root", nil, "take this root key's wraps out of the key store, as the output names it; may be repeated")
	c.Flags().BoolVar(&j.keysOnly, "keys-only", false, "only the key store, no tables")
	return c
}

func (j *rewrapJob) run(c *cobra.Command) error {
	if j.keysOnly && len(j.tables) > 0 {
		return misused(c, "--keys-only and --table exclude each other")
	}
	if len(j.drop) > 0 && (len(j.tables) > 0 || j.tenant != "") {
		return misused(c, "--drop-root is about the whole key store; leave out --table and --tenant")
	}
	if err := j.misused(c); err != nil {
		return err
	}
	return j.withKeysToWalk(c, func(s *session) error {
		tables, err := j.withRowKeys(s.file)
		if err != nil {
			return err
		}
		var r *runner
		if len(tables) > 0 { // before anything is written
			if r, err = j.openRows(c, s); err != nil {
				return err
			}
		}
		return j.rewrap(c, s, r, tables)
	})
}

func (j *rewrapJob) openRows(c *cobra.Command, s *session) (*runner, error) {
	if err := j.needDSN(c, "the row keys to rewrap are in the tables of a database"); err != nil {
		return nil, err
	}
	return j.runner(c, s)
}

// rewrap goes on past single keys that fail.
func (j *rewrapJob) rewrap(c *cobra.Command, s *session, r *runner, tables []*field.Table) error {
	var failed error
	if len(j.tables) == 0 && j.tenant == "" && s.store != nil {
		failed = rewrapStore(c, s, &j.screen, j.concurrency, j.drop...)
		if failed != nil && !errors.Is(failed, rotate.ErrIncomplete) {
			return failed
		}
	}
	err := errors.Join(failed, eachOf(tables, func(t *field.Table) error {
		job := rotate.Job{Kind: rotate.Rewrap, Table: t, Tenant: j.tenant}
		_, err := r.run(job, "rows", "values", "rewrapped", "current", "destroyed", "failed")
		return err
	}))
	if err == nil && len(j.tables) == 0 && j.tenant == "" {
		j.whenGone(c, s.file)
	}
	return err
}

// whenGone says when an old version of a root key may be removed: a program may still write row keys that the
// old version wrapped, or make a record with it, until it asks which version is current.
func (j *rewrapJob) whenGone(c *cobra.Command, file *field.File) {
	out, after := c.OutOrStdout(), time.Now().Add(dekcache.MaxTTL).UTC().Format(time.RFC3339)
	fmt.Fprintf(out, "Keep old versions of the root keys for now: programs may still use them. Run this again after %s, ", after)
	for _, t := range file.Policy.Tables() {
		for _, col := range t.Columns() {
			if col.Mode() == envelope.ModeKMS {
				fmt.Fprintln(out, `then "rowseal rotate verify"; a version under which that counts no value may go once no backup needs it.`)
				return
			}
		}
	}
	fmt.Fprintln(out, "and when it says that nothing was rewrapped, they may go once no backup needs them.")
}

// withRowKeys are the tables whose row keys are rewrapped. One that was named and has none is a mistake.
func (j *rewrapJob) withRowKeys(file *field.File) ([]*field.Table, error) {
	if j.keysOnly {
		return nil, nil
	}
	tables, err := j.chosen(file, j.tables)
	if err != nil || len(j.tables) == 0 {
		return slices.DeleteFunc(tables, func(t *field.Table) bool { return !hasRowKeys(t) }), err
	}
	for _, t := range tables {
		if !hasRowKeys(t) {
			return nil, fmt.Errorf("table %s has no column with \"key: row\"; its values carry no wrapped keys, so there is nothing to rewrap in it", t.Name())
		}
	}
	return tables, nil
}

func hasRowKeys(t *field.Table) bool {
	for _, c := range t.Columns() {
		if c.Mode() != envelope.ModeTenant {
			return true
		}
	}
	return false
}

// rewrapStore brings the key store to the current root keys, and takes away the wraps of drop.
func rewrapStore(c *cobra.Command, s *session, on *screen, concurrency int, drop ...string) error {
	d, err := on.display(c)
	if err != nil {
		return err
	}
	m := d.meter("rewrap", "key store")
	start := time.Now()
	result, err := rotate.RewrapKeys(c.Context(), rotate.KeysConfig{
		Keyring: s.ring, Concurrency: concurrency, Progress: m.update, DropRoots: drop,
	})
	m.finish()
	fmt.Fprintf(c.OutOrStdout(), "key store: %d keys, %d rewrapped, %d were current, %d failed, in %s\n",
		result.Checked, result.Rewrapped, result.Current, result.Failed, seconds(time.Since(start)))
	out := c.OutOrStdout()
	for _, root := range slices.Sorted(maps.Keys(result.Dropped)) {
		fmt.Fprintf(out, "key store: %d keys no longer have a wrap by root key %s.\n", result.Dropped[root], printable(root))
	}
	for _, root := range slices.Sorted(maps.Keys(result.Kept)) {
		fmt.Fprintf(out, "key store: %d keys keep a wrap by root key %s, which is not current here; --drop-root %s takes it away.\n",
			result.Kept[root], printable(root), printable(root))
	}
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
