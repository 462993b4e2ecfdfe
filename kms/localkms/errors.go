package localkms

import (
	"context"
	"errors"
	"io/fs"

	"github.com/rowseal/rowseal/kms"
)

func failed(op, rootKey string, kind, cause error, remedy string) error {
	return &kms.Error{
		Provider: provider, Op: op, RootKey: rootKey,
		Kind: kind, Err: cause, Remedy: remedy,
	}
}

// canceled returns an error when ctx has ended. A root key in a file is used
// in microseconds, so looking once before the work is enough.
func canceled(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return failed(op, "", kms.ErrUnavailable, err, "")
	}
	return nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func isExist(err error) bool { return errors.Is(err, fs.ErrExist) }
