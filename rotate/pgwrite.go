package rotate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
)

// pgUpdate builds the one statement that writes a page: in READ COMMITTED the server waits for whoever is
// changing a row and looks at it again afterwards, so that a row changed meanwhile is left alone.
type pgUpdate struct {
	arrays, sets, same []string
	args               []any
}

// array adds a parameter and returns the name under which the statement has its elements.
func (u *pgUpdate) array(typ string, values any) string {
	u.args = append(u.args, values)
	name := fmt.Sprintf("a%d", len(u.args))
	u.arrays = append(u.arrays, fmt.Sprintf("unnest($%d::%s) AS %s", len(u.args), typ, name))
	return "u." + name
}

func (p *postgres) write(ctx context.Context, tx transaction, t *target, changes []change) ([]int, error) {
	u := pgUpdate{args: t.pgKeyArrays(len(changes), func(i int) *row { return &changes[i].row })}
	for i, c := range t.sealed {
		u.sealed(changes, i, quote(c))
	}
	for i := range t.plain {
		if err := u.plain(t, changes, i); err != nil {
			return nil, err
		}
	}
	for i := range t.beside {
		old := make(pgtype.FlatArray[*string], len(changes))
		for r := range changes {
			old[r] = changes[r].beside[i]
		}
		u.same = append(u.same, fmt.Sprintf("%s IS NOT DISTINCT FROM %s", t.pgBeside(i), u.array("text[]", old)))
	}
	if u.sets == nil {
		return nil, nil
	}
	place := u.array("bigint[]", countTo(len(changes)))
	// Arrays are taken apart side by side in a list of columns, where the server keeps none of them a second time, as it
	// does in FROM unnest(…, …).
	query := fmt.Sprintf("UPDATE %s AS t SET %s FROM (SELECT %s, %s) AS u WHERE %s AND %s RETURNING %s",
		quoteName(t.name), strings.Join(u.sets, ", "), list(len(t.key), func(i int) string {
			return fmt.Sprintf("unnest(%s) AS %s", t.pgKeyArray(i), keyName(i))
		}), strings.Join(u.arrays, ", "), t.pgSameKey(), strings.Join(u.same, " AND "), place)
	written := make([]bool, len(changes))
	if err := pgReturned(ctx, tx, query, u.args, written); err != nil {
		return nil, err
	}
	return missing(written), nil
}

// pgReturned runs a statement that returns numbers, and marks these.
func pgReturned(ctx context.Context, tx transaction, query string, args []any, marks []bool) (err error) {
	mark := func(n int64) error {
		if n < 0 || n >= int64(len(marks)) {
			return fmt.Errorf("rowseal: internal error: the database wrote row %d of %d", n, len(marks))
		}
		marks[n] = true
		return nil
	}
	if w, ok := tx.(*pgWireTx); ok {
		return w.wire.query(ctx, query, args, func(fields [][]byte) error {
			return mark(int64(binary.BigEndian.Uint64(fields[0])))
		})
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		if err := mark(n); err != nil {
			return err
		}
	}
	return rows.Err()
}

// countTo returns the numbers below n.
func countTo(n int) pgtype.FlatArray[int64] {
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	return numbers
}

// sealed sets a sealed column where there is a fresh value, if it still holds the old one.
func (u *pgUpdate) sealed(changes []change, column int, name string) {
	old, fresh, all, nulls := columnArrays(changes, column)
	if fresh == nil {
		return
	}
	// FlatArray spares pgx a look at each element by reflection.
	o, f := u.array("bytea[]", pgtype.FlatArray[[]byte](old)), u.array("bytea[]", pgtype.FlatArray[[]byte](fresh))
	is := "="
	if nulls {
		is = "IS NOT DISTINCT FROM"
	}
	if all {
		u.sets = append(u.sets, fmt.Sprintf("%s = %s", name, f))
		u.same = append(u.same, fmt.Sprintf("t.%s %s %s", name, is, o))
		return
	}
	u.sets = append(u.sets, fmt.Sprintf("%s = coalesce(%s, t.%s)", name, f, name))
	u.same = append(u.same, fmt.Sprintf("(%s IS NULL OR t.%s %s %s)", f, name, is, o))
}

// columnArrays are a column's old and fresh values, NULL where it stays. fresh is nil where all stay; all says
// that none does, nulls that a NULL is to be replaced.
func columnArrays(changes []change, column int) (old, fresh [][]byte, all, nulls bool) {
	old, fresh, all = make([][]byte, len(changes)), make([][]byte, len(changes)), true
	some := false
	for r := range changes {
		old[r], fresh[r] = changes[r].oldFor(column), changes[r].freshFor(column)
		some = some || fresh[r] != nil
		all = all && fresh[r] != nil
		nulls = nulls || fresh[r] != nil && old[r] == nil
	}
	if !some {
		return nil, nil, false, false
	}
	return old, fresh, all, nulls
}

// plain sets a plain column as the changes say, if it still holds what was read. Values go as text
// and are assigned, so that the column's own limits hold.
func (u *pgUpdate) plain(t *target, changes []change, i int) error {
	old, set, to := make(pgtype.FlatArray[[]byte], len(changes)), make(pgtype.FlatArray[bool], len(changes)), make(pgtype.FlatArray[*string], len(changes))
	some := false
	for r := range changes {
		c := &changes[r]
		if b, ok := c.row.plain[i].(field.Binary); ok {
			old[r] = b
		}
		if c.plainTo == nil || !c.plainTo[i].set {
			continue
		}
		some, set[r] = true, true
		if c.plainTo[i].value == nil {
			continue
		}
		text, err := t.plain[i].typ.AppendText(nil, c.plainTo[i].value)
		if err != nil {
			return fmt.Errorf("%s.%s, row %s: %w", t.name, t.plain[i].name, t.rowName(c.row), err)
		}
		s := string(text)
		to[r] = &s
	}
	u.same = append(u.same, fmt.Sprintf("%s IS NOT DISTINCT FROM %s", t.pgPlain(i), u.array("bytea[]", old)))
	if some {
		name := quote(t.plain[i].name)
		u.sets = append(u.sets, fmt.Sprintf("%s = CASE WHEN %s THEN %s::%s ELSE t.%s::%s END",
			name, u.array("boolean[]", set), u.array("text[]", to), t.plainTypes[i].name, name, t.plainTypes[i].name))
	}
	return nil
}

// missing returns which are not written.
func missing(written []bool) (missed []int) {
	for i, ok := range written {
		if !ok {
			missed = append(missed, i)
		}
	}
	return missed
}
