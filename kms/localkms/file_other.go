//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package localkms

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/rowseal/rowseal/kms"
)

// errSystem: on this system the package cannot tell who may read a file, so
// it opens none. Memory works everywhere.
var errSystem = errors.New("key files need a system with Unix file permissions")

type stamp struct{ mode fs.FileMode }

func stampOf(fs.FileInfo) stamp { return stamp{} }

func statStamp(string) (stamp, error) { return stamp{}, errSystem }

func supported() error { return errSystem }

func currentUser() int { return -1 }

func ownerOf(fs.FileInfo) int { return -2 }

func openWithoutWaiting(string) (*os.File, error) { return nil, errSystem }

func lock(_ context.Context, op, _ string) (unlock func(), err error) {
	return nil, failed(op, "", kms.ErrInvalid, errSystem, "")
}
