package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// postgres walks a table of PostgreSQL. Key values travel as text, which the
// server reads and writes for every type; sealed values in binary arrays.
type postgres struct {
	db *sql.DB
}

var _ database = (*postgres)(nil)

const (
	pgKeySQL = `
SELECT a.attname, format_type(a.atttypid, -1)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1::text) AND i.indisprimary AND k.n <= i.indnkeyatts
ORDER BY k.n`

	pgColumnsSQL = `
SELECT a.attname, t.typname
FROM pg_attribute a
JOIN pg_type b ON b.oid = a.atttypid
JOIN pg_type t ON t.oid = CASE b.typtype WHEN 'd' THEN b.typbasetype ELSE b.oid END
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped`
)

func (p *postgres) describe(ctx context.Context, t *target) error {
	name := quoteName(t.name)
	var known bool
	if err := p.db.QueryRowContext(ctx, "SELECT to_regclass($1::text) IS NOT NULL", name).Scan(&known); err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w %s; check the policy's table name and the connection's search_path", ErrNoTable, t.name)
	}
	types, err := pairs(ctx, p.db, pgColumnsSQL, name)
	if err != nil {
		return err
	}
	for _, c := range t.columns {
		if typ := types.find(c); typ != "bytea" {
			return fmt.Errorf("%w: %s.%s must be a bytea column, found %q", ErrNoColumn, t.name, c, typ)
		}
	}
	key, err := pairs(ctx, p.db, pgKeySQL, name)
	if err != nil {
		return err
	}
	if len(key) == 0 {
		return fmt.Errorf("%w: %s; add a PRIMARY KEY, which rows are walked by", ErrNoPrimaryKey, t.name)
	}
	for _, k := range key {
		if strings.HasSuffix(k[1], "[]") {
			return fmt.Errorf("%w: %s; its key column %s is an array, by which rows are not walked", ErrNoPrimaryKey, t.name, k[0])
		}
		t.key = append(t.key, keyColumn{name: k[0], expr: quote(k[0]), typ: k[1]})
	}
	return nil
}

func (p *postgres) page(ctx context.Context, t *target, after []any, limit int) ([]row, error) {
	// Behind the table's name: bare, ORDER BY would sort by the key's text.
	where, order := "", list(len(t.key), func(i int) string { return "t." + t.key[i].expr })
	if after != nil {
		where = fmt.Sprintf(" WHERE (%s) > (%s)", order, list(len(t.key), func(i int) string {
			return fmt.Sprintf("$%d::text::%s", i+1, t.key[i].typ)
		}))
	}
	query := fmt.Sprintf("SELECT %s FROM %s AS t%s ORDER BY %s LIMIT %d", t.pgSelect(), quoteName(t.name), where, order, limit)
	rows, err := p.db.QueryContext(ctx, query, after...)
	if err != nil {
		return nil, err
	}
	return scanText(rows, t)
}

// scanText reads rows whose keys were selected as text, which some drivers
// give as bytes.
func scanText(rows *sql.Rows, t *target) ([]row, error) {
	result, err := scanRows(rows, t)
	for _, r := range result {
		for i, v := range r.key {
			if b, ok := v.([]byte); ok {
				r.key[i] = string(b)
			}
		}
	}
	return result, err
}

// pgSelect lists the key as text, and the columns.
func (t *target) pgSelect() string {
	key := list(len(t.key), func(i int) string { return "t." + t.key[i].expr + "::text" })
	return key + ", " + list(len(t.columns), func(i int) string { return "t." + quote(t.columns[i]) })
}

func (p *postgres) again(ctx context.Context, t *target, rows []row) ([]row, error) {
	query := fmt.Sprintf("SELECT %s FROM %s AS t JOIN unnest(%s) AS u(%s) ON %s", t.pgSelect(), quoteName(t.name),
		t.pgKeyArrays(), list(len(t.key), keyName), t.pgSameKey())
	result, err := p.db.QueryContext(ctx, query, keyArrays(t, rows)...)
	if err != nil {
		return nil, err
	}
	return scanText(result, t)
}

func keyName(i int) string { return fmt.Sprintf("k%d", i) }

