package envelope

import (
	"errors"
	"slices"
	"sync"
)

// scratch lends the buffers in which associated data is built, so that
// sealing and opening allocate nothing of their own. They hold no secrets.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// Seal appends to dst the sealed value of plaintext: the header h, k's key
// reference, and plaintext under k, bound to b. Plaintext already holds claim
// and padding where h says so (see [AppendClaim], [Pad]) and is at most
// MaxPlaintext bytes; it must not overlap dst's spare capacity.
//
// Seal allocates only where dst is too short.
func Seal(dst []byte, h *Header, k *Key, b *Binding, plaintext []byte) ([]byte, error) {
	if err := checkSeal(h, k, b, plaintext); err != nil {
		return nil, err
	}
	size := fixedSize + 2*EqualitySize + 4 + len(h.Terms) + len(k.ref) + len(k.salt) +
		gcmNonceSize + len(plaintext) + tagSize
	dst = slices.Grow(dst, size)
	start := len(dst)
	dst = appendHeader(dst, h, k.suite, k.mode)
	bound := len(dst) // row keys: the key reference is not authenticated here
	dst = append(dst, k.ref...)
	if k.mode == ModeTenant {
		bound = len(dst)
	}
	ad, pooled := b.ad(dst[start:bound])
	dst = append(dst, k.salt...)
	dst = k.aead.Seal(dst, nil, plaintext, ad)
	if pooled != nil {
		scratch.Put(pooled)
	}
	return dst, nil
}

func checkSeal(h *Header, k *Key, b *Binding, plaintext []byte) error {
	switch {
	case k == nil:
		return ErrKeyGone
	case k.wraps:
		return errors.New("a key that wraps row keys seals no values")
	case k.tenant != b.Tenant:
		return errors.New("the key belongs to another tenant than the value")
	case b.Field.id != h.Column:
		return errors.New("the header names another column than the binding")
	case h.Type&0x7f == 0:
		return malformed(5, "type is zero")
	case len(plaintext) > MaxPlaintext:
		return ErrTooLong
	}
	return h.check()
}

// Open appends to dst the plaintext of v, claim and padding included, opened
// with k and bound to b. It returns ErrOpen, and nothing else of the value,
// where the tag does not match. b.Tenant is the tenant of k.
func Open(dst []byte, v *Value, k *Key, b *Binding) ([]byte, error) {
	if k == nil {
		return nil, ErrKeyGone
	}
	if k.wraps || k.mode != v.Mode() || k.suite != v.Suite || k.tenant != b.Tenant || b.Field.id != v.Column {
		return nil, ErrOpen
	}
	body := v.raw[v.nonceOff+len(k.salt):]
	if string(k.salt) != string(v.raw[v.nonceOff:v.nonceOff+len(k.salt)]) {
		return nil, ErrOpen
	}
	ad, pooled := b.ad(v.BoundHeader())
	out, err := k.aead.Open(dst, nil, body, ad)
	if pooled != nil {
		scratch.Put(pooled)
	}
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}
