package sealing

import (
	"encoding/binary"
)

// copySignature begins COPY data in format binary; flags and the length of an
// extension follow, of four bytes each.
const copySignature = "PGCOPY\n\xff\r\n\x00"

const copyHeader = len(copySignature) + 8

// binaryRows reads format binary.
type binaryRows struct {
	begun, ended bool
}

// rowKind is what binaryRows found.
type rowKind byte

const (
	rowNone    rowKind = iota // not enough data
	rowHeader                 // the file's header
	rowData                   // a row; fields holds it
	rowTrailer                // the file's trailer
)

// next finds what stands at the beginning of data, and its size. Fields' raw parts
// have their lengths in front.
func (b *binaryRows) next(s *splitter, data []byte) (kind rowKind, size int, err error) {
	switch {
	case len(data) == 0:
		return rowNone, 0, nil
	case b.ended:
		return rowNone, 0, badCopy("received copy data after EOF marker")
	case !b.begun:
		return b.header(data)
	case len(data) < 2:
		return rowNone, 0, nil
	}
	count := int(int16(binary.BigEndian.Uint16(data)))
	if count == -1 {
		b.ended = true
		return rowTrailer, 2, nil
	}
	if count != len(s.copy.Columns) {
		return rowNone, 0, badCopy("row field count does not fit the columns")
	}
	s.fields = s.fields[:0]
	at := 2
	for range count {
		if len(data) < at+4 {
			return rowNone, 0, nil
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:])))
		f := copyField{null: n == -1}
		switch {
		case f.null:
			n = 0
		case n < 0:
			return rowNone, 0, badCopy("invalid field size")
		case n > maxCopyRow:
			return rowNone, 0, badCopy("a field of COPY data is too long")
		case len(data) < at+4+n:
			return rowNone, 0, nil
		default:
			f.text = data[at+4 : at+4+n : at+4+n]
		}
		f.raw = data[at : at+4+n]
		at += 4 + n
		s.fields = append(s.fields, f)
	}
	return rowData, at, nil
}

func (b *binaryRows) header(data []byte) (kind rowKind, size int, err error) {
	if n := min(len(data), len(copySignature)); string(data[:n]) != copySignature[:n] {
		return rowNone, 0, badCopy("COPY file signature not recognized")
	}
	if len(data) < copyHeader {
		return rowNone, 0, nil
	}
	flags := binary.BigEndian.Uint32(data[len(copySignature):])
	extension := binary.BigEndian.Uint32(data[len(copySignature)+4:])
	if flags>>16 != 0 {
		return rowNone, 0, badCopy("unrecognized critical flags in COPY file header")
	}
	if extension > maxCopyRow {
		return rowNone, 0, badCopy("invalid COPY file header (wrong length)")
	}
	if size = copyHeader + int(extension); len(data) < size {
		return rowNone, 0, nil
	}
	b.begun = true
	return rowHeader, size, nil
}

// binaryRow takes a row of format binary.
func (c *CopyIn) binaryRow(from int, final bool) (size int, err error) {
	rest := c.held[from:]
	kind, size, err := c.binary.next(&c.split, rest)
	switch {
	case err != nil:
		c.line++
		return 0, err
	case kind == rowNone && final && len(rest) > 0:
		c.line++
		return 0, badCopy("unexpected EOF in COPY data")
	case kind == rowNone:
		return 0, nil
	case kind != rowData:
		c.page.text(from, from+size)
		return size, nil
	}
	c.line++
	return size, c.add(from, from+size, from+2)
}

func appendCounted(dst, value []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}
