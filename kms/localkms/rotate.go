package localkms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/kms"
)

// Version is one version of a root key.
type Version struct {
	Number  uint32
	RootKey string    // what wrapped keys carry: "local:<file id>/<number>"
	Created time.Time // in UTC, to the second
	Current bool      // whether Wrap uses it
}

// Versions returns the root key's versions as the file holds them now, oldest
// first.
func (k *KMS) Versions(ctx context.Context) ([]Version, error) {
	file, err := k.forWrapping(ctx, "versions")
	if err != nil {
		return nil, err
	}
	versions := make([]Version, 0, len(file.versions))
	for _, v := range file.versions {
		versions = append(versions, Version{
			Number:  v.number,
			RootKey: file.rootKey(v.number),
			Created: v.created,
			Current: v.number == file.current(),
		})
	}
	return versions, nil
}

// Age implements kms.Aged: a key file rotates when somebody does it.
func (k *KMS) Age(ctx context.Context) (kms.Age, error) {
	file, err := k.forWrapping(ctx, "age")
	if err != nil {
		return kms.Age{}, err
	}
	v := file.versions[len(file.versions)-1]
	return kms.Age{RootKey: file.rootKey(v.number), Since: v.created}, nil
}

// Rotate adds a version, makes it the current one and returns its RootKey.
// What earlier versions wrapped still unwraps; rewrap it to let go of them.
//
// The file is replaced as a whole: written beside the old one with its mode,
// flushed to disk, renamed into place, and the directory flushed. A crash
// leaves the old file or the new one. A lock on "<path>.lock", which stays
// behind empty, lets one process at a time do this; Rotate waits for it until
// ctx ends. Where path is a symbolic link, the file it leads to is replaced.
func (k *KMS) Rotate(ctx context.Context) (rootKey string, err error) {
	return k.rotate(ctx, "")
}

// ErrRotated: the version that [KMS.RotateFrom] was to replace is not the current one.
var ErrRotated = errors.New("it was rotated already")

// RotateFrom is [KMS.Rotate] if current, as [KMS.Current] gave it, is still the
// current version, else [ErrRotated]: of several who find it too old one rotates.
func (k *KMS) RotateFrom(ctx context.Context, current string) (rootKey string, err error) {
	if current == "" {
		return "", failed("rotate", "", kms.ErrInvalid, errors.New("which version is to be replaced is not said"), "")
	}
	return k.rotate(ctx, current)
}

func (k *KMS) rotate(ctx context.Context, from string) (rootKey string, err error) {
	file, err := k.change(ctx, "rotate", func(file *keyFile) (*keyFile, error) {
		if now := file.rootKey(file.current()); from != "" && now != from {
			return nil, failed("rotate", now, kms.ErrInvalid, ErrRotated, "")
		}
		next, err := file.withNewVersion(k.clock())
		if err != nil {
			return nil, failed("rotate", "", kms.ErrInvalid, err,
				"rewrap what the oldest versions wrapped, then remove them")
		}
		return next, nil
	})
	if err != nil {
		return "", err
	}
	return file.rootKey(file.current()), nil
}

// Remove deletes a version from the file. What it wrapped never unwraps again
// except with a copy of the file, so rewrap all of it first. The current
// version cannot be removed.
func (k *KMS) Remove(ctx context.Context, number uint32) error {
	_, err := k.change(ctx, "remove", func(file *keyFile) (*keyFile, error) {
		if number == file.current() {
			return nil, failed("remove", file.rootKey(number), kms.ErrInvalid,
				errors.New("it is the current version"), "rotate first")
		}
		if _, ok := file.find(number); !ok {
			return nil, failed("remove", file.rootKey(number), kms.ErrNotFound, nil, "")
		}
		return file.without(number), nil
	})
	return err
}

// change replaces the key file by what edit makes of it, one process and one
// goroutine at a time.
func (k *KMS) change(
	ctx context.Context, op string, edit func(*keyFile) (*keyFile, error),
) (*keyFile, error) {
	if err := canceled(ctx, op); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.path == "" {
		next, err := edit(k.held.Load().file)
		if err == nil {
			k.held.Store(&held{file: next})
		}
		return next, err
	}
	target, err := realPath(op, k.path)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, op, target)
	if err != nil {
		return nil, err
	}
	defer unlock()
	file, err := k.reload(op)
	if err != nil {
		return nil, err
	}
	next, err := edit(file)
	if err != nil {
		return nil, err
	}
	if err := replaceKeyFile(target, next, k.held.Load().stamp.mode); err != nil {
		return nil, failed(op, "", kms.ErrInvalid, fmt.Errorf("replacing key file %q: %w", target, err),
			"the user that runs this must be able to write the file's directory")
	}
	return k.reload(op)
}
