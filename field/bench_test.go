package field_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/ratio"
)

const benchText = "0123456789abcdef"

// floor is the standard library's AEAD, built and cached, with associated data
// as long as that of the column's values.
type floor struct {
	aead     cipher.AEAD
	ad, dst  []byte
	sealed   []byte
	sealText []byte
}

func newFloor(b *testing.B, col *field.Column) *floor {
	b.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		b.Fatal(err)
	}
	f := &floor{dst: make([]byte, 0, 256), sealText: []byte(benchText)}
	if f.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		b.Fatal(err)
	}
	bound := envelope.Binding{Tenant: "acme", Field: col.Field()}
	f.ad = bound.AssociatedData(nil, make([]byte, 16))
	f.sealed = f.aead.Seal(nil, nil, f.sealText, f.ad)
	return f
}

func (f *floor) seal(n int) {
	for range n {
		_ = f.aead.Seal(f.dst, nil, f.sealText, f.ad)
	}
}

func (f *floor) open(n int) {
	for range n {
		if _, err := f.aead.Open(f.dst, nil, f.sealed, f.ad); err != nil {
			panic(err)
		}
	}
}

// tenants returns rows of so many tenants with the sealed text of each.
func tenants(b *testing.B, f *fixture, col *field.Column, n int) (rows []field.Row, sealed [][]byte) {
	b.Helper()
	for i := range n {
		row := field.Row{Tenant: fmt.Sprintf("t%03d", i)}
		rows, sealed = append(rows, row), append(sealed, mustSeal(b, f.Cipher, col, row, benchText))
	}
	return rows, sealed
}

// One tenant repeats the column's last key; 100 are more than the column
// remembers, so that each key comes out of the cache.
func BenchmarkSeal(b *testing.B) {
	for name, n := range map[string]int{"last key": 1, "another cached key": 64} {
		b.Run(name, func(b *testing.B) {
			f, col := newFixture(b), users(b).Column("ssn")
			rows, _ := tenants(b, f, col, n)
			ctx, dst, text, i := b.Context(), make([]byte, 0, 256), benchText, 0
			ratio.Report(b, newFloor(b, col).seal, func(ops int) {
				for range ops {
					i++
					if _, err := f.Seal(ctx, dst, col, rows[i%n], &text); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// What an equality term adds to a value whose keys are at hand, beside the same
// column without one.
func BenchmarkSealEquality(b *testing.B) {
	for name, n := range map[string]int{"last key": 1, "another cached key": 64} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			plain, found := users(b).Column("ssn"), users(b, searchable("ssn")).Column("ssn")
			rows, _ := tenants(b, f, plain, n)
			_, _ = tenants(b, f, found, n)
			ctx, dst, text, i := b.Context(), make([]byte, 0, 256), benchText, 0
			seal := func(col *field.Column) func(int) {
				return func(ops int) {
					for range ops {
						i++
						if _, err := f.Seal(ctx, dst, col, rows[i%n], &text); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			ratio.Report(b, seal(plain), seal(found))
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, n := range map[string]int{"last key": 1, "another cached key": 64} {
		b.Run(name, func(b *testing.B) {
			f, col := newFixture(b), users(b).Column("ssn")
			rows, sealed := tenants(b, f, col, n)
			ctx, dst, i := b.Context(), make([]byte, 0, 256), 0
			ratio.Report(b, newFloor(b, col).open, func(ops int) {
				for range ops {
					i++
					if _, err := f.OpenBytes(ctx, dst, col, rows[i%n], sealed[i%n]); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// A new row of two values, beside the standard library doing the same: a
// random key, one wrap, one AEAD built, two seals.
func BenchmarkSealNewRowOfTwo(b *testing.B) {
	f, table := newFixture(b), users(b)
	cols := []*field.Column{table.Column("name"), table.Column("name2")}
	fl := newFloor(b, cols[0])
	const page = 100
	rows := make([]field.SealRow, page)
	for i := range rows {
		rows[i] = field.SealRow{Row: acme, Values: []any{benchText, benchText}}
	}
	byHand := func(n int) {
		for range n * page {
			key := make([]byte, 32)
			_, _ = rand.Read(key)
			_ = fl.aead.Seal(nil, nil, key, fl.ad)
			block, _ := aes.NewCipher(key)
			aead, _ := cipher.NewGCMWithRandomNonce(block)
			_ = aead.Seal(nil, nil, fl.sealText, fl.ad)
			_ = aead.Seal(nil, nil, fl.sealText, fl.ad)
		}
	}
	ratio.Report(b, byHand, func(n int) {
		for range n {
			if err := f.SealRows(b.Context(), cols, rows); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Allocations of single calls with room in the caller's buffer.
func BenchmarkAllocations(b *testing.B) {
	f, col := newFixture(b), users(b).Column("ssn")
	sealed := mustSeal(b, f.Cipher, col, acme, benchText)
	ctx, dst := b.Context(), make([]byte, 0, 256)
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		text := benchText
		for b.Loop() {
			if _, err := f.Seal(ctx, dst, col, acme, text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Seal with an equality term", func(b *testing.B) {
		col, text := users(b, searchable("ssn")).Column("ssn"), benchText
		mustSeal(b, f.Cipher, col, acme, text)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Seal(ctx, dst, col, acme, &text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("OpenBytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.OpenBytes(ctx, dst, col, acme, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Open into a string", func(b *testing.B) {
		b.ReportAllocs()
		var s string
		for b.Loop() {
			if err := f.Open(ctx, &s, col, acme, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
