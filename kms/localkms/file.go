package localkms

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

// Create writes a new root key to a file at path, of mode 0600. It refuses to
// overwrite (fs.ErrExist).
//
// The file is text:
//
//	rowseal-root-key v1
//	# Secret: …                                     (one fixed line)
//	id <16 hex digits>
//	version <n> <RFC 3339 time, UTC> <32-byte key, base64>
//	version …                                       (n ascending; the last is current)
//	sum <SHA-256 of all bytes before this line, 64 hex digits>
//
// There is one way to write each file and anything else is refused. The
// checksum tells damage; it does not tell forgery, because whoever can write
// the file can write a root key of his own.
func Create(path string) error {
	if err := supported(); err != nil {
		return failed("create", "", kms.ErrInvalid, err, "")
	}
	err := createKeyFile(path, newKeyFile(time.Now()))
	switch {
	case err == nil:
		return nil
	case isExist(err):
		return failed("create", "", kms.ErrInvalid, fmt.Errorf("key file %q: %w", path, fs.ErrExist),
			"open it, or move it away if you are sure that nothing is sealed under it")
	default:
		return failed("create", "", kms.ErrInvalid, fmt.Errorf("key file %q: %w", path, err),
			"its directory must exist and be writable")
	}
}

// createKeyFile writes f beside path and links it to path, so that the file
// is whole from the moment it exists, and so that an existing one stays.
func createKeyFile(path string, f *keyFile) (err error) {
	tmp, err := writeBeside(path, f, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp)) }()
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// replaceKeyFile puts f in the place of the file at path, which is no link.
func replaceKeyFile(path string, f *keyFile, mode fs.FileMode) error {
	tmp, err := writeBeside(path, f, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

// writeBeside writes f to a file of another name in path's directory and
// flushes it to disk. It leaves nothing behind when it fails.
func writeBeside(path string, f *keyFile, mode fs.FileMode) (name string, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".rowseal-*.tmp") // mode 0600
	if err != nil {
		return "", err
	}
	secretmem.Do(func() {
		b := f.marshal()
		_, err = tmp.Write(b)
		clear(b)
	})
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// realPath follows links, because a rename replaces a link and not its file.
func realPath(op, path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", openError(op, path, err)
	}
	return target, nil
}

// readKeyFile reads and checks the key file at path for a process of user
// uid. All checks are made on the open file, so that it cannot be exchanged
// between check and use.
func readKeyFile(op, path string, uid int) (*keyFile, stamp, error) {
	f, err := openWithoutWaiting(path)
	if err != nil {
		return nil, stamp{}, openError(op, path, err)
	}
	defer f.Close() // read only: nothing is lost when closing fails
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, openError(op, path, err)
	}
	if err := checkFile(op, path, info, uid); err != nil {
		return nil, stamp{}, err
	}
	var file *keyFile
	secretmem.Do(func() {
		// One buffer, so that no smaller copy of the keys is left behind.
		b := make([]byte, min(info.Size(), maxFile)+1)
		n, readErr := io.ReadFull(f, b)
		if err = readErr; err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			file, err = parseKeyFile(b[:n])
		}
		clear(b)
	})
	if err != nil {
		return nil, stamp{}, failed(op, "", kms.ErrInvalid, fmt.Errorf("key file %q: %w", path, err),
			"restore it from its backup")
	}
	return file, stampOf(info), nil
}

func openError(op, path string, err error) error {
	// A *fs.PathError repeats the path, so only its cause is kept.
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	cause := fmt.Errorf("key file %q: %w", path, err)
	switch {
	case isNotExist(err):
		return failed(op, "", kms.ErrNotFound, cause,
			"restore it from its backup; only a new deployment creates one (localkms.Create)")
	case errors.Is(err, fs.ErrPermission):
		return failed(op, "", kms.ErrDenied, cause, "run as the user that the file belongs to")
	default:
		return failed(op, "", kms.ErrInvalid, cause, "")
	}
}

// checkFile refuses a file that is none, or that others than uid and root can
// read or replace the content of.
func checkFile(op, path string, info fs.FileInfo, uid int) error {
	refuse := func(remedy, format string, args ...any) error {
		return failed(op, "", kms.ErrInvalid,
			fmt.Errorf("key file %q "+format, append([]any{path}, args...)...), remedy)
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return refuse("name the key file in it", "is a directory")
	case !mode.IsRegular():
		return refuse("name a regular file", "is not a regular file")
	case mode != 0o600 && mode != 0o400:
		return refuse("run: chmod 600 "+path, "has mode %#o, want 0600 or 0400", mode.Perm())
	}
	if owner := ownerOf(info); owner != uid && owner != 0 {
		return refuse(fmt.Sprintf("run as user %d, or: chown %d %s", owner, uid, path),
			"belongs to user %d, not to the current user %d", owner, uid)
	}
	return nil
}
