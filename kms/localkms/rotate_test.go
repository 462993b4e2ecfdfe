package localkms

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestMain lets the test binary stand in for a second process.
func TestMain(m *testing.M) {
	if path := os.Getenv("LOCALKMS_TEST_ROTATE"); path != "" {
		rotateTenTimes(path)
		return
	}
	os.Exit(m.Run())
}

func rotateTenTimes(path string) {
	k, err := Open(path)
	for i := 0; err == nil && i < 10; i++ {
		var rootKey string
		rootKey, err = k.Rotate(context.Background())
		fmt.Println(rootKey)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func TestProcessesThatRotateAtOnceLoseNoVersion(t *testing.T) {
	path := newFile(t)
	seen := map[string]bool{}
	var running []*exec.Cmd
	var outputs []*bufio.Scanner
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LOCALKMS_TEST_ROTATE="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		running, outputs = append(running, cmd), append(outputs, bufio.NewScanner(out))
	}
	for i, cmd := range running {
		for outputs[i].Scan() {
			if line := outputs[i].Text(); strings.HasPrefix(line, "local:") {
				if seen[line] {
					t.Errorf("two processes were told the one version %s", line)
				}
				seen[line] = true
			}
		}
		must(t, cmd.Wait())
	}
	versions, err := mustOpen(t, path).Versions(t.Context())
	must(t, err)
	if len(seen) != 30 || len(versions) != 31 {
		t.Errorf("%d rotations left %d versions, want 30 and 31", len(seen), len(versions))
	}
	wantOnly(t, path, "root.key.lock")
}

func TestRotateKeepsTheFilesModeAndLeavesNothingBehind(t *testing.T) {
	path := newFile(t)
	must(t, os.Chmod(path, 0o400))
	k := mustOpen(t, path)
	rotate(t, k)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o400 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	wantOnly(t, path, "root.key.lock")
}

func TestRotateThroughALinkReplacesTheFileAndKeepsTheLink(t *testing.T) {
	path := newFile(t)
	link := filepath.Join(t.TempDir(), "link.key")
	must(t, os.Symlink(path, link))
	rotate(t, mustOpen(t, link))
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link leads to %q, error %v", target, err)
	}
	if versions, err := mustOpen(t, path).Versions(t.Context()); err != nil || len(versions) != 2 {
		t.Errorf("the file holds %d versions, error %v", len(versions), err)
	}
}

func TestRotateWaitsForTheLockUntilItsContextEnds(t *testing.T) {
	path := newFile(t)
	unlock, err := lock(t.Context(), "rotate", path)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	k := mustOpen(t, path)
	_, err = k.Rotate(ctx)
	wantError(t, err, kms.ErrUnavailable, "root.key.lock", "another process")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not match the context's error", err)
	}
	unlock()
	rotate(t, k)
}

func TestRotateRefusesALockThatIsALink(t *testing.T) {
	path := newFile(t)
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.Symlink(victim, path+".lock"))
	_, err := mustOpen(t, path).Rotate(t.Context())
	wantError(t, err, kms.ErrInvalid, "lock file")
	if _, err := os.Lstat(victim); !os.IsNotExist(err) {
		t.Error("the link was followed")
	}
}

func TestRotateRefusesAFullFile(t *testing.T) {
	k := Memory()
	k.held.Load().file.versions[0].number = 1<<32 - 1
	_, err := k.Rotate(t.Context())
	wantError(t, err, kms.ErrInvalid, "the most there may be", "remove")
}

func TestRotateAndRemoveRefuseACanceledContext(t *testing.T) {
	k := mustOpen(t, newFile(t))
	_, err := k.Rotate(canceledContext(t))
	wantError(t, err, kms.ErrUnavailable)
	wantError(t, k.Remove(canceledContext(t), 1), kms.ErrUnavailable)
	if versions, err := k.Versions(t.Context()); err != nil || len(versions) != 1 {
		t.Errorf("the file holds %d versions, error %v", len(versions), err)
	}
}

func TestRemoveForgetsAVersionAndRefusesTheCurrentOne(t *testing.T) {
	path := newFile(t)
	k := mustOpen(t, path)
	old, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	must(t, err)
	wantError(t, k.Remove(t.Context(), 1), kms.ErrInvalid, "current version", "rotate first")
	rotate(t, k)
	wantError(t, k.Remove(t.Context(), 2), kms.ErrInvalid, "current version")
	wantError(t, k.Remove(t.Context(), 3), kms.ErrNotFound)
	must(t, k.Remove(t.Context(), 1))
	wantError(t, k.Remove(t.Context(), 1), kms.ErrNotFound)
	for name, k := range map[string]*KMS{"here": k, "opened again": mustOpen(t, path)} {
		_, err := k.Unwrap(t.Context(), old, binding)
		wantError(t, err, kms.ErrNotFound, "was removed")
		if got, err := k.Current(t.Context()); err != nil || !strings.HasSuffix(got, "/2") {
			t.Errorf("%s: Current is %q, error %v", name, got, err)
		}
	}
	if got := rotate(t, k); !strings.HasSuffix(got, "/3") {
		t.Errorf("the next version is %q: a number was used again", got)
	}
}
