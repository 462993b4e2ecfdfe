package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// postgres walks a table of PostgreSQL. Integer keys travel as such, others as text, which the
// server reads and writes for every type; sealed values in binary arrays.
type postgres struct{}

var _ database = (*postgres)(nil)

const (
	pgKeySQL = `
SELECT a.attname, format_type(a.atttypid, -1), (SELECT typtype::text FROM pg_type WHERE oid = a.atttypid)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1::text) AND i.indisprimary AND k.n <= i.indnkeyatts
ORDER BY k.n`

	// Partitions have their table's key.
	pgChildrenSQL = `
SELECT i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
WHERE i.inhparent = to_regclass($1::text) AND c.relkind = 'r' ORDER BY i.inhrelid LIMIT 1`

	pgColumnsSQL = `
SELECT a.attname, t.typname, format_type(a.atttypid, -1)
FROM pg_attribute a
JOIN pg_type b ON b.oid = a.atttypid
JOIN pg_type t ON t.oid = CASE b.typtype WHEN 'd' THEN b.typbasetype ELSE b.oid END
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped`

	// Partitions are counted with their table. What was never analyzed has no estimate.
	pgCountSQL = `
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint, coalesce(sum(pg_relation_size(c.oid)), 0)::bigint, coalesce(bool_or(c.reltuples < 0), true)
FROM pg_class c WHERE c.relkind IN ('r', 'm')
AND (c.oid = to_regclass($1::text) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1::text))))`

	// pgPatience leaves a lock that is not had soon to who has it: the page is tried again. Settings end with
	// the transaction, as poolers want it. The plan for a page that the server does not look into is the good one: it
	// finds each row by its key, where others read the whole table for a page that is a fair part of it.
	pgPatience = "SET LOCAL lock_timeout = '5s'; SET LOCAL plan_cache_mode = force_generic_plan; " + pgAllRows
	// pgAllRows makes an error of what row security would hide: a job that sees a part of the rows would find the others in
	// order.
	pgAllRows = "SET LOCAL row_security = off"
	// pgUntimed sets aside limits that a database or a role has for applications: a page asks the KMS between statements.
	pgUntimed = "; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
	// pgTexts make texts of values the same in all sessions.
	pgTexts = `; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'`
)

func (p *postgres) describe(ctx context.Context, q querier, t *target) error {
	name := quoteName(t.name)
	var known bool
	if err := q.QueryRowContext(ctx, "SELECT to_regclass($1::text) IS NOT NULL", name).Scan(&known); err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w %s; check the policy's table name and the connection's search_path", ErrNoTable, t.name)
	}
	if err := p.checkRows(ctx, q, t.name); err != nil {
		return err
	}
	types, err := texts(ctx, q, pgColumnsSQL, name)
	if err != nil {
		return err
	}
	// Where statements have a time, pages are read in transactions that set it aside.
	if err := q.QueryRowContext(ctx, "SELECT current_setting('statement_timeout') <> '0'").Scan(&t.settings); err != nil {
		return err
	}
	for _, c := range t.sealed {
		if typ := find(types, c); typ == nil || typ[1] != "bytea" {
			return fmt.Errorf("%w: %s.%s must be a bytea column, found %q", ErrNoColumn, t.name, c, typ)
		}
	}
	if err := p.describeRest(ctx, q, t, types); err != nil {
		return err
	}
	return p.describeKey(ctx, q, t)
}

func (p *postgres) describeKey(ctx context.Context, q querier, t *target) error {
	key, err := texts(ctx, q, pgKeySQL, quoteName(t.name))
	if err != nil {
		return err
	}
	if len(key) == 0 {
		return p.describePlaces(ctx, q, t)
	}
	if err := p.refuseParent(ctx, q, t); err != nil {
		return err
	}
	t.key, t.places = nil, false
	for _, k := range key {
		if k[2] == "c" {
			return fmt.Errorf("%w: %s; its key column %s is of the composite type %s, by which rows are not walked", ErrNoPrimaryKey, t.name, k[0], k[1])
		}
		if strings.HasSuffix(k[1], "[]") {
			return fmt.Errorf("%w: %s; its key column %s is an array, by which rows are not walked", ErrNoPrimaryKey, t.name, k[0])
		}
		bits := slices.Contains([]string{"smallint", "integer", "bigint"}, k[1])
		t.key = append(t.key, keyColumn{name: k[0], expr: quote(k[0]), typ: k[1], bits: bits})
		t.settings = t.settings || !bits && !steady(k[1])
	}
	return nil
}

// refuseParent refuses tables that others INHERIT. A primary key is that of the parent's own rows: a row of a child may
// have the same, and a page that ends between the two would leave one out.
func (p *postgres) refuseParent(ctx context.Context, q querier, t *target) error {
	children, err := texts(ctx, q, pgChildrenSQL, quoteName(t.name))
	if err != nil || len(children) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s; table %s inherits from it, and its rows may have the same keys: make it a partitioned table, or "+
		"end the inheritance (ALTER TABLE %s NO INHERIT %s) and give each table a place of its own in the policy",
		ErrNoPrimaryKey, t.name, children[0][0], children[0][0], quoteName(t.name))
}

