package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/rotate"
)

// jobsAreIn is why commands about jobs want --dsn.
const jobsAreIn = "jobs are kept in the database with the tables"

// withJobs connects to the database whose jobs do asks about.
func withJobs(c *cobra.Command, dsn string, do func(*database) error) error {
	if err := needDSN(c, dsn, jobsAreIn); err != nil {
		return err
	}
	return withDatabase(c.Context(), dsn, do)
}

func newRotateStatus() *cobra.Command {
	var dsn string
	var all, asJSON bool
	c := &cobra.Command{
		Use:   "status --dsn DSN [ID]",
		Short: "Show jobs over rows: how far, by whom, why one waits",
		Long: `Show the jobs over the database's rows that are not over, or one with the values
that failed. A job without a worker goes on when its command is run again.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused(c, "rotate status takes one job's number, or none for all jobs")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withJobs(c, dsn, func(db *database) error { return showJobs(c, db, all, asJSON) })
			}
			id, err := jobID(c, args[0])
			if err != nil {
				return err
			}
			return withJobs(c, dsn, func(db *database) error { return showJob(c, db, id, asJSON) })
		},
	}
	dsnFlag(c, &dsn)
	c.Flags().BoolVar(&all, "all", false, "also those that are over")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func jobID(c *cobra.Command, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, misused(c, "%q is no job's number; rowseal rotate status lists them", text)
	}
	return id, nil
}

func showJobs(c *cobra.Command, db *database, all, asJSON bool) error {
	jobs, err := rotate.Jobs(c.Context(), db.DB, db.dialect, all)
	if err != nil {
		return err
	}
	return printJobs(c.OutOrStdout(), jobs, asJSON)
}

func showJob(c *cobra.Command, db *database, id int64, asJSON bool) error {
	s, err := rotate.JobByID(c.Context(), db.DB, db.dialect, id)
	if errors.Is(err, rotate.ErrNoJob) {
		return fmt.Errorf("%w; \"rowseal rotate status --all\" lists those there are", err)
	}
	if err != nil {
		return err
	}
	return printJob(c.OutOrStdout(), s, asJSON)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printJobs(out io.Writer, jobs []rotate.Status, asJSON bool) error {
	if asJSON {
		return printJSON(out, jobs)
	}
	if len(jobs) == 0 {
		_, err := fmt.Fprintln(out, "No jobs.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tKIND\tTABLE\tSTATE\tROWS\tFAILED\tSTARTED")
	for _, s := range jobs {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d of %d\t%d\t%s\n", s.ID, s.Kind, tableOf(s), stateOf(s),
			s.Counts["rows"], max(s.Total, s.Counts["rows"]), s.Counts["failed"], s.Started.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// tableOf names the schema where the search path would find another table.
func tableOf(s rotate.Status) string {
	if s.Elsewhere {
		return s.Schema + "." + s.Table
	}
	return s.Table
}

// stateOf says also what the state word does not.
func stateOf(s rotate.Status) string {
	switch {
	case s.State != rotate.StateRunning:
		return s.State
	case s.Order.Pause:
		return "paused"
	case s.Held != "":
		return "waiting: " + s.Held
	case len(s.Owners) == 0 && byRiver(s):
		return "waiting for a worker of River's"
	case len(s.Owners) == 0:
		return "nobody works on it"
	}
	return s.State
}

// byRiver says that the job's ranges are handed out by River, between whose turns nobody has them.
func byRiver(s rotate.Status) bool {
	var spec struct{ Options map[string]string }
	return json.Unmarshal([]byte(s.Spec), &spec) == nil && spec.Options["workers"] == "river"
}

func printJob(out io.Writer, s rotate.Status, asJSON bool) error {
	if asJSON {
		return printJSON(out, s)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("job", "%d", s.ID)
	line("kind", "%s", s.Kind)
	line("table", "%s", tableOf(s))
	if s.Spec != "{}" {
		line("what", "%s", s.Spec)
	}
	line("state", "%s", stateOf(s))
	if s.State == rotate.StateSuperseded {
		line("why", "%s", s.Order.Reason)
	} else if o := s.Order; o.By != "" {
		line("last order", "by %s %s", o.By, o.Reason)
	}
	if len(s.Owners) > 0 {
		line("workers", "%s", strings.Join(s.Owners, ", "))
	}
	line("ranges", "%d, %d left", s.Ranges, s.Left)
	line("started", "%s", s.Started.Local().Format(time.DateTime))
	if !s.Ended.IsZero() {
		line("ended", "%s", s.Ended.Local().Format(time.DateTime))
	}
	line("rows", "%d of %d", s.Counts["rows"], max(s.Total, s.Counts["rows"]))
	for _, name := range slices.Sorted(maps.Keys(s.Counts)) {
		if name != "rows" {
			line(name, "%d", s.Counts[name])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, f := range s.Findings {
		if _, err := fmt.Fprintf(out, "%s: %s\n", f.Kind, f); err != nil {
			return err
		}
	}
	return nil
}
