package sealing

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// A page of rows is sealed at once.
const (
	maxPageRows  = 1000
	maxPageBytes = 1 << 20
)

// CopyIn seals what a client sends behind COPY FROM STDIN. Rows may begin and end
// anywhere in what Write gets. It is for one goroutine. After an error it is of
// no use: the copy is to be ended, and nothing of the failed call sent.
type CopyIn struct {
	s       *Session
	copy    *plan.Copy
	columns []*field.Column // the sealed ones
	at      []int           // and where they stand in the data

	held   []byte // data that is no whole row yet; cleared
	split  splitter
	lines  liner
	binary binaryRows
	header bool // the next line is one
	ended  bool // the end-of-copy marker has been seen
	line   int  // of the row at hand, from 1

	page copyPage
}

// copyPage is rows on their way to be sealed together.
type copyPage struct {
	pieces []copyPiece
	rows   []field.SealRow
	lines  []int  // of rows
	data   []byte // what the pieces are of
	plain  []byte // of the rows' values; cleared
	slab   []any  // room for values of rows
	count  int
}

// copyPiece is a part of the data for the server: text, or the value of a sealed
// column of a row.
type copyPiece struct {
	from, to int // of data
	row, col int // -1 for text
}

// NewCopyIn returns a CopyIn.
func (s *Session) NewCopyIn(c *plan.Copy) *CopyIn {
	in := &CopyIn{s: s, copy: c, header: c.Header, split: splitter{copy: c}}
	in.lines = liner{csv: c.Format == copyCSV, quote: c.Quote, escape: c.Escape}
	for i, out := range c.Columns {
		if len(out.Possible) > 0 {
			in.columns, in.at = append(in.columns, out.Possible[0]), append(in.at, i)
		}
	}
	return in
}

// check refuses a COPY that cannot be carried out.
func (c *CopyIn) check() error {
	switch {
	case c.copy.Format == copyCSV && bytes.IndexByte([]byte(`\x0123456789abcdef`), c.copy.Quote) >= 0,
		c.copy.Format == copyCSV && bytes.IndexByte([]byte("x0123456789abcdef"), c.copy.Escape) >= 0:
		return &plan.Refusal{
			SQLState: stateNotSupported, Position: -1,
			Message: "COPY with this QUOTE or ESCAPE cannot be sealed", Hint: "Use double quotes.",
		}
	case c.copy.Format == copyBinary:
		return c.copyTypesKnown()
	}
	return nil
}

// copyTypesKnown: in format binary a tenant or row id is not read without its type.
func (c *CopyIn) copyTypesKnown() error {
	for _, at := range []int{c.copy.TenantAt, c.copy.RowIDAt} {
		if at >= 0 && typeAt(c.copy, at) == 0 {
			return typeUnknown()
		}
	}
	return nil
}

func typeUnknown() *plan.Refusal {
	return &plan.Refusal{
		SQLState: stateNotSupported, Position: -1,
		Message: "COPY in format binary needs to know the type of the tenant and row id columns", Hint: "Use format text or csv.",
	}
}

func typeAt(c *plan.Copy, i int) uint32 {
	if i < len(c.Types) {
		return c.Types[i]
	}
	return 0
}

// Write takes the payload of a CopyData and appends to dst what is to be sent, which ends at a row's end; it keeps the rest.
func (c *CopyIn) Write(ctx context.Context, dst, data []byte) ([]byte, error) {
	c.held = append(c.held, data...)
	return c.process(ctx, dst, false)
}

// Close gives what is left at CopyDone.
func (c *CopyIn) Close(ctx context.Context, dst []byte) ([]byte, error) {
	defer func() { clear(c.held[:cap(c.held)]) }()
	return c.process(ctx, dst, true)
}

