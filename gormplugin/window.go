package gormplugin

import (
	"bytes"
	"io"
)

// The window: so many rows are read ahead, so that their keys are fetched at
// once, and no more are held.
const (
	windowRows  = 256
	windowBytes = 1 << 20
)

// window is the rows that a source has read ahead. Sealed columns have their
// bytes in resultColumn.raw, and nothing among the cells until they are opened.
type window struct {
	cells []any  // row by row
	into  []any  // a *scanner for every column
	bytes []byte // room for the sealed bytes of coming rows
	count int    // of rows
	size  int    // of their values, in bytes
	at    int
	done  bool
}

// row returns the cells of row i.
func (src *source) row(i int) []any {
	n := len(src.names)
	return src.cells[i*n : (i+1)*n : (i+1)*n]
}

// fill reads the next window and opens it.
func (src *source) fill() error {
	src.empty()
	if src.done {
		return io.EOF
	}
	for src.count < windowRows && src.size < windowBytes {
		if !src.rows.Next() {
			src.done = true
			break
		}
		if err := src.read(); err != nil {
			return err
		}
	}
	if src.done {
		if err := src.rows.Err(); err != nil {
			return err
		}
	}
	if src.count == 0 {
		return io.EOF
	}
	if err := src.guard(); err != nil {
		return err
	}
	for _, g := range src.groups {
		if err := src.open(g); err != nil {
			return err
		}
	}
	return nil
}

// empty forgets the window's rows. Their sealed bytes stay with whoever still
// has them: a key that is being loaded may.
func (src *source) empty() {
	src.cells, src.count, src.size, src.at = src.cells[:0], 0, 0, 0
	for _, rc := range src.cols {
		if rc != nil {
			rc.raw = rc.raw[:0]
		}
	}
}

// read takes the row that the result stands at.
func (src *source) read() error {
	if src.into == nil {
		scanners := make([]scanner, len(src.names))
		src.into = make([]any, len(src.names))
		for i := range scanners {
			scanners[i] = scanner{src: src, column: src.cols[i]}
			src.into[i] = &scanners[i]
		}
	}
	if err := src.rows.Scan(src.into...); err != nil {
		return err
	}
	src.count++
	return nil
}

// scanner takes one column's values from the driver. Being an sql.Scanner it gets
// a driver's bytes without a copy in between, valid until it returns.
type scanner struct {
	src    *source
	column *resultColumn // nil where it is not sealed
}

// Scan takes the next row's value.
func (c *scanner) Scan(v any) error {
	src := c.src
	src.size += sizeOf(v)
	b, isBytes := v.([]byte)
	if c.column != nil {
		var raw []byte
		if isBytes {
			raw, v = src.keep(b), nil
		}
		c.column.raw = append(c.column.raw, raw)
	} else if isBytes {
		v = bytes.Clone(b)
	}
	src.cells = append(src.cells, v)
	return nil
}

// keep copies sealed bytes to where those of many values lie together. It
// returns nil for no value.
func (src *source) keep(b []byte) []byte {
	if cap(src.bytes)-len(src.bytes) < len(b) || src.bytes == nil {
		src.bytes = make([]byte, 0, max(len(b), min(bytesAtOnce, 2*len(b)*(1+src.count))))
	}
	at := len(src.bytes)
	src.bytes = append(src.bytes, b...)
	return src.bytes[at:len(src.bytes):len(src.bytes)]
}

// bytesAtOnce bounds the memory that is made for sealed bytes at once.
const bytesAtOnce = 16 << 10

func sizeOf(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case string:
		return len(v)
	}
	return 16
}
