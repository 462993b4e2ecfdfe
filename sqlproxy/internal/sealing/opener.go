package sealing

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Column is a column of a result.
type Column struct {
	plan.Output
	// OID is the type that the server reports.
	OID uint32
	// Server is the format in which the server sends the column, Client that in
	// which the client gets it. They differ only for sealed columns.
	Server, Client int16
	// Watch has a plain bytea column looked at for values that seem sealed; see
	// [Opener.Noted]. They are never opened.
	Watch bool
}

// Opener opens the rows of one result. It is for one goroutine.
type Opener struct {
	s       *Session
	columns []Column
	noted   int
	starts  []int  // of each column in the row at hand: where its length stands
	raw     []byte // a value that the server sent as text
	plain   []byte // an opened value on its way to text form; cleared
	tenant  knownTenant

	loaded []field.OpenCell // of the rows that Load got
	opened []byte           // their plaintexts; cleared
	next   int
}

// knownTenant is the tenant of the last row, so that a run of rows of one tenant
// is read once.
type knownTenant struct {
	raw  []byte
	name string
}

// NewOpener returns an Opener for a result of these columns.
func (s *Session) NewOpener(columns []Column) *Opener {
	return &Opener{s: s, columns: columns, starts: make([]int, len(columns)+1)}
}

// Noted counts values of plain columns that seem sealed and were passed on as
// they are: the analysis did not prove that they may be opened.
func (o *Opener) Noted() int { return o.noted }

// Row appends to dst the body of a DataRow with its sealed values opened. With
// keys at hand it allocates nothing. ok is false, and dst unchanged, where a key is
// not at hand: then the row, and those that follow it as far as they are there,
// go to [Opener.Load] and after that once more, in their order, to Row.
func (o *Opener) Row(_ context.Context, dst, body []byte) (out []byte, ok bool, err error) {
	if err := o.split(body); err != nil {
		return dst, true, err
	}
	out = append(dst, body[:2]...)
	from := 2
	for i := range o.columns {
		value := o.value(body, i)
		switch c := &o.columns[i]; {
		case value == nil:
			continue
		case len(c.Possible) == 0:
			o.watch(c, value)
			continue
		}
		out = append(out, body[from:o.starts[i]]...)
		at := len(out)
		out = append(out, 0, 0, 0, 0)
		if out, ok, err = o.open(out, body, i, value); err != nil || !ok {
			return dst, ok, err
		}
		binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
		from = o.starts[i+1]
	}
	return append(out, body[from:]...), true, nil
}

// split finds the columns of a row.
func (o *Opener) split(body []byte) error {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(o.columns) {
		return broken("a row has another number of columns than its result")
	}
	at := 2
	for i := range o.columns {
		if len(body) < at+4 {
			return broken("a row ends early")
		}
		o.starts[i] = at
		if n := int32(binary.BigEndian.Uint32(body[at:])); n > 0 {
			at += int(n)
		}
		at += 4
	}
	if o.starts[len(o.columns)] = at; at != len(body) {
		return broken("a row ends elsewhere than its columns")
	}
	return nil
}

// value is that of column i, nil for NULL.
func (o *Opener) value(body []byte, i int) []byte {
	at := o.starts[i]
	if int32(binary.BigEndian.Uint32(body[at:])) < 0 {
		return nil
	}
	return body[at+4 : o.starts[i+1] : o.starts[i+1]]
}

// open appends the value of column i as the client gets it.
func (o *Opener) open(dst, body []byte, i int, value []byte) (out []byte, ok bool, err error) {
	c := &o.columns[i]
	if plain, ok, err := o.inClear(body, c, value); ok || err != nil {
		out, err = o.appendClear(dst, c, plain, err)
		return out, true, err
	}
	if o.next < len(o.loaded) {
		out, err = o.takeLoaded(dst, c)
		return out, true, err
	}
	col, sealed, row, err := o.prepare(body, c, value)
	if err != nil {
		return dst, true, refuse(c.Possible[0], err)
	}
	if c.Client == binaryFormat || isText(col.Type().OID()) {
		out, ok, err = o.s.Cipher.OpenAtHand(dst, col, row, sealed)
	} else {
		var plain []byte
		plain, ok, err = o.s.Cipher.OpenAtHand(o.plain[:0], col, row, sealed)
		if out = dst; ok && err == nil {
			out, err = o.s.Settings.AppendText(dst, col.Type(), plain)
			clear(plain)
			o.plain = plain[:0]
		}
	}
	if err != nil {
		return dst, true, refuse(col, err)
	}
	return out, ok, nil
}

