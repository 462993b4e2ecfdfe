package sealing

import (
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// sealList is a cell of an array, whose sealed elements stand in sealed; nil for NULL.
type sealList struct {
	cell   int
	sealed [][]byte
}

// addSeals adds an array's elements, each of which is of a row of its own.
func (b *batch) addSeals(i int, c *plan.Cell, v Value) error {
	if v.Data == nil {
		return nil
	}
	values, err := b.s.plainElements(c, v)
	if err != nil {
		return err
	}
	rows, err := b.elementRows(c, len(values))
	if err != nil {
		return err
	}
	list := sealList{cell: i, sealed: make([][]byte, len(values))}
	for at, plain := range values {
		if plain == nil {
			continue
		}
		row, err := rows(at)
		if errors.Is(err, errNobody) {
			continue
		}
		if err != nil {
			return err
		}
		b.seals = append(b.seals, sealing{cell: i, row: row, value: plain, at: at + 1, to: &list.sealed[at]})
	}
	b.arrays = append(b.arrays, list)
	return nil
}

// plainElements gives an array's elements in the binary form of the cell's column, nil for NULL.
func (s *Session) plainElements(c *plan.Cell, v Value) ([][]byte, error) {
	t := c.Column.Type()
	array, err := arrayOf(t)
	if c.From.As != 0 {
		array, err = codec.ParseType("text[]")
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.Settings.FromClient(nil, array, v.OID, v.Format, v.Data)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if len(plain) >= 4 && binary.BigEndian.Uint32(plain) > 1 {
		return nil, &plan.Refusal{
			SQLState: stateNotSupported, Position: -1, Table: c.Column.Table().Name(), Column: c.Column.Name(),
			Message: "an array of several dimensions does not become rows of sealed column " + c.Column.String(),
			Hint:    "Pass an array of one dimension.",
		}
	}
	var out [][]byte
	err = eachElement(plain, func(element []byte) error {
		if element == nil {
			out = append(out, nil)
			return nil
		}
		e := cut(castText(Value{OID: array.Elem().OID(), Format: binaryFormat, Data: element}, c.From.As), c)
		own, err := s.Settings.FromClient(nil, t, e.OID, e.Format, e.Data)
		out = append(out, notNil(string(own)))
		return err
	})
	return out, err
}

// castText is a value as a cast to type as leaves it, which reads a text as that type does; as 0 is no cast.
func castText(v Value, as uint32) Value {
	if as != 0 && isText(v.OID) {
		v.OID, v.Format = as, textFormat
	}
	return v
}

// elementRows gives what the elements of an array are bound to, by their places.
func (b *batch) elementRows(c *plan.Cell, n int) (func(at int) (field.Row, error), error) {
	if !c.Tenant.Array && !c.RowID.Array {
		row, err := b.row(c)
		return func(int) (field.Row, error) { return row, err }, nil
	}
	tenants, err := b.identities(c.Tenant)
	if err != nil {
		return nil, err
	}
	ids, err := b.identities(c.RowID)
	if err != nil {
		return nil, err
	}
	return func(at int) (r field.Row, err error) {
		if r.Tenant, err = b.tenant(c); c.Tenant.Array {
			r.Tenant, err = b.tenantOf(elementAt(tenants, at), c.Tenant)
		}
		if err != nil || c.RowID.IsZero() {
			return r, err
		}
		id, err := elementAt(ids, at), error(nil)
		if !c.RowID.Array {
			id, err = b.value(c.RowID)
		}
		if err == nil {
			r.ID, err = idOf(id, c.RowID)
		}
		return r, err
	}, nil
}

// elementAt is an element of an array beside others that may be longer.
func elementAt(list []Value, at int) Value {
	if at < len(list) {
		return list[at]
	}
	return Value{}
}

// identities gives the elements of an array of tenants or row ids; none where the source is no array.
func (b *batch) identities(from plan.Source) ([]Value, error) {
	if !from.Array {
		return nil, nil
	}
	v, err := b.value(from)
	if err != nil || v.Data == nil {
		return nil, err
	}
	oid, data := uint32(0), v.Data
	if v.Format == textFormat {
		name := "text[]"
		switch from.As {
		case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
			name = "int8[]"
		case pgtype.UUIDOID:
			name = "uuid[]"
		}
		if v.OID == pgtype.TextArrayOID || v.OID == pgtype.VarcharArrayOID {
			name = "text[]" // its elements are cast one by one
		}
		array, err := codec.ParseType(name)
		if err != nil {
			return nil, err
		}
		if data, err = b.s.Settings.FromClient(nil, array, v.OID, v.Format, v.Data); err != nil {
			return nil, err
		}
	}
	if len(data) >= 12 {
		oid = binary.BigEndian.Uint32(data[8:])
	}
	var out []Value
	err = eachElement(data, func(element []byte) error {
		e := Value{OID: oid, Format: binaryFormat}
		if element != nil {
			e.Data = notNil(string(element))
		}
		out = append(out, e)
		return nil
	})
	return out, err
}
