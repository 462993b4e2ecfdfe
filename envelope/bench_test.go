package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"

	"github.com/rowseal/rowseal/internal/ratio"
)

// The floor: the standard library's AEAD in hand, with associated data of the
// length that a value of this field has.

func floorAEAD(b testing.TB) cipher.AEAD {
	b.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	aead, err := newGCM(key)
	if err != nil {
		b.Fatal(err)
	}
	return aead
}

func benchValue(b testing.TB) (h Header, k *Key, bind *Binding, ad []byte) {
	b.Helper()
	f := testField(b)
	k = testKey(b, SuiteXAES, f)
	h = Header{Column: f.ID(), Type: 1}
	bind = &Binding{Tenant: "acme", Field: f}
	return h, k, bind, bind.AssociatedData(nil, make([]byte, 16))
}

func BenchmarkSeal(b *testing.B) {
	h, k, bind, ad := benchValue(b)
	aead, plaintext, dst := floorAEAD(b), make([]byte, 16), make([]byte, 0, 256)
	ratio.Report(b, func(n int) {
		for range n {
			_ = aead.Seal(dst, nil, plaintext, ad)
		}
	}, func(n int) {
		for range n {
			if _, err := Seal(dst, &h, k, bind, plaintext); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	h, k, bind, ad := benchValue(b)
	aead, dst := floorAEAD(b), make([]byte, 0, 256)
	bare := aead.Seal(nil, nil, make([]byte, 16), ad)
	sealed, err := Seal(nil, &h, k, bind, make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	ratio.Report(b, func(n int) {
		for range n {
			if _, err := aead.Open(dst, nil, bare, ad); err != nil {
				b.Fatal(err)
			}
		}
	}, func(n int) {
		for range n {
			v, err := Parse(sealed)
			if err == nil {
				_, err = Open(dst, &v, k, bind)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A cold salt: from the tenant key to a built AEAD.
func BenchmarkColdSalt(b *testing.B) {
	f := testField(b)
	tk, _ := NewTenantKey(KeyID{1}, "acme", make([]byte, 32))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tk.FieldKey(SuiteXAES, f, [SaltSize]byte{1}); err != nil {
			b.Fatal(err)
		}
	}
}

// A cold row key: unwrapped and built, as for the first value of a row.
func BenchmarkColdRowKey(b *testing.B) {
	tk, _ := NewTenantKey(KeyID{1}, "acme", make([]byte, 32))
	wrap, _ := tk.RowWrapKey(SuiteRow, [SaltSize]byte{1})
	k, err := NewRowKey(wrap, "")
	if err != nil {
		b.Fatal(err)
	}
	wrapped := k.ref[KeyIDSize:]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RowKey(wrap, "", wrapped); err != nil {
			b.Fatal(err)
		}
	}
}

// A new row of two values: a random key, one wrap, one AEAD built, two seals.
func BenchmarkNewRowOfTwo(b *testing.B) {
	h, _, bind, ad := benchValue(b)
	tk, _ := NewTenantKey(KeyID{1}, "acme", make([]byte, 32))
	wrap, _ := tk.RowWrapKey(SuiteRow, [SaltSize]byte{1})
	bare, plaintext, dst := floorAEAD(b), make([]byte, 16), make([]byte, 0, 512)
	ratio.Report(b, func(n int) {
		for range n {
			key := make([]byte, 32)
			_, _ = rand.Read(key)
			_ = bare.Seal(dst, nil, key, ad)
			block, _ := aes.NewCipher(key)
			aead, _ := cipher.NewGCMWithRandomNonce(block)
			_ = aead.Seal(dst, nil, plaintext, ad)
			_ = aead.Seal(dst, nil, plaintext, ad)
		}
	}, func(n int) {
		for range n {
			k, err := NewRowKey(wrap, "")
			for i := 0; err == nil && i < 2; i++ {
				_, err = Seal(dst, &h, k, bind, plaintext)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
