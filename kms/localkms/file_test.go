//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package localkms

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

func TestOpenRefusesAFileOfTheWrongKindModeOrContent(t *testing.T) {
	chmod := func(mode fs.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { must(t, os.Chmod(path, mode)) }
	}
	write := func(content string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(content), 0o600)) }
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		kind    error
		texts   []string
	}{
		"missing":                {func(t *testing.T, path string) { must(t, os.Remove(path)) }, kms.ErrNotFound, []string{"restore it from its backup", "localkms.Create"}},
		"readable by the group":  {chmod(0o640), kms.ErrInvalid, []string{"mode 0640", "chmod 600 "}},
		"readable by the world":  {chmod(0o604), kms.ErrInvalid, []string{"mode 0604", "chmod 600 "}},
		"writable by the world":  {chmod(0o602), kms.ErrInvalid, []string{"mode 0602", "chmod 600 "}},
		"executable":             {chmod(0o700), kms.ErrInvalid, []string{"mode 0700", "chmod 600 "}},
		"with the setuid bit":    {chmod(0o600 | fs.ModeSetuid), kms.ErrInvalid, []string{"chmod 600 "}},
		"unreadable by anyone":   {chmod(0), kms.ErrInvalid, nil}, // ErrDenied too, where the system refuses
		"empty":                  {write(""), kms.ErrInvalid, []string{"is empty", "backup"}},
		"of another program":     {write("-----BEGIN KEY-----\n"), kms.ErrInvalid, []string{"not a Rowseal root key file"}},
		"of a newer release":     {write("rowseal-root-key v2\n"), kms.ErrInvalid, []string{"newer release"}},
		"longer than any may be": {write(headLine + strings.Repeat("x", maxFile)), kms.ErrInvalid, []string{"longer than 1048576 bytes"}},
		"a directory": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, kms.ErrInvalid, []string{"is a directory"}},
		"a named pipe": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o600))
		}, kms.ErrInvalid, []string{"not a regular file"}},
		"a link to nothing": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Symlink("nothing", path))
		}, kms.ErrNotFound, nil},
		"a link to a file that others read": {func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".real"))
			must(t, os.Chmod(path+".real", 0o644))
			must(t, os.Symlink(path+".real", path))
		}, kms.ErrInvalid, []string{"mode 0644"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			c.prepare(t, path)
			_, err := Open(path)
			if name == "unreadable by anyone" && os.Geteuid() != 0 {
				c.kind = kms.ErrDenied
			}
			wantError(t, err, c.kind, append(c.texts, path)...)
		})
	}
}

func TestOpenAcceptsModes0600And0400AndALinkToSuchAFile(t *testing.T) {
	path := newFile(t)
	mustOpen(t, path)
	must(t, os.Chmod(path, 0o400))
	mustOpen(t, path)
	link := filepath.Join(t.TempDir(), "link.key")
	must(t, os.Symlink(path, link))
	mustOpen(t, link)
}

// TestAFileOfAnotherUserIsRefused gives the file away where it may, and
// otherwise reads it in another user's name.
func TestAFileOfAnotherUserIsRefused(t *testing.T) {
	path := newFile(t)
	uid := os.Geteuid()
	if uid == 0 {
		must(t, os.Chown(path, 12345, -1))
	} else {
		uid++
	}
	_, _, err := readKeyFile("open", path, uid)
	wantError(t, err, kms.ErrInvalid, path, "belongs to user", "run as user", "chown")
}

func TestAFileOfRootIsAcceptedFromEveryUser(t *testing.T) {
	info := fakeInfo{mode: 0o600, uid: 0}
	must(t, checkFile("open", "root.key", info, 1000))
	info.uid = 1001
	wantError(t, checkFile("open", "root.key", info, 1000), kms.ErrInvalid, "belongs to user 1001")
}

// fakeInfo is a file that belongs to any user.
type fakeInfo struct {
	fs.FileInfo
	mode fs.FileMode
	uid  uint32
}

func (i fakeInfo) Mode() fs.FileMode { return i.mode }
func (i fakeInfo) Sys() any          { return &syscall.Stat_t{Uid: i.uid} }

func TestAFileThatTheSystemRefusesToReadIsDenied(t *testing.T) {
	err := openError("open", "root.key", &fs.PathError{Op: "open", Path: "root.key", Err: fs.ErrPermission})
	wantError(t, err, kms.ErrDenied, "root.key", "run as the user")
}

func TestAReplacementThatFailsLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	must(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
	if err := replaceKeyFile(path, newKeyFile(testTime), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	wantOnly(t, path)
}
