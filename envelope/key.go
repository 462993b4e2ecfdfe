package envelope

import (
	"crypto/cipher"
	"fmt"
	"log/slog"
	"time"

	"github.com/rowseal/rowseal/internal/secretmem"
)

// Key is a built AEAD together with what a value must say to find it again.
// It prints nothing secret and is safe for concurrent use.
type Key struct {
	suite  Suite
	mode   Mode
	wraps  bool   // wraps row keys, seals no values
	id     KeyID  // the tenant key it comes from; zero in ModeKMS
	tenant string // whose key it is
	ref    []byte // the key reference that values carry
	salt   []byte // the first half of the nonce; nil for row keys
	aead   cipher.AEAD
}

// Tenant returns whose values the key seals.
func (k *Key) Tenant() string { return k.tenant }

// ID returns the tenant key's id; zero in ModeKMS.
func (k *Key) ID() KeyID { return k.id }

// Suite returns the suite of the values that the key seals.
func (k *Key) Suite() Suite { return k.suite }

// Mode returns the key mode of the values that the key seals.
func (k *Key) Mode() Mode { return k.mode }

// String says which key it is and shows nothing of it.
func (k *Key) String() string {
	return fmt.Sprintf("data key (%v, %v)", k.mode, k.suite)
}

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// LogValue is String.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Lease is a hold on a key that its cache may take back. A caller keeps the
// Lease and asks it for the key each time.
type Lease interface {
	// Value returns the key, or nil once the cache has dropped it.
	Value() *Key
	// Use counts one value of n bytes and reports whether the key may seal
	// it; false when its limit is reached and another key must be asked for.
	Use(n int) bool
}

// Grant is the answer to one Use or Ref: a key for the call at hand, and the
// lease to keep for later ones. Err says why there is none.
type Grant struct {
	Key   *Key
	Lease Lease // nil where the key must not be kept
	Err   error
}

// Use says what a key to seal with is wanted for.
type Use struct {
	Field  *Field // nil for ModeRow, whose lease is a key that wraps row keys
	Tenant string
	Mode   Mode
	Suite  Suite
	Reuse  Reuse // ModeKMS only
}

// Reuse lets one KMS-wrapped row key seal several values of a tenant. Zero
// asks for a key of its own for every row.
type Reuse struct {
	Values int
	Age    time.Duration
}

// Ref says which key a stored value needs.
type Ref struct {
	Field *Field
	Value *Value
}

// NewRowKey makes a fresh row key and wraps it under wrap, which comes from
// [TenantKey.RowWrapKey] for the given namespace. The wrapped key is XAES- or
// HKDF-sealed with the associated data of docs/FORMAT.md.
//
// The row key exists in the returned Key only. It must seal the values of one
// row: copies of one sealed value in several rows could not be told apart.
func NewRowKey(wrap *Key, namespace string) (*Key, error) {
	return (&RowKeys{Namespace: namespace}).New(wrap)
}

func wrapRowKey(wrap *Key, namespace string, raw []byte) ([]byte, error) {
	ad := rowKeyAssociatedData(make([]byte, 0, 128), namespace, wrap.tenant, wrap.id)
	ref := make([]byte, 0, KeyIDSize+WrappedRowSize)
	ref = append(append(ref, wrap.id[:]...), wrap.salt...)
	return wrap.aead.Seal(ref, nil, raw, ad), nil
}

// unwrapRow returns the 32 bytes of the row key in wrapped (72 bytes).
func unwrapRow(wrap *Key, namespace string, wrapped []byte) ([]byte, error) {
	if !wrap.wraps || len(wrapped) != WrappedRowSize || string(wrapped[:SaltSize]) != string(wrap.salt) {
		return nil, ErrOpen
	}
	ad := rowKeyAssociatedData(make([]byte, 0, 128), namespace, wrap.tenant, wrap.id)
	raw, err := wrap.aead.Open(nil, nil, wrapped[SaltSize:], ad)
	if err != nil {
		return nil, ErrOpen
	}
	return raw, nil
}

// RowKey unwraps the row key that a ModeRow value carries. wrap comes from
// [TenantKey.RowWrapKey] for the value's suite and [WrapSalt]. ErrOpen says
// that the wrapped key was altered or belongs to another tenant.
func RowKey(wrap *Key, namespace string, wrapped []byte) (*Key, error) {
	return (&RowKeys{Namespace: namespace}).Open(wrap, wrapped)
}

// WrapSalt returns the salt that a ModeRow value's row key is wrapped under.
func (v *Value) WrapSalt() (s [SaltSize]byte) {
	copy(s[:], v.Wrapped())
	return s
}

// KMSKey builds the row key of ModeKMS from the 32 bytes that a KMS gave or
// unwrapped; the caller clears raw. rootKey and wrapped are what the value
// will carry: 1 to 255 bytes, and 32 to 6,144.
func KMSKey(tenant, rootKey string, wrapped, raw []byte) (*Key, error) {
	ref, err := KMSReference(tenant, rootKey, wrapped)
	if err != nil {
		return nil, err
	}
	k := &Key{suite: SuiteRow, mode: ModeKMS, tenant: tenant, ref: ref.bytes}
	secretmem.Do(func() { k.aead, err = newGCM(raw) })
	if err != nil {
		return nil, err
	}
	return k, nil
}
