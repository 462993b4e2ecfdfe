package wire

import "encoding/binary"

// ColumnInfo is a column of a RowDescription.
type ColumnInfo struct {
	Table  uint32
	Num    int16
	Type   uint32
	Size   int16
	Mod    int32
	Format int16
}

// columnInfoSize is how long a column is in RowDescription behind its name.
const columnInfoSize = 18

// ReadColumns reads the body of RowDescription. dst is used where it is long enough.
func ReadColumns(dst []ColumnInfo, body []byte) ([]ColumnInfo, error) {
	c := Cursor{Rest: body}
	n := c.Uint16()
	if (columnInfoSize+1)*n > len(c.Rest) {
		return nil, ErrMalformed
	}
	dst = dst[:0]
	for range n {
		c.String()
		dst = append(dst, ColumnInfo{
			Table: c.Uint32(), Num: c.Int16(), Type: c.Uint32(), Size: c.Int16(), Mod: int32(c.Uint32()), Format: c.Int16(),
		})
	}
	return dst, c.err()
}

// AppendColumns appends a RowDescription with the names of body, which [ReadColumns] has read, and these columns.
func AppendColumns(dst, body []byte, columns []ColumnInfo) []byte {
	dst, at := Begin(dst, RowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	c := Cursor{Rest: body[2:]}
	for _, col := range columns {
		dst = AppendString(dst, string(c.String()))
		c.Bytes(columnInfoSize)
		dst = binary.BigEndian.AppendUint32(dst, col.Table)
		dst = binary.BigEndian.AppendUint16(dst, uint16(col.Num))
		dst = binary.BigEndian.AppendUint32(dst, col.Type)
		dst = binary.BigEndian.AppendUint16(dst, uint16(col.Size))
		dst = binary.BigEndian.AppendUint32(dst, uint32(col.Mod))
		dst = binary.BigEndian.AppendUint16(dst, uint16(col.Format))
	}
	return End(dst, at)
}

// ReadParameters reads the body of ParameterDescription, which may have 65,535 of them.
func ReadParameters(body []byte) ([]uint32, error) {
	c := Cursor{Rest: body}
	n := c.Uint16()
	if 4*n != len(c.Rest) {
		return nil, ErrMalformed
	}
	oids := make([]uint32, n)
	for i := range oids {
		oids[i] = c.Uint32()
	}
	return oids, c.err()
}

// AppendParameters appends a ParameterDescription.
func AppendParameters(dst []byte, oids []uint32) []byte {
	dst, at := Begin(dst, ParameterDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)))
	for _, oid := range oids {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return End(dst, at)
}
