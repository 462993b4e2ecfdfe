package gormplugin_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

type plainRow struct {
	ID      uint
	Name    string
	SSN     string
	City    string
	Country string
	Age     int
}

type sealedRow struct {
	ID      uint
	Name    string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	SSN     string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	City    string
	Country string
	Age     int
}

const benchRows = 1000

// What a thousand rows with two sealed fields may cost on PostgreSQL, beside the
// same rows plain.
var (
	createLimit = map[string]float64{"postgres": 1.35}
	findLimit   = map[string]float64{"postgres": 1.25}
)

// turns is how often plain and sealed take turns for each b.N.
const turns = 20

// ratio runs plain and sealed in turn and reports how much longer sealed took.
// Both are judged by their faster turns, and the median of the ratios of
// neighbours, which a busy machine slows down alike, stands beside that, and
// limit, what the first of these must not exceed; 0 where there is none. before
// runs in front of every so many turns and is not measured.
func ratio(b *testing.B, limit float64, before func(), plain, sealed func() error) {
	b.Helper()
	// A heap such as a service has. In an empty one the collector would run
	// once in each turn of the side that allocates more.
	heap := make([]byte, 64<<20)
	defer runtime.KeepAlive(heap)
	measure := func(f func() error) float64 {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return float64(time.Since(start).Microseconds())
	}
	measure(plain)
	measure(sealed)
	var p, s, pairs []float64
	for b.Loop() {
		before()
		for range turns {
			p, s = append(p, measure(plain)), append(s, measure(sealed))
			pairs = append(pairs, s[len(s)-1]/p[len(p)-1])
		}
	}
	for _, v := range [][]float64{p, s, pairs} {
		slices.Sort(v)
	}
	n := len(p)
	b.ReportMetric(s[n/4]/p[n/4], "sealed/plain")
	if limit > 0 {
		b.ReportMetric(limit, "sealed/plain-limit")
	}
	b.ReportMetric(pairs[n/2], "median-of-pairs")
	b.ReportMetric(s[0]/p[0], "of-minima")
	b.ReportMetric(p[n/4], "plain-µs")
	b.ReportMetric(s[n/4], "sealed-µs")
	b.ReportMetric(0, "ns/op") // says nothing here
}

func benchLab(b *testing.B, kind string) *lab {
	b.Helper()
	l := newLab(b, kind, func(c *gorm.Config) { c.Logger = logger.Discard })
	must(b, l.AutoMigrate(&plainRow{}, &sealedRow{}))
	return l
}

func benchData() (plain []plainRow, sealed []sealedRow) {
	for i := range benchRows {
		name, ssn := fmt.Sprintf("Some Person %d", i), fmt.Sprintf("%09d", i)
		plain = append(plain, plainRow{Name: name, SSN: ssn, City: "Somewhere", Country: "Elsewhere", Age: i % 90})
		sealed = append(sealed, sealedRow{Name: name, SSN: ssn, City: "Somewhere", Country: "Elsewhere", Age: i % 90})
	}
	return plain, sealed
}

func BenchmarkCreate1000(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			l := benchLab(b, kind)
			plain, sealed := benchData()
			ratio(b, createLimit[kind],
				func() { // so that no table grows for good
					must(b, l.stock.Exec("DELETE FROM plain_rows").Error)
					must(b, l.stock.Exec("DELETE FROM sealed_rows").Error)
					if kind == "postgres" {
						must(b, l.stock.Exec("TRUNCATE plain_rows, sealed_rows").Error)
					}
				},
				func() error {
					rows := append([]plainRow(nil), plain...)
					return l.CreateInBatches(&rows, benchRows).Error
				},
				func() error {
					rows := append([]sealedRow(nil), sealed...)
					return l.CreateInBatches(&rows, benchRows).Error
				},
			)
		})
	}
}

func BenchmarkFind1000(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			l := benchLab(b, kind)
			plain, sealed := benchData()
			must(b, l.CreateInBatches(&plain, benchRows).Error)
			must(b, l.CreateInBatches(&sealed, benchRows).Error)
			ratio(b, findLimit[kind],
				func() {},
				func() error { var rows []plainRow; return l.Find(&rows).Error },
				func() error { var rows []sealedRow; return l.Find(&rows).Error },
			)
		})
	}
}
