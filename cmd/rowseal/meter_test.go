package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"

	"github.com/rowseal/rowseal/rotate"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func TestWithoutATerminalAMeterPrintsLinesNowAndThen(t *testing.T) {
	var out, errs bytes.Buffer
	c := &clock{time.Unix(1e9, 0)}
	m := (&display{out: &out, errs: &errs, now: c.now}).meter("", "people")
	m.update(rotate.Progress{Done: 1, Total: 9}) // too early for a line
	c.pass(lineEvery + 1)
	m.update(rotate.Progress{Done: 2, Total: 9})
	m.update(rotate.Progress{Done: 3, Total: 9}) // too soon after the last
	m.finish()
	if got := out.String(); got != "people: 2 of 9\n" || errs.Len() > 0 {
		t.Fatalf("printed %q and %q", got, errs.String())
	}
}

// aJob is what a job over rows reports, second by second, five times as fast as lines are printed.
func aJob(c *clock, update func(rotate.Progress)) {
	const lag = "replica 10.0.0.7 is %s behind (limit 8 MB)"
	for i, p := range []rotate.Progress{
		{Total: 90000, Lag: -1, Counts: map[string]int64{}},
		{Done: 12000, Total: 90000, Rate: 1200, Left: 65 * time.Second, Lag: 3 << 20},
		{Done: 14000, Total: 90000, Rate: 900.44, Left: 84400 * time.Millisecond, Lag: 12 << 20, Held: fmt.Sprintf(lag, "12 MB")},
		{Done: 14000, Total: 90000, Lag: 13 << 20, Held: fmt.Sprintf(lag, "13 MB")},
		{Done: 14000, Total: 90000, Lag: 1 << 20, Held: "paused by ann: \x1b[2Jbackup"},
		{Done: 15000, Total: 90000, Failed: 2, Rate: 10, Left: 2 * time.Hour, Lag: 100},
		{Done: 90001, Failed: 2, Lag: 100},
	} {
		if p.Counts == nil {
			p.Counts = map[string]int64{"rows": int64(p.Done), "values": 2 * int64(p.Done), "key/17": 3}
		}
		update(p)
		if i == 3 {
			c.pass(time.Second) // no line for figures alone
		} else {
			c.pass(lineEvery + 1)
		}
	}
}

func TestLinesSayWhatIsKnown(t *testing.T) {
	var out, errs bytes.Buffer
	c := &clock{time.Unix(1e9, 0)}
	m := (&display{out: &out, errs: &errs, now: c.now}).meter("reseal", "people")
	aJob(c, m.update)
	m.finish()
	want := `people: 12000 of 90000, 1200 rows/s, 1m5s left, lag 3.0 MB
people: 14000 of 90000, 900 rows/s, 1m24s left, held: replica 10.0.0.7 is 12 MB behind (limit 8 MB)
people: 14000 of 90000, held: replica 10.0.0.7 is 13 MB behind (limit 8 MB)
people: 14000 of 90000, lag 1.0 MB, held: "paused by ann: \x1b[2Jbackup"
people: 15000 of 90000, 2 failed, 10 rows/s, 2h0m0s left, lag 100 B
people: 90001, 2 failed, lag 100 B
`
	if got := out.String(); got != want || errs.Len() > 0 {
		t.Errorf("printed\n%s\nwant\n%s\nand %q", got, want, errs.String())
	}
}

func TestThatAJobIsHeldIsSaidAtOnce(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(1e9, 0)}
	m := (&display{out: &out, errs: &out, now: c.now}).meter("reseal", "people")
	for i, held := range []string{"", "pause file p exists", "pause file p exists", "WAL is written at 9 MB/s (limit 8 MB/s)", ""} {
		c.pass(time.Millisecond)
		m.update(rotate.Progress{Done: i, Held: held})
	}
	if got := out.String(); got != "people: 1, held: pause file p exists\npeople: 3, held: WAL is written at 9 MB/s (limit 8 MB/s)\npeople: 4\n" {
		t.Errorf("printed %q", got)
	}
}

// withFlags opens the display of a command that was called so.
func withFlags(t *testing.T, out, errs io.Writer, args ...string) (*display, error) {
	t.Helper()
	var d *display
	c := &cobra.Command{Use: "rotate", SilenceUsage: true, SilenceErrors: true}
	o := meterFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		d, err = o.open(c)
		return err
	}
	c.SetArgs(args)
	c.SetOut(out)
	c.SetErr(errs)
	err := c.ExecuteContext(t.Context())
	if d != nil {
		t.Cleanup(d.close)
	}
	return d, err
}

