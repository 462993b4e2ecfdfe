package localkms

import (
	"testing"

	"github.com/rowseal/rowseal/kms"
)

func BenchmarkWrap(b *testing.B) {
	k := mustOpen(b, newFile(b))
	key := make([]byte, kms.KeySize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Wrap(b.Context(), key, binding); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnwrap(b *testing.B) {
	k := mustOpen(b, newFile(b))
	w := wrap(b, k)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Unwrap(b.Context(), w, binding); err != nil {
			b.Fatal(err)
		}
	}
}
