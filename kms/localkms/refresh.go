package localkms

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/kms"
)

// forcedReload is how often an unknown version may make a process read the
// key file although it looks unchanged.
const forcedReload = time.Second

// forWrapping returns the key file as it is now. It must be the file on disk:
// a data key wrapped under a root key that is gone from the disk would be lost
// when this process ends. So a file that is missing, damaged or replaced by
// another one stops wrapping (while unwrapping goes on from memory).
func (k *KMS) forWrapping(ctx context.Context, op string) (*keyFile, error) {
	if err := canceled(ctx, op); err != nil {
		return nil, err
	}
	h := k.held.Load()
	if k.path == "" {
		return h.file, nil
	}
	if now, err := statStamp(k.path); err == nil && now == h.stamp {
		return h.file, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reload(op)
}

// versionOf returns the version that rootKey names.
func (k *KMS) versionOf(op, rootKey string) (version, error) {
	file := k.held.Load().file
	number, ok := file.parseRootKey(rootKey)
	if !ok {
		return version{}, foreign(op, rootKey)
	}
	if v, ok := file.find(number); ok {
		return v, nil
	}
	file, err := k.catchUp(op, number)
	if err != nil {
		return version{}, err
	}
	if v, ok := file.find(number); ok {
		return v, nil
	}
	remedy := "the version was removed; restore a key file that still holds it"
	if number > file.current() {
		remedy = "this key file is an older copy; bring the one that was rotated"
	}
	return version{}, failed(op, rootKey, kms.ErrNotFound, nil, remedy)
}

// foreign leaves an id out of the error that has not the form of one: it came
// from a database that anyone may have written to.
func foreign(op, rootKey string) error {
	if (kms.Wrapped{RootKey: rootKey, Blob: []byte{0}}).Validate() != nil {
		rootKey = ""
	}
	return failed(op, rootKey, kms.ErrForeign, nil, "")
}

// catchUp reads the file again for a version that this process does not know:
// at once when the file looks changed, and for a version that must be newer at
// most once in a while when it does not, because two rotations within one
// tick of the file system's clock can look like none.
func (k *KMS) catchUp(op string, number uint32) (*keyFile, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held.Load()
	if _, ok := h.file.find(number); ok || k.path == "" {
		return h.file, nil
	}
	if now, err := statStamp(k.path); err == nil && now == h.stamp {
		recent := k.clock().Sub(k.lastForced) < forcedReload
		if number < h.file.current() || recent {
			return h.file, nil
		}
		k.lastForced = k.clock()
	}
	return k.reload(op)
}

// reload reads the file and holds it. The caller holds k.mu.
func (k *KMS) reload(op string) (*keyFile, error) {
	file, stamp, err := readKeyFile(op, k.path, currentUser())
	if err != nil {
		return nil, err
	}
	if err := continues(file, k.held.Load().file); err != nil {
		return nil, failed(op, "", kms.ErrInvalid, fmt.Errorf("key file %q: %w", k.path, err),
			"put the right key file back, or restart if the change is meant")
	}
	k.held.Store(&held{file: file, stamp: stamp})
	return file, nil
}

// continues says why next may not take the place of last in a running
// process: after it, keys wrapped under last might never unwrap again.
func continues(next, last *keyFile) error {
	if next.id != last.id {
		return errors.New("it was replaced by another root key's file")
	}
	if next.current() < last.current() {
		return fmt.Errorf("it was replaced by an older copy without version %d", last.current())
	}
	for _, v := range last.versions {
		same, ok := next.find(v.number)
		if ok && subtle.ConstantTimeCompare(same.key.key[:], v.key.key[:]) != 1 {
			return fmt.Errorf("version %d holds another key than before: two copies were rotated separately", v.number)
		}
	}
	return nil
}
