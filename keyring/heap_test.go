//go:build goexperiment.runtimesecret && linux

package keyring_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// mask keeps the test's own copies of key bytes from being found.
const mask = 0xA5

// spy is a KMS that keeps masked copies of the keys that it unwraps.
type spy struct {
	kms.KMS
	seen [][]byte
}

func (s *spy) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (key []byte, err error) {
	secretmem.Do(func() {
		var raw []byte
		if raw, err = s.KMS.Unwrap(ctx, w, b); err != nil {
			return
		}
		masked := make([]byte, len(raw))
		for i := range raw {
			masked[i] = raw[i] ^ mask
		}
		s.seen = append(s.seen, bytes.Clone(masked))
		key = bytes.Clone(raw)
		clear(raw)
	})
	return key, err
}

// inMemory counts how often the masked bytes occur, unmasked, in the writable
// memory of this process.
func inMemory(t *testing.T, masked []byte) (found int) {
	t.Helper()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	buf := make([]byte, 1<<20)
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(strings.Replace(lines.Text(), "-", " ", 1), "%x %x %s", &from, &to, &mode); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		for at := from; at < to; at += uint64(len(buf) - len(masked)) {
			n, err := mem.ReadAt(buf[:min(uint64(len(buf)), to-at)], int64(at))
			if n == 0 && err != nil && err != io.EOF {
				break
			}
			found += occurrences(buf[:n], masked)
		}
	}
	clear(buf)
	return found
}

func occurrences(b, masked []byte) (n int) {
	for i := 0; i+len(masked) <= len(b); i++ {
		j := 0
		for j < len(masked) && b[i+j] == masked[j]^mask {
			j++
		}
		if j == len(masked) {
			n++
		}
	}
	return n
}

// After its keys are let go of and collected, neither a tenant key nor what is
// derived from it is left in memory.
func TestNoKeyIsLeftInMemoryAfterItWasDropped(t *testing.T) {
	if !secretmem.Erases() {
		t.Fatal("built with runtimesecret, but memory is not erased on this platform")
	}
	root, store := &spy{KMS: localkms.Memory()}, &keyringtest.Store{}
	field := mustField(t, "users", "ssn")
	newRing := func() *keyring.Keyring {
		k, err := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	u := envelope.Use{Field: field, Tenant: "acme", Suite: envelope.SuiteXAES}
	writer, k := newRing(), newRing()
	sealed, err := seal(writer, u, field, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(k, field, sealed); err != nil {
		t.Fatal(err)
	}
	patterns := secretsOf(t, root.seen[0], field, sealed)
	held := 0
	for _, p := range patterns {
		held += inMemory(t, p)
	}
	if held == 0 {
		t.Fatal("no key is found while it is held: the scan finds nothing")
	}
	writer.Forget()
	k.Forget()
	for range 5 {
		runtime.GC()
	}
	defer runtime.KeepAlive([]any{writer, k})
	for i, p := range patterns {
		if n := inMemory(t, p); n != 0 {
			t.Errorf("secret %d stands in memory %d times after its key was dropped", i, n)
		}
	}
}

// secretsOf returns, masked, the tenant key, what derivation keeps of it, and
// the AES key of the value, computed as docs/FORMAT.md says.
func secretsOf(t *testing.T, masked []byte, f *envelope.Field, sealed []byte) [][]byte {
	t.Helper()
	v, err := envelope.Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	prk, field, data := make([]byte, 32), make([]byte, 32), make([]byte, 32)
	secretmem.Do(func() {
		raw := make([]byte, 32)
		for i := range raw {
			raw[i] = masked[i] ^ mask
		}
		a, errA := hkdf.Extract(sha256.New, raw, nil)
		info := lengthPrefixed("rowseal/derive/v1", "seal", string(rune(v.Suite)), f.Table(), f.Column())
		b, errB := hkdf.Expand(sha256.New, a, info, 32)
		err = errors.Join(errA, errB)
		c := xaesKey(b, v.Salt())
		for i := range raw {
			prk[i], field[i], data[i] = a[i]^mask, b[i]^mask, c[i]^mask
		}
		clear(raw)
		clear(a)
		clear(b)
		clear(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{masked, prk, field, data}
}

func lengthPrefixed(parts ...string) (s string) {
	for _, p := range parts {
		s += string([]byte{byte(len(p) >> 8), byte(len(p))}) + p
	}
	return s
}

// xaesKey derives the key of XAES-256-GCM for a salt.
func xaesKey(key []byte, salt [envelope.SaltSize]byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	var l, k1 [16]byte
	block.Encrypt(l[:], l[:])
	for i := range k1 {
		k1[i] = l[i] << 1
		if i < 15 {
			k1[i] |= l[i+1] >> 7
		}
	}
	k1[15] ^= 0x87 * (l[0] >> 7)
	out := make([]byte, 32)
	for i := range 2 {
		m := out[16*i : 16*i+16]
		copy(m, []byte{0, byte(i + 1), 'X', 0})
		copy(m[4:], salt[:])
		for j := range m {
			m[j] ^= k1[j]
		}
		block.Encrypt(m, m)
	}
	return out
}
