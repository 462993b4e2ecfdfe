package report

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// shownBars is how many bars of a group people are shown; JSON has all.
const shownBars = 40

// ErrFormat: a report's file has an ending that names no format.
var ErrFormat = errors.New("unknown report format; end the file's name in .txt, .json or .html")

// WriteFile writes the report to a new or existing file, in the format that the ending of its name says: .txt, .json or
// .html (else ErrFormat). The file is whole or not there: it is written beside and renamed.
func (r *Report) WriteFile(path string) (err error) {
	write, err := r.writer(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = errors.Join(write(f), f.Chmod(0o644), f.Close()) //nolint:gosec // a report is made to be read
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// CheckFile says whether WriteFile knows a format for path, before the work is done.
func CheckFile(path string) error {
	_, err := (&Report{}).writer(path)
	return err
}

func (r *Report) writer(path string) (func(io.Writer) error, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".txt":
		return r.Text, nil
	case ".json":
		return r.JSON, nil
	case ".html", ".htm":
		return r.HTML, nil
	}
	return nil, fmt.Errorf("%q: %w", path, ErrFormat)
}

// JSON writes the report with all that it has.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for a terminal or a mail.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Verify report of %s: %s\n", r.Written.Format(time.RFC3339), r.Verdict())
	for i := range r.Tables {
		r.Tables[i].text(t)
	}
	return t.Flush()
}

func (t *Table) text(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", t.Title())
	fmt.Fprintf(w, "  %s\n", t.Times())
	fmt.Fprintf(w, "  %s\n", t.Extent())
	for _, g := range t.Groups {
		fmt.Fprintf(w, "\n  %s\n", g.Name)
		for _, b := range g.Shown() {
			fmt.Fprintf(w, "    %s\t%d\t%s\n", b.Name, b.Count, b.Note)
		}
		if n := g.Hidden(); n > 0 {
			fmt.Fprintf(w, "    and %d more\n", n)
		}
	}
	if len(t.Findings) > 0 {
		fmt.Fprintf(w, "\n  first findings\n")
	}
	for _, f := range t.Findings {
		fmt.Fprintf(w, "    %s\t%s\t%s\t%s\n", f.Kind, f.Column, f.Row, f.Detail)
	}
	if n := t.More(); n > 0 {
		fmt.Fprintf(w, "    and %d more\n", n)
	}
}

//go:embed report.html
var page string

var html = template.Must(template.New("report").Parse(page))

// HTML writes the report as one page, without script and without other files.
func (r *Report) HTML(w io.Writer) error { return html.Execute(w, r) }

// Verdict sums the report up.
func (r *Report) Verdict() string {
	switch {
	case r.Clean:
		return "clean"
	case r.Findings == 1:
		return "1 finding"
	case r.Findings > 1:
		return fmt.Sprintf("%d findings", r.Findings)
	}
	return "not done"
}

// Title names the table and what the job was narrowed to.
func (t *Table) Title() string {
	s := "Table " + t.Table
	if len(t.Columns) > 0 {
		s += ", columns " + strings.Join(t.Columns, ", ")
	}
	if t.Tenant != "" {
		s += ", tenant " + t.Tenant
	}
	return s
}

// Times says when the job was done.
func (t *Table) Times() string {
	s := fmt.Sprintf("job %d, begun %s", t.Job, t.Started.UTC().Format(time.RFC3339))
	if !t.Done {
		return s + ", not done"
	}
	return fmt.Sprintf("%s, ended %s, %v", s, t.Ended.UTC().Format(time.RFC3339), t.Took.Round(time.Millisecond))
}

// Extent says how much was read and opened.
func (t *Table) Extent() string {
	s := fmt.Sprintf("%d rows, %d values, %d opened", t.Rows, t.Values, t.Opened)
	if t.Sample < 1 {
		s += fmt.Sprintf(" (a sample of %g of the rows; the headers of all values were looked at)", t.Sample)
	}
	return s
}

// Shown are the bars that people are shown.
func (g Group) Shown() []Bar { return g.Bars[:min(shownBars, len(g.Bars))] }

// Hidden is how many bars are not shown.
func (g Group) Hidden() int { return len(g.Bars) - len(g.Shown()) }

// Percent is the width of the bar.
func (b Bar) Percent() string { return fmt.Sprintf("%.2f%%", 100*b.Share) }

// More is how many findings are not listed.
func (t *Table) More() int64 { return t.Found - int64(len(t.Findings)) }
