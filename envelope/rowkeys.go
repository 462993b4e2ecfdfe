package envelope

import (
	"crypto/rand"
	"fmt"

	"github.com/rowseal/rowseal/internal/secretmem"
)

// RowKeys makes and unwraps the row keys of a page, in memory that several of them share: whoever keeps
// one of them keeps its neighbours. Namespace is that of the wrapping keys. It is for one goroutine at a time.
type RowKeys struct {
	Namespace string

	keys []Key
	refs []byte
	ad   []byte
	raw  [keySize]byte // empty but while a key is made
}

// rowKeysTogether is how many keys share memory at most.
const rowKeysTogether = 64

// Reuse gives the memory of the last keys to the next ones: all keys that m made must be done with.
func (m *RowKeys) Reuse() {
	clear(m.keys)
	m.keys = m.keys[:0]
}

// New makes a fresh row key and wraps it under wrap; see [NewRowKey].
func (m *RowKeys) New(wrap *Key) (*Key, error) {
	if !wrap.wraps {
		return nil, fmt.Errorf("%v does not wrap row keys", wrap)
	}
	k := m.next(wrap)
	var err error
	secretmem.Do(func() {
		_, _ = rand.Read(m.raw[:]) // never fails: crypto/rand
		k.ref = append(append(k.ref, wrap.id[:]...), wrap.salt...)
		k.ref = wrap.aead.Seal(k.ref, nil, m.raw[:], m.ad)
		k.aead, err = newGCM(m.raw[:])
		clear(m.raw[:])
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Open unwraps the row key that a ModeRow value carries; see [RowKey].
func (m *RowKeys) Open(wrap *Key, wrapped []byte) (*Key, error) {
	if !wrap.wraps || len(wrapped) != WrappedRowSize || string(wrapped[:SaltSize]) != string(wrap.salt) {
		return nil, ErrOpen
	}
	k := m.next(wrap)
	var err error
	secretmem.Do(func() {
		if _, err = wrap.aead.Open(m.raw[:0], nil, wrapped[SaltSize:], m.ad); err != nil {
			err = ErrOpen
		} else {
			k.aead, err = newGCM(m.raw[:])
		}
		clear(m.raw[:])
	})
	if err != nil {
		return nil, err
	}
	k.ref = append(append(k.ref, wrap.id[:]...), wrapped...)
	return k, nil
}

// next returns an empty key with room for its reference, and sets the associated data of its wrap.
func (m *RowKeys) next(wrap *Key) *Key {
	const refSize = KeyIDSize + WrappedRowSize
	if len(m.keys) == cap(m.keys) {
		n := max(1, min(2*cap(m.keys), rowKeysTogether))
		m.keys, m.refs = make([]Key, 0, n), make([]byte, n*refSize)
	}
	at := len(m.keys)
	m.keys = append(m.keys, Key{suite: wrap.suite, mode: ModeRow, id: wrap.id, tenant: wrap.tenant})
	k := &m.keys[at]
	k.ref = m.refs[at*refSize : at*refSize : (at+1)*refSize]
	m.ad = rowKeyAssociatedData(m.ad[:0], m.Namespace, wrap.tenant, wrap.id)
	return k
}
