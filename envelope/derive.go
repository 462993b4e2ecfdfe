package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"

	"github.com/rowseal/rowseal/internal/secretmem"
)

const (
	// SaltCount is the size of a field key's salt pool.
	SaltCount = 16
	// MaxValues is how many values a field key may seal: with 2^30 under each
	// salt of the pool, the chance that two of them share key and nonce is at
	// most 16 * (2^30)^2 / 2 / 2^96 = 2^-33.
	MaxValues = 1 << 34
	// CommitmentSize is the length of a key's commitment.
	CommitmentSize = 32
)

// The purposes of keys derived from a tenant or store key. They are stored
// nowhere, but changing one changes every key.
const (
	purposeSeal     = "seal"
	purposeWrapRow  = "wrap-row"
	purposeWrapKey  = "wrap-key"
	purposeSalts    = "salts"
	purposeCommit   = "commit"
	purposeWrapSalt = "wrap-row-salts"
)

// TenantKey is the input to every derivation of a tenant (or store) key. It
// prints nothing of itself, and is safe for concurrent use.
type TenantKey struct {
	id     KeyID
	tenant string
	prk    []byte
}

// NewTenantKey takes the 32 bytes of a tenant key as the input of
// HKDF-SHA256 (RFC 5869): it keeps the pseudorandom key of the extract step,
// with an empty salt, and not raw itself, which the caller clears.
func NewTenantKey(id KeyID, tenant string, raw []byte) (*TenantKey, error) {
	if len(raw) != keySize {
		return nil, fmt.Errorf("a tenant key has %d bytes, not %d", keySize, len(raw))
	}
	t := &TenantKey{id: id, tenant: tenant}
	var err error
	secretmem.Do(func() { t.prk, err = hkdf.Extract(sha256.New, raw, nil) })
	return t, err
}

// ID returns the key's id.
func (t *TenantKey) ID() KeyID { return t.id }

// Tenant returns whose key it is.
func (t *TenantKey) Tenant() string { return t.tenant }

// String, GoString and LogValue say which key it is and show nothing of it.
func (t *TenantKey) String() string { return "tenant key " + t.id.String() }

// GoString is String.
func (t *TenantKey) GoString() string { return t.String() }

// LogValue is String.
func (t *TenantKey) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Commitment returns 32 bytes that commit to the key: the key record keeps
// them, so that a wrong key is recognised when it is unwrapped. Finding two
// keys with one commitment means finding a collision of HMAC-SHA256.
func (t *TenantKey) Commitment() (c [CommitmentSize]byte, err error) {
	b, err := t.expand(purposeCommit, 0, nil, CommitmentSize)
	copy(c[:], b)
	return c, err
}

// Committed reports, in constant time, whether want is t's commitment.
func (t *TenantKey) Committed(want []byte) (bool, error) {
	c, err := t.Commitment()
	return hmac.Equal(c[:], want), err
}

// expand is HKDF-Expand with the info of docs/FORMAT.md: domain, purpose,
// suite, table id and column id, each behind its length as a uint16.
func (t *TenantKey) expand(purpose string, s Suite, f *Field, n int) ([]byte, error) {
	info := make([]byte, 0, 128)
	info = appendString(info, domainDerive)
	info = appendString(info, purpose)
	info = appendString(info, []byte{byte(s)})
	table, column := "", ""
	if f != nil {
		table, column = f.table, f.column
	}
	info = appendString(info, table)
	info = appendString(info, column)
	return hkdf.Expand(sha256.New, t.prk, string(info), n)
}

// Salts returns the pool from which writers take the first half of their
// nonces in values of suite s. f is nil for the keys that wrap the row keys of
// such values. The pool follows from the
// key, so that all writers share it and readers keep few derived keys; it is
// no secret, and readers accept any salt.
func (t *TenantKey) Salts(s Suite, f *Field) (pool [SaltCount][SaltSize]byte, err error) {
	purpose := purposeSalts
	if f == nil {
		purpose, s = purposeWrapSalt, s.wrapSuite()
	}
	b, err := t.expand(purpose, s, f, SaltCount*SaltSize)
	for i := range pool {
		copy(pool[i][:], b[i*SaltSize:])
	}
	return pool, err
}

