package gormplugin

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// The window: so many rows are read ahead, so that their keys are fetched at
// once, and no more are held.
const (
	windowRows  = 256
	windowBytes = 1 << 20
)

// window is the rows that a source has read ahead. Its memory serves later
// windows, and those of other results when it is given back, but for what was
// handed out of it.
type window struct {
	names int        // of the result
	cells []any      // row by row; nil for bytes of sealed columns until they are opened
	raw   [][][]byte // of each sealed column, by row; nil for what is no bytes
	bytes []byte     // where these lie together
	pages []openPage // of each group
	count int        // of rows
	size  int        // of their values, in bytes
	at    int        // the next to be handed out
}

// windows lends windows. They refer to nothing: no values, no sealed bytes.
var windows = sync.Pool{New: func() any { return new(window) }}

// maxCells and maxBytes bound the memory that a window is given back with.
const (
	maxCells = 16 * windowRows
	maxBytes = 64 << 10
)

// takeWindow returns an empty window for src.
func takeWindow(src *source) *window {
	w := windows.Get().(*window)
	w.names = len(src.names)
	w.raw = slices.Grow(w.raw, src.sealed)[:src.sealed]
	w.pages = slices.Grow(w.pages, len(src.groups))[:len(src.groups)]
	return w
}

// giveBack ends the use of w.
func (w *window) giveBack() {
	w.empty()
	if cap(w.cells) > maxCells || cap(w.bytes) > maxBytes {
		return
	}
	windows.Put(w)
}

// empty forgets the window's rows.
func (w *window) empty() {
	clear(w.cells)
	w.cells, w.bytes, w.count, w.size, w.at = w.cells[:0], w.bytes[:0], 0, 0, 0
	for i, raw := range w.raw {
		clear(raw)
		w.raw[i] = raw[:0]
	}
	for i := range w.pages {
		w.pages[i].empty()
	}
}

// row returns the cells of row i.
func (w *window) row(i int) []any { return w.cells[i*w.names : (i+1)*w.names : (i+1)*w.names] }

// fill reads the next window and opens it. After an error there is nothing to
// hand out any more.
func (src *source) fill() error {
	if src.done {
		return io.EOF
	}
	if src.now == nil {
		src.now = takeWindow(src)
	}
	src.now.empty()
	err := src.read(src.now)
	if err == nil {
		err = src.openAll(src.now)
	}
	if err != nil {
		src.now.empty()
		src.done = true
	}
	return err
}

// read reads rows until the window is full or none are left.
func (src *source) read(w *window) error {
	for w.count < windowRows && w.size < windowBytes {
		if !src.rows.Next() {
			src.done = true
			break
		}
		if err := src.readRow(w); err != nil {
			return err
		}
	}
	if src.done {
		if err := src.rows.Err(); err != nil {
			return err
		}
	}
	if w.count == 0 {
		return io.EOF
	}
	return nil
}

// openAll opens the window's sealed values.
func (src *source) openAll(w *window) error {
	if err := src.guard(w); err != nil {
		return err
	}
	for i, g := range src.groups {
		if err := src.open(w, g, &w.pages[i]); err != nil {
			return err
		}
	}
	src.move(w)
	return nil
}

// readRow takes the row that the result stands at.
func (src *source) readRow(w *window) error {
	if src.into == nil {
		scanners := make([]scanner, len(src.names))
		src.into = make([]any, len(src.names))
		for i := range scanners {
			scanners[i] = scanner{w: w, sealed: -1}
			if rc := src.cols[i]; rc != nil {
				scanners[i].sealed = rc.sealed
			}
			src.into[i] = &scanners[i]
		}
	}
	if n := w.names; cap(w.cells)-len(w.cells) < n {
		rows := min(1+8*w.count, windowRows) // few for few, all that there may be soon
		w.cells = slices.Grow(w.cells, n*rows)
		for i := range w.raw {
			w.raw[i] = slices.Grow(w.raw[i], rows)
		}
	}
	if err := src.rows.Scan(src.into...); err != nil {
		return err
	}
	w.count++
	return nil
}

// scanner takes one column's values from the driver. Being an sql.Scanner it
// gets a driver's bytes without a copy in between, valid until it returns.
type scanner struct {
	w      *window
	sealed int // the place in window.raw; -1 where the column is not sealed
}

// Scan takes the value of the row being read.
func (s *scanner) Scan(v any) error {
	w := s.w
	w.size += sizeOf(v)
	b, isBytes := v.([]byte)
	if s.sealed >= 0 {
		var raw []byte
		if isBytes {
			raw, v = w.keep(b), nil
		}
		w.raw[s.sealed] = append(w.raw[s.sealed], raw)
	} else if isBytes {
		v = bytes.Clone(b)
	}
	w.cells = append(w.cells, v)
	return nil
}

// keep copies sealed bytes to where those of the window lie together. Where
// there is no room left it makes more, and leaves what it has handed out.
func (w *window) keep(b []byte) []byte {
	if cap(w.bytes)-len(w.bytes) < len(b) || w.bytes == nil {
		w.bytes = make([]byte, 0, max(len(b), min(maxBytes, 4*cap(w.bytes)), 256))
	}
	at := len(w.bytes)
	w.bytes = append(w.bytes, b...)
	return w.bytes[at:len(w.bytes):len(w.bytes)]
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case string:
		return len(v)
	}
	return 16
}
