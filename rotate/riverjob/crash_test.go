package riverjob_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// Where these are set, the test binary is a machine that works on jobs.
const (
	childDSN  = "RIVERJOB_TEST_DSN"
	childRoot = "RIVERJOB_TEST_ROOT"
	childDoes = "RIVERJOB_TEST_DOES"
)

// doings are what a machine can do.
var doings = map[string]func(context.Context, *machine, riverjob.Config) error{
	"rewrap": func(ctx context.Context, m *machine, cfg riverjob.Config) error {
		r, err := riverjob.New(ctx, cfg)
		if err == nil {
			_, err = r.Run(ctx, m.rewrap())
		}
		return err
	},
	"seal": sealLetters,
}

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		if err := work(place{dsn, os.Getenv(childRoot)}, doings[os.Getenv(childDoes)]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// work does what an operator's process does.
func work(p place, do func(context.Context, *machine, riverjob.Config) error) error {
	ctx := context.Background()
	m, err := p.open(ctx)
	if err != nil {
		return err
	}
	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 200
	cfg.Rotate.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	return joined(do(ctx, m, cfg), m.close())
}

// start runs the test binary as a machine.
func start(t *testing.T, p place, does string, output *bytes.Buffer) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDSN+"="+p.dsn, childRoot+"="+p.root, childDoes+"="+does)
	c.Stderr = output
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// TestTwoMachinesOneKilled: a machine is killed while it walks ranges, and the other one ends the job, while an application
// goes on writing.
//
// What River gave to the killed machine it gives to the other one as well, after its rescue. The counts are the journal's: each row
// is in them exactly once, rows of ranges that were walked by both included.
func TestTwoMachinesOneKilled(t *testing.T) {
	const n = 2000
	m := newMachine(t, n)
	m.rotate(t)
	var outputs [2]bytes.Buffer
	killed, survivor := start(t, m.place, "rewrap", &outputs[0]), start(t, m.place, "rewrap", &outputs[1])

	memos := map[int]string{}
	write := func(turn int) {
		id := turn*37%n + 1
		memos[id] = fmt.Sprintf("memo %d", turn)
		m.write(t, id, memos[id])
	}
	victim := fmt.Sprintf(":%d", killed.Process.Pid)
	turn := 0
	walks := func(s rotate.Status) bool {
		turn++
		write(turn)
		return s.Counts["rows"] > n/5 && strings.Contains(strings.Join(s.Owners, " "), victim)
	}
	m.awaitJob(t, walks)
	must(t, killed.Process.Kill())
	if err := killed.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the machine was to be killed, but: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- survivor.Wait() }()
	for over := false; !over; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, outputs[1].String())
			}
			over = true
		case <-time.After(20 * time.Millisecond):
			turn++
			write(turn)
		}
	}

	s := m.awaitJob(t, func(s rotate.Status) bool { return s.State == rotate.StateDone })
	c := s.Counts
	if c["rows"] != n || c["values"] != 2*n || c["rewrapped"]+c["current"] != 2*n || c["checked"] != n || c["due"]+c["failed"] != 0 {
		t.Errorf("counted %v", c)
	}
	m.opens(t, n, memos) // under no old key
	m.planned(t)
	for kind, want := range map[string]int{"rowseal_range": 8, "rowseal_check": 8, "rowseal_finish": 1} {
		if got := m.inRiver(t, kind); got["completed"] != want || len(got) != 1 {
			t.Errorf("%s: %v, want %d completed", kind, got, want)
		}
	}
	var rescued int
	must(t, m.db.QueryRowContext(t.Context(), `SELECT count(*) FROM rowseal_river.river_job WHERE cardinality(errors) > 0`).Scan(&rescued))
	if rescued == 0 {
		t.Error("nothing was rescued: the machine was killed between turns, which this test is not about")
	}
	t.Logf("%d jobs were rescued; %d rows written meanwhile; counted %v", rescued, len(memos), c)
}
