package sealing

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func FuzzDecodeHex(f *testing.F) {
	f.Add([]byte("f5000102030405060708090a0b0c0d0e0f"))
	f.Add([]byte("F5000102aAbBcCdD0e0f"))
	f.Add([]byte("0123456789abcdef0"))
	f.Add([]byte("01234567:9abcdef"))
	f.Add([]byte("0123456g89abcdef"))
	f.Add([]byte("pqrstuvwxyz`@/\x00\xff"))
	f.Fuzz(func(t *testing.T, digits []byte) {
		sameAsStandard(t, digits)
	})
}

// sameAsStandard compares with encoding/hex.
func sameAsStandard(t *testing.T, digits []byte) {
	t.Helper()
	want, got := make([]byte, len(digits)/2+4), make([]byte, len(digits)/2+4)
	n, wantErr := hex.Decode(want, digits)
	m, err := decodeHex(got, digits)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%q: error %v, want %v", digits, err, wantErr)
	}
	if err == nil && !bytes.Equal(got[:m], want[:n]) {
		t.Fatalf("%q: %x, want %x", digits, got[:m], want[:n])
	}
}

func TestEveryByteIsADigitOrNot(t *testing.T) {
	for c := range 256 {
		for at := range 17 {
			digits := []byte("0123456789abcdef0a")
			digits[at] = byte(c)
			sameAsStandard(t, digits)
		}
	}
	for range 1000 {
		raw := make([]byte, rand.IntN(100))
		for i := range raw {
			raw[i] = byte(rand.Uint32())
		}
		sameAsStandard(t, hex.AppendEncode(nil, raw))
	}
}

func BenchmarkDecodeHex(b *testing.B) {
	digits := hex.AppendEncode(nil, bytes.Repeat([]byte{0xa5, 0x17}, 40))
	dst := make([]byte, 80)
	b.Run("eight", func(b *testing.B) {
		for b.Loop() {
			_, _ = decodeHex(dst, digits)
		}
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			_, _ = hex.Decode(dst, digits)
		}
	})
}
