package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// ByID implements keyring.Store. A key that is asked for more than once, or
// that is also a parent, is returned once.
func (s *Store) ByID(ctx context.Context, ids []envelope.KeyID) ([]keyring.Record, error) {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = id.String()
	}
	records, err := s.lookUp(ctx, s.dialect.byID, list)
	return records, s.fail("byid", err)
}

// Latest implements keyring.Store. A tenant that is asked for more than once
// is returned once.
func (s *Store) Latest(ctx context.Context, p keyring.Purpose, tenants []string) ([]keyring.Record, error) {
	for _, t := range tenants {
		if err := checkTenant(t); err != nil {
			return nil, s.fail("latest", fmt.Errorf("%w: %w", ErrInvalid, err))
		}
	}
	if err := checkPurpose(p); err != nil {
		return nil, s.fail("latest", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	records, err := s.lookUp(ctx, s.dialect.latest, slices.Clone(tenants), string(p))
	return records, s.fail("latest", err)
}

// lookUp runs query with args and, last, the list. It sorts the list, which
// drops what is there twice and reads the index in its order.
func (s *Store) lookUp(ctx context.Context, query string, list []string, args ...any) ([]keyring.Record, error) {
	if len(list) == 0 {
		return nil, nil
	}
	slices.Sort(list)
	list = slices.Compact(list)
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var records []keyring.Record
	err = s.again(ctx, func() (err error) {
		records, err = s.query(ctx, query, append(args, string(text))...)
		return err
	})
	return records, err
}

// List implements keyring.Admin.
func (s *Store) List(ctx context.Context, f keyring.Filter, after envelope.KeyID, limit int) ([]keyring.Record, error) {
	if err := checkList(f, limit); err != nil {
		return nil, s.fail("list", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	query, args := s.dialect.list(f, after, limit)
	var records []keyring.Record
	err := s.again(ctx, func() (err error) {
		records, err = s.query(ctx, query, args...)
		return err
	})
	return records, s.fail("list", err)
}

func checkList(f keyring.Filter, limit int) error {
	if limit <= 0 {
		return fmt.Errorf("the limit is %d; give at least 1", limit)
	}
	if f.Tenant != "" {
		if err := checkTenant(f.Tenant); err != nil {
			return err
		}
	}
	if f.Purpose != "" {
		return checkPurpose(f.Purpose)
	}
	return nil
}

// list returns the statement with the conditions of f and no others, so that
// each has a plan of its own.
func (d *dialect) list(f keyring.Filter, after envelope.KeyID, limit int) (query string, args []any) {
	query, args = "SELECT "+columns+" FROM "+d.table+" WHERE id > "+d.parameter(1), []any{after.String()}
	narrow := func(column, value string) {
		args = append(args, value)
		query += " AND " + column + " = " + d.parameter(len(args))
	}
	if f.Tenant != "" {
		narrow("tenant", f.Tenant)
	}
	if f.Purpose != "" {
		narrow("purpose", string(f.Purpose))
	}
	if f.Parent != (envelope.KeyID{}) {
		narrow("parent", f.Parent.String())
	}
	if f.RootWrapped {
		query += " AND parent IS NULL AND state <> 'destroyed'" // as the index has it
	}
	args = append(args, limit)
	return query + " ORDER BY id LIMIT " + d.parameter(len(args)), args
}

// query reads rows with the table's columns.
func (s *Store) query(ctx context.Context, query string, args ...any) ([]keyring.Record, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []keyring.Record
	var w row
	fields := w.fields()
	for rows.Next() {
		if err := rows.Scan(fields...); err != nil {
			return nil, err
		}
		r, err := w.record()
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}
