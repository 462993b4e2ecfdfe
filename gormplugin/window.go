package gormplugin

import (
	"bytes"
	"io"
	"reflect"
	"slices"

	"github.com/rowseal/rowseal/field"
)

// Rows are read ahead a window at a time, so that the keys of a window are
// fetched at once. There are two windows: one that rows are handed out of, and
// one that is opened meanwhile. Together they hold 256 rows and 1 MB at most,
// or two rows that are longer.
const (
	windowRows  = 128
	windowBytes = 512 << 10
)

// window is rows that a source has read ahead. Its memory serves a later
// window when they are handed out, but for what the rows' values refer to.
type window struct {
	src   *source
	cells []any      // row by row; nil for bytes of sealed columns until they are opened
	raw   [][][]byte // of each sealed column, by row; nil for what is no bytes
	bytes []byte     // where these lie together
	pages []openPage // of each group
	count int        // of rows
	size  int        // of their values, in bytes
	at    int        // the next to be handed out

	opened chan struct{} // closed when open has ended; nil where it was not begun
	err    error         // of open
	panics any           // what open panicked with
}

// openPage is what a window hands to the cipher for one group. It holds sealed
// bytes and the places to open into, no values.
type openPage struct {
	columns []*field.Column
	rows    []field.OpenRow
	cells   [][]byte
	into    []any
	places  []reflect.Value // of each column, a slice
}

// row returns the cells of row i.
func (w *window) row(i int) []any {
	n := len(w.src.names)
	return w.cells[i*n : (i+1)*n : (i+1)*n]
}

// fill makes the next window the one that rows are handed out of. It reads the
// one behind while that is opened.
func (src *source) fill() error {
	used := src.now
	src.now = nil
	if !src.begun {
		src.begun = true
		src.coming, src.readErr = src.read(nil)
		src.coming.begin(!src.done)
	}
	w := src.coming
	if src.coming = nil; w == nil {
		if src.readErr != nil {
			return src.readErr
		}
		return io.EOF
	}
	if !src.done {
		src.coming, src.readErr = src.read(used)
	}
	if err := w.wait(); err != nil {
		return err
	}
	src.coming.begin(true)
	src.now = w
	return nil
}

// read reads a window, into used if that is not nil. It returns nil where no
// rows are left, and the rows before an error are dropped.
func (src *source) read(used *window) (*window, error) {
	w := used
	if w == nil {
		w = &window{src: src, raw: make([][][]byte, src.sealed), pages: make([]openPage, len(src.groups))}
	}
	w.empty()
	for w.count < windowRows && w.size < windowBytes {
		if !src.rows.Next() {
			src.done = true
			break
		}
		if err := src.readRow(w); err != nil {
			src.done = true
			return nil, err
		}
	}
	if src.done {
		if err := src.rows.Err(); err != nil {
			return nil, err
		}
	}
	if w.count == 0 {
		return nil, nil
	}
	return w, nil
}

// empty forgets the window's rows.
func (w *window) empty() {
	w.cells, w.bytes, w.count, w.size, w.at = w.cells[:0], w.bytes[:0], 0, 0, 0
	for i := range w.raw {
		w.raw[i] = w.raw[i][:0]
	}
	w.opened = nil
}

// readRow takes the row that the result stands at.
func (src *source) readRow(w *window) error {
	if src.into == nil {
		scanners := make([]scanner, len(src.names))
		src.into = make([]any, len(src.names))
		for i := range scanners {
			scanners[i] = scanner{src: src, sealed: -1}
			if rc := src.cols[i]; rc != nil {
				scanners[i].sealed = rc.sealed
			}
			src.into[i] = &scanners[i]
		}
	}
	if n := len(src.names); cap(w.cells)-len(w.cells) < n {
		rows := min(1+8*w.count, windowRows) // few for few, all that there may be soon
		w.cells = slices.Grow(w.cells, n*rows)
		for i := range w.raw {
			w.raw[i] = slices.Grow(w.raw[i], rows)
		}
	}
	src.reading = w
	if err := src.rows.Scan(src.into...); err != nil {
		return err
	}
	w.count++
	return nil
}

// scanner takes one column's values from the driver. Being an sql.Scanner it
// gets a driver's bytes without a copy in between, valid until it returns.
type scanner struct {
	src    *source
	sealed int // the place in window.raw; -1 where the column is not sealed
}

// Scan takes the value of the row being read.
func (s *scanner) Scan(v any) error {
	w := s.src.reading
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
		w.bytes = make([]byte, 0, max(len(b), min(bytesAtOnce, 2*cap(w.bytes)), 128))
	}
	at := len(w.bytes)
	w.bytes = append(w.bytes, b...)
	return w.bytes[at:len(w.bytes):len(w.bytes)]
}

// bytesAtOnce bounds the memory that is made for small sealed values at once.
const bytesAtOnce = 32 << 10

func sizeOf(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case string:
		return len(v)
	}
	return 16
}

// begin starts to open the window beside the caller, if that has other things
// to do and no code of the application's types would run there.
func (w *window) begin(beside bool) {
	if w == nil || !beside || !w.src.ownTypes {
		return
	}
	w.opened = make(chan struct{})
	go func() {
		defer close(w.opened)
		defer func() { w.panics = recover() }()
		w.err = w.open()
	}()
}

// wait returns when the window is open. It opens it if nobody has begun to.
func (w *window) wait() error {
	if w.opened == nil {
		return w.open()
	}
	<-w.opened
	if w.panics != nil {
		panic(w.panics)
	}
	return w.err
}

// open opens the window's sealed values, after a look for some in other places.
func (w *window) open() error {
	if err := w.guard(); err != nil {
		return err
	}
	for i, g := range w.src.groups {
		if err := w.openGroup(g, &w.pages[i]); err != nil {
			return err
		}
	}
	return nil
}

// ownTypes says whether values are opened into nothing but types whose
// decoding runs no methods of the application.
func (src *source) onlyOwnTypes() bool {
	for _, rc := range src.cols {
		if rc == nil || rc.into == nil {
			continue
		}
		t := rc.into
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			if t.PkgPath() != "" {
				return false
			}
			t = t.Elem()
		}
		if p := t.PkgPath(); p != "" && p != "time" && p != "database/sql" || t.Kind() == reflect.Map || t.Kind() == reflect.Struct && p == "" || t.Kind() == reflect.Interface {
			return false
		}
	}
	return true
}
