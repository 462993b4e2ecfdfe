package rotate

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sqlite walks a table of SQLite.
type sqlite struct {
	db *sql.DB
}

var _ database = (*sqlite)(nil)

// sqliteRowIDs are the names of the hidden row id; a column may hide each.
var sqliteRowIDs = []string{"rowid", "_rowid_", "oid"}

// describe takes the primary key where its columns cannot be NULL. SQLite
// lets other primary keys be NULL, which no order covers; such tables have a
// row id.
func (s *sqlite) describe(ctx context.Context, t *target) error {
	columns, err := s.columns(ctx, t.name)
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
	for _, c := range t.columns {
		if !named[strings.ToLower(c)] {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c)
		}
	}
	if t.key = sqliteKey(columns); t.key != nil {
		return nil
	}
	for _, name := range sqliteRowIDs {
		if !named[name] && s.hasRowID(ctx, t.name, name) {
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

func (s *sqlite) columns(ctx context.Context, table string) (result []sqliteColumn, err error) {
	schema, name := "main", table
	if before, after, ok := strings.Cut(table, "."); ok {
		schema, name = before, after
	}
	rows, err := s.db.QueryContext(ctx, `SELECT name, type, "notnull", pk FROM pragma_table_info(?, ?)`, name, schema)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
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
func (s *sqlite) hasRowID(ctx context.Context, table, name string) bool {
	rows, err := s.db.QueryContext(ctx, fmt.Sprintf("SELECT typeof(%s) FROM %s LIMIT 1", name, quoteName(table)))
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

func (s *sqlite) page(ctx context.Context, t *target, after []any, limit int) ([]row, error) {
	where, order := "", list(len(t.key), func(i int) string { return "t." + t.key[i].expr })
	if after != nil {
		where = fmt.Sprintf(" WHERE (%s) > (%s)", order, list(len(t.key), func(int) string { return "?" }))
	}
	query := fmt.Sprintf("SELECT %s FROM %s AS t%s ORDER BY %s LIMIT %d", t.sqliteSelect(), quoteName(t.name), where, order, limit)
	rows, err := s.db.QueryContext(ctx, query, after...)
	if err != nil {
		return nil, err
	}
	return scanRows(rows, t)
}

// sqliteSelect lists the key and the columns. The unary plus takes a key
// column's declared type off, by which drivers would turn texts into times
// and numbers into booleans, which do not come back as they were.
func (t *target) sqliteSelect() string {
	key := list(len(t.key), func(i int) string { return "+t." + t.key[i].expr })
	return key + ", " + list(len(t.columns), func(i int) string { return "t." + quote(t.columns[i]) })
}

func (t *target) sqliteSameKey() string {
	same := make([]string, len(t.key))
	for i, k := range t.key {
		same[i] = k.expr + " = ?"
	}
	return strings.Join(same, " AND ")
}

func (s *sqlite) again(ctx context.Context, t *target, rows []row) ([]row, error) {
	query := fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s", t.sqliteSelect(), quoteName(t.name), t.sqliteSameKey())
	var result []row
	for _, r := range rows {
		found, err := s.db.QueryContext(ctx, query, r.key...)
		if err != nil {
			return nil, err
		}
		one, err := scanRows(found, t)
		if err != nil {
			return nil, err
		}
		result = append(result, one...)
	}
	return result, nil
}

func (s *sqlite) write(ctx context.Context, t *target, changes []change) (missed []int, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	for i := range changes {
		done, err := writeSQLiteRow(ctx, tx, t, &changes[i])
		if err != nil {
			return nil, err
		}
		if !done {
			missed = append(missed, i)
		}
	}
	return missed, tx.Commit()
}

func writeSQLiteRow(ctx context.Context, tx *sql.Tx, t *target, c *change) (bool, error) {
	var sets, same []string
	var set, where []any
	for i, column := range t.columns {
		if c.fresh[i] == nil {
			continue
		}
		sets, set = append(sets, quote(column)+" = ?"), append(set, c.fresh[i])
		same, where = append(same, quote(column)+" = ?"), append(where, c.values[i])
	}
	query := fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s", quoteName(t.name),
		strings.Join(sets, ", "), strings.Join(same, " AND "), t.sqliteSameKey())
	result, err := tx.ExecContext(ctx, query, append(append(set, where...), c.key...)...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// ignoreDone is nil where the driver has ended the transaction already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// transient: SQLITE_BUSY and SQLITE_LOCKED, whose extended codes have them in
// the low byte.
func (s *sqlite) transient(err error) bool {
	var c interface{ Code() int }
	if !errors.As(err, &c) {
		return false
	}
	code := c.Code() & 0xff
	return code == 5 || code == 6
}