func (c *CopyIn) process(ctx context.Context, dst []byte, final bool) ([]byte, error) {
	if err := c.check(); err != nil {
		return dst, err
	}
	c.page.data = c.held
	out, used := dst, 0
	defer func() {
		clear(c.page.plain[:cap(c.page.plain)])
		clear(c.split.room[:cap(c.split.room)])
	}()
	for {
		n, err := c.row(used, final)
		if err != nil {
			return dst, c.located(err)
		}
		used += n
		if n == 0 || c.page.count >= maxPageRows || len(c.page.plain) >= maxPageBytes {
			if out, err = c.flush(ctx, out); err != nil {
				return dst, err
			}
		}
		if n == 0 {
			break
		}
	}
	rest := copy(c.held, c.held[used:])
	clear(c.held[rest:])
	if c.held = c.held[:rest]; rest > maxCopyRow {
		return dst, c.located(&plan.Refusal{SQLState: "54000", Position: -1, Message: "a row of COPY data is too long"})
	}
	return out, nil
}

// row takes the row at an offset of the data and tells its size; 0 where there is no
// whole one.
func (c *CopyIn) row(from int, final bool) (size int, err error) {
	if c.copy.Format == copyBinary {
		return c.binaryRow(from, final)
	}
	rest := c.held[from:]
	if c.ended {
		return len(rest), nil // what stands behind the end-of-copy marker is ignored, as the server does
	}
	found, ok, err := c.lines.next(rest, final)
	switch {
	case err != nil:
		c.line++
		return 0, err
	case !ok:
		return 0, nil
	case found.last:
		c.ended = true
		if c.copy.Format == copyCSV {
			// Newer servers take the marker for data: they are to say that it is no row.
			c.page.text(from, from+found.row)
		}
		return len(rest), nil
	}
	c.line++
	if c.header {
		c.header = false
		c.page.text(from, from+found.size)
		return found.size, nil
	}
	row := rest[:found.row]
	if err := c.split.split(row); err != nil {
		return 0, err
	}
	if err := c.add(from, from+found.size, from); err != nil {
		return 0, err
	}
	c.line += bytes.Count(row, []byte("\n"))
	return found.size, nil
}

// add puts the row that has been split, the bytes from to to of the data, on the
// page. first is where its first field begins.
func (c *CopyIn) add(from, to, first int) error {
	p := &c.page
	p.count++
	row := field.SealRow{Values: p.values(len(c.columns))}
	index, sealed, done, at := len(p.rows), false, from, first
	next := 0
	for i := range c.split.fields {
		f := &c.split.fields[i]
		if next < len(c.at) && c.at[next] == i {
			j := next
			next++
			row.Values[j] = field.Binary(nil)
			if !f.null && !c.isDefault(f) {
				plain, err := c.read(c.columns[j], f)
				if err != nil {
					return refuse(c.columns[j], err)
				}
				row.Values[j], sealed = field.Binary(plain), true
				p.text(done, at)
				p.pieces = append(p.pieces, copyPiece{row: index, col: j})
				done = at + len(f.raw)
			}
		}
		at += len(f.raw) + c.between()
	}
	p.text(done, to)
	if !sealed {
		return nil
	}
	var err error
	if row.Row, err = c.identify(); err != nil {
		return refuse(c.columns[0], err)
	}
	p.rows, p.lines = append(p.rows, row), append(p.lines, c.line)
	return nil
}

// between is how many bytes stand between two fields: a delimiter or nothing.
func (c *CopyIn) between() int {
	if c.copy.Format == copyBinary {
		return 0
	}
	return 1
}

func (c *CopyIn) isDefault(f *copyField) bool {
	return c.copy.Default != "" && c.copy.Format != copyBinary && !f.quoted && string(f.raw) == c.copy.Default
}

// read gives the binary form of a sealed column's value.
func (c *CopyIn) read(col *field.Column, f *copyField) ([]byte, error) {
	p := &c.page
	format := int16(textFormat)
	if c.copy.Format == copyBinary {
		format = binaryFormat
	}
	from := len(p.plain)
	out, err := c.s.Settings.FromClient(p.plain, col.Type(), 0, format, f.text)
	if err != nil {
		return nil, err
	}
	p.plain = out
	if out == nil {
		return []byte{}, nil // nil would be NULL
	}
	return out[from:len(out):len(out)], nil
}

