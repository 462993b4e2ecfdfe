package rotate

import (
	"testing"
)

// BenchmarkPlan is what a page of 2,000 rows with two columns costs a work, without the database.
func BenchmarkPlan(b *testing.B) {
	const n = 2000
	for _, c := range []struct {
		name string
		job  Job
		row  bool
	}{
		{"reseal/tenant", Job{Kind: Reseal, Options: map[string]string{"all": "true"}}, false},
		{"reseal/row", Job{Kind: Reseal, Options: map[string]string{"all": "true"}}, true},
		{"verify/tenant", Job{Kind: Verify}, false},
		{"verify/row", Job{Kind: Verify}, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newShop(b)
			job := c.job
			if job.Table = s.people(); c.row {
				job.Table = s.people(rowKeys)
			}
			rows := s.rows(job.Table, n)
			w, err := newWork(b.Context(), s.config(), &job)
			s.must(err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.plan(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
