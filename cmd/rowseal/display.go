package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
)

// meterOptions are the flags by which a command's jobs are shown.
type meterOptions struct {
	log     string
	metrics string
}

// logFlag adds --log to a command.
func logFlag(c *cobra.Command) *meterOptions {
	o := &meterOptions{}
	c.Flags().StringVar(&o.log, "log", logText, "how to say how far it is: text, or json for lines of JSON on the error stream")
	return o
}

// meterFlags adds --log and --metrics.
func meterFlags(c *cobra.Command) *meterOptions {
	o := logFlag(c)
	c.Flags().StringVar(&o.metrics, "metrics", "", "address, 127.0.0.1:9187, that answers GET /metrics in Prometheus' form while the command runs")
	return o
}

const (
	logText = "text"
	logJSON = "json"
)

// screen is the display of a command that has [meterFlags], made when it is first asked for.
type screen struct {
	options *meterOptions
	shown   *display
}

func (s *screen) flags(c *cobra.Command) { s.options = meterFlags(c) }

// logFlag is for a command whose jobs are others', so that it has no metrics of them.
func (s *screen) logFlag(c *cobra.Command) { s.options = logFlag(c) }

// display answers --metrics from the first call on until the command's context ends.
func (s *screen) display(c *cobra.Command) (*display, error) {
	if s.shown != nil {
		return s.shown, nil
	}
	d, err := s.options.open(c)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(c.Context(), d.close)
	s.shown = d
	return d, nil
}

// display shows the jobs of a command, one after the other.
type display struct {
	out, errs io.Writer
	log       *slog.Logger // nil without --log json
	metrics   *metrics     // nil without --metrics
	now       func() time.Time
	stop      func()
	bars      atomic.Pointer[mpb.Progress] // what is drawn now, if anything
}

// open begins to answer --metrics. Close the display when the command ends.
func (o *meterOptions) open(c *cobra.Command) (*display, error) {
	d := &display{out: c.OutOrStdout(), errs: c.ErrOrStderr(), now: time.Now, stop: func() {}}
	switch o.log {
	case logText:
	case logJSON:
		d.log = slog.New(slog.NewJSONHandler(d.errs, nil))
	default:
		return nil, misused(c, "--log is %q; text or json is allowed", o.log)
	}
	if o.metrics == "" {
		return d, nil
	}
	d.metrics = newMetrics(time.Now)
	var err error
	if d.stop, err = serveOn(o.metrics, "--metrics", d.metrics); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *display) close() { d.stop() }

// logger is for what a job decides and warns of: rotate's Config.Log.
func (d *display) logger() *slog.Logger {
	if d.log != nil {
		return d.log
	}
	return slog.New(slog.NewTextHandler(aboveBars{d}, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// aboveBars writes to the error stream without tearing a bar that is drawn there.
type aboveBars struct{ d *display }

func (w aboveBars) Write(b []byte) (int, error) {
	if bars := w.d.bars.Load(); bars != nil {
		if n, err := bars.Write(b); err == nil {
			return n, nil
		}
	}
	return w.d.errs.Write(b)
}
