package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/report"
)

// verifyJob is what `rotate verify` was asked to do.
type verifyJob struct {
	valuesJob
	sample    float64
	destroyed bool
	copies    bool
	reports   []string
	verified  []report.Verified
}

func newRotateVerify() *cobra.Command {
	var j verifyJob
	c := &cobra.Command{
		Use:   "verify -c FILE --dsn DSN [--table TABLE]… [--report FILE]…",
		Short: "Open values and report what is wrong; nothing is written to tables",
		Long: `Open all sealed values, or those of a sample of the rows, and report what is not as
it should be: values in clear, cut off, altered, of another column, row, tenant or
namespace, of unknown or destroyed keys, with search terms that find them no
longer, or sealed otherwise than the policy says now. Values are counted by key,
key version, suite, key mode and column; the counts are of all values, also with
--sample.

A value of "key: row" that stands in two rows is found where they are close together;
--copies has the database look for those that are not, in one statement over the
table for each such column, which sorts 16 bytes of each value.

The exit code is 1 where anything was found. Reports are written as the ending of
their names says: .txt, .json or .html.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c) },
	}
	j.flags(c)
	c.Flags().Float64Var(&j.sample, "sample", 1, "the part of the rows whose values are opened, such as 0.01")
	c.Flags().BoolVar(&j.destroyed, "destroyed-ok", false, "count values of destroyed keys, without finding fault with them")
	c.Flags().BoolVar(&j.copies, "copies", false, "find values with row keys that were copied to other rows, wherever these are")
	c.Flags().StringArrayVar(&j.reports, "report", nil, "write a report to this file, .txt, .json or .html; may be repeated")
	return c
}

func (j *verifyJob) run(c *cobra.Command) error {
	if !(j.sample > 0 && j.sample <= 1) {
		return misused(c, "--sample is %g; give the part of the rows to open, above 0 and at most 1", j.sample)
	}
	for _, path := range j.reports {
		if err := report.CheckFile(path); err != nil {
			return misused(c, "--report %v", err)
		}
	}
	var keys []keyring.Record
	failed := j.valuesJob.run(c, func(r *runner, t *field.Table) (err error) {
		if keys == nil && r.session.store != nil && len(j.reports) > 0 {
			if keys, err = records(c.Context(), r.session.ring, keyring.Filter{Purpose: keyring.PurposeTenant}); err != nil {
				return err
			}
		}
		return j.verify(r, t)
	})
	return errors.Join(failed, j.write(c, keys))
}

func (j *verifyJob) verify(r *runner, t *field.Table) error {
	job := rotate.Job{Kind: rotate.Verify, Table: t, Columns: j.columns, Tenant: j.tenant, Options: map[string]string{}}
	if j.sample < 1 {
		job.Options["sample"] = strconv.FormatFloat(j.sample, 'g', -1, 64)
	}
	if j.destroyed {
		job.Options["destroyed"] = "true"
	}
	if j.copies {
		job.Options["copies"] = "true"
	}
	result, err := r.run(job, "rows", "values", "opened", "destroyed", "failed")
	for _, f := range result.Findings {
		fmt.Fprintf(r.c.OutOrStdout(), "  %s: %s\n", f.Kind, f)
	}
	if result.ID != 0 {
		j.verified = append(j.verified, report.Verified{Job: job, Result: result})
	}
	return err
}

// write writes the reports also where something was found: then they are wanted most.
func (j *verifyJob) write(c *cobra.Command, keys []keyring.Record) error {
	if len(j.verified) == 0 {
		return nil
	}
	r := report.New(j.verified, keys)
	var failed error
	for _, path := range j.reports {
		if err := r.WriteFile(path); err != nil {
			failed = errors.Join(failed, fmt.Errorf("the report could not be written: %w", err))
			continue
		}
		fmt.Fprintf(c.OutOrStdout(), "report: %s\n", path)
	}
	return failed
}