// steady types print alike whatever the session's settings.
func steady(typ string) bool {
	return slices.Contains([]string{"smallint", "integer", "bigint", "text", "character varying", "character", "uuid", "numeric", "boolean"}, typ)
}

// describeRest looks at plain columns, those beside and the tenant's.
func (p *postgres) describeRest(ctx context.Context, q querier, t *target, types [][]string) error {
	t.besideTypes, t.plainTypes = nil, nil
	for _, c := range t.beside {
		typ := find(types, c)
		if typ == nil {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c)
		}
		t.besideTypes = append(t.besideTypes, typ[2])
		t.settings = t.settings || !steady(typ[2])
	}
	for _, c := range t.plain {
		if find(types, c.name) == nil {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c.name)
		}
		var typ plainType
		err := q.QueryRowContext(ctx, "SELECT typsend::regproc::text, format_type(oid, -1) FROM pg_type WHERE oid = $1", int64(c.typ.OID())).
			Scan(&typ.send, &typ.name)
		if err != nil {
			return fmt.Errorf("%s.%s: type %s: %w", t.name, c.name, c.typ, err)
		}
		t.plainTypes = append(t.plainTypes, typ)
	}
	if c := t.tenant.column; c != "" {
		typ := find(types, c)
		if typ == nil {
			return fmt.Errorf("%w: %s.%s", ErrNoColumn, t.name, c)
		}
		t.tenantType = typ[2]
	}
	return nil
}

// count counts small tables, and takes the server's estimate of large ones.
func (p *postgres) count(ctx context.Context, q querier, t *target) (n int64, err error) {
	const small = 64 << 20
	var size int64
	var unknown bool
	if err := q.QueryRowContext(ctx, pgCountSQL, quoteName(t.name)).Scan(&n, &size, &unknown); err != nil {
		return 0, err
	}
	if size > small && !unknown {
		return n, nil
	}
	return n, q.QueryRowContext(ctx, "SELECT count(*) FROM "+quoteName(t.name)).Scan(&n)
}

// sample reads some blocks of the table, here and there.
func (p *postgres) sample(ctx context.Context, q querier, t *target, total int64, n int) ([][]any, error) {
	const perRange = 100
	percent := min(100, 100*float64(n*perRange)/float64(total))
	key := list(len(t.key), func(i int) string { return t.pgKey(i) })
	query := fmt.Sprintf("SELECT %s FROM %s AS t TABLESAMPLE SYSTEM (%g) ORDER BY %s", key, quoteName(t.name), percent, t.pgOrder())
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	found, err := scanText(rows, &target{key: t.key})
	if err != nil {
		return nil, err
	}
	var bounds [][]any
	for i := 1; i < n && len(found) > 0; i++ {
		k := found[i*len(found)/n].key
		if len(bounds) == 0 || !slices.Equal(bounds[len(bounds)-1], k) {
			bounds = append(bounds, k)
		}
	}
	return bounds, nil
}

// fault knows deadlock_detected, serialization_failure and lock_not_available; and what ends by itself: a
// connection that broke (class 08 and errors of the network), a server that is full (class 53), stops or starts.
func (p *postgres) fault(err error) fault {
	var s interface{ SQLState() string }
	if !errors.As(err, &s) {
		return networkFault(err)
	}
	state := s.SQLState()
	switch state {
	case "40P01", "40001", "55P03":
		return contended
	case "57P01", "57P02", "57P03", "57P05", "58030", "25006", "25P02", "25P03", "25P04":
		return away
	}
	if strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") {
		return away
	}
	return fatal
}

// texts are the rows of a query whose columns are texts.
func texts(ctx context.Context, q querier, query string, args ...any) (result [][]string, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		line, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range line {
			into[i] = &line[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		result = append(result, line)
	}
	return result, rows.Err()
}

// find returns the line that begins with name, or nil.
func find(lines [][]string, name string) []string {
	for _, l := range lines {
		if l[0] == name {
			return l
		}
	}
	return nil
}

func (p *postgres) begin(ctx context.Context, b beginner, t *target) (transaction, error) {
	tx, err := p.beginWith(ctx, b, t.settings || len(t.plain) > 0, t.skipTriggers, false)
	if err != nil {
		return nil, err
	}
	if t.fills {
		if _, err := tx.ExecContext(ctx, fillsSQL); err != nil {
			return nil, errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}
	if w, ok := b.(*pgWire); ok {
		return &pgWireTx{tx, w}, nil
	}
	return tx, nil
}

func (p *postgres) beginWith(ctx context.Context, b beginner, texts, skipTriggers, readOnly bool) (*sql.Tx, error) {
	tx, err := b.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted, ReadOnly: readOnly})
	if err != nil {
		return nil, err
	}
	settings := pgPatience + pgUntimed
	if texts {
		settings += pgTexts
	}
	if skipTriggers {
		settings += "; SET LOCAL session_replication_role = replica"
	}
	if _, err := tx.ExecContext(ctx, settings); err != nil {
		return nil, errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx, nil
}
