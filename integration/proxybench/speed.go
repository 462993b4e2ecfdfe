package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// load is a script for pgbench.
type load struct {
	name   string
	script string
	plain  string // the script for targets that open nothing; "" is script
	rows   int    // of a result
	limits string
}

var loads = []load{
	{
		name:   "point select, two sealed columns",
		script: "\\set id random(1, :rows)\nSELECT ssn, name FROM people WHERE id = :id;\n",
		plain:  "\\set id random(1, :rows)\nSELECT ssn, name FROM plain WHERE id = :id;\n",
		rows:   1,
		limits: "prepared: CPU at most 30 us, TPS at least 0.85x pgbouncer's",
	},
	{
		name:   "1,000 rows, two sealed columns",
		script: "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name FROM people WHERE id BETWEEN :id AND :id + 999;\n",
		plain:  "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name FROM plain WHERE id BETWEEN :id AND :id + 999;\n",
		rows:   1000,
		limits: "CPU at most 0.6 us a row, TPS at least pgbouncer's",
	},
	{
		name:   "point select that touches nothing sealed",
		script: "\\set id random(1, :rows)\nSELECT ssn, name FROM plain WHERE id = :id;\n",
		rows:   1,
		limits: "CPU at most 1.15x the relay's",
	},
	{
		name:   "1,000 rows that touch nothing sealed",
		script: "\\set id random(1, :rows - 1000)\nSELECT id, ssn, name, city FROM plain WHERE id BETWEEN :id AND :id + 999;\n",
		rows:   1000,
		limits: "CPU at most 1.15x the relay's, and at most pgbouncer's",
	},
}

// measure is what a run gave.
type measure struct {
	tps float64
	cpu time.Duration // of what stands between, for each transaction
}

// speed runs every load in every mode over every way, and prints a table for each.
func speed(ctx context.Context, b *bench) error {
	for _, l := range loads {
		fmt.Printf("\n%s (%s)\n%-10s %-10s %10s %12s %12s %14s\n", l.name, l.limits, "mode", "way", "TPS", "CPU/tx", "CPU/row", "TPS/pgbouncer")
		for _, mode := range []string{"simple", "extended", "prepared"} {
			got := map[string]measure{}
			for _, t := range b.targets {
				m, err := b.pgbench(ctx, t, l, mode)
				if err != nil {
					return fmt.Errorf("%s, %s, %s: %w", l.name, mode, t.name, err)
				}
				got[t.name] = m
			}
			for _, t := range b.targets {
				m := got[t.name]
				us := float64(m.cpu.Nanoseconds()) / 1000
				fmt.Printf("%-10s %-10s %10.0f %9.1f us %9.3f us %13.2fx\n", mode, t.name, m.tps, us, us/float64(l.rows), m.tps/got["pgbouncer"].tps)
			}
			fmt.Printf("%-10s rowseal's CPU is %.2fx the relay's, %.2fx pgbouncer's\n", mode,
				float64(got["rowseal"].cpu)/float64(got["relay"].cpu), float64(got["rowseal"].cpu)/float64(got["pgbouncer"].cpu))
		}
	}
	return nil
}

var tpsLine = regexp.MustCompile(`tps = ([0-9.]+)`)

var countLine = regexp.MustCompile(`transactions actually processed: ([0-9]+)`)

// pgbench runs a load with 8 clients in 2 threads.
func (b *bench) pgbench(ctx context.Context, t *target, l load, mode string) (m measure, err error) {
	script := l.script
	if t.name != "rowseal" && l.plain != "" {
		script = l.plain
	}
	path := filepath.Join(b.dir, "load.sql")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
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
	out, err := run(b.duration)
	if err != nil {
		return m, err
	}
	after, err := t.cpu()
	if err != nil {
		return m, err
	}
	tps, count := tpsLine.FindSubmatch(out), countLine.FindSubmatch(out)
	if tps == nil || count == nil {
		return m, fmt.Errorf("pgbench says something else:\n%s", out)
	}
	m.tps, _ = strconv.ParseFloat(string(tps[1]), 64)
	n, _ := strconv.Atoi(string(count[1]))
	m.cpu = (after - before) / time.Duration(max(n, 1))
	return m, nil
}
