package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

const benchTenants = 1_000_000

// BenchmarkPage reads the keys of a page of 1,000 different users among a
// million, by id and by tenant. Filling the tables takes about a minute.
func BenchmarkPage(b *testing.B) {
	if testing.Short() {
		b.Skip("a million keys are not short")
	}
	for product, connection := range products() {
		b.Run(product, func(b *testing.B) {
			s := initialized(b, connection(b))
			fill(b, s, benchTenants)
			b.Run("ByID", func(b *testing.B) {
				benchPage(b, func(page []int) ([]keyring.Record, error) {
					ids := make([]envelope.KeyID, len(page))
					for i, n := range page {
						ids[i] = filledID(n)
					}
					return s.ByID(b.Context(), ids)
				})
			})
			b.Run("Latest", func(b *testing.B) {
				benchPage(b, func(page []int) ([]keyring.Record, error) {
					tenants := make([]string, len(page))
					for i, n := range page {
						tenants[i] = fmt.Sprintf("tenant %d", n)
					}
					return s.Latest(b.Context(), keyring.PurposeTenant, tenants)
				})
			})
		})
	}
}

// benchPage reads pages of 1,000 and checks that they are whole: the keys and
// the 4 store keys that wrap them.
func benchPage(b *testing.B, read func(page []int) ([]keyring.Record, error)) {
	page := make([]int, 1000)
	for b.Loop() {
		stride := benchTenants / len(page)
		for i := range page { // different from each other
			page[i] = 1 + i*stride + rand.IntN(stride)
		}
		records, err := read(page)
		if err != nil || len(records) != len(page)+4 {
			b.Fatalf("%d records, %v", len(records), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(page)), "µs/key")
}

// BenchmarkCreate makes first keys, one and 100 in a call.
func BenchmarkCreate(b *testing.B) {
	for product, connection := range products() {
		for _, n := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/%d", product, n), func(b *testing.B) {
				s := initialized(b, connection(b))
				records := make([]keyring.Record, n)
				for b.Loop() {
					for i := range records {
						records[i] = key(newID().String(), 1)
					}
					if _, err := s.Create(b.Context(), records); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParseWraps(b *testing.B) {
	r := key("a", 1)
	text, err := formatWraps(r.Wraps)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseWraps(text); err != nil {
			b.Fatal(err)
		}
	}
}
