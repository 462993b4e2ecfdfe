package localkms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

const (
	blobV1   = 1
	saltSize = 24
	gcmExtra = 12 + 16 // nonce and tag
	blobSize = 1 + saltSize + gcmExtra + kms.KeySize
)

// Wrap wraps key under the current version. See [kms.KMS].
func (k *KMS) Wrap(ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
	if len(key) != kms.KeySize {
		return kms.Wrapped{}, failed("wrap", "", kms.ErrInvalid,
			fmt.Errorf("the data key is %d bytes long, want %d", len(key), kms.KeySize), "")
	}
	return k.wrap(ctx, "wrap", key, b)
}

// Generate draws a fresh data key and wraps it. See [kms.Generator].
func (k *KMS) Generate(ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
	var key []byte
	secretmem.Do(func() {
		key = make([]byte, kms.KeySize)
		rand.Read(key) // never fails
	})
	w, err := k.wrap(ctx, "generate", key, b)
	if err != nil {
		return nil, kms.Wrapped{}, err
	}
	return key, w, nil
}

// Unwrap returns the key in w. See [kms.KMS]. A version that this process does
// not know makes it read the file again; one that the file does not hold is
// [kms.ErrNotFound].
func (k *KMS) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	return k.unwrap(ctx, "unwrap", w, b)
}

// Rewrap moves w to the current version. See [kms.Rewrapper].
func (k *KMS) Rewrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	key, err := k.unwrap(ctx, "rewrap", w, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer clear(key)
	return k.wrap(ctx, "rewrap", key, b)
}

func (k *KMS) wrap(ctx context.Context, op string, key []byte, b kms.Binding) (kms.Wrapped, error) {
	if err := b.Validate(); err != nil {
		return kms.Wrapped{}, failed(op, "", kms.ErrInvalid, err, "")
	}
	file, err := k.forWrapping(ctx, op)
	if err != nil {
		return kms.Wrapped{}, err
	}
	v, _ := file.find(file.current())
	w := kms.Wrapped{RootKey: file.rootKey(v.number), Blob: make([]byte, 1+saltSize, blobSize)}
	w.Blob[0] = blobV1
	rand.Read(w.Blob[1:]) // never fails
	aad := b.AssociatedData(nil)
	secretmem.Do(func() {
		aead := wrappingAEAD(v.key, w.Blob[1:1+saltSize], w.RootKey)
		w.Blob = aead.Seal(w.Blob, nil, key, aad)
	})
	return w, nil
}

func (k *KMS) unwrap(ctx context.Context, op string, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	if err := canceled(ctx, op); err != nil {
		return nil, err
	}
	v, err := k.versionOf(op, w.RootKey)
	if err != nil {
		return nil, err
	}
	if len(w.Blob) == 0 || w.Blob[0] != blobV1 {
		return nil, failed(op, w.RootKey, kms.ErrBinding,
			errors.New("the wrapped key's format is unknown"),
			"it was altered, or written by a newer release: then upgrade")
	}
	if len(w.Blob) != blobSize {
		return nil, failed(op, w.RootKey, kms.ErrBinding,
			fmt.Errorf("it is %d bytes long, want %d", len(w.Blob), blobSize), "")
	}
	if err := b.Validate(); err != nil {
		return nil, failed(op, w.RootKey, kms.ErrInvalid, err, "")
	}
	aad := b.AssociatedData(nil)
	var key []byte
	secretmem.Do(func() {
		aead := wrappingAEAD(v.key, w.Blob[1:1+saltSize], w.RootKey)
		key, err = aead.Open(nil, nil, w.Blob[1+saltSize:], aad)
	})
	if err != nil {
		return nil, failed(op, w.RootKey, kms.ErrBinding, nil, "")
	}
	return key, nil
}

// wrappingAEAD returns the AEAD for one wrap: the root key, the wrap's salt
// and the root key's id choose its key. Run it inside secretmem.Do.
func wrappingAEAD(root secret, salt []byte, rootKey string) cipher.AEAD {
	const domain = "rowseal/localkms/v1"
	info := make([]byte, 0, 2+len(domain)+2+len(rootKey))
	for _, s := range []string{domain, rootKey} {
		info = binary.BigEndian.AppendUint16(info, uint16(len(s)))
		info = append(info, s...)
	}
	key, err := hkdf.Key(sha256.New, root.key[:], salt, string(info), 32)
	if err != nil {
		panic("rowseal: internal error: localkms: HKDF refused a 32-byte root key: " + err.Error())
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("rowseal: internal error: localkms: AES refused a 32-byte key: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("rowseal: internal error: localkms: GCM refused AES: " + err.Error())
	}
	return aead
}
