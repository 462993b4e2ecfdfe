// Package ratio measures a piece of work beside its floor in one run, so that
// their ratio holds on a machine that is busy or changes its clock: the two
// take turns in short rounds, and each is judged by its faster rounds.
package ratio

import (
	"slices"
	"testing"
	"time"
)

// roundFor is how long a round of either takes, unless b.N is less than that.
const roundFor = 200 * time.Microsecond

// Report runs b.N operations of subject and as many rounds of floor, by turns,
// n operations a call, and reports the nanoseconds for one operation of each
// and their ratio as metrics of b.
func Report(b *testing.B, floor, subject func(n int)) {
	b.Helper()
	nf, ns := min(calibrate(floor), b.N), min(calibrate(subject), b.N)
	var f, s []float64
	b.ResetTimer()
	for left := b.N; left > 0; left -= ns {
		f = append(f, perOp(floor, nf))
		s = append(s, perOp(subject, min(ns, left)))
	}
	b.StopTimer()
	x, y := quartile(f), quartile(s)
	b.ReportMetric(x, "floor-ns")
	b.ReportMetric(y, "ns")
	b.ReportMetric(y/x, "x-floor")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// calibrate returns how many operations take about roundFor.
func calibrate(f func(n int)) int {
	for n := 1; ; n *= 2 {
		if time.Duration(perOp(f, n)*float64(n)) >= roundFor {
			return n
		}
	}
}

func perOp(f func(n int), n int) float64 {
	start := time.Now()
	f(n)
	return float64(time.Since(start)) / float64(n)
}

// quartile returns the first quartile: what the work takes when left alone.
func quartile(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/4]
}
