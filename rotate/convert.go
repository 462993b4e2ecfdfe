package rotate

import (
	"bytes"
	"fmt"

	"github.com/rowseal/rowseal/codec"
)

// converter brings values that were sealed as another type into a column's type, by their text form, where
// nothing of them is lost.
type converter struct {
	to    codec.Type
	text  []byte // plaintext; cleared by release
	back  []byte
	wider []byte
}

// typeOf is the type that a stored code stands for, without modifiers: what was sealed has been through them.
func typeOf(code byte) (codec.Type, error) {
	name := codec.CodeName(code)
	switch name {
	case "char": // which by itself is char(1)
		name = "bpchar"
	case "char[]":
		name = "bpchar[]"
	}
	return codec.ParseType(name)
}

// convert returns the binary form in c.to of plain, a value of the type with the given code. It lies in memory
// of its own.
func (c *converter) convert(code byte, plain []byte) ([]byte, error) {
	from, err := typeOf(code)
	if err != nil {
		return nil, fmt.Errorf("%w: it was sealed as type %s", errInexact, codec.CodeName(code))
	}
	if c.text, err = from.AppendText(c.text[:0], plain); err != nil {
		return nil, err
	}
	text := c.text
	if from.String() == "bpchar" { // its cast to text drops the padding
		text = bytes.TrimRight(text, " ")
	}
	fresh, err := c.to.EncodeText(nil, string(text))
	if err != nil {
		return nil, err
	}
	if !c.same(from, plain, fresh) {
		clear(fresh)
		return nil, fmt.Errorf("%w: from %v to %v; change the value, or declare another type", errInexact, from, c.to)
	}
	return fresh, nil
}

// same says that fresh tells all that plain did: types of one family must be equal in SQL, others must give the
// same value back. The text of a json is not kept by jsonb, in PostgreSQL too.
func (c *converter) same(from codec.Type, plain, fresh []byte) bool {
	if from.Family() != 0 && from.Family() == c.to.Family() {
		a, errA := from.Canonical(c.back[:0], plain)
		b, errB := c.to.Canonical(c.wider[:0], fresh)
		c.back, c.wider = a, b
		return errA == nil && errB == nil && bytes.Equal(a, b)
	}
	if from.String() == "json" && c.to.String() == "jsonb" {
		return true
	}
	var err error
	if c.wider, err = c.to.AppendText(c.wider[:0], fresh); err != nil {
		return false
	}
	back, err := from.EncodeText(c.back[:0], string(c.wider))
	c.back = back
	return err == nil && bytes.Equal(back, plain)
}

// release clears what was converted.
func (c *converter) release() {
	for _, b := range [][]byte{c.text, c.back, c.wider} {
		clear(b[:cap(b)])
	}
}
