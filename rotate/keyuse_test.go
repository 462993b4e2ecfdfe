package rotate

import (
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

func TestUseOfKeyTakesTheLastWholeVerify(t *testing.T) {
	key := envelope.KeyID{1}
	table := newShop(t).people()
	spec := func(more string) string {
		return `{"options":{"policy":"` + declared(table.Columns()) + `"` + more + `}}`
	}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	job := func(hour int, n int64, edits ...func(*Status)) Status {
		s := Status{
			Kind: Verify, Table: "people", State: "done", Settled: true, Spec: spec(`,"sample":"0.1"`),
			Counts: map[string]int64{"key/" + key.String(): n}, Started: noon.Add(time.Duration(hour) * time.Hour),
		}
		for _, edit := range edits {
			edit(&s)
		}
		return s
	}
	for _, c := range []struct {
		name string
		jobs []Status
		want int64 // -1: not known
	}{
		{"no verify", nil, -1},
		{"one", []Status{job(1, 7)}, 7},
		{"one that finds none", []Status{job(1, 0)}, 0},
		{"the last counts", []Status{job(2, 0), job(1, 7)}, 0},
		{"whatever their order", []Status{job(1, 0), job(2, 7)}, 7},
		{"begun too early", []Status{job(0, 0)}, -1},
		{"not done", []Status{job(1, 0, func(s *Status) { s.State = "running" })}, -1},
		{"canceled", []Status{job(1, 0, func(s *Status) { s.State = "canceled" })}, -1},
		{"of another table", []Status{job(1, 0, func(s *Status) { s.Table = "others" })}, -1},
		{"another kind", []Status{job(1, 0, func(s *Status) { s.Kind = Reseal })}, -1},
		{"of one column", []Status{job(1, 0, func(s *Status) { s.Spec = `{"columns":["name"]}` })}, -1},
		{"of one tenant", []Status{job(1, 0, func(s *Status) { s.Spec = `{"tenant":"acme"}` })}, -1},
		{"past which rows may have moved", []Status{job(1, 0, func(s *Status) { s.Spec = spec(`,"walk":"places"`) })}, -1},
		{"with another policy", []Status{job(1, 0, func(s *Status) { s.Spec = `{"options":{"policy":"0123456789abcdef"}}` })}, -1},
		{"a good one before one with another policy", []Status{job(2, 0, func(s *Status) { s.Spec = `{}` }), job(1, 7)}, 7},
		{"past which others may have committed", []Status{job(1, 0, func(s *Status) { s.Settled = false })}, -1},
		{"values whose keys it could not read", []Status{job(1, 0, func(s *Status) { s.Counts["finding/malformed"] = 1 })}, -1},
		{"faults that hide no key", []Status{job(1, 0, func(s *Status) { s.Counts["finding/foreign"], s.Counts["failed"] = 3, 3 })}, 0},
		{"unreadable", []Status{job(1, 0, func(s *Status) { s.Spec = `{` })}, -1},
		{"with too many keys", []Status{job(1, 0, func(s *Status) { s.Counts[OtherKeys] = 1 })}, -1},
	} {
		use := UseOfKey(c.jobs, []*field.Table{table}, key, noon)
		got := use.Values
		if len(use.Unverified)+len(use.Crowded) > 0 {
			got = -1
		}
		if got != c.want || use.Unused() != (c.want == 0) || (len(use.Tables) > 0) != (c.want > 0) {
			t.Errorf("%s: %+v, want %d", c.name, use, c.want)
		}
	}
}
