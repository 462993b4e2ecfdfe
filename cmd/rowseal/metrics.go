package main

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rowseal/rowseal/rotate"
)

// metrics answers GET /metrics with the jobs of a command, in Prometheus' text form. There is nothing secret
// in it: kinds of jobs, names of tables, numbers.
type metrics struct {
	now func() time.Time

	mu   sync.Mutex
	jobs []*series
}

func newMetrics(now func() time.Time) *metrics { return &metrics{now: now} }

// series are the figures of one job. A nil one takes updates and keeps nothing.
type series struct {
	m         *metrics
	job, name string

	// Under m.mu:
	p       rotate.Progress
	running bool
	heldBy  string // what holds it now
	since   time.Time
	held    map[string]time.Duration // by kind, until since
}

// add begins a job. One that was there under the same name goes on.
func (m *metrics) add(job, name string) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.jobs {
		if s.job == job && s.name == name {
			s.running = true
			return s
		}
	}
	s := &series{m: m, job: job, name: name, running: true, held: map[string]time.Duration{}}
	s.p.Lag = -1
	m.jobs = append(m.jobs, s)
	return s
}

func (s *series) update(p rotate.Progress) {
	if s == nil {
		return
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.settle()
	s.p, s.heldBy = p, rotate.HeldBy(p.Held)
	if p.Counts == nil {
		s.p.Lag = -1 // not a job over rows
	}
	s.p.Counts = maps.Clone(p.Counts)
}

func (s *series) finish() {
	if s == nil {
		return
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.settle()
	s.running, s.heldBy, s.p.Rate, s.p.Left = false, "", 0, 0
}

// settle adds the time since it was last called to what held the job meanwhile.
func (s *series) settle() {
	now := s.m.now()
	if s.heldBy != "" {
		s.held[s.heldBy] += now.Sub(s.since)
	}
	s.since = now
}

// ServeHTTP implements http.Handler.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/metrics" || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(m.text()) // whoever asked is gone
}

// family is a metric and how its samples come from a job.
type family struct {
	name, kind, help string
	samples          func(s *series, add func(value float64, label ...string))
}

var families = []family{
	{"job_info", "gauge", "Jobs of this command, running or ended.", func(s *series, add func(float64, ...string)) { add(1) }},
	{"running", "gauge", "1 while the job runs.", func(s *series, add func(float64, ...string)) { add(number(s.running)) }},
	{"rows_total", "counter", "Rows or keys that the job has dealt with, failed ones included, by all processes.", func(s *series, add func(float64, ...string)) {
		add(float64(s.p.Done))
	}},
	{"rows_expected", "gauge", "Rows or keys at the start, or an estimate.", func(s *series, add func(float64, ...string)) {
		if s.p.Total > 0 {
			add(float64(s.p.Total))
		}
	}},
	{"failed_total", "counter", "Keys or values that could not be dealt with, and findings.", func(s *series, add func(float64, ...string)) {
		add(float64(s.p.Failed))
	}},
	{"values_total", "counter", "Values by what became of them; values is all.", func(s *series, add func(float64, ...string)) {
		for _, name := range slices.Sorted(maps.Keys(s.p.Counts)) {
			if name != "rows" && !strings.Contains(name, "/") { // key/ID and the like are without bound
				add(float64(s.p.Counts[name]), "count", name)
			}
		}
	}},
	{"rate", "gauge", "Rows a second, of this process, lately.", func(s *series, add func(float64, ...string)) { add(s.p.Rate) }},
	{"left_seconds", "gauge", "Time that the rest will take at this rate.", func(s *series, add func(float64, ...string)) {
		if s.p.Left > 0 {
			add(s.p.Left.Seconds())
		}
	}},
	{"held", "gauge", "1 for what holds the job now.", func(s *series, add func(float64, ...string)) {
		if s.heldBy != "" {
			add(1, "by", s.heldBy)
		}
	}},
	{"held_seconds_total", "counter", "How long the job was held, by what.", func(s *series, add func(float64, ...string)) {
		for _, by := range slices.Sorted(maps.Keys(s.held)) {
			add(s.held[by].Seconds(), "by", by)
		}
	}},
	{"replica_lag_bytes", "gauge", "WAL that the furthest replica has not replayed.", func(s *series, add func(float64, ...string)) {
		if s.p.Lag >= 0 {
			add(float64(s.p.Lag))
		}
	}},
}

// text is all metrics, those of one name together, as the form asks.
func (m *metrics) text() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b bytes.Buffer
	for _, s := range m.jobs {
		s.settle()
	}
	for _, f := range families {
		name := "rowseal_rotate_" + f.name
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, f.help, name, f.kind)
		for _, s := range m.jobs {
			f.samples(s, func(value float64, label ...string) {
				fmt.Fprintf(&b, "%s{job=%s,table=%s", name, quoted(s.job), quoted(s.name))
				if len(label) == 2 {
					fmt.Fprintf(&b, ",%s=%s", label[0], quoted(label[1]))
				}
				fmt.Fprintf(&b, "} %s\n", strconv.FormatFloat(value, 'f', -1, 64))
			})
		}
	}
	return b.Bytes()
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// quoted is a label's value as Prometheus' text form escapes it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD")) + `"`
}

// serveOn answers on address, which setting named, and returns what ends that.
func serveOn(address, setting string, h http.Handler) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, %s: %w", address, setting, err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with Close; what else goes wrong, whoever asks notices
	}()
	return func() {
		_ = s.Close()
		<-done
	}, nil
}
