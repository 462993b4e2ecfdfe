package sealing

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// CopyOut opens what a server sends behind COPY TO STDOUT: one row, or header, a CopyData. It is for one goroutine.
type CopyOut struct {
	copy    *plan.Copy
	opener  *Opener
	split   splitter
	binary  binaryRows
	header  bool
	needed  []bool // columns that are opened, or say whose a row is
	unknown bool   // one of them has a type that is not known, in format binary
	body    []byte // the row as a DataRow
	opened  []byte // cleared
}

// NewCopyOut returns a CopyOut.
func (s *Session) NewCopyOut(c *plan.Copy) *CopyOut {
	out := &CopyOut{copy: c, header: c.Header, split: splitter{copy: c}, needed: make([]bool, len(c.Columns))}
	format := int16(textFormat)
	if c.Format == copyBinary {
		format = binaryFormat
	}
	columns := make([]Column, len(c.Columns))
	for i, o := range c.Columns {
		columns[i] = Column{Output: o, OID: typeAt(c, i), Server: format, Client: format}
		if len(o.Possible) == 0 {
			continue
		}
		out.needed[i] = true
		for _, at := range []int{o.TenantAt, o.RowIDAt} {
			if at >= 0 {
				out.needed[at] = true
				out.unknown = out.unknown || format == binaryFormat && typeAt(c, at) == 0
			}
		}
	}
	out.opener = s.NewOpener(columns)
	return out
}

// Row appends to dst the payload of a CopyData with its sealed values opened.
func (c *CopyOut) Row(ctx context.Context, dst, data []byte) ([]byte, error) {
	if c.unknown {
		return dst, typeUnknown()
	}
	if c.copy.Format == copyBinary {
		return c.binaryRows(ctx, dst, data)
	}
	if c.header {
		c.header = false
		return append(dst, data...), nil
	}
	row := bytes.TrimSuffix(data, []byte("\n"))
	if err := c.split.split(row); err != nil {
		return dst, err
	}
	out, err := c.row(ctx, dst)
	if err != nil {
		return dst, err
	}
	return append(out, data[len(row):]...), nil
}

// binaryRows: the server sends the header together with the first row.
func (c *CopyOut) binaryRows(ctx context.Context, dst, data []byte) ([]byte, error) {
	out := dst
	for len(data) > 0 {
		kind, size, err := c.binary.next(&c.split, data)
		switch {
		case err != nil:
			return dst, err
		case kind == rowNone:
			return dst, badCopy("a row of COPY data is not whole")
		case kind != rowData:
			out = append(out, data[:size]...)
		default:
			if out, err = c.row(ctx, append(out, data[:2]...)); err != nil {
				return dst, err
			}
		}
		data = data[size:]
	}
	return out, nil
}

// row writes the fields of the row that has been split.
func (c *CopyOut) row(ctx context.Context, dst []byte) ([]byte, error) {
	if err := c.open(ctx); err != nil {
		return dst, err
	}
	defer func() { clear(c.opened) }()
	at := 2
	for i := range c.split.fields {
		f := &c.split.fields[i]
		if i > 0 && c.copy.Format != copyBinary {
			dst = append(dst, c.copy.Delimiter)
		}
		var value []byte
		if n := int32(binary.BigEndian.Uint32(c.opened[at:])); n >= 0 {
			value = c.opened[at+4 : at+4+int(n)]
		}
		at += 4 + len(value)
		if len(c.copy.Columns[i].Possible) == 0 || f.null {
			dst = append(dst, f.raw...)
			continue
		}
		dst = c.appendValue(dst, value, i)
	}
	return dst, nil
}

// open has the opener make a row of the fields.
func (c *CopyOut) open(ctx context.Context) error {
	c.body = binary.BigEndian.AppendUint16(c.body[:0], uint16(len(c.split.fields)))
	for i, f := range c.split.fields {
		if f.null || !c.needed[i] {
			c.body = binary.BigEndian.AppendUint32(c.body, 1<<32-1)
			continue
		}
		c.body = appendCounted(c.body, f.text)
	}
	out, ok, err := c.opener.Row(ctx, c.opened[:0], c.body)
	if err == nil && !ok {
		if err = c.opener.Load(ctx, [][]byte{c.body}); err == nil {
			out, ok, err = c.opener.Row(ctx, c.opened[:0], c.body)
		}
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return broken("a row's keys were fetched and are not there")
	}
	c.opened = out
	return nil
}

func (c *CopyOut) appendValue(dst, value []byte, i int) []byte {
	switch c.copy.Format {
	case copyBinary:
		return appendCounted(dst, value)
	case copyCSV:
		return appendCopyCSV(dst, value, c.copy, i)
	}
	return appendCopyText(dst, value, c.copy.Delimiter)
}
