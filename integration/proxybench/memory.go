package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// idleConnections is how many clients say nothing.
const idleConnections = 2000

// quiet is how long they say nothing: where a process is idle Go's collector comes
// every two minutes, and only then gives back what logging in took.
const quiet = 130 * time.Second

// idle opens connections that have each run a sealed statement, and looks at
// what the proxy keeps for them.
func idle(ctx context.Context, b *bench) error {
	t := b.target("rowseal")
	before, err := t.memory("VmRSS")
	if err != nil {
		return err
	}
	for i := range idleConnections {
		conn, err := b.connect(ctx, t)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
		defer conn.Close(ctx)
		if r := conn.ExecParams(ctx, "SELECT ssn FROM people WHERE id = 1", nil, nil, nil, nil).Read(); r.Err != nil {
			return r.Err
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(quiet):
	}
	after, err := t.memory("VmRSS")
	if err != nil {
		return err
	}
	if b.profile != "" {
		for _, what := range []string{"heap", "goroutine"} {
			if err := b.collect(ctx, what, "idle, "+what, 0); err != nil {
				return err
			}
		}
	}
	file, err := t.memory("RssFile")
	if err != nil {
		return err
	}
	fmt.Printf("\n%d idle connections: %.0f MB in all (limit 100 MB), %.0f MB before them; %.0f MB are pages of the program's file\n",
		idleConnections, after, before, file)
	return nil
}

// streamed is how many rows of a result pass.
const streamed = 10_000_000

// stream reads a result of many rows, sealed and not.
func stream(ctx context.Context, b *bench) error {
	t := b.target("rowseal")
	for _, q := range []struct{ name, sql string }{
		{"plain", fmt.Sprintf("SELECT i, 'some text' FROM generate_series(1, %d) AS i", streamed)},
		{"sealed", fmt.Sprintf("SELECT id, ssn, name FROM people, generate_series(1, %d) AS i", streamed/b.rows)},
	} {
		conn, err := b.connect(ctx, t)
		if err != nil {
			return err
		}
		before, err := t.memory("VmRSS")
		if err != nil {
			return err
		}
		began := time.Now()
		n, peak, err := drain(ctx, t, conn, q.sql)
		if err != nil {
			return err
		}
		took := time.Since(began)
		fmt.Printf("\n%d %s rows in %v (%.0f rows/s): memory %.0f MB before, %.0f MB at most\n", n, q.name, took.Round(time.Millisecond), float64(n)/took.Seconds(), before, peak)
		if err := conn.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

// drain reads all rows and looks at the proxy's memory on the way.
func drain(ctx context.Context, t *target, conn *pgconn.PgConn, sql string) (n int, peak float64, err error) {
	r := conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	for r.NextRow() {
		if n++; n%500_000 == 0 {
			mb, err := t.memory("VmRSS")
			if err != nil {
				return n, peak, err
			}
			peak = max(peak, mb)
		}
	}
	_, err = r.Close()
	return n, peak, err
}

// large passes a value of 400 MB that is not sealed.
func large(ctx context.Context, b *bench) error {
	const size = 400_000_000
	t := b.target("rowseal")
	conn, err := b.connect(ctx, t)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	r := conn.ExecParams(ctx, fmt.Sprintf("SELECT repeat('x', %d)", size), nil, nil, nil, nil).Read()
	if r.Err != nil {
		return r.Err
	}
	peak, err := t.memory("VmHWM")
	if err != nil {
		return err
	}
	fmt.Printf("\na value of %d bytes passed: %v; the proxy's memory was %.0f MB at most in all of this run\n", size, len(r.Rows[0][0]) == size, peak)
	return nil
}
