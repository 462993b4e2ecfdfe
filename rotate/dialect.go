package rotate

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Dialect is the SQL that a database speaks.
type Dialect int

// The dialects.
const (
	// PostgreSQL, by pgx's database/sql driver, which takes Go slices as arrays.
	PostgreSQL Dialect = iota + 1
	// SQLite, by any database/sql driver.
	SQLite
	// MySQL is MySQL 8 or MariaDB 10.11, by go-sql-driver.
	MySQL
)

// String returns the database's name.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case SQLite:
		return "SQLite"
	case MySQL:
		return "MySQL"
	}
	return fmt.Sprintf("unknown dialect %d", int(d))
}

// querier is a pool, a connection or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// beginner is a pool or a connection.
type beginner interface {
	querier
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// transaction is a page's.
type transaction interface {
	querier
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	Commit() error
	Rollback() error
}

// database is what a walk over a table's rows asks of a dialect.
type database interface {
	// describe finds the columns that t's rows are told apart by. It returns
	// ErrNoTable, ErrNoColumn or ErrNoPrimaryKey.
	describe(ctx context.Context, q querier, t *target) error
	// count says how many rows there are, exactly or about.
	count(ctx context.Context, q querier, t *target) (int64, error)
	// sample returns up to n-1 keys, in order, that part the table in n ranges of about one size.
	sample(ctx context.Context, q querier, t *target, total int64, n int) ([][]any, error)
	// page returns up to limit rows of r, in the key's order.
	page(ctx context.Context, b beginner, t *target, r keys, limit int) ([]row, error)
	// begin opens a page's transaction.
	begin(ctx context.Context, b beginner, t *target) (transaction, error)
	// again reads rows once more and locks them; those that are gone are left out.
	again(ctx context.Context, tx transaction, t *target, rows []row) ([]row, error)
	// write makes the changes whose rows are still as they were, and returns the
	// places of the others.
	write(ctx context.Context, tx transaction, t *target, changes []change) (missed []int, err error)
	// mark stands for the transactions that are open now; errHidden where the account may not see them.
	mark(ctx context.Context, q querier) (string, error)
	// openSince names those of a mark that are open still.
	openSince(ctx context.Context, db *sql.DB, mark string) ([]string, error)
	// countBytes counts the rows in which bytes stand in any column of bytes.
	countBytes(ctx context.Context, q querier, table string, bytes []byte) (int64, error)
	// fault says what an error of the driver's means for the walk.
	fault(err error) fault
}

// fault is what an error means for a walk.
type fault int

const (
	// fatal errors end the walk.
	fatal fault = iota
	// contended: the transaction met others' and was rolled back; it is tried again at once.
	contended
	// away: the server is gone, starting, full; waiting may help.
	away
)

func (d Dialect) open() (database, error) {
	switch d {
	case PostgreSQL:
		return &postgres{}, nil
	case SQLite:
		return &sqlite{&sqliteSQL}, nil
	case MySQL:
		return &mysql{&mysqlSQL}, nil
	}
	return nil, fmt.Errorf("rotate: %v; use PostgreSQL, SQLite or MySQL", d)
}

// target is a table and what is read of it.
type target struct {
	name string // as the policy has it, with or without schema
	reads
	skipTriggers bool
	key          []keyColumn
	places       bool // key is where rows lie, which changes when they are written

	// What describe finds of the columns, in their order in reads.
	besideTypes []string // SQL types
	plainTypes  []plainType
	tenantType  string
	settings    bool // texts of the key or of beside columns vary with the session's settings
}

// plainType is how PostgreSQL reads and writes a type's values.
type plainType struct {
	send string // function that gives a value's binary form
	name string // without modifiers
}

// keyColumn is a column of the key that the walk follows.
type keyColumn struct {
	name string
	expr string // how statements refer to it
	typ  string // its SQL type; PostgreSQL and MySQL
	bits bool   // PostgreSQL: an integer, which travels as such
}

// keys are a range of keys: above after and up to upTo. nil is open.
type keys struct{ after, upTo []any }

// row is a row as it was read. values are in the order of reads.sealed, nil
// for NULL.
type row struct {
	key    []any
	values [][]byte
	// plain are the values of plain columns, each as Cipher.SealRows takes it: on PostgreSQL a
	// field.Binary, elsewhere what the driver gives; nil for NULL.
	plain []any
	// beside are the columns that are only read, as text; nil for NULL.
	beside []*string
}

// change is a row with its new values; fresh[i] is nil where values[i] stays.
// A row is written only if all that was read and is to be replaced, and the plain values that fresh
// ones were made of, are still as they were.
type change struct {
	row
	fresh [][]byte
	// plainTo is what becomes of the plain values: nil for all stay.
	plainTo []plainEdit
}

// plainEdit is what becomes of a value in clear.
type plainEdit struct {
	set   bool   // else it stays
	value []byte // the PostgreSQL binary form of the column's type; nil is NULL
}

// oldFor is what the row must still hold for fresh[i] to be written.
func (c *change) oldFor(i int) []byte {
	if c.fresh == nil || c.fresh[i] == nil {
		return nil
	}
	return c.values[i]
}

func (c *change) freshFor(i int) []byte {
	if c.fresh == nil {
		return nil
	}
	return c.fresh[i]
}

// name says which row it is.
func (t *target) rowName(r row) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		v := r.key[i]
		switch typed := v.(type) {
		case []byte:
			v = fmt.Sprintf("%x", typed)
		case string:
			v = printable(typed)
		}
		parts[i] = fmt.Sprintf("%s=%v", printable(k.name), v)
	}
	return strings.Join(parts, ", ")
}

// printable is a name or key as it may stand in a line of output: with quotes and escapes where it has characters that end lines,
// command terminals or cannot be seen, or would be read as another part of the line.
func printable(s string) string {
	if quoted := strconv.Quote(s); quoted != `"`+s+`"` || strings.ContainsAny(s, ",=") {
		return quoted
	}
	return s
}

// writtenKey returns the name of a key column that is written too, if any.
// Such a row would change its identity.
func (t *target) writtenKey() (string, bool) {
	for _, k := range t.key {
		for _, c := range t.sealed {
			if k.name == c {
				return c, true
			}
		}
		for _, c := range t.plain {
			if t.writes && k.name == c.name {
				return c.name, true
			}
		}
	}
	return "", false
}

// quoteName quotes a table's name, each part by itself.
func quoteName(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = quote(p)
	}
	return strings.Join(parts, ".")
}

func quote(identifier string) string {
	return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"`
}

// list joins f(i) for i < n with commas.
func list(n int, f func(int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = f(i)
	}
	return strings.Join(parts, ", ")
}

// scanRows reads rows of t: the key, the sealed columns, the plain ones, those beside.
func scanRows(rows *sql.Rows, t *target) (result []row, err error) {
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	into := make([]any, 0, len(t.key)+len(t.sealed)+len(t.plain)+len(t.beside))
	for rows.Next() {
		r := row{key: make([]any, len(t.key)), values: make([][]byte, len(t.sealed))}
		into = into[:0]
		for i := range r.key {
			into = append(into, &r.key[i])
		}
		for i := range r.values {
			into = append(into, &r.values[i])
		}
		if len(t.plain) > 0 {
			r.plain = make([]any, len(t.plain))
			for i := range r.plain {
				into = append(into, &r.plain[i])
			}
		}
		if len(t.beside) > 0 {
			r.beside = make([]*string, len(t.beside))
			for i := range r.beside {
				into = append(into, &r.beside[i])
			}
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		result = append(result, r)
	}
	return result, rows.Err()
}
