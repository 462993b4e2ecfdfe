package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"github.com/rowseal/rowseal/rotate"
)

func TestWithoutATerminalAMeterPrintsLinesNowAndThen(t *testing.T) {
	var out, errs bytes.Buffer
	m := newMeter(&out, &errs, "people")
	m.update(rotate.Progress{Done: 1, Total: 9}) // too early for a line
	m.next = time.Now().Add(-time.Second)
	m.update(rotate.Progress{Done: 2, Total: 9})
	m.update(rotate.Progress{Done: 3, Total: 9}) // too soon after the last
	m.finish()
	if got := out.String(); got != "people: 2 of 9\n" || errs.Len() > 0 {
		t.Fatalf("printed %q and %q", got, errs.String())
	}
}

func TestOnATerminalAMeterDrawsABarAndEndsItWhereItStands(t *testing.T) {
	for name, done := range map[string]int{"done": 9, "interrupted": 4, "nothing to do": 0} {
		t.Run(name, func(t *testing.T) {
			var out, screen bytes.Buffer
			m := newMeter(&out, &screen, "people")
			m.bars = mpb.New(mpb.WithOutput(&screen), mpb.WithAutoRefresh(), mpb.WithWidth(40))
			total := 9
			if done == 0 {
				total = 0
			}
			m.update(rotate.Progress{Total: total})
			m.update(rotate.Progress{Done: done, Total: total})
			m.finish() // must return
			if !strings.Contains(screen.String(), "people") || out.Len() > 0 {
				t.Fatalf("drew %q, printed %q", screen.String(), out.String())
			}
		})
	}
}
