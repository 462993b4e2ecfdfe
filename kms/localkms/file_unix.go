//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package localkms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/rowseal/rowseal/kms"
)

// stamp tells one state of a file from another without reading it. A file
// that was replaced by a rename differs in its inode.
type stamp struct {
	device, inode uint64
	size          int64
	modified      int64 // Unix nanoseconds
	mode          fs.FileMode
	owner         int
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{
		size: info.Size(), modified: info.ModTime().UnixNano(),
		mode: info.Mode(), owner: ownerOf(info),
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(sys.Dev), uint64(sys.Ino) // types differ by system
	}
	return s
}

func statStamp(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stampOf(info), nil
}

// supported says whether key files can be protected on this system.
func supported() error { return nil }

func currentUser() int { return os.Geteuid() }

// ownerOf returns the owner's user id, -1 where the system does not say.
func ownerOf(info fs.FileInfo) int {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(sys.Uid)
	}
	return -1
}

// openWithoutWaiting opens path for reading. O_NONBLOCK keeps a named pipe
// from holding the process until someone writes to it.
func openWithoutWaiting(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

const lockPoll = 20 * time.Millisecond

// lock takes the lock on path's key file and returns what gives it back. The
// system gives it back too when the process ends, however it ends.
func lock(ctx context.Context, op, path string) (unlock func(), err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, failed(op, "", kms.ErrInvalid, fmt.Errorf("lock file: %w", err),
			"the user that runs this must be able to write the file and its directory")
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, failed(op, "", kms.ErrInvalid, fmt.Errorf("locking %q: %w", name, err), "")
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, failed(op, "", kms.ErrUnavailable,
				fmt.Errorf("waiting for %q: %w", name, ctx.Err()), "another process is changing the key file; try again")
		case <-time.After(lockPoll):
		}
	}
}
