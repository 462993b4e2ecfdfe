package sealing

import (
	"bytes"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
)

// elements gives the canonical forms of an array's elements, nil for NULL, as
// operands that are compared with a column of type t.
func (s *Session) elements(t codec.Type, v Value) ([][]byte, error) {
	var forms [][]byte
	err := s.Settings.Comparands(t, v.OID, v.Format, v.Data, func(form []byte) error {
		forms = append(forms, bytes.Clone(form))
		return nil
	})
	return forms, err
}

// arrayOf is the type of arrays whose elements are assigned to t: of t's elements, or the
// widest integers, without modifiers, which count where an element is sealed.
func arrayOf(t codec.Type) (codec.Type, error) {
	if t.IsArray() {
		return codec.Type{}, broken("an array of arrays")
	}
	name := codec.CodeName(t.Code())
	switch name {
	case "int2", "int4":
		name = "int8"
	case "varchar", "char":
		name = "text"
	}
	return codec.ParseType(name + "[]")
}

// eachElement calls do with each element of an array in binary form.
func eachElement(array []byte, do func(element []byte) error) error {
	if len(array) < 12 {
		return broken("array without a head")
	}
	dimensions := int(binary.BigEndian.Uint32(array))
	array = array[12:]
	if len(array) < 8*dimensions {
		return broken("array without dimensions")
	}
	for array = array[8*dimensions:]; len(array) >= 4; {
		n := int32(binary.BigEndian.Uint32(array))
		array = array[4:]
		var element []byte
		if n >= 0 {
			if len(array) < int(n) {
				return broken("array that ends early")
			}
			element, array = array[:n:n], array[n:]
		}
		if err := do(element); err != nil {
			return err
		}
	}
	return nil
}

// appendByteaArray appends the binary form of a bytea[] of n elements, nil for NULL.
func appendByteaArray(dst []byte, n int, element func(i int) []byte) []byte {
	dimensions, nulls := uint32(1), uint32(0)
	if n == 0 {
		dimensions = 0
	}
	for i := range n {
		if element(i) == nil {
			nulls = 1
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, dimensions)
	dst = binary.BigEndian.AppendUint32(dst, nulls)
	dst = binary.BigEndian.AppendUint32(dst, pgtype.ByteaOID)
	if n == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for i := range n {
		e := element(i)
		if e == nil {
			dst = binary.BigEndian.AppendUint32(dst, 0xffffffff)
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(e)))
		dst = append(dst, e...)
	}
	return dst
}
