package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/rowseal/rowseal/rotate"
)

// meter shows how far a job is: as a bar where the error stream is a
// terminal, else as a line now and then.
type meter struct {
	name string
	out  io.Writer
	bars *mpb.Progress // nil without a terminal

	mu   sync.Mutex
	bar  *mpb.Bar
	next time.Time
}

// lineEvery is how often a job without a terminal says how far it is.
const lineEvery = 5 * time.Second

func newMeter(out, errs io.Writer, name string) *meter {
	m := &meter{name: name, out: out, next: time.Now().Add(lineEvery)}
	if f, ok := errs.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		m.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	}
	return m
}

func (m *meter) update(p rotate.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.bars != nil:
		m.draw(p)
	case time.Now().After(m.next):
		m.next = time.Now().Add(lineEvery)
		fmt.Fprintf(m.out, "%s: %d of %d\n", m.name, p.Done, p.Total)
	}
}

func (m *meter) draw(p rotate.Progress) {
	if m.bar == nil {
		m.bar = m.bars.AddBar(int64(p.Total),
			mpb.PrependDecorators(decor.Name(m.name+" "), decor.CountersNoUnit("%d / %d")),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 6})))
	}
	m.bar.SetCurrent(int64(p.Done))
}

// finish leaves the bar as it stands.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bars == nil {
		return
	}
	if m.bar != nil && !m.bar.Completed() {
		m.bar.Abort(false)
	}
	m.bars.Wait()
}