// inClear gives a value of a column in transition that is not sealed yet, in its type's binary form; ok is false for
// others. No sealed value begins with a zero byte, which stands before these.
func (o *Opener) inClear(body []byte, c *Column, value []byte) (plain []byte, ok bool, err error) {
	if !c.Clear {
		return nil, false, nil
	}
	raw, err := o.bytes(c.Server, value)
	if err != nil || len(raw) == 0 || raw[0] != 0 {
		return nil, false, nil // what is wrong with it is said where it is opened
	}
	if o.s.Tenant != "" {
		if _, err := o.row(body, c); err != nil {
			return nil, false, err
		}
	}
	return raw[1:], true, nil
}

// appendClear appends a value that was never sealed as the client gets it.
func (o *Opener) appendClear(dst []byte, c *Column, plain []byte, err error) ([]byte, error) {
	t := c.Possible[0].Type()
	out := dst
	switch {
	case err != nil:
	case c.Client == binaryFormat || isText(t.OID()):
		return append(dst, plain...), nil
	default:
		out, err = o.s.Settings.AppendText(dst, t, plain)
	}
	if err != nil {
		return dst, refuse(c.Possible[0], err)
	}
	return out, nil
}

// prepare finds which column a value is of, its bytes, and what is known of its
// row.
func (o *Opener) prepare(body []byte, c *Column, value []byte) (col *field.Column, sealed []byte, row field.Row, err error) {
	if sealed, err = o.bytes(c.Server, value); err != nil {
		return nil, nil, row, err
	}
	if col, err = choose(c.Possible, sealed); err != nil {
		return nil, nil, row, err
	}
	row, err = o.row(body, c)
	return col, sealed, row, err
}

// choose finds the column that a value's header names among those that may
// stand there.
func choose(possible []*field.Column, sealed []byte) (*field.Column, error) {
	if len(possible) == 1 {
		return possible[0], nil
	}
	for _, col := range possible {
		if guard := col.Guard(); bytes.HasPrefix(sealed, guard[:]) {
			return col, nil
		}
	}
	return nil, field.ErrWrongColumn
}

// row gives what the result says of the value's row.
func (o *Opener) row(body []byte, c *Column) (row field.Row, err error) {
	row.Tenant = o.s.Tenant
	if c.TenantAt >= 0 {
		if row.Tenant, err = o.rowTenant(o.value(body, c.TenantAt), &o.columns[c.TenantAt]); err != nil {
			return row, err
		}
	}
	if c.RowIDAt >= 0 {
		id := &o.columns[c.RowIDAt]
		row.ID, err = identity(Value{OID: id.OID, Format: id.Server, Data: o.value(body, c.RowIDAt)}, 0)
	}
	return row, err
}

// rowTenant is the tenant that stands in the row, which must be the session's if
// that has one.
func (o *Opener) rowTenant(raw []byte, c *Column) (string, error) {
	if raw == nil {
		return "", field.ErrTenantMismatch // a sealed value has a tenant
	}
	if o.tenant.raw == nil || !bytes.Equal(raw, o.tenant.raw) {
		id, err := identity(Value{OID: c.OID, Format: c.Server, Data: raw}, 0)
		if err != nil {
			return "", err
		}
		name, err := field.TenantOf(id)
		if err != nil {
			return "", err
		}
		o.tenant = knownTenant{raw: append(o.tenant.raw[:0], raw...), name: name}
	}
	if o.s.Tenant != "" && o.s.Tenant != o.tenant.name {
		return "", field.ErrTenantMismatch
	}
	return o.tenant.name, nil
}

