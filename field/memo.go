package field

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// memoSlots is how many leases a column remembers in each direction; a power
// of two.
const memoSlots = 256

// memo remembers a column's last keys, so that a value whose key was just used
// needs no look-up in the keyring. It holds leases, not keys: what the
// keyring's cache drops is gone here too.
type memo struct {
	writers memoTable[string, envelope.Key, envelope.Lease]     // by tenant
	readers memoTable[saltedID, envelope.Key, envelope.Lease]   // by key id and salt
	indexes memoTable[string, blindindex.Key, blindindex.Lease] // by tenant
}

// saltedID is a value's key id and salt, with its suite: what names the
// derived key that opens it.
type saltedID struct {
	a, b  uint64
	c     uint32
	suite envelope.Suite
}

func saltedIDOf(v *envelope.Value) saltedID {
	b := v.SaltedID()
	return saltedID{
		a: binary.NativeEndian.Uint64(b), b: binary.NativeEndian.Uint64(b[8:]),
		c: binary.NativeEndian.Uint32(b[16:]), suite: v.Suite,
	}
}

// hash spreads over the slots; ids and salts are random.
func (s saltedID) hash() uint64 { return s.a ^ s.b }

// tenantHash spreads over the slots by the ends and the length, in which
// tenants differ.
func tenantHash(tenant string) uint64 {
	h := uint64(len(tenant))
	for i := max(0, len(tenant)-8); i < len(tenant); i++ {
		h = h*31 + uint64(tenant[i])
	}
	return h*31 + uint64(tenant[0])
}

// memoTable is a small direct-mapped table. A key takes another's slot when it
// is missed there twice in a row: values whose keys all differ then leave the
// table alone, and cost it nothing.
type memoTable[K comparable, V any, L leaseOf[V]] [memoSlots]struct {
	entry atomic.Pointer[memoEntry[K, V, L]]
	last  atomic.Uint64 // hash of the key last missed here
}

// leaseOf is a hold on a key that its cache may take back.
type leaseOf[V any] interface{ Value() *V }

type memoEntry[K comparable, V any, L leaseOf[V]] struct {
	name  K
	lease L
	ad    []byte // associated data that the key's values have in common
}

// get returns the entry kept under name, or nil.
func (t *memoTable[K, V, L]) get(name K, hash uint64) *memoEntry[K, V, L] {
	e := t[hash%memoSlots].entry.Load()
	if e == nil || e.name != name {
		return nil
	}
	return e
}

// place returns where an entry for name goes: its slot if that is free, or if
// name was missed there twice in a row; else nil.
func (t *memoTable[K, V, L]) place(hash uint64) *atomic.Pointer[memoEntry[K, V, L]] {
	slot := &t[hash%memoSlots]
	if e := slot.entry.Load(); e != nil && e.lease.Value() != nil && slot.last.Swap(hash) != hash {
		return nil
	}
	return &slot.entry
}

// ownedMemo is the memo of the Cipher that a column was first used with.
type ownedMemo struct {
	owner *Cipher
	memo  memo
}

// memo returns the column's memo for c. A column belongs to the first Cipher
// that uses it; others, which are rare, go through a map.
func (c *Cipher) memo(col *Column) *memo {
	m := col.memo.Load()
	if m != nil && m.owner == c {
		return &m.memo
	}
	if m == nil {
		m = &ownedMemo{owner: c}
		if col.memo.CompareAndSwap(nil, m) {
			return &m.memo
		}
	}
	shared, ok := c.memos.Load(col)
	if !ok {
		shared, _ = c.memos.LoadOrStore(col, new(memo))
	}
	return shared.(*memo)
}

// sealKey returns the remembered key for a tenant, counting a use of n bytes,
// and its values' associated data, or nil.
func (m *memo) sealKey(tenant string, n int) (*envelope.Key, []byte) {
	e := m.writers.get(tenant, tenantHash(tenant))
	if e == nil {
		return nil, nil
	}
	key := e.lease.Value()
	if key == nil || !e.lease.Use(n) {
		return nil, nil
	}
	return key, e.ad
}

// keepSealKey remembers the lease of a key that has just sealed value.
func (m *memo) keepSealKey(b *envelope.Binding, lease envelope.Lease, value []byte) {
	if lease == nil {
		return
	}
	if slot := m.writers.place(tenantHash(b.Tenant)); slot != nil {
		slot.Store(&memoEntry[string, envelope.Key, envelope.Lease]{name: b.Tenant, lease: lease, ad: commonAD(b, value)})
	}
}

// indexKey returns the remembered index key for a tenant, or nil.
func (m *memo) indexKey(tenant string) *blindindex.Key {
	if e := m.indexes.get(tenant, tenantHash(tenant)); e != nil {
		return e.lease.Value()
	}
	return nil
}

// keepIndexKey remembers the lease of an index key that was just asked for.
func (m *memo) keepIndexKey(tenant string, lease blindindex.Lease) {
	if lease == nil {
		return
	}
	if slot := m.indexes.place(tenantHash(tenant)); slot != nil {
		slot.Store(&memoEntry[string, blindindex.Key, blindindex.Lease]{name: tenant, lease: lease})
	}
}

// openKey returns the remembered key for v and its values' associated data, or
// nil. Row keys are not remembered here: they are as many as rows.
func (m *memo) openKey(v *envelope.Value) (*envelope.Key, []byte) {
	if v.Mode() != envelope.ModeTenant {
		return nil, nil
	}
	id := saltedIDOf(v)
	if e := m.readers.get(id, id.hash()); e != nil {
		return e.lease.Value(), e.ad
	}
	return nil, nil
}

// keepOpenKey remembers the lease of a key that has just opened v.
func (m *memo) keepOpenKey(b *envelope.Binding, lease envelope.Lease, v *envelope.Value) {
	if lease == nil || v.Mode() != envelope.ModeTenant {
		return
	}
	id := saltedIDOf(v)
	if slot := m.readers.place(id.hash()); slot != nil {
		slot.Store(&memoEntry[saltedID, envelope.Key, envelope.Lease]{name: id, lease: lease, ad: commonAD(b, v.Bytes())})
	}
}

// commonAD is the associated data of value and of all others with its header.
func commonAD(b *envelope.Binding, value []byte) []byte {
	v, err := envelope.Parse(value)
	if err != nil {
		return nil
	}
	return b.AssociatedData(nil, v.BoundHeader())
}
