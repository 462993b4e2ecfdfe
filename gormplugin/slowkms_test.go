package gormplugin_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// slowKMS is a KMS a network away.
type slowKMS struct {
	kms.KMS
	calls *atomic.Int64
}

const kmsTakes = 10 * time.Millisecond

// Unwrap takes its time.
func (k slowKMS) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	k.calls.Add(1)
	time.Sleep(kmsTakes)
	return k.KMS.Unwrap(ctx, w, b)
}

type kmsRow struct {
	ID   uint
	Name string `gorm:"serializer:rowseal;type:bytes" rowseal:"key=row,wrap=kms"`
	SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"key=row,wrap=kms"`
	City string
}

const (
	kmsPage  = 100
	kmsLimit = 120 * time.Millisecond // all calls in turn would take 1 s
)

// readKMSPage reads the page with a cipher that holds no key.
func readKMSPage(t testing.TB, l *lab) (time.Duration, int64) {
	t.Helper()
	slow := slowKMS{KMS: l.root, calls: new(atomic.Int64)}
	ring, err := keyring.New(keyring.Config{Namespace: "test", Roots: []kms.KMS{slow}, Store: l.store})
	must(t, err)
	cold, err := field.New(field.Config{Keyring: ring})
	must(t, err)
	db := open(t, l.dial(), &gorm.Config{Logger: logger.Discard})
	must(t, db.Use(gormplugin.New(cold)))
	must(t, db.Exec("SELECT 1").Error) // connected
	start := time.Now()
	var rows []kmsRow
	must(t, db.Order("id").Find(&rows).Error)
	took := time.Since(start)
	if len(rows) != kmsPage || rows[7].Name != "name 7" || rows[7].SSN != "ssn 7" {
		t.Fatalf("%d rows came back, or other ones", len(rows))
	}
	return took, slow.calls.Load()
}

func kmsLab(t testing.TB, kind string) *lab {
	t.Helper()
	l := newLab(t, kind)
	must(t, l.AutoMigrate(&kmsRow{}))
	rows := make([]kmsRow, kmsPage)
	for i := range rows {
		rows[i] = kmsRow{Name: fmt.Sprint("name ", i), SSN: fmt.Sprint("ssn ", i), City: "x"}
	}
	must(t, l.Create(&rows).Error)
	return l
}

func TestAPageWithKeysOfASlowKMSTakesAFewOfItsTimes(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := kmsLab(t, kind)
			best := time.Hour
			for range 10 { // a busy machine gets some tries
				took, calls := readKMSPage(t, l)
				if calls != kmsPage {
					t.Fatalf("%d KMS calls for %d rows", calls, kmsPage)
				}
				if best = min(best, took); best < kmsLimit {
					break
				}
			}
			t.Logf("%d rows, KMS %v: %v", kmsPage, kmsTakes, best)
			if best >= kmsLimit {
				t.Errorf("a page took %v; %v are allowed", best, kmsLimit)
			}
		})
	}
}

func BenchmarkColdPageOfASlowKMS(b *testing.B) {
	l := kmsLab(b, "postgres")
	best, sum := time.Hour, time.Duration(0)
	for b.Loop() {
		took, _ := readKMSPage(b, l)
		best, sum = min(best, took), sum+took
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "best-ms")
	b.ReportMetric(float64(sum.Microseconds())/1000/float64(b.N), "mean-ms")
	b.ReportMetric(0, "ns/op")
}
