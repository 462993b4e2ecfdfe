package riverjob_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// heard is a log that says when something was logged.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.text.String(), text)
}

// TestAMachineWithAnotherPolicyLeavesTheJobToOthers: it would seal values as its own policy says.
func TestAMachineWithAnotherPolicyLeavesTheJobToOthers(t *testing.T) {
	const n = 200
	m := newMachine(t, n)
	m.rotate(t)
	text, err := codec.ParseType("text")
	must(t, err)
	people, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"},
		Columns: []field.ColumnConfig{{Name: "name", Type: text}, {Name: "memo", Type: text, Mode: envelope.ModeRow}},
	})
	must(t, err)
	var log heard
	strange := m.config()
	strange.Policy, err = field.NewPolicy(people)
	must(t, err)
	strange.Rotate.Log = slog.New(slog.NewTextHandler(&log, nil))

	cfg := m.config()
	cfg.Rotate.Limits.RowsPerSecond = 30
	var result rotate.Result
	var failure error
	var all sync.WaitGroup
	runner := newRunner(t, cfg)
	all.Go(func() { result, failure = runner.Run(t.Context(), m.reseal()) })
	m.awaitJob(t, func(s rotate.Status) bool { return s.Counts["rows"] > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	var other sync.WaitGroup
	stranger := newRunner(t, strange)
	other.Go(func() {
		if err := stranger.Work(ctx); err != nil {
			t.Error(err)
		}
	})
	m.awaitJob(t, func(rotate.Status) bool { return log.has("left to other machines") })
	cancel()
	other.Wait()
	all.Wait()
	must(t, failure)
	counted(t, result.Counts, map[string]int64{"rows": n, "values": 2 * n, "resealed": 2 * n, "checked": n})
	m.opens(t, n, nil)
}

// TestAMachineWithAnotherPolicyPlansNothing: what it began would take the place of the job that was asked for.
func TestAMachineWithAnotherPolicyPlansNothing(t *testing.T) {
	m := newMachine(t, 10)
	m.exec(t, `INSERT INTO rowseal_river.river_job (args, kind, max_attempts, queue)
		VALUES ('{"spec": {"kind": "reseal", "table": "people"}, "policy": "of another file", "ranges": 8}', 'rowseal_plan', 300, 'rowseal')`)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	r := newRunner(t, m.config())
	all.Go(func() {
		if err := r.Work(ctx); err != nil {
			t.Error(err)
		}
	})
	m.await(t, "SELECT state = 'scheduled' FROM rowseal_river.river_job WHERE args->>'policy' = 'of another file'")
	cancel()
	all.Wait()
	jobs, err := rotate.Jobs(t.Context(), m.db, rotate.PostgreSQL, true)
	must(t, err)
	if len(jobs) != 0 {
		t.Errorf("it began %d jobs", len(jobs))
	}
	// Whoever asks with this machine's policy gets a planner of its own.
	result, err := newRunner(t, m.config()).Run(t.Context(), m.reseal())
	must(t, err)
	counted(t, result.Counts, map[string]int64{"rows": 10, "values": 20, "current": 20, "checked": 10})
}