// identify finds whose the row is, and which.
func (c *CopyIn) identify() (r field.Row, err error) {
	r.Tenant = c.s.Tenant
	if at := c.copy.TenantAt; at >= 0 {
		id, err := c.identity(at, c.copy.TenantChars)
		if err != nil {
			return r, err
		}
		if r.Tenant, err = field.TenantOf(id); err != nil {
			return r, err
		}
		if c.s.Tenant != "" && c.s.Tenant != r.Tenant {
			return r, field.ErrTenantMismatch
		}
	}
	if at := c.copy.RowIDAt; at >= 0 {
		r.ID, err = c.identity(at, c.copy.RowIDChars)
	}
	return r, err
}

func (c *CopyIn) identity(at, chars int) (any, error) {
	f := &c.split.fields[at]
	if f.null {
		return nil, nil
	}
	v := Value{OID: typeAt(c.copy, at), Data: append([]byte{}, f.text...)}
	if c.copy.Format == copyBinary {
		v.Format = binaryFormat
	}
	return fitting(v, 0, chars)
}

// values gives room for a row's values, cut from pieces that are made for many rows.
func (p *copyPage) values(n int) []any {
	const rows = 64
	if len(p.slab) < n {
		p.slab = make([]any, rows*n)
	}
	room := p.slab[:n:n]
	p.slab = p.slab[n:]
	return room
}

// text adds a part of the data to the page.
func (p *copyPage) text(from, to int) {
	if from == to {
		return
	}
	if n := len(p.pieces); n > 0 && p.pieces[n-1].row < 0 && p.pieces[n-1].to == from {
		p.pieces[n-1].to = to
		return
	}
	p.pieces = append(p.pieces, copyPiece{from: from, to: to, row: -1})
}

// flush seals the page and writes it.
func (c *CopyIn) flush(ctx context.Context, dst []byte) ([]byte, error) {
	p := &c.page
	if len(p.rows) > 0 {
		if err := c.s.Cipher.SealRows(ctx, c.columns, p.rows); err != nil {
			return dst, c.sealFailed(err)
		}
	}
	for _, piece := range p.pieces {
		if piece.row < 0 {
			dst = append(dst, p.data[piece.from:piece.to]...)
			continue
		}
		dst = c.appendSealed(dst, p.rows[piece.row].Sealed[piece.col])
	}
	clear(p.plain)
	*p = copyPage{data: p.data, plain: p.plain[:0], pieces: p.pieces[:0], rows: p.rows[:0], lines: p.lines[:0], slab: p.slab}
	return dst, nil
}

// appendSealed writes a bytea in the format's way. In csv it stands in quotes,
// since a delimiter may be any character.
func (c *CopyIn) appendSealed(dst, sealed []byte) []byte {
	switch c.copy.Format {
	case copyBinary:
		return appendCounted(dst, sealed)
	case copyCSV:
		dst = hex.AppendEncode(append(dst, c.copy.Quote, '\\', 'x'), sealed)
		return append(dst, c.copy.Quote)
	}
	return hex.AppendEncode(append(dst, `\\x`...), sealed)
}

// sealFailed finds the line that SealRows's error is about.
func (c *CopyIn) sealFailed(err error) error {
	var failed *field.Error
	if !errors.As(err, &failed) {
		return refuse(c.columns[0], err)
	}
	r := refuse(c.columns[0], err)
	for _, col := range c.columns {
		if col.Name() == failed.Column {
			r = refuse(col, err)
		}
	}
	if failed.Row >= 0 && failed.Row < len(c.page.lines) {
		c.line = c.page.lines[failed.Row]
	}
	return c.located(r)
}

// located says in which line of the data, or row where there are no lines, an error is.
func (c *CopyIn) located(err error) error {
	var r *plan.Refusal
	if !errors.As(err, &r) {
		return err
	}
	located := *r
	located.Detail = fmt.Sprintf("In line %d of the data.", max(c.line, 1))
	if c.copy.Table != nil && located.Table == "" {
		located.Table = c.copy.Table.Name()
	}
	return &located
}
