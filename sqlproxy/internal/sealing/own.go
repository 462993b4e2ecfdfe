package sealing

import (
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// cut is a value of a cell as a cast to the column's own character type leaves it, which cuts what an
// assignment refuses. Rounding is the same for both.
func cut(v Value, c *plan.Cell) Value {
	t := c.Column.Type()
	if !c.From.Own || t.OID() != pgtype.VarcharOID && t.OID() != pgtype.BPCharOID {
		return v
	}
	const header = 4 // VARHDRSZ
	at := 0
	for range t.Modifier() - header {
		if at >= len(v.Data) {
			return v
		}
		_, n := utf8.DecodeRune(v.Data[at:])
		at += n
	}
	v.Data = v.Data[:at]
	return v
}

// comparand is the canonical form of a value that is compared with the cell's column.
func (s *Session) comparand(c *plan.Cell, v Value) ([]byte, error) {
	t := c.Column.Type()
	if !c.From.Own {
		return s.Settings.Comparand(nil, t, v.OID, v.Format, v.Data)
	}
	v = cut(v, c)
	plain, err := s.Settings.FromClient(nil, t, v.OID, v.Format, v.Data)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return t.Canonical(nil, plain)
}