func (t *target) pgKeyArrays() string {
	return list(len(t.key), func(i int) string { return fmt.Sprintf("$%d::text[]::%s[]", i+1, t.key[i].typ) })
}

func (t *target) pgSameKey() string {
	same := make([]string, len(t.key))
	for i, k := range t.key {
		same[i] = fmt.Sprintf("t.%s = u.%s", k.expr, keyName(i))
	}
	return strings.Join(same, " AND ")
}

// keyArrays has one array of texts for each key column.
func keyArrays(t *target, rows []row) []any {
	args := make([]any, len(t.key))
	for i := range t.key {
		texts := make([]string, len(rows))
		for n := range rows {
			texts[n] = fmt.Sprint(rows[n].key[i])
		}
		args[i] = texts
	}
	return args
}

// write is one statement: in READ COMMITTED the server waits for whoever is
// changing a row and looks at the old bytes again afterwards, so that a row
// changed meanwhile is left alone.
func (p *postgres) write(ctx context.Context, t *target, changes []change) ([]int, error) {
	n := len(t.key)
	var names, arrays, sets, same []string
	args := keyArrays(t, rowsOf(changes))
	for i, c := range t.columns {
		column := quote(c)
		names = append(names, fmt.Sprintf("old%d, new%d", i, i))
		arrays = append(arrays, fmt.Sprintf("$%d::bytea[], $%d::bytea[]", n+2*i+1, n+2*i+2))
		sets = append(sets, fmt.Sprintf("%s = coalesce(u.new%d, t.%s)", column, i, column))
		same = append(same, fmt.Sprintf("(u.new%d IS NULL OR t.%s = u.old%d)", i, column, i))
		old, fresh := columnArrays(changes, i)
		args = append(args, old, fresh)
	}
	query := fmt.Sprintf("UPDATE %s AS t SET %s FROM unnest(%s, %s) WITH ORDINALITY AS u(%s, %s, place) WHERE %s AND %s RETURNING u.place - 1",
		quoteName(t.name), strings.Join(sets, ", "), t.pgKeyArrays(), strings.Join(arrays, ", "),
		list(n, keyName), strings.Join(names, ", "), t.pgSameKey(), strings.Join(same, " AND "))
	rows, err := p.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return missing(rows, len(changes))
}

// columnArrays are a column's old and fresh values, NULL where it stays.
func columnArrays(changes []change, column int) (old, fresh [][]byte) {
	old, fresh = make([][]byte, len(changes)), make([][]byte, len(changes))
	for r := range changes {
		old[r], fresh[r] = changes[r].oldFor(column), changes[r].fresh[column]
	}
	return old, fresh
}

// oldFor is what the row must still hold for fresh[i] to be written.
func (c *change) oldFor(i int) []byte {
	if c.fresh[i] == nil {
		return nil
	}
	return c.values[i]
}

func rowsOf(changes []change) []row {
	rows := make([]row, len(changes))
	for i := range changes {
		rows[i] = changes[i].row
	}
	return rows
}

// missing returns which of 0 to n-1 rows does not list.
func missing(rows *sql.Rows, n int) (missed []int, err error) {
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	written := make([]bool, n)
	for rows.Next() {
		var place int
		if err := rows.Scan(&place); err != nil {
			return nil, err
		}
		written[place] = true
	}
	for i, ok := range written {
		if !ok {
			missed = append(missed, i)
		}
	}
	return missed, rows.Err()
}

// transient: deadlock_detected, serialization_failure, lock_not_available.
func (p *postgres) transient(err error) bool {
	var s interface{ SQLState() string }
	if !errors.As(err, &s) {
		return false
	}
	switch s.SQLState() {
	case "40P01", "40001", "55P03":
		return true
	}
	return false
}

// textPairs are the rows of a two-column query.
type textPairs [][2]string

func (p textPairs) find(name string) string {
	for _, pair := range p {
		if pair[0] == name {
			return pair[1]
		}
	}
	return ""
}

func pairs(ctx context.Context, db *sql.DB, query string, args ...any) (result textPairs, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		result = append(result, p)
	}
	return result, rows.Err()
}
