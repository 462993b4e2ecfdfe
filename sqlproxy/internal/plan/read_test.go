package plan_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

var update = flag.Bool("update", false, "write testdata anew")

// source shows where a value comes from.
func source(s plan.Source) string {
	switch {
	case s.Param != 0:
		return fmt.Sprintf("$%d", s.Param)
	case s.Const == nil:
		return "session"
	case s.Const.Null:
		return "NULL"
	}
	return "'" + s.Const.Text + "'"
}

// cell shows what becomes of a value.
func cell(c plan.Cell) string {
	s := [...]string{"seal", "term", "terms"}[c.Do] + " " + c.Column.String() + " " + source(c.From)
	if !c.Tenant.IsZero() {
		s += " of " + source(c.Tenant)
	}
	if !c.RowID.IsZero() {
		s += " in " + source(c.RowID)
	}
	return s
}

// shown is a plan in readable form: the text for the server, parameters, result columns.
func shown(text string, p *plan.Plan) string {
	var b strings.Builder
	switch {
	case !p.Touches:
		return "  forwarded\n"
	case len(p.Pieces) == 0:
		b.WriteString("  as it is\n")
	default:
		b.WriteString("  ")
		for _, piece := range p.Pieces {
			switch {
			case piece.Cell != 0:
				b.WriteString("«" + cell(p.Cells[piece.Cell-1]) + "»")
			case piece.Text != "":
				b.WriteString(piece.Text)
			default:
				b.WriteString(text[piece.From:piece.To])
			}
		}
		b.WriteString("\n")
	}
	for i, param := range p.Params {
		switch {
		case param.Cell != 0:
			fmt.Fprintf(&b, "  $%d: %s\n", i+1, cell(p.Cells[param.Cell-1]))
		case param.Client == 0:
			fmt.Fprintf(&b, "  $%d: nothing\n", i+1)
		}
	}
	for _, s := range p.Stmts {
		for i, o := range s.Result {
			if len(o.Possible) == 0 {
				continue
			}
			fmt.Fprintf(&b, "  column %d:", i)
			for _, c := range o.Possible {
				b.WriteString(" " + c.String())
			}
			if o.As != 0 {
				fmt.Fprintf(&b, ", as type %d", o.As)
			}
			if o.Clear {
				b.WriteString(", or in clear")
			}
			if o.TenantAt >= 0 {
				fmt.Fprintf(&b, ", tenant at %d", o.TenantAt)
			}
			if o.RowIDAt >= 0 {
				fmt.Fprintf(&b, ", row at %d", o.RowIDAt)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// analysed is a text's plan, or refusal, in readable form.
func analysed(c *plan.Context, text string) string {
	p, err := plan.Analyze(c, text)
	if err == nil {
		return shown(text, p)
	}
	var r *plan.Refusal
	if !errors.As(err, &r) {
		return "  not a refusal: " + err.Error() + "\n"
	}
	return "  refused " + r.SQLState + ": " + r.Message + "\n"
}

// TestReading compares the plans of the texts in testdata/read.txt with those written there.
func TestReading(t *testing.T) {
	golden(t, "testdata/read.txt", func(text string) string { return analysed(worldContext(t), text) })
}

// TestReadingForATenant is TestReading for a session that has one.
func TestReadingForATenant(t *testing.T) {
	c := *worldContext(t)
	c.Tenant = "7"
	golden(t, "testdata/tenant.txt", func(text string) string { return analysed(&c, text) })
}

// golden reads blocks of a text and, indented behind it, what is expected of it.
func golden(t *testing.T, path string, actual func(text string) string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		var text, want []string
		for _, line := range strings.Split(block, "\n") {
			switch {
			case line == "":
			case strings.HasPrefix(line, "#"):
				all.WriteString(line + "\n")
			case strings.HasPrefix(line, "  "):
				want = append(want, line)
			default:
				text = append(text, line)
			}
		}
		if len(text) == 0 {
			all.WriteString("\n")
			continue
		}
		sql := strings.Join(text, "\n")
		got := actual(sql)
		all.WriteString(sql + "\n" + got + "\n")
		if expected := strings.Join(want, "\n") + "\n"; got != expected && !*update {
			t.Errorf("%s\ngot\n%swant\n%s", sql, got, expected)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.TrimSpace(all.String())+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
