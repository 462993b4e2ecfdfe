package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
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
func (j *valuesJob) run(c *cobra.Command, do func(*runner, *field.Table) error) error {
	if len(j.columns) > 0 && len(j.tables) != 1 {
		return misused(c, "--column is about one table; name it by --table")
	}
	if err := j.needDSN(c, "the values are in a database"); err != nil {
		return err
	}
	if err := j.misused(c); err != nil {
		return err
	}
	return j.withKeysToWalk(c, func(s *session) error {
		tables, err := j.chosen(s.file, j.tables)
		if err != nil {
			return err
		}
		r, err := j.runner(c, s)
		if err != nil {
			return err
		}
		return eachOf(tables, func(t *field.Table) error { return do(r, t) })
	})
}

// chosen are the tables of these names; without a name, all.
func (p *place) chosen(file *field.File, names []string) ([]*field.Table, error) {
	if len(names) == 0 {
		return file.Policy.Tables(), nil
	}
	tables := make([]*field.Table, 0, len(names))
	for _, name := range names {
		t, err := p.policyTable(file, name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func (p *place) policyTable(file *field.File, name string) (*field.Table, error) {
	t := file.Policy.Table(name)
	if t == nil {
		return nil, fmt.Errorf("%s has no table %q", p.config, name)
	}
	return t, nil
}
