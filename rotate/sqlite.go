package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sqlite walks a table of SQLite.
type sqlite struct{ *plainSQL }

var _ database = (*sqlite)(nil)

// sqliteRowIDs are the names of the hidden row id; a column may hide each.
var sqliteRowIDs = []string{"rowid", "_rowid_", "oid"}

// describe takes the primary key where its columns cannot be NULL. SQLite
// lets other primary keys be NULL, which no order covers; such tables have a
// row id.
func (s *sqlite) describe(ctx context.Context, q querier, t *target) error {
	columns, err := s.columns(ctx, q, t.name)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		return fmt.Errorf("%w %s; check the policy's table name and the database file", ErrNoTable, t.name)
	}
	named := map[string]bool{}
	for _, c := range columns {
		named[strings.ToLower(c.name)] = true
	}
	for _, c := range t.names() {
		if !named[strings.ToLower(c)] {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c)
		}
	}
	if t.key = sqliteKey(columns); t.key != nil {
		return nil
	}
	for _, name := range sqliteRowIDs {
		if !named[name] && s.hasRowID(ctx, q, t.name, name) {
			t.key = []keyColumn{{name: name, expr: name}}
			return nil
		}
	}
	return fmt.Errorf("%w: %s; declare its PRIMARY KEY columns NOT NULL", ErrNoPrimaryKey, t.name)
}

type sqliteColumn struct {
	name, typ string
	notNull   bool
	pk        int // place in the primary key, from 1; 0 outside it
}

// sqliteKey returns the primary key, or nil where there is none or a column
// of it may be NULL. An INTEGER PRIMARY KEY is the row id and never NULL.
func sqliteKey(columns []sqliteColumn) []keyColumn {
	columns = slices.DeleteFunc(slices.Clone(columns), func(c sqliteColumn) bool { return c.pk == 0 })
	slices.SortFunc(columns, func(a, b sqliteColumn) int { return cmp.Compare(a.pk, b.pk) })
	var key []keyColumn
	for _, c := range columns {
		isRowID := len(columns) == 1 && strings.EqualFold(c.typ, "integer")
		if !c.notNull && !isRowID {
			return nil
		}
		key = append(key, keyColumn{name: c.name, expr: quote(c.name)})
	}
	return key
}

func (s *sqlite) columns(ctx context.Context, q querier, table string) (result []sqliteColumn, err error) {
	schema, name := "main", table
	if before, after, ok := strings.Cut(table, "."); ok {
		schema, name = before, after
	}
	rows, err := q.QueryContext(ctx, `SELECT name, type, "notnull", pk FROM pragma_table_info(?, ?)`, name, schema)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c sqliteColumn
		if err := rows.Scan(&c.name, &c.typ, &c.notNull, &c.pk); err != nil {
			return nil, err
		}
		result = append(result, c)
	}
	return result, rows.Err()
}

// hasRowID reports whether the table has a row id: not a view, and not
// WITHOUT ROWID.
func (s *sqlite) hasRowID(ctx context.Context, q querier, table, name string) bool {
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT typeof(%s) FROM %s LIMIT 1", name, quoteName(table)))
	if err != nil {
		return false
	}
	kind := "integer" // of an empty table there is nothing to walk
	for rows.Next() {
		if err := rows.Scan(&kind); err != nil {
			break
		}
	}
	return rows.Close() == nil && rows.Err() == nil && kind == "integer"
}

// sample: SQLite has one writer, and so one range.
func (s *sqlite) sample(context.Context, querier, *target, int64, int) ([][]any, error) {
	return nil, nil
}

var sqliteSQL = plainSQL{
	quote: quote,
	// The unary plus takes a column's declared type off, by which drivers would turn texts into times
	// and numbers into booleans, which do not come back as they were.
	key:  func(k keyColumn) string { return "+t." + k.expr },
	read: func(expr, _ string) string { return "+" + expr },
	text: func(expr string) string { return "CAST(" + expr + " AS TEXT)" },
	// A column's collation may take 'a' for 'A', under which a change would be overwritten.
	equal:  func(expr, _ string) string { return expr + " COLLATE BINARY IS ?" },
	value:  func(keyColumn) string { return "?" },
	native: func(*target, *row) {},
}

func (s *sqlite) begin(ctx context.Context, b beginner, _ *target) (transaction, error) {
	return b.BeginTx(ctx, nil)
}

// fault knows SQLITE_BUSY and SQLITE_LOCKED, and a disk that is full, whose extended codes have them in
// the low byte.
func (s *sqlite) fault(err error) fault {
	var c interface{ Code() int }
	if !errors.As(err, &c) {
		return fatal
	}
	switch c.Code() & 0xff {
	case 5, 6:
		return contended
	case 13:
		return away
	}
	return fatal
}
