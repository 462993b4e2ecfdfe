package rotate

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// plainSQL is what walks have in common on databases whose parameters are question marks and whose rows are
// written one by one, and the SQL in which they differ.
type plainSQL struct {
	quote  func(name string) string
	key    func(k keyColumn) string      // a column of the key, as it is read
	read   func(expr, typ string) string // a plain value, as it is read
	text   func(expr string) string      // a value as text
	equal  func(expr, typ string) string // the same as a parameter, byte by byte, or both NULL
	value  func(k keyColumn) string      // a parameter for a column of the key
	lock   string                        // at the end of a SELECT
	native func(t *target, r *row)       // makes a row's values those that parameters take
}

// plainType is the type of a plain column; "" where the database's types are not asked for.
func (t *target) plainType(i int) string {
	if t.plainTypes == nil {
		return ""
	}
	return t.plainTypes[i].name
}

// names are the columns that are read, the tenant's among them.
func (t *target) names() []string {
	names := append([]string(nil), t.sealed...)
	for _, c := range t.plain {
		names = append(names, c.name)
	}
	names = append(names, t.beside...)
	if t.tenant.column != "" {
		names = append(names, t.tenant.column)
	}
	return names
}

func (p *plainSQL) table(t *target) string {
	parts := strings.Split(t.name, ".")
	for i := range parts {
		parts[i] = p.quote(parts[i])
	}
	return strings.Join(parts, ".")
}

// selects lists the key and the columns.
func (p *plainSQL) selects(t *target) string {
	var parts []string
	for _, k := range t.key {
		parts = append(parts, p.key(k))
	}
	for _, c := range t.sealed {
		parts = append(parts, "t."+p.quote(c))
	}
	for i, c := range t.plain {
		parts = append(parts, p.read("t."+p.quote(c.name), t.plainType(i)))
	}
	for _, c := range t.beside {
		parts = append(parts, p.text("t."+p.quote(c)))
	}
	return strings.Join(parts, ", ")
}

// beyond compares keys column by column, written out: not every database finds its way in the index by
// a comparison of row values.
func (p *plainSQL) beyond(t *target, sign, last string, key []any) (string, []any) {
	var either []string
	var args []any
	for i := range t.key {
		var all []string
		for j := range i {
			all = append(all, fmt.Sprintf("t.%s = %s", t.key[j].expr, p.value(t.key[j])))
			args = append(args, key[j])
		}
		s := sign
		if i == len(t.key)-1 {
			s = last
		}
		all = append(all, fmt.Sprintf("t.%s %s %s", t.key[i].expr, s, p.value(t.key[i])))
		args = append(args, key[i])
		either = append(either, strings.Join(all, " AND "))
	}
	return "(" + strings.Join(either, " OR ") + ")", args
}

func (p *plainSQL) count(ctx context.Context, q querier, t *target) (n int64, err error) {
	return n, q.QueryRowContext(ctx, "SELECT count(*) FROM "+p.table(t)).Scan(&n)
}

func (p *plainSQL) page(ctx context.Context, b beginner, t *target, r keys, limit int) ([]row, error) {
	where := []string{"1 = 1"}
	var args []any
	add := func(condition string, more []any) {
		where, args = append(where, condition), append(args, more...)
	}
	if r.after != nil {
		add(p.beyond(t, ">", ">", r.after))
	}
	if r.upTo != nil {
		add(p.beyond(t, "<", "<=", r.upTo))
	}
	if t.tenant.column != "" {
		add("t."+p.quote(t.tenant.column)+" = ?", []any{t.tenant.value})
	}
	query := fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s ORDER BY %s LIMIT %d", p.selects(t), p.table(t), strings.Join(where, " AND "),
		list(len(t.key), func(i int) string { return "t." + t.key[i].expr }), limit)
	return p.rows(ctx, b, t, query, args)
}

func (p *plainSQL) rows(ctx context.Context, q querier, t *target, query string, args []any) ([]row, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	result, err := scanRows(rows, t)
	for i := range result {
		p.native(t, &result[i])
	}
	return result, err
}

func (p *plainSQL) sameKey(t *target) string {
	same := make([]string, len(t.key))
	for i, k := range t.key {
		same[i] = k.expr + " = " + p.value(k)
	}
	return strings.Join(same, " AND ")
}

func (p *plainSQL) again(ctx context.Context, tx transaction, t *target, rows []row) ([]row, error) {
	where, more := p.sameKey(t), []any(nil)
	if t.tenant.column != "" {
		where, more = where+" AND t."+p.quote(t.tenant.column)+" = ?", []any{t.tenant.value}
	}
	query := fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s%s", p.selects(t), p.table(t), where, p.lock)
	var result []row
	for _, r := range rows {
		one, err := p.rows(ctx, tx, t, query, append(append([]any(nil), r.key...), more...))
		if err != nil {
			return nil, err
		}
		result = append(result, one...)
	}
	return result, nil
}

// write writes row by row, with one statement for all that change the same columns.
func (p *plainSQL) write(ctx context.Context, tx transaction, t *target, changes []change) (missed []int, err error) {
	statements := map[string]*sql.Stmt{}
	for i := range changes {
		query, args, err := p.update(t, &changes[i])
		if err != nil {
			return nil, err
		}
		if query == "" {
			continue
		}
		statement := statements[query]
		if statement == nil {
			if statement, err = tx.PrepareContext(ctx, query); err != nil {
				return nil, err
			}
			statements[query] = statement // closed with the transaction
		}
		result, err := statement.ExecContext(ctx, args...)
		if err != nil {
			return nil, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			missed = append(missed, i)
		}
	}
	return missed, nil
}

// update is the statement for a row, and its arguments; "" where nothing changes.
func (p *plainSQL) update(t *target, c *change) (string, []any, error) {
	var sets, same []string
	var set, where []any
	for i, column := range t.sealed {
		if fresh := c.freshFor(i); fresh != nil {
			sets, set = append(sets, p.quote(column)+" = ?"), append(set, fresh)
			same, where = append(same, p.equal(p.quote(column), "blob")), append(where, orNil(c.values[i]))
		}
	}
	for i, column := range t.plain {
		same, where = append(same, p.equal(p.quote(column.name), t.plainType(i))), append(where, c.row.plain[i])
		if c.plainTo == nil || !c.plainTo[i].set {
			continue
		}
		var to any
		if b := c.plainTo[i].value; b != nil {
			var err error
			if to, err = column.typ.Natural(b); err != nil {
				return "", nil, fmt.Errorf("%s.%s, row %s: %w", t.name, column.name, t.rowName(c.row), err)
			}
		}
		sets, set = append(sets, p.quote(column.name)+" = ?"), append(set, to)
	}
	if sets == nil {
		return "", nil, nil
	}
	for i, column := range t.beside {
		same, where = append(same, p.equal(p.text(p.quote(column)), "text")), append(where, c.beside[i])
	}
	query := fmt.Sprintf("UPDATE %s SET %s WHERE %s AND %s", p.table(t), strings.Join(sets, ", "), strings.Join(same, " AND "), p.sameKey(t))
	return query, append(append(set, where...), c.key...), nil
}

// orNil keeps a nil slice from becoming an empty value.
func orNil(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
