// Package ratio measures a piece of work beside its floor in one run, so that
// their ratio holds on a machine that is busy or changes its clock: the two
// take turns in short rounds, and each is judged by its faster rounds.
package ratio

import (
	"slices"
	"testing"
	"time"
)

const (
	rounds   = 300
	roundFor = 200 * time.Microsecond
)

// Report runs subject and floor by turns, n operations a call, and reports the
// nanoseconds for one operation of each and their ratio as metrics of b. It
// runs a fixed number of rounds for each b.N.
func Report(b *testing.B, floor, subject func(n int)) {
	b.Helper()
	nf, ns := calibrate(floor), calibrate(subject)
	for b.Loop() {
		f, s := make([]float64, rounds), make([]float64, rounds)
		for i := range rounds {
			f[i] = perOp(floor, nf)
			s[i] = perOp(subject, ns)
		}
		x, y := quartile(f), quartile(s)
		b.ReportMetric(x, "floor-ns")
		b.ReportMetric(y, "ns")
		b.ReportMetric(y/x, "x-floor")
	}
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
