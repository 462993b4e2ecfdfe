package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is a script for pgbench.
type load struct {
	name   string
	script string
	plain  string // the script for ways that open nothing; "" is script
	rows   int    // of a result
	limits []limit
}

// limit bounds a figure that a table ends in.
type limit struct {
	what   string
	figure func(got map[string]measure, rows int) float64
	most   bool    // else value is the least
	value  float64 // 0 for a figure that is told and not bounded
	mode   string  // the mode it is for; "" for all
}

var loads = []load{
	{
		name:   "point select, two sealed columns",
		script: "\\set id random(1, :rows)\nSELECT ssn, name FROM people WHERE id = :id;\n",
		plain:  "\\set id random(1, :rows)\nSELECT ssn, name FROM plain WHERE id = :id;\n",
		rows:   1,
		limits: []limit{
			{"us of CPU", perRow, true, 30, "prepared"},
			{"of pgbouncer's TPS with a plain table", speedTo("pgbouncer"), false, 0.85, "prepared"},
			{"of pgbouncer's TPS with the sealed table", speedTo(sealedWay), false, 0.85, "prepared"},
		},
	},
	{
		name:   "1,000 rows, two sealed columns",
		script: "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name FROM people WHERE id BETWEEN :id AND :id + 999;\n",
		plain:  "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name FROM plain WHERE id BETWEEN :id AND :id + 999;\n",
		rows:   1000,
		limits: []limit{
			{"us of CPU a row", perRow, true, 0.6, ""},
			{"of pgbouncer's TPS with the sealed table", speedTo(sealedWay), false, 1, ""},
			// Sealed rows are about three times as long as plain ones. To read and send them is the server's work, whatever
			// stands before it, so only ways that get the same bytes from it say what the proxy costs.
			{"of pgbouncer's TPS with a plain table", speedTo("pgbouncer"), false, 0, ""},
		},
	},
	{
		name:   "point select that touches nothing sealed",
		script: "\\set id random(1, :rows)\nSELECT ssn, name FROM plain WHERE id = :id;\n",
		rows:   1,
		limits: []limit{{"of the relay's CPU", cpuTo("relay"), true, 1.15, ""}},
	},
	{
		name:   "1,000 rows that touch nothing sealed",
		script: "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name, city FROM plain WHERE id BETWEEN :id AND :id + 999;\n",
		rows:   1000,
		limits: []limit{{"of the relay's CPU", cpuTo("relay"), true, 1.15, ""}, {"of pgbouncer's CPU", cpuTo("pgbouncer"), true, 1, ""}},
	},
}

// sealedWay is PgBouncer with the table that the proxy reads: the same bytes come from the
// server, and go to the client unopened.
const sealedWay = "pgb/sealed"

// perRow gives the proxy's CPU time in microseconds.
func perRow(got map[string]measure, rows int) float64 { return got["rowseal"].cpu / float64(rows) }

func cpuTo(way string) func(map[string]measure, int) float64 {
	return func(got map[string]measure, _ int) float64 { return got["rowseal"].cpu / got[way].cpu }
}

func speedTo(way string) func(map[string]measure, int) float64 {
	return func(got map[string]measure, _ int) float64 { return got["rowseal"].tps / got[way].tps }
}

// measure is what a run gave.
type measure struct {
	tps float64
	cpu float64 // of what stands between, in microseconds for each transaction
}

// speed runs every load in every mode over every way, and prints a table for each.
func speed(ctx context.Context, b *bench) error {
	for _, l := range loads {
		if !strings.Contains(l.name, b.load) {
			continue
		}
		fmt.Printf("\n%s\n%-10s %-10s %10s %12s %12s %14s\n", l.name, "mode", "way", "TPS", "CPU/tx", "CPU/row", "TPS/pgbouncer")
		for _, mode := range []string{"simple", "extended", "prepared"} {
			if b.mode != "" && b.mode != mode {
				continue
			}
			got, err := b.rounds(ctx, l, mode)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", l.name, mode, err)
			}
			for _, w := range b.ways(l) {
				m := got[w.name]
				fmt.Printf("%-10s %-10s %10.0f %9.1f us %9.3f us %13.2fx\n", mode, w.name, m.tps, m.cpu, m.cpu/float64(l.rows), m.tps/got["pgbouncer"].tps)
			}
			for _, limit := range l.limits {
				if limit.mode == "" || limit.mode == mode {
					fmt.Println(limit.line(mode, got, l.rows))
				}
			}
		}
	}
	return nil
}

