package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// valuesJob is a job that opens the values of tables.
type valuesJob struct {
	place
	jobFlags
	tables  []string
	columns []string
}

func (j *valuesJob) flags(c *cobra.Command) {
	j.place.flags(c)
	j.jobFlags.flags(c)
	c.Flags().StringArrayVar(&j.tables, "table", nil, "only this table; may be repeated (default: all of the policy)")
	c.Flags().StringArrayVar(&j.columns, "column", nil, "only this sealed column, with one --table; may be repeated")
}

// run opens keys and database and calls do for each table. It goes on past tables that have findings or single
// values that fail.
func (j *valuesJob) run(c *cobra.Command, do func(rotate.Config, *session, *field.Table) error) (err error) {
	if len(j.columns) > 0 && len(j.tables) != 1 {
		return misused(c, "--column is about one table; name it by --table")
	}
	if err := j.needDSN(c, "the values are in a database, and --dsn names none"); err != nil {
		return err
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
	db, err := openDatabase(c.Context(), j.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	cfg := j.runConfig(s, db)
	if cfg.Cipher, err = field.New(field.Config{Keyring: s.ring}); err != nil {
		return err
	}
	var failed error
	for _, t := range tables {
		err := do(cfg, s, t)
		failed = errors.Join(failed, err)
		if err != nil && !errors.Is(err, rotate.ErrIncomplete) && !errors.Is(err, rotate.ErrFindings) {
			return failed
		}
	}
	return failed
}

func (j *valuesJob) chosen(file *field.File) ([]*field.Table, error) {
	if len(j.tables) == 0 {
		return file.Policy.Tables(), nil
	}
	tables := make([]*field.Table, 0, len(j.tables))
	for _, name := range j.tables {
		t := file.Policy.Table(name)
		if t == nil {
			return nil, fmt.Errorf("%s has no table %q", j.place.config, name)
		}
		tables = append(tables, t)
	}
	return tables, nil
}
