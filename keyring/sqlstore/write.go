package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/keyring"
)

// Create implements keyring.Store. The record at position i of the result is
// the one that stands at the place of records[i]. CreatedAt and ChangedAt are
// set by the database. On an error some records may have been stored; calling
// again with the same or other records is safe.
func (s *Store) Create(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	return s.create(ctx, "create", records, func(*newRow, *keyring.Record) {})
}

// Restore implements keyring.Restorer. Times are kept to the microsecond.
func (s *Store) Restore(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	return s.create(ctx, "restore", records, func(w *newRow, r *keyring.Record) {
		created, changed := r.CreatedAt.UnixMicro(), r.ChangedAt.UnixMicro()
		w.CreatedAt, w.ChangedAt = &created, &changed
	})
}

func (s *Store) create(ctx context.Context, op string, records []keyring.Record, times func(*newRow, *keyring.Record)) ([]keyring.Record, error) {
	if len(records) == 0 {
		return nil, nil
	}
	rows := make([]newRow, len(records))
	for i := range records {
		var err error
		if rows[i], err = encodeRecord(&records[i]); err != nil {
			return nil, s.fail(op, err)
		}
		times(&rows[i], &records[i])
	}
	// Two writers that each wait for a row of the other would be a deadlock;
	// in one order there is none.
	slices.SortFunc(rows, func(a, b newRow) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Version, b.Version))
	})
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, s.fail(op, err)
	}
	var standing []keyring.Record
	err = s.change(ctx, func() (err error) {
		if _, err = s.db.ExecContext(ctx, s.dialect.create, string(text)); err != nil {
			return err
		}
		standing, err = s.query(ctx, s.dialect.standing, string(text))
		return err
	})
	if err != nil {
		return nil, s.fail(op, err)
	}
	placed, err := place(records, standing)
	if err != nil && ctx.Err() != nil {
		// SQLite's driver skips a statement, without an error, when ctx ends
		// just as it begins.
		err = ctx.Err()
	}
	return placed, s.fail(op, err)
}

// place returns for each record the one that stands in its place. That one is
// missing only when the id of the record is taken by a key of another place.
func place(records, standing []keyring.Record) ([]keyring.Record, error) {
	type spot struct {
		tenant  string
		purpose keyring.Purpose
		version uint32
	}
	at := make(map[spot]*keyring.Record, len(standing))
	for i := range standing {
		r := &standing[i]
		at[spot{r.Tenant, r.Purpose, r.Version}] = r
	}
	placed := make([]keyring.Record, len(records))
	for i := range records {
		r := &records[i]
		stands := at[spot{r.Tenant, r.Purpose, r.Version}]
		if stands == nil {
			return nil, fmt.Errorf("%s was not stored; its id is in use, make a key with a new id", r)
		}
		placed[i] = *stands
	}
	return placed, nil
}

// Update implements keyring.Admin. Of the fields of new it looks at State,
// Parent, Wraps, ChangedBy and Reason only.
func (s *Store) Update(ctx context.Context, old, new keyring.Record) (bool, error) {
	before, err := encodeChange(&old)
	if err != nil {
		return false, s.fail("update", err)
	}
	changed := old
	changed.State, changed.Parent, changed.Wraps = new.State, new.Parent, new.Wraps
	changed.ChangedBy, changed.Reason = new.ChangedBy, new.Reason
	after, err := encodeChange(&changed)
	if err != nil {
		return false, s.fail("update", err)
	}
	var done bool
	err = s.change(ctx, func() (err error) {
		args := []any{
			old.ID.String(), before.State, before.Wraps,
			after.State, after.Parent, after.Wraps, after.ChangedBy, after.Reason,
		}
		if s.dialect.change != nil {
			done, err = s.dialect.change(ctx, s.db, args...)
		} else {
			done, err = s.any(ctx, s.dialect.update, args...)
		}
		return err
	})
	return done && err == nil, s.fail("update", err)
}

// any reports whether query returned a row. It is preferred to RowsAffected,
// which SQLite's driver takes from an earlier statement when it skipped this
// one, and reads to the end, where a failed commit shows.
func (s *Store) any(ctx context.Context, query string, args ...any) (found bool, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		found = true
	}
	return found, rows.Err()
}
