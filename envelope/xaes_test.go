package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/sha3"
	"encoding/hex"
	"testing"
)

// sealXAES is XAES-256-GCM with a given nonce, by the package's derivation.
func sealXAES(t testing.TB, key, nonce, plaintext, ad []byte) []byte {
	t.Helper()
	derived, err := deriveSalted(SuiteXAES, key, [SaltSize]byte(nonce))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(nil, nonce[SaltSize:], plaintext, ad)
}

// The vectors of https://c2sp.org/XAES-256-GCM, with their derived keys.
var xaesVectors = []struct {
	name, derived, ad, ciphertext string
	key                           byte
}{
	{"subkey without reduction", "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271", 1},
	{"subkey with reduction", "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d", 3},
}

func TestXAESVectors(t *testing.T) {
	nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
	for _, v := range xaesVectors {
		t.Run(v.name, func(t *testing.T) {
			key := bytes.Repeat([]byte{v.key}, 32)
			derived, err := deriveSalted(SuiteXAES, key, [SaltSize]byte(nonce))
			if got := hex.EncodeToString(derived[:]); err != nil || got != v.derived {
				t.Errorf("derived key %s, %v; want %s", got, err, v.derived)
			}
			aead, err := saltedAEAD(SuiteXAES, key, [SaltSize]byte(nonce))
			if err != nil {
				t.Fatal(err)
			}
			ciphertext, _ := hex.DecodeString(v.ciphertext)
			got, err := aead.Open(nil, nil, append(bytes.Clone(nonce[SaltSize:]), ciphertext...), []byte(v.ad))
			if err != nil || string(got) != "XAES-256-GCM" {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

func TestXAESAccumulated(t *testing.T) {
	if fips140.Enforced() {
		t.Log("sealing with fixed nonces is not allowed in this mode")
		return
	}
	iterations, want := 10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	if !testing.Short() {
		iterations, want = 1_000_000, "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
	}
	random, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	for range iterations {
		key, nonce := read(32), read(24)
		plaintext := read(int(read(1)[0]))
		ad := read(int(read(1)[0]))
		_, _ = sum.Write(sealXAES(t, key, nonce, plaintext, ad))
	}
	got := make([]byte, 32)
	_, _ = sum.Read(got)
	if hex.EncodeToString(got) != want {
		t.Errorf("after %d iterations %x, want %s", iterations, got, want)
	}
}