// line tells a figure, and whether it keeps its limit.
func (l *limit) line(mode string, got map[string]measure, rows int) string {
	figure := l.figure(got, rows)
	if l.value == 0 {
		return fmt.Sprintf("%-10s for comparison: %.2f %s", mode, figure, l.what)
	}
	word, verdict := "at least", "kept"
	if l.most {
		word = "at most"
	}
	if l.most && figure > l.value || !l.most && figure < l.value {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-10s limit: %s %.2f %s; it is %.2f: %s", mode, word, l.value, l.what, figure, verdict)
}

// way is a target with what is sent to it.
type way struct {
	name   string
	target *target
	script string
}

// ways gives what a load is run over.
func (b *bench) ways(l load) (list []way) {
	for _, t := range b.targets {
		script := l.script
		if t.name != "rowseal" && l.plain != "" {
			script = l.plain
		}
		list = append(list, way{t.name, t, script})
		if t.name == "pgbouncer" && l.plain != "" {
			list = append(list, way{sealedWay, t, l.script})
		}
	}
	return list
}

// rounds runs a load over every way in turn, several times, and gives the medians: the
// machine is not the same from one moment to the next.
func (b *bench) rounds(ctx context.Context, l load, mode string) (map[string]measure, error) {
	all := map[string][]measure{}
	for range b.config.rounds {
		for _, w := range b.ways(l) {
			m, err := b.pgbench(ctx, w, l, mode)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			all[w.name] = append(all[w.name], m)
		}
	}
	got := map[string]measure{}
	for name, list := range all {
		tps, cpu := make([]float64, len(list)), make([]float64, len(list))
		for i, m := range list {
			tps[i], cpu[i] = m.tps, m.cpu
		}
		got[name] = measure{tps: median(tps), cpu: median(cpu)}
	}
	return got, nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

var tpsLine = regexp.MustCompile(`tps = ([0-9.]+)`)

var countLine = regexp.MustCompile(`transactions actually processed: ([0-9]+)`)

// pgbench runs a load with 8 clients in 2 threads.
func (b *bench) pgbench(ctx context.Context, w way, l load, mode string) (m measure, err error) {
	t := w.target
	path := filepath.Join(b.dir, "load.sql")
	if err := os.WriteFile(path, []byte(w.script), 0o644); err != nil {
		return m, err
	}
	u := *b.dsn
	u.Host, u.RawQuery = t.host, "sslmode=disable"
	run := func(duration time.Duration) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "pgbench", "-n", "-c", "8", "-j", "2", "-M", mode,
			"-T", strconv.Itoa(int(duration.Seconds())), "-D", fmt.Sprintf("rows=%d", b.rows), "-f", path, u.String())
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("pgbench: %w\n%s", err, out)
		}
		return out, err
	}
	if _, err := run(time.Second); err != nil { // warm
		return m, err
	}
	before, err := t.cpu()
	if err != nil {
		return m, err
	}
	profile := b.profileWhile(ctx, t, l.name+", "+mode)
	out, err := run(b.duration)
	if err != nil {
		return m, err
	}
	after, err := t.cpu()
	if err != nil {
		return m, err
	}
	if err := profile(); err != nil {
		return m, err
	}
	tps, count := tpsLine.FindSubmatch(out), countLine.FindSubmatch(out)
	if tps == nil || count == nil {
		return m, fmt.Errorf("pgbench says something else:\n%s", out)
	}
	m.tps, _ = strconv.ParseFloat(string(tps[1]), 64)
	n, _ := strconv.Atoi(string(count[1]))
	m.cpu = float64((after - before).Microseconds()) / float64(max(n, 1))
	return m, nil
}

// profileWhile begins a profile of the proxy, if one is asked for, and returns what waits for it.
func (b *bench) profileWhile(ctx context.Context, t *target, name string) (wait func() error) {
	if b.profile == "" || t.name != "rowseal" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- b.collect(ctx, "profile", name, b.duration) }()
	return func() error { return <-done }
}
