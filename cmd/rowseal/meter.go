package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/rowseal/rowseal/rotate"
)

// meter shows how far a job is: as a bar where the error stream is a
// terminal, else as a line now and then, or as JSON.
type meter struct {
	job, name string
	out       io.Writer
	log       *slog.Logger  // nil without --log json
	bars      *mpb.Progress // nil without a terminal
	series    *series       // nil without --metrics
	now       func() time.Time

	mu   sync.Mutex
	bar  *mpb.Bar
	next time.Time
	held string // the kind of what held the job, as last shown
	last rotate.Progress
	tail atomic.Value // string: what stands behind the bar
}

// lineEvery is how often a job without a terminal says how far it is.
const lineEvery = 5 * time.Second

// newMeter is a meter for a command without [meterFlags].
func newMeter(out, errs io.Writer, name string) *meter {
	return (&display{out: out, errs: errs, now: time.Now}).meter("", name)
}

// meter shows a job, of the kind as `rotate` calls it, on what name says: a table. One job
// of a display runs at a time; call finish before the next.
func (d *display) meter(job, name string) *meter {
	m := &meter{job: job, name: name, out: d.out, log: d.log, now: d.now, next: d.now().Add(lineEvery)}
	if d.metrics != nil {
		m.series = d.metrics.add(job, name)
	}
	if f, ok := d.errs.(*os.File); ok && d.log == nil && drawable(f) {
		m.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
		d.bars.Store(m.bars)
	}
	return m
}

// drawable says whether f is a terminal that has room; on one that says it is 0 by 0, as under
// some build servers, nothing would be seen.
func drawable(f *os.File) bool {
	if !isatty.IsTerminal(f.Fd()) {
		return false
	}
	width, height, err := cwriter.GetSize(int(f.Fd()))
	return err == nil && width > 0 && height > 0
}

// update is rotate's Progress function.
func (m *meter) update(p rotate.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = p
	m.series.update(p)
	if m.bars != nil {
		m.draw(p)
		return
	}
	// What holds a job is said when it begins and when it ends; that its figures change is not.
	held := rotate.HeldBy(p.Held)
	if now := m.now(); held != m.held || now.After(m.next) {
		m.next, m.held = now.Add(lineEvery), held
		m.print("progress", p)
	}
}

func (m *meter) print(message string, p rotate.Progress) {
	if m.log == nil {
		fmt.Fprintf(m.out, "%s: %s\n", m.name, line(p))
		return
	}
	attrs := []any{"job", m.job, "on", m.name, "done", p.Done, "total", p.Total, "failed", p.Failed, "rate", round(p.Rate)}
	if p.Left > 0 {
		attrs = append(attrs, "left_seconds", round(p.Left.Seconds()))
	}
	if p.Held != "" {
		attrs = append(attrs, "held", p.Held, "held_by", rotate.HeldBy(p.Held))
	}
	if p.Lag > 0 {
		attrs = append(attrs, "lag_bytes", p.Lag)
	}
	if len(p.Counts) > 0 {
		attrs = append(attrs, "counts", p.Counts)
	}
	m.log.Info(message, attrs...)
}

// line is p in words, from what is known of it.
func line(p rotate.Progress) string {
	text := fmt.Sprint(p.Done)
	if p.Total > 0 {
		text += fmt.Sprintf(" of %d", p.Total)
	}
	if behind := behindBar(p); behind != "" {
		text += ", " + behind
	}
	return text
}

// behindBar is what a bar does not show by itself.
func behindBar(p rotate.Progress) string {
	var parts []string
	add := func(yes bool, format string, args ...any) {
		if yes {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(p.Failed > 0, "%d failed", p.Failed)
	add(p.Rate > 0, "%.0f rows/s", p.Rate)
	add(p.Left > 0, "%s left", p.Left.Round(time.Second))
	// A replica that holds the job is named with its lag.
	add(p.Lag > 0 && rotate.HeldBy(p.Held) != "replica", "lag %s", size(p.Lag))
	add(p.Held != "", "held: %s", printable(p.Held))
	return strings.Join(parts, ", ")
}

func round(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }

// size is n bytes in units of 1024.
func size(n int64) string {
	const unit = 1024
	for _, u := range []struct {
		of   int64
		name string
	}{{unit * unit * unit, "GB"}, {unit * unit, "MB"}, {unit, "kB"}} {
		if n >= u.of {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.of), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

func (m *meter) draw(p rotate.Progress) {
	m.tail.Store(behindBar(p))
	if m.bar == nil {
		// Without a total, so that one that was estimated too low does not end the bar.
		m.bar = m.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(m.name+" "), decor.Any(counters)),
			mpb.AppendDecorators(decor.Any(percent, decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 6}),
				decor.Any(func(decor.Statistics) string {
					if tail, _ := m.tail.Load().(string); tail != "" {
						return ", " + tail
					}
					return ""
				})))
	}
	total := p.Total
	if total > 0 {
		total = max(total, p.Done)
	}
	m.bar.SetTotal(int64(total), false)
	m.bar.SetCurrent(int64(p.Done))
}

func counters(s decor.Statistics) string {
	if s.Total == 0 {
		return fmt.Sprint(s.Current)
	}
	return fmt.Sprintf("%d / %d", s.Current, s.Total)
}

func percent(s decor.Statistics) string {
	if s.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", s.Current*100/s.Total)
}

// finish leaves the bar as it stands.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.series.finish()
	if m.log != nil {
		m.print("ended", m.last)
	}
	if m.bars == nil {
		return
	}
	if m.bar != nil {
		m.tail.Store("") // nothing is left, and nothing is held any more
		if m.last.Total > 0 && m.last.Done >= m.last.Total {
			m.bar.SetTotal(-1, true)
		} else {
			m.bar.Abort(false)
		}
	}
	m.bars.Wait()
}
