package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// rewrapJob is what `rotate rewrap` was asked to do.
type rewrapJob struct {
	place
	jobFlags
	tables   []string
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
key store is left as it is.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c) },
	}
	j.place.flags(c)
	j.jobFlags.flags(c)
	c.Flags().StringArrayVar(&j.tables, "table", nil, "only the row keys in this table; may be repeated")
	c.Flags().BoolVar(&j.keysOnly, "keys-only", false, "only the key store, no tables")
	return c
}

func (j *rewrapJob) run(c *cobra.Command) (err error) {
	if j.keysOnly && len(j.tables) > 0 {
		return misused(c, "--keys-only and --table exclude each other")
	}
	if _, err := j.display(c); err != nil {
		return err
	}
	s, err := j.openToWalk(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	tables, err := j.chosen(s.file)
	if err != nil {
		return err
	}
	var db *database
	if len(tables) > 0 { // before anything is written
		if db, err = j.database(c); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
	}
	return j.rewrap(c, s, db, tables)
}

func (j *rewrapJob) database(c *cobra.Command) (*database, error) {
	if err := j.needDSN(c, "tables have row keys to rewrap, and --dsn names no database"); err != nil {
		return nil, err
	}
	return openDatabase(c.Context(), j.dsn)
}

// rewrap goes on past single keys that fail.
func (j *rewrapJob) rewrap(c *cobra.Command, s *session, db *database, tables []*field.Table) error {
	var failed error
	if len(j.tables) == 0 && j.tenant == "" && s.store != nil {
		failed = j.rewrapKeys(c, s)
		if failed != nil && !errors.Is(failed, rotate.ErrIncomplete) {
			return failed
		}
	}
	for _, t := range tables {
		err := j.rewrapRows(c, s, db, t)
		failed = errors.Join(failed, err)
		if err != nil && !errors.Is(err, rotate.ErrIncomplete) {
			return failed
		}
	}
	return failed
}

// chosen are the tables whose row keys are rewrapped.
func (j *rewrapJob) chosen(file *field.File) ([]*field.Table, error) {
	if j.keysOnly {
		return nil, nil
	}
	if len(j.tables) == 0 {
		var tables []*field.Table
		for _, t := range file.Policy.Tables() {
			if hasRowKeys(t) {
				tables = append(tables, t)
			}
		}
		return tables, nil
	}
	tables := make([]*field.Table, 0, len(j.tables))
	for _, name := range j.tables {
		t := file.Policy.Table(name)
		switch {
		case t == nil:
			return nil, fmt.Errorf("%s has no table %q", j.place.config, name)
		case !hasRowKeys(t):
			return nil, fmt.Errorf("table %s has no column with \"key: row\"; its values carry no wrapped keys, so there is nothing to rewrap in it", name)
		}
		tables = append(tables, t)
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

func (j *rewrapJob) rewrapKeys(c *cobra.Command, s *session) error {
	d, err := j.display(c)
	if err != nil {
		return err
	}
	m := d.meter("rewrap", "key store")
	start := time.Now()
	result, err := rotate.RewrapKeys(c.Context(), rotate.KeysConfig{Keyring: s.ring, Concurrency: j.concurrency, Progress: m.update})
	m.finish()
	fmt.Fprintf(c.OutOrStdout(), "key store: %d keys, %d rewrapped, %d were current, %d failed, in %s\n",
		result.Checked, result.Rewrapped, result.Current, result.Failed, seconds(time.Since(start)))
	return err
}

func (j *rewrapJob) rewrapRows(c *cobra.Command, s *session, db *database, t *field.Table) error {
	job := rotate.Job{Kind: rotate.Rewrap, Table: t, Tenant: j.tenant}
	_, err := j.runJob(c, j.runConfig(s, db), job, "rows", "values", "rewrapped", "current", "destroyed", "failed")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
