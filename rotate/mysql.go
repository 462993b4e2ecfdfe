package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"
)

// mysql walks a table of MySQL or MariaDB.
type mysql struct{ *plainSQL }

var _ database = (*mysql)(nil)

func mysqlQuote(identifier string) string {
	return "`" + strings.ReplaceAll(identifier, "`", "``") + "`"
}

// The kinds of types that are read and compared alike.
var (
	mysqlIntegers = []string{"tinyint", "smallint", "mediumint", "int", "bigint", "year"}
	mysqlNumbered = []string{"enum", "set", "bit"} // sorted by a number
	mysqlTexts    = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
	mysqlBytes    = []string{"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
	mysqlTimes    = map[string]string{"date": "DATE", "datetime": "DATETIME(6)", "time": "TIME(6)"}
)

var mysqlSQL = plainSQL{
	quote: mysqlQuote,
	key:   mysqlKey,
	read:  func(expr, _ string) string { return expr },
	text:  func(expr string) string { return "CAST(" + expr + " AS CHAR)" },
	// A column's collation may take 'a' for 'A', under which a change would be overwritten.
	equal: func(expr, typ string) string {
		if slices.Contains(mysqlBytes, typ) || slices.Contains(mysqlIntegers, typ) || mysqlTimes[typ] != "" || typ == "timestamp" {
			return expr + " <=> ?"
		}
		return "CAST(CONVERT(" + expr + " USING utf8mb4) AS BINARY) <=> CAST(? AS BINARY)"
	},
	value: func(k keyColumn) string {
		name, _, _ := strings.Cut(k.typ, "(")
		if as := mysqlTimes[name]; as != "" {
			return "CAST(? AS " + as + ")"
		}
		if name == "decimal" { // a text would be compared as a float
			return "CAST(? AS " + strings.TrimSuffix(strings.TrimSuffix(k.typ, " zerofill"), " unsigned") + ")"
		}
		return "?"
	},
	lock:   " FOR UPDATE",
	native: mysqlNative,
}

// mysqlKey is how a column of the key is read.
func mysqlKey(k keyColumn) string {
	name, _, _ := strings.Cut(k.typ, "(")
	name, _, _ = strings.Cut(name, " ")
	switch {
	case slices.Contains(mysqlNumbered, name):
		return "CAST(t." + k.expr + " AS UNSIGNED)"
	case slices.Contains(mysqlIntegers, name), slices.Contains(mysqlBytes, name), slices.Contains(mysqlTexts, name), name == "double":
		return "t." + k.expr
	}
	return "CAST(t." + k.expr + " AS CHAR)"
}

// mysqlNative makes texts of bytes, but for columns of bytes: to compare a text with bytes would leave its
// collation, by which the key is sorted, aside.
func mysqlNative(t *target, r *row) {
	for i, k := range t.key {
		name, _, _ := strings.Cut(k.typ, "(")
		if b, ok := r.key[i].([]byte); ok && !slices.Contains(mysqlBytes, name) {
			r.key[i] = string(b)
		}
	}
	for i := range r.plain {
		if b, ok := r.plain[i].([]byte); ok && !slices.Contains(mysqlBytes, t.plainTypes[i].name) {
			r.plain[i] = string(b)
		}
		// A boolean is a tinyint here. Other numbers than these two are none, and are refused as such.
		if n, ok := r.plain[i].(int64); ok && t.plain[i].typ.OID() == boolOID && (n == 0 || n == 1) {
			r.plain[i] = n == 1
		}
	}
}

// boolOID is PostgreSQL's number of the type boolean.
const boolOID = 16

func mysqlName(table string) (schema any, name string) {
	if before, after, ok := strings.Cut(table, "."); ok {
		return before, after
	}
	return nil, table
}

func (m *mysql) describe(ctx context.Context, q querier, t *target) error {
	schema, name := mysqlName(t.name)
	types, err := texts(ctx, q, `SELECT column_name, data_type, column_type, is_nullable FROM information_schema.columns
		WHERE table_schema = coalesce(?, DATABASE()) AND table_name = ?`, schema, name)
	if err != nil {
		return err
	}
	if len(types) == 0 {
		return fmt.Errorf("%w %s; check the policy's table name and the connection's database", ErrNoTable, t.name)
	}
	for _, c := range t.names() {
		if find(types, c) == nil {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c)
		}
	}
	for _, c := range t.sealed {
		if typ := find(types, c); !slices.Contains(mysqlBytes, typ[1]) {
			return fmt.Errorf("%w: %s.%s must be a column of bytes, such as mediumblob, found %q", ErrNoColumn, t.name, c, typ[2])
		}
	}
	t.plainTypes = nil
	for _, c := range t.plain {
		t.plainTypes = append(t.plainTypes, plainType{name: find(types, c.name)[1]})
	}
	return m.describeKey(ctx, q, t, types)
}

func (m *mysql) describeKey(ctx context.Context, q querier, t *target, types [][]string) error {
	schema, name := mysqlName(t.name)
	key, err := texts(ctx, q, `SELECT column_name FROM information_schema.statistics
		WHERE table_schema = coalesce(?, DATABASE()) AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index`, schema, name)
	if err != nil {
		return err
	}
	if len(key) == 0 {
		return fmt.Errorf("%w: %s; add a PRIMARY KEY, which rows are walked by", ErrNoPrimaryKey, t.name)
	}
	t.key = nil
	for _, k := range key {
		typ := find(types, k[0])
		if typ == nil || typ[1] == "float" || typ[1] == "timestamp" { // not equal to what is read of it; shifted by the session's time zone
			return fmt.Errorf("%w: %s; rows are not walked by its key column %s", ErrNoPrimaryKey, t.name, k[0])
		}
		t.key = append(t.key, keyColumn{name: k[0], expr: mysqlQuote(k[0]), typ: typ[2]})
	}
	return nil
}

// sample reads the key's index from end to end: there are no cheaper quantiles.
func (m *mysql) sample(ctx context.Context, q querier, t *target, total int64, n int) ([][]any, error) {
	names := list(len(t.key), func(i int) string { return "t." + t.key[i].expr })
	keys := list(len(t.key), func(i int) string { return mysqlKey(t.key[i]) })
	query := fmt.Sprintf("SELECT %s FROM (SELECT %s, row_number() OVER (ORDER BY %s) AS rowseal_place FROM %s AS t) AS t WHERE rowseal_place %% %d = 0 ORDER BY rowseal_place",
		keys, names, names, m.table(t), max(1, total/int64(n)))
	rows, err := m.rows(ctx, q, &target{key: t.key}, query, nil)
	bounds := make([][]any, 0, len(rows))
	for _, r := range rows {
		if len(bounds) < n-1 {
			bounds = append(bounds, r.key)
		}
	}
	return bounds, err
}

// begin asks for READ COMMITTED: in the default level a row that is read again would be the old one, and locks
// would lie on the gaps between rows.
func (m *mysql) begin(ctx context.Context, b beginner, _ *target) (transaction, error) {
	return b.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
}

// fault knows deadlocks, locks that were waited for in vain and MariaDB's snapshot conflicts; and servers that are
// full, stop, were made replicas, or are gone.
func (m *mysql) fault(err error) fault {
	if errors.Is(err, driver.ErrInvalidConn) {
		return away
	}
	var failure *driver.MySQLError
	if !errors.As(err, &failure) {
		return networkFault(err)
	}
	switch failure.Number {
	case 1213, 1205, 1020:
		return contended
	case 1040, 1203, 1053, 1021, 1114, 1290, 1836, 1927, 1152, 1184:
		return away
	}
	return fatal
}
