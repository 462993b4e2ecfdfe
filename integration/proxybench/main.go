// Proxybench measures what the proxy costs, on one machine and in one run, beside
// a direct connection, Debian's PgBouncer in session mode and a relay that only
// copies bytes:
//
//	go run ./integration/proxybench
//
// It prints transactions a second and the CPU time that the process in the
// middle takes for each, with the limits that the project sets itself. CPU time
// is steady; transactions a second move with whatever else the machine does.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	relay := flag.String("relay", "", "be the bare relay: listen address and server address, with a comma between them")
	seconds := flag.Int("seconds", 5, "seconds for each run of pgbench")
	rounds := flag.Int("rounds", 3, "runs of pgbench for each figure, which is their median")
	rows := flag.Int("rows", 100_000, "rows of the table")
	only := flag.String("only", "", "run only the part of this name: speed, idle, stream, large")
	load := flag.String("load", "", "run only loads whose name has this in it")
	mode := flag.String("mode", "", "run only this mode of pgbench: simple, extended, prepared")
	profile := flag.String("profile", "", "write profiles of the proxy into this directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *relay != "" {
		err = runRelay(*relay)
	} else {
		err = run(ctx, config{
			duration: time.Duration(*seconds) * time.Second, rounds: *rounds, rows: *rows,
			only: *only, load: *load, mode: *mode, profile: *profile,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxybench:", err)
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	duration time.Duration
	rounds   int
	rows     int
	only     string
	load     string
	mode     string
	profile  string
}

// parts are what is measured, in order.
var parts = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"speed", speed},
	{"idle", idle},
	{"stream", stream},
	{"large", large},
}

func run(ctx context.Context, c config) error {
	b, err := newBench(ctx, c)
	if err != nil {
		return err
	}
	defer b.close()
	for _, part := range parts {
		if c.only != "" && c.only != part.name {
			continue
		}
		if err := part.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
