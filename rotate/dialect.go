package rotate

import (
	"context"
	"database/sql"
	"fmt"
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
)

// String returns the database's name.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case SQLite:
		return "SQLite"
	}
	return fmt.Sprintf("unknown dialect %d", int(d))
}

// database is what a walk over a table's rows asks of a dialect.
type database interface {
	// describe finds the columns that t's rows are told apart by. It returns
	// ErrNoTable, ErrNoColumn or ErrNoPrimaryKey.
	describe(ctx context.Context, t *target) error
	// page returns up to limit rows with a key above after (from the start
	// where it is nil), in the key's order.
	page(ctx context.Context, t *target, after []any, limit int) ([]row, error)
	// again reads rows once more; those that are gone are left out.
	again(ctx context.Context, t *target, rows []row) ([]row, error)
	// write sets the fresh values of the changes whose rows still hold the
	// old ones, all or none, and returns the places of the others.
	write(ctx context.Context, t *target, changes []change) (missed []int, err error)
	// transient reports whether a write that failed with err is worth
	// another try: a deadlock, a lock that was not had.
	transient(err error) bool
}

func (d Dialect) open(db *sql.DB) (database, error) {
	switch d {
	case PostgreSQL:
		return &postgres{db: db}, nil
	case SQLite:
		return &sqlite{db: db}, nil
	}
	return nil, fmt.Errorf("rotate: %v; use PostgreSQL or SQLite", d)
}

// target is a table and the columns of it that are rewrapped.
type target struct {
	name    string   // as the policy has it, with or without schema
	columns []string // whose values are rewrapped
	key     []keyColumn
}

// keyColumn is a column of the key that the walk follows.
type keyColumn struct {
	name string
	expr string // how statements refer to it
	typ  string // its SQL type; PostgreSQL only
}

// row is a row as it was read. values are in the order of target.columns, nil
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

// name says which row it is.
func (t *target) rowName(r row) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		v := r.key[i]
		if b, ok := v.([]byte); ok {
			v = fmt.Sprintf("%x", b)
		}
		parts[i] = fmt.Sprintf("%s=%v", k.name, v)
	}
	return strings.Join(parts, ", ")
}

// sealedKey returns the name of a key column that is rewrapped too, if any.
// Such a row would change its identity.
func (t *target) sealedKey() (string, bool) {
	for _, k := range t.key {
		for _, c := range t.columns {
			if k.name == c {
				return c, true
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

// scanRows reads rows of t: the key, then the columns.
func scanRows(rows *sql.Rows, t *target) (result []row, err error) {
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	for rows.Next() {
		r := row{key: make([]any, len(t.key)), values: make([][]byte, len(t.columns))}
		into := make([]any, 0, len(t.key)+len(t.columns))
		for i := range r.key {
			into = append(into, &r.key[i])
		}
		for i := range r.values {
			into = append(into, &r.values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		result = append(result, r)
	}
	return result, rows.Err()
}
