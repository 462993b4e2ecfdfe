package rotate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rowseal/rowseal/field"
)

// pairs is how many tables each side of a comparison walks.
const pairs = 4

// turns compares a job with its floor: the two walk tables that are made alike, by turns, so that a busy machine is busy
// for both. Their times on the clock say how fast they are; their times on processors, the server's included, say so too
// where others use the machine meanwhile.
type turns struct {
	limit          float64 // the least part of the floor's speed that the job is to have
	table          func(b *testing.B, n int) *field.Table
	floor, subject func(b *testing.B, t *field.Table)
}

func (c turns) run(b *testing.B, d db, rows int) {
	var floor, subject spent
	for b.Loop() {
		for turn := range pairs {
			order := []struct {
				walk func(*testing.B, *field.Table)
				took *spent
			}{{c.floor, &floor}, {c.subject, &subject}}
			if turn%2 == 1 {
				order[0], order[1] = order[1], order[0]
			}
			for _, side := range order {
				t := c.table(b, rows/pairs)
				before := now(b, d)
				side.walk(b, t)
				side.took.add(before, now(b, d))
				d.exec(b, "DROP TABLE "+t.Name())
			}
		}
	}
	n := float64(rows/pairs*pairs) * float64(b.N)
	perRow := func(d time.Duration) float64 { return float64(d.Microseconds()) / n }
	b.ReportMetric(n/floor.clock.Seconds(), "floor-rows/s")
	b.ReportMetric(n/subject.clock.Seconds(), "rows/s")
	b.ReportMetric(float64(floor.clock)/float64(subject.clock), "x-floor")
	b.ReportMetric(float64(floor.cpu())/float64(subject.cpu()), "x-floor-cpu")
	b.ReportMetric(c.limit, "x-limit")
	b.ReportMetric(perRow(floor.client), "floor-client-us/row")
	b.ReportMetric(perRow(floor.server), "floor-server-us/row")
	b.ReportMetric(perRow(subject.client), "client-us/row")
	b.ReportMetric(perRow(subject.server), "server-us/row")
	b.ReportMetric(0, "ns/op")
}

// spent is time: on the clock, and on processors by this process and by all of the server.
type spent struct{ clock, client, server time.Duration }

func (s *spent) cpu() time.Duration { return s.client + s.server }

func (s *spent) add(from, to spent) {
	s.clock += to.clock - from.clock
	s.client += to.client - from.client
	s.server += to.server - from.server
}

var began = time.Now()

// now is what was spent so far. A server on another machine spends nothing that can be seen from here.
func now(b *testing.B, d db) spent {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	var backend int
	must(b, d.QueryRow("SELECT pg_backend_pid()").Scan(&backend))
	s := spent{clock: time.Since(began), client: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	if p, ok := statOf(backend); ok {
		s.server = family(p.parent)
	}
	return s
}

// family is the time of a process, of its children that have ended, and of those that live.
func family(pid int) time.Duration {
	parent, _ := statOf(pid)
	sum := parent.own + parent.ended
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if p, ok := statOf(child); err == nil && ok && p.parent == pid {
			sum += p.own
		}
	}
	return sum
}

// process is what /proc says of one.
type process struct {
	parent     int
	own, ended time.Duration
}

// statOf reads /proc/pid/stat, see proc(5): behind the name come state, parent, and from the 12th on the times in ticks
// of 10 ms.
func statOf(pid int) (p process, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if err != nil || !found || len(f) < 15 {
		return p, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
	const tick = 10 * time.Millisecond
	p.parent, p.own, p.ended = n(1), time.Duration(n(11)+n(12))*tick, time.Duration(n(13)+n(14))*tick
	return p, true
}
