package rotate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

const (
	// placeBlocks is how many blocks of a table without a primary key are looked at in one statement at first, and
	// mostBlocks where they are found nearly empty.
	placeBlocks = 64
	mostBlocks  = 8192
)

const pgPlacesSQL = `
SELECT c.relkind::text, EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = c.oid), current_setting('server_version_num')::int
FROM pg_class c WHERE c.oid = to_regclass($1::text)`

// describePlaces has t walked by where its rows lie. A place is a row's own only in a table that is not made of others.
func (p *postgres) describePlaces(ctx context.Context, q querier, t *target) error {
	var kind string
	var parent bool
	var version int
	if err := q.QueryRowContext(ctx, pgPlacesSQL, quoteName(t.name)).Scan(&kind, &parent, &version); err != nil {
		return err
	}
	const tidRanges = 140_000 // TID Range Scan is of PostgreSQL 14
	if kind != "r" || parent || version < tidRanges {
		return fmt.Errorf("%w: %s; add a PRIMARY KEY, which rows are walked by", ErrNoPrimaryKey, t.name)
	}
	t.places, t.key = true, []keyColumn{{name: "ctid", expr: "ctid", typ: "tid"}}
	return nil
}

// pagePlaces reads rows in the order of their places, range of blocks by range of blocks: the server sorts by ctid, and sorts
// no more than such a range. Fewer rows than limit are the last ones.
func (p *postgres) pagePlaces(ctx context.Context, b beginner, t *target, r keys, limit int) (rows []row, err error) {
	const size = "SELECT (pg_relation_size(to_regclass($1::text)) / current_setting('block_size')::bigint)::bigint"
	var end int64
	if err := b.QueryRowContext(ctx, size, quoteName(t.name)).Scan(&end); err != nil {
		return nil, err
	}
	after, last := "(0,0)", ""
	if r.after != nil {
		after, _ = r.after[0].(string)
	}
	if r.upTo != nil {
		last, _ = r.upTo[0].(string)
		block, err := blockOf(last)
		if err != nil {
			return nil, err
		}
		end = min(end, block+1)
	}
	block, err := blockOf(after)
	if err != nil {
		return nil, err
	}
	for span := int64(placeBlocks); block < end && len(rows) < limit; span = min(2*span, mostBlocks) {
		block = min(block+span, end)
		found, err := p.readPlaces(ctx, b, t, after, fmt.Sprintf("(%d,0)", block), last, limit-len(rows))
		if err != nil {
			return nil, err
		}
		rows, after = append(rows, found...), fmt.Sprintf("(%d,0)", block)
	}
	return rows, nil
}

// readPlaces reads the rows above after, below the beginning of a block, and up to last if that is not "".
func (p *postgres) readPlaces(ctx context.Context, b beginner, t *target, after, below, last string, limit int) ([]row, error) {
	args := []any{after, below}
	where := "t.ctid > $1::text::tid AND t.ctid < $2::text::tid"
	if last != "" {
		args = append(args, last)
		where += fmt.Sprintf(" AND t.ctid <= $%d::text::tid", len(args))
	}
	if t.tenant.column != "" {
		args = append(args, t.tenant.value)
		where += " AND " + t.pgTenant(len(args))
	}
	args = append(args, limit)
	query := fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s ORDER BY t.ctid LIMIT $%d::bigint", t.pgSelect(), quoteName(t.name), where, len(args))
	return p.read(ctx, b, t, query, args)
}

// blockOf is the first number of a place, (12,3).
func blockOf(place string) (int64, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(place, "("), ",")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("rowseal: internal error: %q is no row's place", place)
	}
	return n, nil
}
