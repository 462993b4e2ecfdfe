package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// copies are the tags of a column's values that stand in several rows though each was sealed for one.
type copies map[[tagSize]byte]struct{}

// maxCopies bounds how many are remembered, in some 4 MB for each column. Those beyond are not found; a table of so
// many is not taken for a good one either way.
const maxCopies = 1 << 16

// findCopies has the database look for the copies of each column whose values have keys of their own. It asks for
// nothing but tags: 128 bits that two values share by being copies, with whatever key they were rewrapped.
func findCopies(ctx context.Context, cfg *Config, t *field.Table, columns []*field.Column) (all []copies, err error) {
	q := quote
	if cfg.Dialect == MySQL {
		q = mysqlQuote
	}
	all = make([]copies, len(columns))
	for i, col := range columns {
		if col.Mode() == envelope.ModeTenant {
			continue
		}
		if all[i], err = readCopies(ctx, cfg.DB, cfg.Dialect.copiesSQL(q(col.Name()), quotedName(t.Name(), q))); err != nil {
			return nil, fmt.Errorf("rotate: looking for copies in %s.%s: %w", t.Name(), col.Name(), err)
		}
	}
	return all, nil
}

// copiesSQL is the statement. Of each value the server reads the ends, which it does without the rest where values are
// stored as `rowseal init` has them; bits 0x60 of the header's flags say that it is not of `key: tenant`.
func (d Dialect) copiesSQL(column, table string) string {
	var tag, keyed string
	switch d {
	case PostgreSQL:
		tag = fmt.Sprintf("substr(%[1]s, octet_length(%[1]s) - %d)", column, tagSize-1)
		keyed = fmt.Sprintf("CASE WHEN octet_length(%[1]s) >= 56 THEN get_byte(substr(%[1]s, 8, 1), 0) & 96 ELSE 0 END <> 0", column)
	case MySQL:
		tag = fmt.Sprintf("CAST(RIGHT(%s, %d) AS BINARY(%[2]d))", column, tagSize)
		keyed = fmt.Sprintf("OCTET_LENGTH(%[1]s) >= 56 AND ORD(SUBSTRING(%[1]s, 8, 1)) & 96 <> 0", column)
	default: // SQLite has no number of a byte, but its first digit, of which these are two bits
		tag = fmt.Sprintf("substr(CAST(%s AS blob), -%d)", column, tagSize)
		keyed = fmt.Sprintf("length(CAST(%[1]s AS blob)) >= 56 AND (instr('0123456789ABCDEF', substr(hex(substr(%[1]s, 8, 1)), 1, 1)) - 1) & 6 <> 0", column)
	}
	return fmt.Sprintf("SELECT tag FROM (SELECT %s AS tag FROM %s WHERE %s) AS v GROUP BY tag HAVING count(*) > 1 LIMIT %d", tag, table, keyed, maxCopies)
}

func readCopies(ctx context.Context, q querier, statement string) (found copies, err error) {
	rows, err := q.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = copies{}
	for rows.Next() {
		var tag sql.RawBytes
		if err := rows.Scan(&tag); err != nil {
			return nil, err
		}
		if len(tag) == tagSize {
			found[[tagSize]byte(tag)] = struct{}{}
		}
	}
	return found, rows.Err()
}
