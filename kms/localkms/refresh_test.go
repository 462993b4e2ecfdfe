package localkms

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
)

func wrap(t testing.TB, k *KMS) kms.Wrapped {
	t.Helper()
	w, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	must(t, err)
	return w
}

func TestAProcessSeesARotationByAnotherAtOnce(t *testing.T) {
	path := newFile(t)
	k, other := mustOpen(t, path), mustOpen(t, path)
	want := rotate(t, other)
	if got, err := k.Current(t.Context()); err != nil || got != want {
		t.Errorf("Current is %q, want %q, error %v", got, want, err)
	}
	want = rotate(t, other)
	if w := wrap(t, k); w.RootKey != want {
		t.Errorf("Wrap wrote %q, want %q", w.RootKey, want)
	}
	rotate(t, other)
	if _, err := k.Unwrap(t.Context(), wrap(t, other), binding); err != nil {
		t.Errorf("a wrap under the new version: %v", err)
	}
}

func TestWrappingStopsWhenTheKeyFileIsGoneDamagedOrReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		kind   error
		text   string
	}{
		"gone":          {func(t *testing.T, path string) { must(t, os.Remove(path)) }, kms.ErrNotFound, "restore it"},
		"damaged":       {func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("x"), 0o600)) }, kms.ErrInvalid, "not a Rowseal"},
		"readable":      {func(t *testing.T, path string) { must(t, os.Chmod(path, 0o644)) }, kms.ErrInvalid, "chmod 600"},
		"another key's": {func(t *testing.T, path string) { must(t, os.Rename(newFile(t), path)) }, kms.ErrInvalid, "another root key's file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			k := mustOpen(t, path)
			w := wrap(t, k)
			c.change(t, path)
			_, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
			wantError(t, err, c.kind, c.text, path)
			_, _, err = k.Generate(t.Context(), binding)
			wantError(t, err, c.kind, c.text)
			_, err = k.Rewrap(t.Context(), w, binding)
			wantError(t, err, c.kind, c.text)
			_, err = k.Current(t.Context())
			wantError(t, err, c.kind, c.text)
			_, err = k.Rotate(t.Context())
			wantError(t, err, c.kind, c.text)
			if _, err := k.Unwrap(t.Context(), w, binding); err != nil {
				t.Errorf("unwrapping does not go on from memory: %v", err)
			}
		})
	}
}

func TestAnOlderCopyOfTheFileIsNotTakenBack(t *testing.T) {
	path := newFile(t)
	old := readFile(t, path)
	k := mustOpen(t, path)
	rotate(t, k)
	must(t, os.WriteFile(path, []byte(old), 0o600))
	_, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	wantError(t, err, kms.ErrInvalid, "older copy without version 2")
}

func TestCopiesThatWereRotatedSeparatelyAreToldApart(t *testing.T) {
	here := newFile(t)
	there := filepath.Join(t.TempDir(), "root.key")
	must(t, os.WriteFile(there, []byte(readFile(t, here)), 0o600))
	k, copied := mustOpen(t, here), mustOpen(t, there)
	rotate(t, k)
	rotate(t, copied)
	_, err := k.Unwrap(t.Context(), wrap(t, copied), binding)
	wantError(t, err, kms.ErrBinding)
	must(t, os.Rename(there, here))
	_, err = k.Current(t.Context())
	wantError(t, err, kms.ErrInvalid, "version 2 holds another key", "rotated separately")
}

func TestAVersionThatNoFileHoldsSaysThatTheCopyIsOld(t *testing.T) {
	path := newFile(t)
	old := readFile(t, path)
	k := mustOpen(t, path)
	rotate(t, k)
	w := wrap(t, k)
	must(t, os.WriteFile(path, []byte(old), 0o600))
	_, err := mustOpen(t, path).Unwrap(t.Context(), w, binding)
	wantError(t, err, kms.ErrNotFound, w.RootKey, "older copy")
}

func TestAnUnknownVersionReadsAnUnchangedFileOnceASecond(t *testing.T) {
	path := newFile(t)
	k := mustOpen(t, path)
	now := testTime
	k.clock = func() time.Time { return now }
	unknown := wrap(t, k)
	unknown.RootKey = strings.TrimSuffix(unknown.RootKey, "1") + "7"
	reads := func() bool { // whether an Unwrap reads the file
		before := k.held.Load()
		_, err := k.Unwrap(t.Context(), unknown, binding)
		wantError(t, err, kms.ErrNotFound)
		return k.held.Load() != before
	}
	if !reads() {
		t.Error("the first unknown version did not make it read the file")
	}
	if reads() {
		t.Error("the second one at the same time did")
	}
	now = now.Add(forcedReload - 1)
	if reads() {
		t.Error("one just before the second is over did")
	}
	now = now.Add(1)
	if !reads() {
		t.Error("one a second later did not")
	}
}

func TestAnIDThatIsNotOneIsLeftOutOfTheError(t *testing.T) {
	k := Memory()
	_, err := k.Unwrap(t.Context(), kms.Wrapped{RootKey: "line\nbreak", Blob: []byte{1}}, binding)
	wantError(t, err, kms.ErrForeign)
	if strings.Contains(err.Error(), "break") {
		t.Errorf("the error repeats it: %v", err)
	}
	_, err = k.Unwrap(t.Context(), kms.Wrapped{RootKey: "local:x/1", Blob: []byte{1}}, binding)
	wantError(t, err, kms.ErrForeign, "local:x/1")
}