// FieldKey builds the key that seals and opens values of f in ModeTenant
// under the given salt. s is SuiteXAES or SuiteHKDF.
func (t *TenantKey) FieldKey(s Suite, f *Field, salt [SaltSize]byte) (*Key, error) {
	if !s.fits(ModeTenant) {
		return nil, fmt.Errorf("suite %v does not seal with a tenant key", s)
	}
	return t.salted(purposeSeal, s, f, salt, Key{suite: s, mode: ModeTenant, ref: t.id[:]})
}

// RowWrapKey builds the key that wraps and unwraps the row keys of suite s
// (SuiteRow or SuiteRowHKDF) under the given salt.
func (t *TenantKey) RowWrapKey(s Suite, salt [SaltSize]byte) (*Key, error) {
	if !s.fits(ModeRow) {
		return nil, fmt.Errorf("suite %v does not seal with row keys", s)
	}
	return t.salted(purposeWrapRow, s.wrapSuite(), nil, salt, Key{suite: s, mode: ModeRow, wraps: true})
}

func (t *TenantKey) salted(purpose string, s Suite, f *Field, salt [SaltSize]byte, k Key) (*Key, error) {
	k.id, k.tenant, k.salt = t.id, t.tenant, salt[:]
	var err error
	secretmem.Do(func() {
		var b []byte
		if b, err = t.expand(purpose, s, f, keySize); err == nil {
			k.aead, err = saltedAEAD(s, b, salt)
			clear(b)
		}
	})
	if err != nil {
		return nil, err
	}
	return &k, nil
}

// saltedAEAD derives the AES-256-GCM key that salt chooses under key, as
// suite s says, and builds its AEAD, which draws a random 96-bit nonce for
// every value and writes it before the ciphertext.
func saltedAEAD(s Suite, key []byte, salt [SaltSize]byte) (cipher.AEAD, error) {
	derived, err := deriveSalted(s, key, salt)
	if err != nil {
		return nil, err
	}
	defer clear(derived[:])
	return newGCM(derived[:])
}

func deriveSalted(s Suite, key []byte, salt [SaltSize]byte) (derived [keySize]byte, err error) {
	if s == SuiteHKDF {
		b, err := hkdf.Key(sha256.New, key, salt[:], domainHKDFGCM, keySize)
		copy(derived[:], b)
		clear(b)
		return derived, err
	}
	x, err := newXAES(key)
	if err != nil {
		return derived, err
	}
	return x.derive(salt), nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// WrapKey wraps the 32 bytes of another key under t, for key hierarchies: a
// suite byte, a random salt of 12 bytes, nonce, ciphertext and tag. ad says
// what the key is for. With random salts the bound is that of XAES-256-GCM,
// 2^80 keys.
func (t *TenantKey) WrapKey(s Suite, key, ad []byte) ([]byte, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("a key to wrap has %d bytes, not %d", keySize, len(key))
	}
	blob := make([]byte, 1+SaltSize, 1+WrappedRowSize)
	blob[0] = byte(s)
	_, _ = rand.Read(blob[1:]) // never fails: crypto/rand
	aead, err := t.wrapAEAD(blob)
	if err != nil {
		return nil, err
	}
	return aead.Seal(blob, nil, key, append(appendString(nil, domainWrapped), ad...)), nil
}

// UnwrapKey undoes WrapKey. It returns ErrOpen where blob was altered or was
// wrapped for another ad.
func (t *TenantKey) UnwrapKey(blob, ad []byte) (key []byte, err error) {
	if len(blob) != 1+WrappedRowSize || !Suite(blob[0]).fits(ModeTenant) {
		return nil, fmt.Errorf("%w: wrapped key has a wrong length or suite", ErrMalformed)
	}
	secretmem.Do(func() {
		var aead cipher.AEAD
		if aead, err = t.wrapAEAD(blob); err != nil {
			return
		}
		key, err = aead.Open(nil, nil, blob[1+SaltSize:], append(appendString(nil, domainWrapped), ad...))
	})
	if err != nil {
		return nil, ErrOpen
	}
	return key, nil
}

func (t *TenantKey) wrapAEAD(blob []byte) (cipher.AEAD, error) {
	s := Suite(blob[0])
	b, err := t.expand(purposeWrapKey, s, nil, keySize)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return saltedAEAD(s, b, [SaltSize]byte(blob[1:]))
}
