package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// The domains keep the uses of the same construction apart.
const (
	domainValue   = "rowseal/value/v1"
	domainRowKey  = "rowseal/row-key/v1"
	domainDerive  = "rowseal/derive/v1"
	domainHKDFGCM = "rowseal/hkdf-gcm/v1"
	domainWrapped = "rowseal/wrapped-key/v1"
)

// Field is a sealed column as values know it: by the stable ids of its table
// and column, which a RENAME does not change. Make it with [NewField], once
// per column; keys are cached by the pointer.
type Field struct {
	table, column string
	id            ColumnID
	bound         string // table and column id as associated data has them
}

// NewField returns the field of the given table and column ids (1 to 255
// bytes of UTF-8 each). Its ColumnID is the first 4 bytes of the SHA-256 of
// the two ids, each behind its length as a big-endian uint16. An id that
// comes out as zero is refused; give the column another id then.
func NewField(table, column string) (*Field, error) {
	for _, s := range []string{table, column} {
		if err := checkName("table or column id", s); err != nil {
			return nil, err
		}
	}
	ids := appendString(appendString(nil, table), column)
	sum := sha256.Sum256(ids)
	f := &Field{table: table, column: column, id: ColumnID(sum[:4]), bound: string(ids)}
	if f.id == (ColumnID{}) {
		return nil, fmt.Errorf("column id of %s.%s is zero; give the column another id", table, column)
	}
	return f, nil
}

// ID returns what stands for the field in values.
func (f *Field) ID() ColumnID { return f.id }

// Table returns the table's stable id.
func (f *Field) Table() string { return f.table }

// Column returns the column's stable id.
func (f *Field) Column() string { return f.column }

// String returns "table.column".
func (f *Field) String() string { return f.table + "." + f.column }

// Guard returns the bytes that every value of the field and type begins with,
// for a CHECK constraint.
func (f *Field) Guard(typ byte) [GuardSize]byte {
	return [GuardSize]byte{Magic, f.id[0], f.id[1], f.id[2], f.id[3], typ}
}

// Binding is where a value belongs.
type Binding struct {
	Namespace string // the deployment; at most 255 bytes, may be ""
	Tenant    string // 1 to 255 bytes of UTF-8
	Field     *Field
	// Known is what AssociatedData gave for an earlier value of this very
	// Binding. It is used as it is for values with the same header, which
	// those of one key have unless they carry search terms. It may be nil.
	Known []byte
}

// AssociatedData appends to dst the associated data of a value: domain,
// namespace, tenant, table id and column id, each behind its length as a
// big-endian uint16, then the header bytes as they are stored. For row keys
// the header ends before the key reference, which rewrapping replaces.
func (b *Binding) AssociatedData(dst, header []byte) []byte {
	dst = appendString(dst, domainValue)
	dst = appendString(dst, b.Namespace)
	dst = appendString(dst, b.Tenant)
	dst = append(dst, b.Field.bound...) // both ids
	return append(dst, header...)
}

// boundLen returns the length of what stands before the header.
func (b *Binding) boundLen() int {
	return 3*2 + len(domainValue) + len(b.Namespace) + len(b.Tenant) + len(b.Field.bound)
}

// ad returns the associated data of a value with this header, and the pooled
// buffer that it lies in, or nil.
func (b *Binding) ad(header []byte) (ad []byte, pooled *[]byte) {
	n := b.boundLen()
	if len(b.Known) == n+len(header) && string(b.Known[n:]) == string(header) {
		return b.Known, nil
	}
	pooled = scratch.Get().(*[]byte)
	if len(b.Known) >= n { // what stands before the header is the same for all values
		*pooled = append(append((*pooled)[:0], b.Known[:n]...), header...)
	} else {
		*pooled = b.AssociatedData((*pooled)[:0], header)
	}
	return *pooled, pooled
}

// rowKeyAssociatedData appends the associated data of a wrapped row key:
// domain, namespace, tenant, purpose and tenant key id. Table and column are
// left out, because the columns of a row may share its key.
func rowKeyAssociatedData(dst []byte, namespace, tenant string, id KeyID) []byte {
	dst = appendString(dst, domainRowKey)
	dst = appendString(dst, namespace)
	dst = appendString(dst, tenant)
	dst = appendString(dst, purposeWrapRow)
	return appendString(dst, id[:])
}

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// CheckTenant refuses a tenant that a value cannot be bound to.
func CheckTenant(tenant string) error { return checkName("tenant", tenant) }

func checkName(what, s string) error {
	if len(s) == 0 || len(s) > maxName || !utf8.ValidString(s) {
		return fmt.Errorf("%s has %d bytes; 1 to %d bytes of UTF-8 are allowed", what, len(s), maxName)
	}
	return nil
}