func TestLogJSONTakesThePlaceOfLines(t *testing.T) {
	var out, errs bytes.Buffer
	d, err := withFlags(t, &out, &errs, "--log", "json")
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Unix(1e9, 0)}
	d.now = c.now
	m := d.meter("reseal", "people")
	aJob(c, m.update)
	d.logger().Warn("no key", "n", 1)
	m.finish()
	var got []string
	for _, l := range strings.Split(strings.TrimSpace(errs.String()), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(l), &record); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if _, ok := record["time"]; !ok {
			t.Errorf("%q has no time", l)
		}
		delete(record, "time")
		text, _ := json.Marshal(record) // sorted
		got = append(got, string(text))
	}
	want := []string{
		`{"counts":{"key/17":3,"rows":12000,"values":24000},"done":12000,"failed":0,"job":"reseal","lag_bytes":3145728,"left_seconds":65,"level":"INFO","msg":"progress","on":"people","rate":1200,"total":90000}`,
		`{"counts":{"key/17":3,"rows":14000,"values":28000},"done":14000,"failed":0,"held":"replica 10.0.0.7 is 12 MB behind (limit 8 MB)","held_by":"replica","job":"reseal","lag_bytes":12582912,"left_seconds":84.4,"level":"INFO","msg":"progress","on":"people","rate":900.4,"total":90000}`,
	}
	if len(got) != 8 || got[0] != want[0] || got[1] != want[1] || !strings.Contains(got[6], `"no key"`) || !strings.Contains(got[7], `"msg":"ended"`) {
		t.Errorf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
}

func TestMetricsAreScraped(t *testing.T) {
	var out bytes.Buffer
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if _, err := withFlags(t, &out, &out, "--metrics", address); err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Errorf("an address in use: %v", err)
	}
	free.Close()
	d, err := withFlags(t, &out, &out, "--metrics", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Unix(1e9, 0)}
	d.now, d.metrics.now = c.now, c.now
	keys := d.meter("rewrap", "key store")
	keys.update(rotate.Progress{Done: 3, Total: 4})
	keys.finish()
	m := d.meter("reseal", `odd "name"`)
	aJob(c, m.update)
	m.update(rotate.Progress{
		Done: 7, Total: 9, Failed: 1, Rate: 2.5, Left: time.Minute, Lag: 5, Held: "pause file p exists",
		Counts: map[string]int64{"rows": 7, "values": 14, "resealed": 13, "key/17": 3},
	})
	c.pass(1500 * time.Millisecond)

	text := scrape(t, "http://"+address+"/metrics", http.StatusOK)
	const at = `{job="reseal",table="odd \"name\""`
	for _, want := range []string{
		"# TYPE rowseal_rotate_rows_total counter",
		"# TYPE rowseal_rotate_rate gauge",
		`rowseal_rotate_job_info{job="rewrap",table="key store"} 1`,
		`rowseal_rotate_running{job="rewrap",table="key store"} 0`,
		`rowseal_rotate_rows_total{job="rewrap",table="key store"} 3`,
		"rowseal_rotate_running" + at + "} 1",
		"rowseal_rotate_rows_total" + at + "} 7",
		"rowseal_rotate_rows_expected" + at + "} 9",
		"rowseal_rotate_failed_total" + at + "} 1",
		"rowseal_rotate_values_total" + at + `,count="values"} 14`,
		"rowseal_rotate_values_total" + at + `,count="resealed"} 13`,
		"rowseal_rotate_rate" + at + "} 2.5",
		"rowseal_rotate_left_seconds" + at + "} 60",
		"rowseal_rotate_replica_lag_bytes" + at + "} 5",
		"rowseal_rotate_held" + at + `,by="file"} 1`,
		"rowseal_rotate_held_seconds_total" + at + `,by="file"} 1.5`,
		"rowseal_rotate_held_seconds_total" + at + `,by="replica"} 6.000000001`,
		"rowseal_rotate_held_seconds_total" + at + `,by="order"} 5.000000001`,
	} {
		if !strings.Contains("\n"+text, "\n"+want+"\n") {
			if !strings.HasPrefix(want, "#") || !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
	}
	for _, never := range []string{"key/17", `lag_bytes{job="rewrap"`} {
		if strings.Contains(text, never) {
			t.Errorf("%s is there", never)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	scrape(t, "http://"+address+"/", http.StatusNotFound)
	d.close()
	if _, err := http.Get("http://" + address + "/metrics"); err == nil {
		t.Error("still answers behind close")
	}
}

func scrape(t *testing.T, url string, status int) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(text)
}

func TestAnUnknownLogIsMisuse(t *testing.T) {
	_, err := withFlags(t, io.Discard, io.Discard, "--log", "xml")
	var usage *usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "text or json") {
		t.Error(err)
	}
}

