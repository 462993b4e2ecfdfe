package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
)

// pgKey is how a column of the key is read.
func (t *target) pgKey(i int) string {
	if t.key[i].bits {
		return "t." + t.key[i].expr + "::bigint"
	}
	return "t." + t.key[i].expr + "::text"
}

// pgOrder names the key's columns behind the table's name: bare, ORDER BY would sort by the key's text.
func (t *target) pgOrder() string {
	return list(len(t.key), func(i int) string { return "t." + t.key[i].expr })
}

// pgParameter is a parameter for a column of the key.
func (t *target) pgParameter(i, n int) string {
	if t.key[i].bits {
		return fmt.Sprintf("$%d::bigint", n)
	}
	return fmt.Sprintf("$%d::text::%s", n, t.key[i].typ)
}

// pgPlain is the binary form of a plain column's value.
func (t *target) pgPlain(i int) string {
	return fmt.Sprintf("%s(t.%s::%s)", t.plainTypes[i].send, quote(t.plain[i].name), t.plainTypes[i].name)
}

func (t *target) pgBeside(i int) string { return "t." + quote(t.beside[i]) + "::text" }

// pgSelect lists the key, and the columns.
func (t *target) pgSelect() string {
	parts := []string{list(len(t.key), t.pgKey)}
	if len(t.sealed) > 0 {
		parts = append(parts, list(len(t.sealed), func(i int) string { return "t." + quote(t.sealed[i]) }))
	}
	if len(t.plain) > 0 {
		parts = append(parts, list(len(t.plain), t.pgPlain))
	}
	if len(t.beside) > 0 {
		parts = append(parts, list(len(t.beside), t.pgBeside))
	}
	return strings.Join(parts, ", ")
}

func (p *postgres) page(ctx context.Context, b beginner, t *target, r keys, limit int) ([]row, error) {
	if w, ok := b.(*pgWire); ok {
		w.page()
	}
	if t.places {
		return p.pagePlaces(ctx, b, t, r, limit)
	}
	var where []string
	var args []any
	compare := func(sign string, key []any) {
		if key == nil {
			return
		}
		where = append(where, fmt.Sprintf("(%s) %s (%s)", t.pgOrder(), sign, list(len(t.key), func(i int) string {
			return t.pgParameter(i, len(args)+i+1)
		})))
		args = append(args, key...)
	}
	compare(">", r.after)
	compare("<=", r.upTo)
	if t.tenant.column != "" {
		args = append(args, t.tenant.value)
		where = append(where, t.pgTenant(len(args)))
	}
	clause := ""
	if where != nil {
		clause = " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, limit)
	query := fmt.Sprintf("SELECT %s FROM %s AS t%s ORDER BY %s LIMIT $%d::bigint", t.pgSelect(), quoteName(t.name), clause, t.pgOrder(), len(args))
	return p.read(ctx, b, t, query, args)
}

func (t *target) pgTenant(n int) string {
	return fmt.Sprintf("t.%s = $%d::text::%s", quote(t.tenant.column), n, t.tenantType)
}

// read reads in a transaction with settings of its own only where texts vary with them: it costs three
// messages more.
func (p *postgres) read(ctx context.Context, b beginner, t *target, query string, args []any) (result []row, err error) {
	var q querier = b
	if t.settings {
		tx, err := p.beginWith(ctx, b, true, false, true)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
		q = tx
	}
	if w, ok := b.(*pgWire); ok {
		return w.read(ctx, t, query, args)
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanText(rows, t)
}

// scanText reads rows. Some drivers give texts as bytes.
func scanText(rows *sql.Rows, t *target) ([]row, error) {
	result, err := scanRows(rows, t)
	for _, r := range result {
		for i, v := range r.key {
			if b, ok := v.([]byte); ok {
				r.key[i] = string(b)
			}
		}
		for i, v := range r.plain {
			if b, ok := v.([]byte); ok {
				r.plain[i] = field.Binary(b)
			}
		}
	}
	return result, err
}

func (p *postgres) again(ctx context.Context, tx transaction, t *target, rows []row) ([]row, error) {
	args := t.pgKeyArrays(len(rows), func(i int) *row { return &rows[i] })
	where := t.pgSameKey()
	if t.tenant.column != "" {
		args = append(args, t.tenant.value)
		where += " AND " + t.pgTenant(len(args))
	}
	// FOR NO KEY UPDATE is the lock that an UPDATE takes which leaves the key alone.
	query := fmt.Sprintf("SELECT %s FROM %s AS t JOIN unnest(%s) AS u(%s) ON %s FOR NO KEY UPDATE OF t", t.pgSelect(), quoteName(t.name),
		t.pgKeyUnnest(), list(len(t.key), keyName), where)
	result, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanText(result, t)
}

func keyName(i int) string { return fmt.Sprintf("k%d", i) }

func (t *target) pgKeyUnnest() string {
	return list(len(t.key), t.pgKeyArray)
}

// pgKeyArray is the parameter of a column of the key.
func (t *target) pgKeyArray(i int) string {
	if t.key[i].bits {
		return fmt.Sprintf("$%d::bigint[]", i+1)
	}
	return fmt.Sprintf("$%d::text[]::%s[]", i+1, t.key[i].typ)
}

func (t *target) pgSameKey() string {
	same := make([]string, len(t.key))
	for i, k := range t.key {
		same[i] = fmt.Sprintf("t.%s = u.%s", k.expr, keyName(i))
	}
	return strings.Join(same, " AND ")
}

// pgKeyArrays has one array for each key column.
func (t *target) pgKeyArrays(n int, row func(i int) *row) []any {
	args := make([]any, len(t.key))
	for i, k := range t.key {
		if k.bits {
			numbers := make([]int64, n)
			for r := range numbers {
				numbers[r], _ = row(r).key[i].(int64)
			}
			args[i] = pgtype.FlatArray[int64](numbers)
			continue
		}
		texts := make([]string, n)
		for r := range texts {
			texts[r], _ = row(r).key[i].(string)
		}
		args[i] = pgtype.FlatArray[string](texts)
	}
	return args
}
