package blindindex_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/blindindex"
)

func mustKey(t testing.TB, secret []byte) *blindindex.Key {
	t.Helper()
	k, err := blindindex.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The vectors of docs/FORMAT.md that carry an index key.
func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("../envelope/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Name, IndexKey, Canonical, Equality string }
	if err := json.Unmarshal(bytes.ReplaceAll(raw, []byte(`"index_key"`), []byte(`"indexkey"`)), &list); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, v := range list {
		if v.IndexKey == "" {
			continue
		}
		seen++
		secret, _ := hex.DecodeString(v.IndexKey)
		canonical, _ := hex.DecodeString(v.Canonical)
		if got := hex.EncodeToString(mustKey(t, secret).Equality(nil, canonical)); got != v.Equality {
			t.Errorf("%s: term %s, want %s", v.Name, got, v.Equality)
		}
	}
	if seen < 3 {
		t.Errorf("%d vectors with an index key, want 3 or more", seen)
	}
}

// RFC 4231 test case 6 (a key longer than a block), truncated.
func TestEqualityIsTruncatedHMAC(t *testing.T) {
	key := mustKey(t, bytes.Repeat([]byte{0xaa}, 131))
	got := key.Equality(nil, []byte("Test Using Larger Than Block-Size Key - Hash Key First"))
	if want := "60e431591ee0b67f0d8a26aacbf5b77f"; hex.EncodeToString(got) != want {
		t.Errorf("term %x, want %s", got, want)
	}
}

func TestEqualityAgreesWithHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 200).Draw(t, "secret")
		key, err := blindindex.NewKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "dst")
		for _, canonical := range rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 4).Draw(t, "values") {
			mac := hmac.New(sha256.New, secret)
			mac.Write(canonical)
			want := append(bytes.Clone(prefix), mac.Sum(nil)[:16]...)
			if got := key.Equality(bytes.Clone(prefix), canonical); !bytes.Equal(got, want) {
				t.Fatalf("term %x, want %x", got, want)
			}
		}
	})
}

func TestAKeyServesManyAtOnce(t *testing.T) {
	key := mustKey(t, make([]byte, 32))
	want := [2][]byte{key.Equality(nil, []byte{0}), key.Equality(nil, []byte{1})}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var dst []byte
			for range 500 {
				dst = key.Equality(dst[:0], []byte{byte(g % 2)})
				if !bytes.Equal(dst, want[g%2]) {
					t.Errorf("term %x, want %x", dst, want[g%2])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEqualityAllocatesNothing(t *testing.T) {
	key, dst, canonical := mustKey(t, make([]byte, 32)), make([]byte, 0, 16), []byte("078-05-1120")
	// The race detector makes pools forget at random; see raceEnabled.
	if n := testing.AllocsPerRun(1000, func() { dst = key.Equality(dst[:0], canonical) }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations a term", n)
	}
}

func BenchmarkEquality(b *testing.B) {
	key, dst, canonical := mustKey(b, make([]byte, 32)), make([]byte, 0, 16), []byte("078-05-1120")
	b.ReportAllocs()
	for b.Loop() {
		dst = key.Equality(dst[:0], canonical)
	}
}
