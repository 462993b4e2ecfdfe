package wire

import (
	"bytes"
	"encoding/binary"
)

// Cursor reads a message's body from its beginning. What is missing sets Bad, and reads as zero.
type Cursor struct {
	Rest []byte
	Bad  bool
}

// String reads up to a zero byte, which is left out.
func (c *Cursor) String() []byte {
	i := bytes.IndexByte(c.Rest, 0)
	if i < 0 {
		c.fail()
		return nil
	}
	s := c.Rest[:i:i]
	c.Rest = c.Rest[i+1:]
	return s
}

// Byte reads one byte.
func (c *Cursor) Byte() byte {
	if b := c.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Int16 reads a number of 16 bits.
func (c *Cursor) Int16() int16 { return int16(c.Uint16()) }

// Uint16 reads a count of 16 bits.
func (c *Cursor) Uint16() int {
	if b := c.Bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Uint32 reads an OID.
func (c *Cursor) Uint32() uint32 {
	if b := c.Bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Value reads a length and as many bytes; nil for NULL.
func (c *Cursor) Value() []byte {
	n := int32(c.Uint32())
	if n == -1 && !c.Bad {
		return nil
	}
	if n < 0 {
		c.fail()
		return nil
	}
	b := c.Bytes(int(n))
	if b == nil && !c.Bad {
		return []byte{}
	}
	return b
}

// Bytes reads n bytes; nil where there are fewer.
func (c *Cursor) Bytes(n int) []byte {
	if n > len(c.Rest) {
		c.fail()
		return nil
	}
	b := c.Rest[:n:n]
	c.Rest = c.Rest[n:]
	return b
}

func (c *Cursor) fail() {
	c.Bad = true
	c.Rest = nil
}

// err reports whether all could be read and nothing is left.
func (c *Cursor) err() error {
	if c.Bad || len(c.Rest) > 0 {
		return ErrMalformed
	}
	return nil
}

// formats reads a list of format codes.
func (c *Cursor) formats() []int16 {
	n := c.Uint16()
	if c.Bad || 2*n > len(c.Rest) {
		c.fail()
		return nil
	}
	list := make([]int16, n)
	for i := range list {
		list[i] = c.Int16()
	}
	return list
}

// Format gives the format code of the i-th of n values by the rules of Bind: no
// codes are all text, one code is for all.
func Format(codes []int16, i int) int16 {
	switch {
	case len(codes) == 1:
		return codes[0]
	case i < len(codes):
		return codes[i]
	}
	return 0
}

// ParseMessage is a Parse message. Its parts are valid as long as the body that they were read from.
type ParseMessage struct {
	Name, Text []byte
	OIDs       []uint32
}

// ReadParse reads the body of Parse.
func ReadParse(body []byte) (ParseMessage, error) {
	c := Cursor{Rest: body}
	m := ParseMessage{Name: c.String(), Text: c.String()}
	n := c.Uint16()
	if c.Bad || 4*n != len(c.Rest) {
		return m, ErrMalformed
	}
	if n > 0 {
		m.OIDs = make([]uint32, n)
	}
	for i := range m.OIDs {
		m.OIDs[i] = c.Uint32()
	}
	return m, c.err()
}

// AppendParse appends a Parse message.
func AppendParse(dst []byte, name, text string, oids []uint32) []byte {
	dst, at := Begin(dst, Parse)
	dst = AppendString(AppendString(dst, name), text)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)))
	for _, oid := range oids {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return End(dst, at)
}

// BindMessage is a Bind message. Its parts are valid as long as the body that they were read from.
type BindMessage struct {
	Portal, Statement []byte
	Formats           []int16
	Values            [][]byte // nil is NULL
	Results           []int16
	// ResultsAt is where the result formats begin in the body.
	ResultsAt int
}

// ReadBind reads the body of Bind.
func ReadBind(body []byte) (BindMessage, error) {
	c := Cursor{Rest: body}
	m := BindMessage{Portal: c.String(), Statement: c.String(), Formats: c.formats()}
	n := c.Uint16()
	if c.Bad || 4*n > len(c.Rest) {
		return m, ErrMalformed
	}
	m.Values = make([][]byte, n)
	for i := range m.Values {
		m.Values[i] = c.Value()
	}
	if len(m.Formats) > 1 && len(m.Formats) != n {
		return m, ErrMalformed
	}
	m.ResultsAt = len(body) - len(c.Rest)
	m.Results = c.formats()
	return m, c.err()
}

// AppendBytes appends a value with its length; nil is NULL.
func AppendBytes(dst, value []byte) []byte {
	if value == nil {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}
