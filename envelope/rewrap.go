package envelope

import (
	"errors"
	"fmt"
)

// Reference is the key reference of a row key, as values carry it, without
// the key. It takes the place of another one in [Rewrap].
type Reference struct {
	mode  Mode
	suite Suite
	bytes []byte
}

// Rewrap appends to dst the value v with ref in place of its key reference.
// ref must hold the same row key under another tenant key or root key.
// Everything else, nonce, ciphertext and tag included, stays as it was.
func Rewrap(dst []byte, v *Value, ref Reference) ([]byte, error) {
	if v.Mode() == ModeTenant || ref.mode != v.Mode() || ref.suite != v.Suite {
		return nil, errors.New("only the key reference of a row key can be replaced, by one of the same mode and suite")
	}
	dst = append(dst, v.raw[:v.keyRef]...)
	dst = append(dst, ref.bytes...)
	return append(dst, v.raw[v.nonceOff:]...), nil
}

// RewrapRowKey unwraps the row key of v, a ModeRow value, under from and
// wraps it under to: the same row key under another version of the tenant
// key. It returns ErrOpen where v's wrapped key does not belong to from.
func RewrapRowKey(from, to *Key, namespace string, v *Value) (Reference, error) {
	if !to.wraps || to.suite != v.Suite || from.suite != v.Suite || from.tenant != to.tenant {
		return Reference{}, errors.New("rewrapping keeps a value's suite and tenant")
	}
	raw, err := unwrapRow(from, namespace, v.Wrapped())
	if err != nil {
		return Reference{}, err
	}
	defer clear(raw)
	ref, err := wrapRowKey(to, namespace, raw)
	return Reference{mode: ModeRow, suite: to.suite, bytes: ref}, err
}

// KMSReference is the key reference of a row key that a KMS wrapped: the root
// key's id (1 to 255 bytes), the tenant, and the wrapped key (32 to 6,144).
func KMSReference(tenant, rootKey string, wrapped []byte) (Reference, error) {
	if err := checkName("root key id", rootKey); err != nil {
		return Reference{}, err
	}
	if err := CheckTenant(tenant); err != nil {
		return Reference{}, err
	}
	if len(wrapped) < minWrapped || len(wrapped) > MaxWrapped {
		return Reference{}, fmt.Errorf("%w: KMS-wrapped key of %d bytes; %d to %d are allowed", ErrTooLong, len(wrapped), minWrapped, MaxWrapped)
	}
	ref := make([]byte, 0, 4+len(rootKey)+len(tenant)+len(wrapped))
	return Reference{mode: ModeKMS, suite: SuiteRow, bytes: appendKMSRef(ref, rootKey, tenant, wrapped)}, nil
}
