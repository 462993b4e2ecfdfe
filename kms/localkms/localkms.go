// Package localkms is a KMS whose root key lives in a file on this machine.
//
// It needs no service and no network, and suits development, tests, single
// machines, and machines whose disk or secret store is already protected.
// Whoever can read the key file can open everything sealed under it, so where
// a real key management service is at hand use that (package awskms).
//
//	localkms.Create("/var/lib/rowseal/root.key") // once
//	k, err := localkms.Open("/var/lib/rowseal/root.key")
//
// [Open] refuses a key file that others can read. [KMS.Rotate] adds a version;
// earlier versions stay in the file and keep unwrapping until [KMS.Remove].
// A process that has the file open sees a rotation by another process at its
// next call. Copies of the file on several machines must come from one place:
// rotate one of them and distribute it, first to all readers. Two copies that
// were rotated separately hold different keys under one name.
//
// Back the file up, apart from the database: without it nothing opens.
//
// # Wrapping
//
// Each wrap has a key of its own: HKDF-SHA256 of the root key's version, with
// 24 random bytes as salt and the root key's id in the info. It seals the data
// key with AES-256-GCM, a random nonce, and the [kms.Binding] as associated
// data. The wrapped key is
//
//	version 1 byte, 0x01 · salt 24 · nonce 12 · ciphertext 32 · tag 16
//
// that is 85 bytes. Salts repeat with a probability under 2^-32 in 2^80 wraps
// of one root key version, and until they do no derived key seals twice, so
// that neither GCM's limit of 2^32 random nonces per key nor its limit on data
// is ever near; there is no need to count wraps.
//
// Everything runs under GODEBUG=fips140=only.
//
// # Compatibility
//
// The file's format ([Create] describes it) and the wrapped key's are stable:
// what one released version wrote, every later one reads.
package localkms

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/kms"
)

const provider = "local"

// KMS wraps data keys under the current version of a root key in a file. It is
// safe for concurrent use. Printing or logging it shows no key.
type KMS struct {
	path  string // "" for a root key in memory
	clock func() time.Time
	held  atomic.Pointer[held] // immutable once stored

	mu         sync.Mutex // held while the file is read or replaced
	lastForced time.Time  // last reload without a visible change, under mu
}

// held is a key file's content and what the file looked like when read.
type held struct {
	file  *keyFile
	stamp stamp
}

var (
	_ kms.KMS        = (*KMS)(nil)
	_ kms.Generator  = (*KMS)(nil)
	_ kms.Rewrapper  = (*KMS)(nil)
	_ kms.Aged       = (*KMS)(nil)
	_ slog.LogValuer = (*KMS)(nil)
)

// Open reads the root key from the file at path.
//
// The file must be a regular file of mode 0600 or 0400 that belongs to the
// current user or to root. A symbolic link is followed, and these rules hold
// for the file it leads to. The errors are kms.ErrNotFound for a missing file
// (fs.ErrNotExist too), kms.ErrDenied where the system refuses to read it, and
// kms.ErrInvalid for a file with the wrong mode, owner or content.
func Open(path string) (*KMS, error) {
	file, stamp, err := readKeyFile("open", path, currentUser())
	if err != nil {
		return nil, err
	}
	k := &KMS{path: path, clock: time.Now}
	k.held.Store(&held{file: file, stamp: stamp})
	return k, nil
}

// OpenOrCreate opens the key file at path and creates it first when there is
// none. It is for demonstrations and development: in production a missing key
// file is more often a volume that is not mounted, and a new root key then
// hides the mistake. Use [Create] once and [Open] ever after.
func OpenOrCreate(path string) (*KMS, error) {
	k, err := Open(path)
	if !isNotExist(err) {
		return k, err
	}
	if err := Create(path); err != nil && !isExist(err) {
		return nil, err
	}
	return Open(path)
}

// Memory returns a KMS with a fresh root key that exists in this process's
// memory only. It is for tests: what it wraps is lost with the process.
func Memory() *KMS {
	k := &KMS{clock: time.Now}
	k.held.Store(&held{file: newKeyFile(time.Now())})
	return k
}

// Current returns the current version's id, "local:<file id>/<version>". It
// looks whether the file was rotated.
func (k *KMS) Current(ctx context.Context) (string, error) {
	file, err := k.forWrapping(ctx, "current")
	if err != nil {
		return "", err
	}
	return file.rootKey(file.current()), nil
}

// String names the current root key.
func (k *KMS) String() string {
	file := k.held.Load().file
	return "localkms(" + file.rootKey(file.current()) + ")"
}

// GoString is String, so that %#v prints no key.
func (k *KMS) GoString() string { return k.String() }

// LogValue is String, so that slog prints no key.
func (k *KMS) LogValue() slog.Value { return slog.StringValue(k.String()) }
