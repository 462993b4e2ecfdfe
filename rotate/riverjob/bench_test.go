package riverjob_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// BenchmarkRewrap rewraps a table with two row keys a row (ROWS, or 50,000 rows) by River on one machine with two workers, beside
// rotate.Run with two. River's job reads all rows once more, to check them: walk-rows/s is without that.
func BenchmarkRewrap(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("ROWS"))
	if err != nil {
		n = 50_000
	}
	m := newMachine(b, 0)
	m.db.SetMaxIdleConns(8)
	m.fill(b, n)
	var runs, rivers, walks []float64
	for b.Loop() {
		cfg := m.config()
		cfg.Rotate.PageSize, cfg.Turn, cfg.Rescue, cfg.Ranges = 0, 0, 0, 0
		m.prepare(b)
		start := time.Now()
		result, err := rotate.Run(b.Context(), cfg.Rotate, m.rewrap())
		must(b, err)
		runs = append(runs, float64(n)/time.Since(start).Seconds())
		if result.Counts["rewrapped"] != int64(2*n) {
			b.Fatalf("counted %v", result.Counts)
		}

		m.prepare(b)
		start = time.Now()
		result, err = newRunner(b, cfg).Run(b.Context(), m.rewrap())
		must(b, err)
		rivers = append(rivers, float64(n)/time.Since(start).Seconds())
		if result.Counts["rewrapped"] != int64(2*n) || result.Counts["checked"] != int64(n) {
			b.Fatalf("counted %v", result.Counts)
		}
		var walked time.Time
		must(b, m.db.QueryRowContext(b.Context(), "SELECT max(finalized_at) FROM rowseal_river.river_job WHERE kind = 'rowseal_range'").Scan(&walked))
		walks = append(walks, float64(n)/walked.Sub(result.Started).Seconds())
	}
	b.ReportMetric(best(runs), "run-rows/s")
	b.ReportMetric(best(rivers), "rows/s")
	b.ReportMetric(best(walks), "walk-rows/s")
	b.ReportMetric(best(walks)/best(runs), "x-run")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// prepare has all rows be due.
func (m *machine) prepare(b *testing.B) {
	m.rotate(b)
	m.exec(b, "VACUUM FULL ANALYZE people")
	m.exec(b, "CHECKPOINT")
}

func (m *machine) fill(b *testing.B, n int) {
	const chunk = 5000
	for at := 0; at < n; at += chunk {
		rows := make([]field.SealRow, min(chunk, n-at))
		ids, tenants := make([]int64, len(rows)), make([]string, len(rows))
		names, memos := make([][]byte, len(rows)), make([][]byte, len(rows))
		for i := range rows {
			ids[i], tenants[i] = int64(at+i+1), tenantOf(at+i+1)
			rows[i] = field.SealRow{Row: field.Row{Tenant: tenants[i]}, Values: []any{fmt.Sprintf("Name of person %d", at+i), "memo"}}
		}
		must(b, m.cipher.SealRows(b.Context(), m.people.Columns(), rows))
		for i := range rows {
			names[i], memos[i] = rows[i].Sealed[0], rows[i].Sealed[1]
		}
		m.exec(b, "INSERT INTO people SELECT * FROM unnest($1::integer[], $2::text[], $3::bytea[], $4::bytea[])", ids, tenants, names, memos)
	}
}

func best(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, x)
	}
	return most
}