func TestWarningsStandAboveABar(t *testing.T) {
	var screen bytes.Buffer
	d, err := withFlags(t, io.Discard, &screen)
	if err != nil {
		t.Fatal(err)
	}
	d.logger().Warn("before")
	m := d.meter("reseal", "people")
	m.bars = mpb.New(mpb.WithOutput(&screen), mpb.WithAutoRefresh(), mpb.WithWidth(40))
	d.bars.Store(m.bars)
	m.update(rotate.Progress{Done: 1, Total: 9})
	d.logger().Warn("while")
	m.finish()
	d.logger().Warn("after")
	got := screen.String()
	before, while, after := strings.Index(got, "level=WARN msg=before\n"), strings.Index(got, "level=WARN msg=while\n"), strings.Index(got, "level=WARN msg=after\n")
	if before != 0 || while < before || after < while {
		t.Errorf("drew %q", got)
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
			counts := fmt.Sprintf("%d / %d", done, total)
			if total == 0 {
				counts = "0"
			}
			m.update(rotate.Progress{Total: total})
			m.update(rotate.Progress{Done: done, Total: total})
			m.finish() // must return
			if !strings.Contains(screen.String(), "people "+counts) || out.Len() > 0 {
				t.Fatalf("drew %q, printed %q", screen.String(), out.String())
			}
		})
	}
}

func TestATerminalWithRoomGetsABar(t *testing.T) {
	control, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	defer terminal.Close()
	for _, tt := range []struct {
		size pty.Winsize
		args []string
		bar  bool
	}{
		{pty.Winsize{Rows: 30, Cols: 100}, nil, true},
		{pty.Winsize{}, nil, false},
		{pty.Winsize{Rows: 30, Cols: 100}, []string{"--log", "json"}, false},
	} {
		if err := pty.Setsize(control, &tt.size); err != nil {
			t.Fatal(err)
		}
		d, err := withFlags(t, io.Discard, terminal, tt.args...)
		if err != nil {
			t.Fatal(err)
		}
		m := d.meter("reseal", "people")
		if (m.bars != nil) != tt.bar {
			t.Errorf("%+v: a bar %v", tt, m.bars != nil)
		}
		m.finish()
	}
}

func TestABarShowsRateTimeLeftAndWhatHoldsTheJob(t *testing.T) {
	var screen safeBuffer
	m := newMeter(io.Discard, io.Discard, "people")
	refresh := make(chan any)
	m.bars = mpb.New(mpb.WithOutput(&screen), mpb.WithManualRefresh(refresh), mpb.WithWidth(200))
	want := [][]string{
		{"people 0 / 90000 ", " 0 % "},
		{"people 12000 / 90000 ", " 13 % ", ", 1200 rows/s, 1m5s left, lag 3.0 MB\n"},
		{"people 14000 / 90000 ", " 15 % ", ", 900 rows/s, 1m24s left, held: replica 10.0.0.7 is 12 MB behind (limit 8 MB)\n"},
		{", held: replica 10.0.0.7 is 13 MB behind (limit 8 MB)\n"},
		{`, lag 1.0 MB, held: "paused by ann: \x1b[2Jbackup"` + "\n"},
		{"people 15000 / 90000 ", ", 2 failed, 10 rows/s, 2h0m0s left, lag 100 B\n"},
		{"people 90001 ", ", 2 failed, lag 100 B\n"},
	}
	aJob(&clock{}, func(p rotate.Progress) {
		m.update(p)
		for _, text := range want[0] {
			for !strings.Contains(screen.String(), text) { // drawn a moment later, or the test's time is over
				refresh <- time.Now()
			}
		}
		want = want[1:]
	})
	m.last.Total = 90001
	m.finish()
	if got := screen.String(); !strings.HasSuffix(got, "0s\n") || !strings.Contains(got, "people 90001 / 90001 ") || !strings.Contains(got, "100 %") {
		t.Errorf("ended with %q", got)
	}
}
