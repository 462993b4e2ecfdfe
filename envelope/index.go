package envelope

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/rowseal/rowseal/internal/secretmem"
)

// The purposes of keys that make search terms. They are derived from the
// tenant key of an index record, which seals nothing.
const (
	purposeIndex       = "index"
	purposeIndexDomain = "index-domain"
)

// IndexKeySize is the length of a derived index key.
const IndexKeySize = 32

// IndexKey derives the key for a column's search terms of one kind, such as
// "equality", by HKDF-Expand with the info of docs/FORMAT.md: domain, purpose
// "index", kind, table id and column id, each behind its length as a uint16.
// Kind and ids are 1 to 255 bytes of UTF-8. The caller clears the 32 bytes.
func (t *TenantKey) IndexKey(kind, table, column string) ([]byte, error) {
	return t.indexKey(purposeIndex, kind, table, column)
}

// DomainIndexKey is IndexKey for the columns that share a domain. Its purpose
// is "index-domain", and only the domain's name stands after the kind, so that
// no column's key can come out the same.
func (t *TenantKey) DomainIndexKey(kind, domain string) ([]byte, error) {
	return t.indexKey(purposeIndexDomain, kind, domain)
}

func (t *TenantKey) indexKey(purpose, kind string, names ...string) (key []byte, err error) {
	info := make([]byte, 0, 128)
	for _, s := range []string{domainDerive, purpose} {
		info = appendString(info, s)
	}
	for _, s := range append([]string{kind}, names...) {
		if err := checkName("kind, table id, column id or domain of an index key", s); err != nil {
			return nil, err
		}
		info = appendString(info, s)
	}
	secretmem.Do(func() { key, err = hkdf.Expand(sha256.New, t.prk, string(info), IndexKeySize) })
	return key, err
}
