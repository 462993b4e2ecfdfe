package rotate_test

import (
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// BenchmarkRewrapRows rewraps a table of 20,000 rows with one row key each.
func BenchmarkRewrapRows(b *testing.B) {
	const n = 20_000
	d := openPostgres(b)
	w := newWorld(b)
	w.people(b, d, n)
	for b.Loop() {
		b.StopTimer()
		w.rotateTenants(b)
		b.StartTimer()
		if counts := w.run(b, w.config(d)); counts["rewrapped"] != n {
			b.Fatalf("got %v", counts)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkRewrapKeys rewraps a key store in memory, so that what is measured
// is the walk's own cost.
func BenchmarkRewrapKeys(b *testing.B) {
	const n = 10_000
	w := newWorld(b)
	w.tenants(b, n)
	for b.Loop() {
		b.StopTimer()
		w.rotateRoot(b)
		b.StartTimer()
		result, err := rotate.RewrapKeys(b.Context(), rotate.KeysConfig{Keyring: w.ring})
		must(b, err)
		if result.Rewrapped != n {
			b.Fatalf("got %+v", result)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
