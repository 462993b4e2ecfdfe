package rotate

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
)

// pgUpdate builds the one statement that writes a page: in READ COMMITTED the server waits for whoever is
// changing a row and looks at it again afterwards, so that a row changed meanwhile is left alone.
type pgUpdate struct {
	arrays, names, sets, same []string
	args                      []any
}

// array adds a parameter and the name under which the statement has its elements.
func (u *pgUpdate) array(typ string, values any) string {
	u.args = append(u.args, values)
	name := fmt.Sprintf("a%d", len(u.args))
	u.arrays, u.names = append(u.arrays, fmt.Sprintf("$%d::%s", len(u.args), typ)), append(u.names, name)
	return "u." + name
}

func (p *postgres) write(ctx context.Context, tx *sql.Tx, t *target, changes []change) ([]int, error) {
	u := pgUpdate{args: t.pgKeyArrays(rowsOf(changes))}
	for i, c := range t.sealed {
		u.sealed(changes, i, quote(c))
	}
	for i := range t.plain {
		if err := u.plain(t, changes, i); err != nil {
			return nil, err
		}
	}
	for i := range t.beside {
		old := make([]*string, len(changes))
		for r := range changes {
			old[r] = changes[r].beside[i]
		}
		u.same = append(u.same, fmt.Sprintf("%s IS NOT DISTINCT FROM %s", t.pgBeside(i), u.array("text[]", old)))
	}
	if u.sets == nil {
		return nil, nil
	}
	// Where all were written, which is nearly always, their count is all that comes back.
	query := fmt.Sprintf(`WITH w AS (UPDATE %s AS t SET %s FROM unnest(%s, %s) WITH ORDINALITY AS u(%s, %s, place) WHERE %s AND %s RETURNING u.place - 1 AS p)
SELECT count(*), CASE WHEN count(*) < $%d::bigint THEN string_agg(p::text, ',') END FROM w`,
		quoteName(t.name), strings.Join(u.sets, ", "), t.pgKeyUnnest(), strings.Join(u.arrays, ", "),
		list(len(t.key), keyName), strings.Join(u.names, ", "), t.pgSameKey(), strings.Join(u.same, " AND "), len(u.args)+1)
	var n int
	var places sql.NullString
	if err := tx.QueryRowContext(ctx, query, append(u.args, len(changes))...).Scan(&n, &places); err != nil {
		return nil, err
	}
	if n == len(changes) {
		return nil, nil
	}
	return missing(places.String, len(changes))
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
	old, set, to := make([][]byte, len(changes)), make([]bool, len(changes)), make([]*string, len(changes))
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

func rowsOf(changes []change) []row {
	rows := make([]row, len(changes))
	for i := range changes {
		rows[i] = changes[i].row
	}
	return rows
}

// missing returns which of 0 to n-1 places does not list.
func missing(places string, n int) (missed []int, err error) {
	written := make([]bool, n)
	for text := range strings.SplitSeq(places, ",") {
		if text == "" { // none was written
			continue
		}
		at, err := strconv.Atoi(text)
		if err != nil || at < 0 || at >= n {
			return nil, fmt.Errorf("rowseal: internal error: the database wrote row %q of %d", text, n)
		}
		written[at] = true
	}
	for i, ok := range written {
		if !ok {
			missed = append(missed, i)
		}
	}
	return missed, nil
}
