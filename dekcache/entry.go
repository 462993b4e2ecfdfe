package dekcache

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/internal/coarse"
)

// Entry is one key's place in the cache. Callers may keep it as long as they
// like: it refers to its value only while the cache does, and never to its key.
// It is safe for concurrent use.
type Entry[V any] struct {
	value    atomic.Pointer[V] // nil from the moment the entry is gone
	clock    *coarse.Clock
	deadline int64 // on clock; the value is withheld from here on
	terms    *terms[V]
	values   atomic.Uint64
	bytes    atomic.Uint64
}

// terms is what all entries of a cache share. It knows nothing of K, and does
// not keep the cache alive.
type terms[V any] struct {
	clock     *coarse.Clock
	maxValues uint64
	maxBytes  uint64
	drop      func(*V)
	exhausted atomic.Uint64 // entries
}

func (t *terms[V]) newEntry(v *V, deadline int64) *Entry[V] {
	e := &Entry[V]{clock: t.clock, deadline: deadline, terms: t}
	e.value.Store(v)
	return e
}

// dropAll hands values that nothing in the cache refers to any more to
// Config.Drop. No lock may be held.
func (t *terms[V]) dropAll(gone []*V) {
	if t.drop == nil {
		return
	}
	for _, v := range gone {
		t.drop(v)
	}
}

// Value returns the entry's value, or nil once the entry was evicted,
// forgotten, replaced, exhausted or has expired; then ask the cache again. On a
// nil Entry it returns nil.
//
// The caller may finish what it is doing with a value that it has taken, but
// keeps the Entry and not the value for later.
func (e *Entry[V]) Value() *V {
	if e == nil || e.clock.Now() >= e.deadline {
		return nil
	}
	return e.value.Load()
}

// Use counts one use of the value, of so many bytes; a negative number counts
// as 0. It returns false when a cap of the Config is passed: the value must not
// be used, the entry is gone and the next Get loads the key again. A single use
// larger than MaxBytes is refused by every entry.
func (e *Entry[V]) Use(bytes int) bool {
	values := e.values.Add(1)
	total := e.bytes.Add(uint64(max(bytes, 0)))
	t := e.terms
	if (t.maxValues == 0 || values <= t.maxValues) && (t.maxBytes == 0 || total <= t.maxBytes) {
		return true
	}
	// The key's node stays in the cache until the next Get, or its time; it
	// refers to an empty entry.
	if v := e.value.Swap(nil); v != nil {
		t.exhausted.Add(1)
		t.dropAll([]*V{v})
	}
	return false
}

// Uses returns how many uses were counted, and how many bytes in all. Uses that
// were refused are included.
func (e *Entry[V]) Uses() (values, bytes uint64) {
	return e.values.Load(), e.bytes.Load()
}

// Expires returns the end of the value's life. What is derived from the value
// should be delivered to a cache of its own with this as its expiry.
func (e *Entry[V]) Expires() time.Time {
	return e.clock.Time(e.deadline + int64(e.clock.Lag()))
}

// String names the type and shows nothing of the value.
func (e *Entry[V]) String() string { return "dekcache.Entry" }

// GoString is String, for %#v.
func (e *Entry[V]) GoString() string { return e.String() }

// LogValue is String, for log/slog.
func (e *Entry[V]) LogValue() slog.Value { return slog.StringValue(e.String()) }
