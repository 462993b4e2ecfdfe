package rotate_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

func TestAnOutageBeforeTheFirstPageIsWaitedFor(t *testing.T) {
	dsn := testpg.DSN(t)
	w := newWorld(t)
	f := &faulty{}
	d := f.over(t, dsn)
	w.people(t, d, 30)
	want := counts{"rows": 30, "values": 60, "current": 60}
	counted(t, w.run(t, w.config(d)), want) // which makes the journal
	var statements []string
	first := -1
	f.before = func(_ int, statement string) error {
		if first < 0 && strings.HasPrefix(statement, "SELECT no, fence") { // the first claim, which is a worker's
			first = len(statements)
		}
		statements = append(statements, statement)
		return nil
	}
	counted(t, w.run(t, w.config(d)), want)
	if first < 5 {
		t.Fatalf("%d statements before the first claim, of %d", first, len(statements))
	}
	for at := range first {
		n, waits := 0, 0
		f.before = func(_ int, statement string) error {
			if n++; n == at+1 {
				return fmt.Errorf("connection lost: %w", syscall.ECONNRESET)
			}
			return nil
		}
		cfg := w.config(d)
		cfg.Progress = func(p rotate.Progress) {
			if rotate.HeldBy(p.Held) == "away" {
				waits++
			}
		}
		result, err := rotate.Run(t.Context(), cfg, w.rewrap())
		if err != nil {
			t.Fatalf("lost at statement %d, %s: %v", at+1, statements[at], err)
		}
		counted(t, result.Counts, want)
		if waits == 0 {
			t.Errorf("nothing was said of the wait at statement %d, %s", at+1, statements[at])
		}
	}
}
