package catalog

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
)

// checkOwners looks at the columns that say whose a row's sealed values are. Values are sealed for the text that a statement has for
// them, and opened for the text that the row has: these must be the same.
func (l *loader) checkOwners(r *Relation, t *field.Table) {
	for _, name := range []string{t.Tenant().Column, t.RowID()} {
		if c := r.Column(name); name != "" && c != nil {
			l.checkOwner(c)
		}
	}
}

func (l *loader) checkOwner(c *Column) {
	const header = 4 // which a modifier of characters counts too
	base := l.BaseOf(c.Type)
	switch {
	case c.Loose:
		c.Unfit = fmt.Sprintf("column %q, which says whose the values are, has a collation that takes other texts for equal", c.Name)
	case c.Generated:
		c.Unfit = fmt.Sprintf("column %q, which says whose the values are, is computed by the server", c.Name)
	case base == pgtype.TextOID, base == pgtype.Int2OID, base == pgtype.Int4OID, base == pgtype.Int8OID, base == pgtype.UUIDOID:
	case base == pgtype.VarcharOID && c.Type == base && c.Typmod < header:
	case base == pgtype.VarcharOID && c.Type == base:
		c.Chars = int(c.Typmod) - header
	case base == pgtype.BPCharOID && c.Type == base && c.Typmod > header:
		c.Chars = header - int(c.Typmod)
	default:
		c.Unfit = fmt.Sprintf("column %q, which says whose the values are, is of type %s, whose values the server may write otherwise than they are given",
			c.Name, l.typeNames[c.Type])
	}
}
