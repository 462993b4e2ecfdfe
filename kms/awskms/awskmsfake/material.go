package awskmsfake

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// material is one version of a key: what encrypts. Its id follows from its
// bytes, so that importing the same bytes again gives the same material.
type material struct {
	id       string // 64 hex digits
	bytes    [32]byte
	present  bool // false once imported material was deleted
	pending  bool // imported, and current only after the next rotation
	rotation string
	rotated  time.Time
}

func randomMaterial() (b [32]byte) {
	rand.Read(b[:]) // never fails
	return b
}

func newMaterial(b [32]byte) *material {
	sum := sha256.Sum256(append([]byte("awskmsfake material"), b[:]...))
	return &material{id: hex.EncodeToString(sum[:]), bytes: b, present: true}
}

// materials are the versions of one key, oldest first, and one pending version
// behind them at most. Replicas of a multi-Region key share them.
type materials struct{ list []*material }

// current returns the material that encrypts, nil before the first import.
func (m *materials) current() *material {
	for i := len(m.list) - 1; i >= 0; i-- {
		if !m.list[i].pending {
			return m.list[i]
		}
	}
	return nil
}

func (m *materials) pending() *material {
	if n := len(m.list); n > 0 && m.list[n-1].pending {
		return m.list[n-1]
	}
	return nil
}

func (m *materials) find(id string) *material {
	for _, v := range m.list {
		if v.id == id {
			return v
		}
	}
	return nil
}

// add makes v the current material. The first one comes by no rotation.
func (m *materials) add(v *material, rotation string) {
	v.rotation, v.rotated = rotation, time.Now()
	m.list = append(m.list, v)
}

// complete reports whether all material that ever encrypted is there.
func (m *materials) complete() bool {
	for _, v := range m.list {
		if !v.present && !v.pending {
			return false
		}
	}
	return m.current() != nil
}
