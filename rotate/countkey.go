package rotate

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// CountKey counts, by table, the rows of tables in which the id of a key of the store stands, in any column of bytes, whether
// the policy names it or not. All tables are read in one snapshot, so that no row can move past it, as one can past the pages
// of a verify where its primary key is changed meanwhile. It is the last look before a key is destroyed: nothing was
// found under it by a verify that began after the last writer let go of it.
//
// An id is 8 random bytes, so that one which stands there by chance is nothing to expect; it would only keep a key alive. The cost is one
// sequential scan of each table. The errors are the database's, ErrNoTable and ErrRowSecurity.
func CountKey(ctx context.Context, db *sql.DB, dialect Dialect, tables []*field.Table, key envelope.KeyID) (found map[string]int64, err error) {
	d, err := dialect.open()
	if err != nil {
		return nil, err
	}
	opt := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	if dialect == SQLite { // whose transactions see one snapshot in any case, and whose drivers know no levels
		opt = nil
	}
	tx, err := db.BeginTx(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	if dialect == PostgreSQL {
		if _, err := tx.ExecContext(ctx, pgAllRows); err != nil {
			return nil, err
		}
	}
	found = map[string]int64{}
	for _, t := range tables {
		n, err := d.countBytes(ctx, tx, t.Name(), key[:])
		if err != nil {
			return nil, fmt.Errorf("rotate: looking for key %v in table %s: %w", key, t.Name(), rowSecurity(err))
		}
		found[t.Name()] = n
	}
	return found, nil
}

// countWhere counts the rows in which any column, as a condition writes it, holds the bytes; none where there is no column.
func countWhere(ctx context.Context, q querier, table string, columns []string, condition func(column string) string) (n int64, err error) {
	if len(columns) == 0 {
		return 0, nil
	}
	either := make([]string, len(columns))
	for i, c := range columns {
		either[i] = condition(c)
	}
	return n, q.QueryRowContext(ctx, "SELECT count(*) FROM "+table+" WHERE "+strings.Join(either, " OR ")).Scan(&n)
}

func (p *postgres) countBytes(ctx context.Context, q querier, table string, bytes []byte) (int64, error) {
	types, err := texts(ctx, q, pgColumnsSQL, quoteName(table))
	if err != nil {
		return 0, err
	}
	if len(types) == 0 {
		return 0, fmt.Errorf("%w %s; check the policy's table name and the connection's search_path", ErrNoTable, table)
	}
	var columns []string
	for _, typ := range types {
		if typ[1] == "bytea" {
			columns = append(columns, quote(typ[0]))
		}
	}
	return countWhere(ctx, q, quoteName(table), columns, func(c string) string {
		return fmt.Sprintf(`position('\x%x'::bytea in %s::bytea) > 0`, bytes, c)
	})
}

func (s *sqlite) countBytes(ctx context.Context, q querier, table string, bytes []byte) (int64, error) {
	all, err := s.columns(ctx, q, table)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("%w %s; check the policy's table name and the database file", ErrNoTable, table)
	}
	var columns []string
	for _, c := range all {
		columns = append(columns, quote(c.name))
	}
	return countWhere(ctx, q, quoteName(table), columns, func(c string) string {
		return fmt.Sprintf("(typeof(%s) = 'blob' AND instr(%s, x'%s') > 0)", c, c, hex.EncodeToString(bytes))
	})
}

func (m *mysql) countBytes(ctx context.Context, q querier, table string, bytes []byte) (int64, error) {
	schema, name := mysqlName(table)
	types, err := texts(ctx, q, `SELECT column_name, data_type FROM information_schema.columns
		WHERE table_schema = coalesce(?, DATABASE()) AND table_name = ?`, schema, name)
	if err != nil {
		return 0, err
	}
	if len(types) == 0 {
		return 0, fmt.Errorf("%w %s; check the policy's table name and the connection's database", ErrNoTable, table)
	}
	var columns []string
	for _, typ := range types {
		if slices.Contains(mysqlBytes, typ[1]) {
			columns = append(columns, mysqlQuote(typ[0]))
		}
	}
	return countWhere(ctx, q, m.table(&target{name: table}), columns, func(c string) string {
		return fmt.Sprintf("LOCATE(x'%s', %s) > 0", hex.EncodeToString(bytes), c)
	})
}
