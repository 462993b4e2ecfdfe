package localkms

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmstest"
)

var binding = kms.Binding{Namespace: "n", Tenant: "acme", Purpose: "tenant", KeyID: "0123456789abcdef", Version: 1}

func mustOpen(t testing.TB, path string) *KMS {
	t.Helper()
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func rotate(t testing.TB, k *KMS) string {
	t.Helper()
	rootKey, err := k.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rootKey
}

func rootKeys(_ testing.TB, k kms.KMS) (keys [][]byte) {
	for _, v := range k.(*KMS).held.Load().file.versions {
		keys = append(keys, v.key.key[:])
	}
	return keys
}

func TestConformanceOfAKeyFile(t *testing.T) {
	kmstest.Run(t, kmstest.Harness{
		Open:       func(t testing.TB) kms.KMS { return mustOpen(t, newFile(t)) },
		Reopen:     func(t testing.TB, k kms.KMS) kms.KMS { return mustOpen(t, k.(*KMS).path) },
		RotateRoot: func(t testing.TB, k kms.KMS) { rotate(t, k.(*KMS)) },
		Secrets:    rootKeys,
	})
}

func TestConformanceOfARotationByAnotherProcess(t *testing.T) {
	kmstest.Run(t, kmstest.Harness{
		Open:       func(t testing.TB) kms.KMS { return mustOpen(t, newFile(t)) },
		RotateRoot: func(t testing.TB, k kms.KMS) { rotate(t, mustOpen(t, k.(*KMS).path)) },
		Secrets:    rootKeys,
	})
}

func TestConformanceInMemory(t *testing.T) {
	kmstest.Run(t, kmstest.Harness{
		Open:       func(testing.TB) kms.KMS { return Memory() },
		RotateRoot: func(t testing.TB, k kms.KMS) { rotate(t, k.(*KMS)) },
		Secrets:    rootKeys,
	})
}

func TestMemoryNeverTouchesADisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	k := Memory()
	rotate(t, k)
	if err := k.Remove(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Fatalf("the directory holds %v, error %v", entries, err)
	}
}

// TestABlobOfTheFirstReleaseUnwraps holds the file's format, the derivation
// and the blob's layout in place: what this release wrote must always unwrap.
func TestABlobOfTheFirstReleaseUnwraps(t *testing.T) {
	path := copyOf(t, "testdata/v1.key")
	k := mustOpen(t, path)
	blob, err := hex.DecodeString(strings.TrimSpace(readFile(t, "testdata/v1.blob")))
	if err != nil {
		t.Fatal(err)
	}
	w := kms.Wrapped{RootKey: "local:00112233445566aa/1", Blob: blob}
	key, err := k.Unwrap(t.Context(), w, binding)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("0123456789abcdef", 2); string(key) != want {
		t.Fatalf("unwrapped %q, want %q", key, want)
	}
	if got, _ := k.Current(t.Context()); got != "local:00112233445566aa/2" {
		t.Fatalf("Current is %q", got)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func copyOf(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(to, []byte(readFile(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestABlobIs85BytesWithAFreshSaltEachTime(t *testing.T) {
	k := Memory()
	key := make([]byte, kms.KeySize)
	a, errA := k.Wrap(t.Context(), key, binding)
	b, errB := k.Wrap(t.Context(), key, binding)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if len(a.Blob) != 85 || a.Blob[0] != 1 {
		t.Errorf("the blob is %d bytes long and begins with %d", len(a.Blob), a.Blob[0])
	}
	if bytes.Equal(a.Blob[1:25], b.Blob[1:25]) {
		t.Error("two wraps have one salt")
	}
	if !regexp.MustCompile(`^local:[0-9a-f]{16}/1$`).MatchString(a.RootKey) {
		t.Errorf("the root key id is %q", a.RootKey)
	}
}

func TestABlobOfAnUnknownFormatSaysToUpgrade(t *testing.T) {
	k := Memory()
	w, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	if err != nil {
		t.Fatal(err)
	}
	w.Blob[0] = 2
	_, err = k.Unwrap(t.Context(), w, binding)
	wantError(t, err, kms.ErrBinding, "upgrade")
}

func wantError(t testing.TB, err, kind error, texts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want it to say %q", err, text)
		}
	}
}

func TestCreateRefusesToOverwriteAndLeavesTheFileAlone(t *testing.T) {
	path := newFile(t)
	before := readFile(t, path)
	err := Create(path)
	wantError(t, err, kms.ErrInvalid, path, "open it")
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v does not match fs.ErrExist", err)
	}
	if readFile(t, path) != before {
		t.Error("the file was changed")
	}
	wantOnly(t, path)
}

// wantOnly asserts that path is all there is in its directory.
func wantOnly(t testing.TB, path string, others ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	want := append(others, filepath.Base(path))
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestCreateWritesAFileThatOnlyItsOwnerReads(t *testing.T) {
	path := newFile(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, error %v", info.Mode(), err)
	}
	wantOnly(t, path)
}

func TestCreateInAMissingDirectoryNamesTheRemedy(t *testing.T) {
	err := Create(filepath.Join(t.TempDir(), "none", "root.key"))
	wantError(t, err, kms.ErrInvalid, "none/root.key", "directory must exist")
}

func TestOpenOrCreateCreatesOnceAndThenOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			k, err := OpenOrCreate(path)
			if err != nil {
				t.Errorf("OpenOrCreate: %v", err)
				return
			}
			ids[i] = k.String()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("callers at once got different root keys: %v", ids)
		}
	}
	wantOnly(t, path)
}

func TestOpenOrCreateDoesNotReplaceADamagedFile(t *testing.T) {
	path := newFile(t)
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenOrCreate(path)
	wantError(t, err, kms.ErrInvalid, "not a Rowseal root key file")
	if readFile(t, path) != "damaged" {
		t.Error("the file was replaced")
	}
}

func TestNoOutputOfTheWholeProviderShowsARootKey(t *testing.T) {
	k := Memory()
	secret := k.held.Load().file.versions[0].key
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{secret, &secret} {
			if got := fmt.Sprintf(verb, v); got != redacted {
				t.Errorf("%s of a %T is %q, want %q", verb, v, got, redacted)
			}
		}
	}
	if got := secret.LogValue().String() + secret.String() + secret.GoString(); got != strings.Repeat(redacted, 3) {
		t.Errorf("LogValue, String and GoString are %q", got)
	}
	if b, err := secret.MarshalText(); err != nil || string(b) != redacted {
		t.Errorf("MarshalText is %q, %v", b, err)
	}
	if got := k.GoString() + k.LogValue().String(); got != k.String()+k.String() {
		t.Errorf("GoString and LogValue are %q", got)
	}
}

func TestTheClockIsRecordedPerVersion(t *testing.T) {
	k := Memory()
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	k.clock = func() time.Time { return now }
	rotate(t, k)
	versions, err := k.Versions(t.Context())
	if err != nil || len(versions) != 2 {
		t.Fatalf("versions %v, error %v", versions, err)
	}
	want := time.Date(2030, 1, 2, 2, 4, 5, 0, time.UTC)
	if v := versions[1]; !v.Created.Equal(want) || v.Number != 2 || !v.Current || versions[0].Current {
		t.Errorf("versions are %+v, want the second current and created at %v", versions, want)
	}
	if versions[0].RootKey == versions[1].RootKey {
		t.Error("two versions have one id")
	}
}

func canceledContext(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