// bytes gives a bytea that the server sent in a format.
func (o *Opener) bytes(format int16, value []byte) ([]byte, error) {
	if format == binaryFormat {
		return value, nil
	}
	digits, ok := bytes.CutPrefix(value, []byte(`\x`))
	if !ok {
		return o.unescape(value)
	}
	o.raw = slices.Grow(o.raw[:0], len(digits)/2)
	n, err := decodeHex(o.raw[:len(digits)/2], digits)
	if err != nil {
		return nil, envelope.ErrNotSealed
	}
	return o.raw[:n], nil
}

// unescape reads bytea_output's form "escape".
func (o *Opener) unescape(value []byte) ([]byte, error) {
	o.raw = o.raw[:0]
	for i := 0; i < len(value); i++ {
		switch rest := value[i:]; {
		case rest[0] != '\\':
			o.raw = append(o.raw, rest[0])
		case len(rest) > 1 && rest[1] == '\\':
			o.raw = append(o.raw, '\\')
			i++
		case len(rest) > 3:
			o.raw = append(o.raw, (rest[1]-'0')<<6|(rest[2]-'0')<<3|(rest[3]-'0'))
			i += 3
		default:
			return nil, envelope.ErrNotSealed
		}
	}
	return o.raw, nil
}

// watch notes a value that seems sealed in a column where none may be opened.
func (o *Opener) watch(c *Column, value []byte) {
	if !c.Watch {
		return
	}
	sealed, err := o.bytes(c.Server, value)
	if err != nil || len(sealed) == 0 || sealed[0] != envelope.Magic {
		return
	}
	var v envelope.Value
	if v.Parse(sealed) == nil {
		o.noted++
	}
}

// Load opens the values of rows whose keys are not at hand, with one fetch for
// all of them.
//
// What is wrong with one value, Row says when it comes to it.
func (o *Opener) Load(ctx context.Context, bodies [][]byte) error {
	o.forget()
	var failed map[int]error
	for _, body := range bodies {
		if err := o.split(body); err != nil {
			return err
		}
		for i := range o.columns {
			c := &o.columns[i]
			value := o.value(body, i)
			if value == nil || len(c.Possible) == 0 {
				continue
			}
			if _, clear, err := o.inClear(body, c, value); clear || err != nil {
				continue
			}
			col, sealed, row, err := o.prepare(body, c, value)
			if err != nil {
				if col = c.Possible[0]; failed == nil {
					failed = map[int]error{}
				}
				failed[len(o.loaded)] = err
			}
			if c.Server == textFormat {
				sealed = bytes.Clone(sealed) // o.raw is needed for the next one
			}
			o.loaded = append(o.loaded, field.OpenCell{Column: col, Row: row, Sealed: sealed})
		}
	}
	o.opened = o.s.Cipher.OpenCells(ctx, o.opened[:0], o.loaded)
	for i, err := range failed {
		o.loaded[i].Err = err
	}
	return nil
}

// takeLoaded appends the next value that Load opened.
func (o *Opener) takeLoaded(dst []byte, c *Column) (out []byte, err error) {
	cell := &o.loaded[o.next]
	o.next++
	switch {
	case cell.Err != nil:
		out, err = dst, refuse(cell.Column, cell.Err)
	case c.Client == binaryFormat:
		out = append(dst, cell.Plain...)
	default:
		if out, err = o.s.Settings.AppendText(dst, cell.Column.Type(), cell.Plain); err != nil {
			out, err = dst, refuse(cell.Column, err)
		}
	}
	if o.next == len(o.loaded) {
		o.forget()
	}
	return out, err
}

// forget clears what Load opened.
func (o *Opener) forget() {
	clear(o.opened[:cap(o.opened)])
	clear(o.loaded)
	o.opened, o.loaded, o.next = o.opened[:0], o.loaded[:0], 0
}

// String names the type and shows no value.
func (o *Opener) String() string { return fmt.Sprintf("opener of %d columns", len(o.columns)) }
