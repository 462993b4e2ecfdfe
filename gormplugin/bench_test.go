package gormplugin_test

import (
	"fmt"
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

// ratio runs plain and sealed in turn and reports how much longer sealed took.
func ratio(b *testing.B, plain, sealed func() error) {
	b.Helper()
	measure := func(f func() error) time.Duration {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	measure(plain)
	measure(sealed)
	var p, s time.Duration
	for b.Loop() {
		p += measure(plain)
		s += measure(sealed)
	}
	b.ReportMetric(float64(s)/float64(p), "sealed/plain")
	b.ReportMetric(float64(p.Microseconds())/float64(b.N), "plain-µs")
	b.ReportMetric(float64(s.Microseconds())/float64(b.N), "sealed-µs")
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
			ratio(b,
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
			ratio(b,
				func() error { var rows []plainRow; return l.Find(&rows).Error },
				func() error { var rows []sealedRow; return l.Find(&rows).Error },
			)
		})
	}
}
