package field

import (
	"sync"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// workspace lends the buffer that a plaintext lies in while it is sealed or
// decoded, so that a value with a cached key costs no allocation.
type workspace struct {
	plain []byte // cleared before it is given back
	used  int    // how much of plain was ever written in this call
	cells []cell // of a page to open; cleared before they are given back

	canonical     []byte // cleared as plain is
	canonicalUsed int
	term          [blindindex.EqualitySize]byte
}

var workspaces = sync.Pool{New: func() any { return &workspace{plain: make([]byte, 0, 256)} }}

// maxKept is the longest plaintext buffer that is kept for later calls, and
// maxCells the most cells.
const (
	maxKept  = 4 << 10
	maxCells = 1 << 10
)

// takeCells returns n empty cells.
func (w *workspace) takeCells(n int) []cell {
	if cap(w.cells) < n {
		w.cells = make([]cell, n)
	}
	w.cells = w.cells[:n]
	return w.cells
}

// keep makes plain, which was written to w.plain's memory or in its place, the
// plaintext at hand.
func (w *workspace) keep(plain []byte) {
	w.plain, w.used = plain, max(w.used, len(plain))
}

// keepCanonical is keep for canonical bytes. Where making them failed they may
// have been written anywhere.
func (w *workspace) keepCanonical(canonical []byte, err error) {
	if err != nil {
		w.canonicalUsed = cap(w.canonical)
		return
	}
	if cap(canonical) != cap(w.canonical) { // it moved
		clear(w.canonical[:w.canonicalUsed])
	}
	w.canonical, w.canonicalUsed = canonical, max(w.canonicalUsed, len(canonical))
}

func (w *workspace) release() {
	clear(w.plain[:w.used])
	clear(w.canonical[:w.canonicalUsed])
	w.used, w.canonicalUsed = 0, 0
	if cap(w.plain) > maxKept {
		w.plain = nil
	}
	if cap(w.canonical) > maxKept {
		w.canonical = nil
	}
	clear(w.cells) // so that the pool refers to no key
	if w.cells = w.cells[:0]; cap(w.cells) > maxCells {
		w.cells = nil
	}
	workspaces.Put(w)
}

// request lends what asking the keyring for one key takes.
type request struct {
	uses   [1]envelope.Use
	refs   [1]envelope.Ref
	grants [1]envelope.Grant
	value  envelope.Value

	indexUses   [1]blindindex.Use
	indexGrants [1]blindindex.Grant
}

var requests = sync.Pool{New: func() any { return new(request) }}

// release clears r first, so that the pool refers to no key.
func (r *request) release() {
	*r = request{}
	requests.Put(r)
}
