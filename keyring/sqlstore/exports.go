package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// exportColumns are those of the table, in the order of its definition.
const exportColumns = "id, taken_at, taken_by, place, tenant, key_count, digest"

// SaveExport implements keyring.Ledger.
func (s *Store) SaveExport(ctx context.Context, e keyring.Export) error {
	if err := checkExport(&e); err != nil {
		return s.fail("export", fmt.Errorf("%w: export: %w", ErrInvalid, err))
	}
	p := s.dialect.parameter
	var noted int
	count := "SELECT count(*) FROM " + s.dialect.exports + " WHERE id = " + p(1)
	if err := s.db.QueryRowContext(ctx, count, e.ID.String()).Scan(&noted); err != nil {
		return s.fail("export", err)
	}
	statement := "UPDATE " + s.dialect.exports + " SET key_count = " + p(1) + ", digest = " + p(2) + " WHERE id = " + p(3)
	args := []any{e.Keys, e.Digest, e.ID.String()}
	if noted == 0 {
		statement = "INSERT INTO " + s.dialect.exports + " (" + exportColumns + ") VALUES (" + p(1) + ", " + s.dialect.micros + ", " + p(2) + ", " + p(3) +
			", " + p(4) + ", " + p(5) + ", " + p(6) + ")"
		args = []any{e.ID.String(), e.By, e.To, e.Tenant, e.Keys, e.Digest}
	}
	return s.fail("export", s.change(ctx, func() error {
		_, err := s.db.ExecContext(ctx, statement, args...)
		return err
	}))
}

// maxDigest is the length of a SHA-256 in hex.
const maxDigest = 64

func checkExport(e *keyring.Export) error {
	if e.ID == (envelope.KeyID{}) {
		return errors.New("the id is zero")
	}
	if e.Tenant != "" {
		if err := checkTenant(e.Tenant); err != nil {
			return err
		}
	}
	if e.Keys < 0 || len(e.Digest) > maxDigest {
		return errors.New("the number of keys or the digest is not one")
	}
	return errors.Join(checkNote("By", e.By), checkNote("To", e.To), checkText("Digest", e.Digest))
}

// Exports implements keyring.Ledger.
func (s *Store) Exports(ctx context.Context) ([]keyring.Export, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+exportColumns+" FROM "+s.dialect.exports+" ORDER BY taken_at, id")
	if err != nil {
		return nil, s.fail("export", err)
	}
	defer rows.Close()
	var list []keyring.Export
	for rows.Next() {
		var e keyring.Export
		var id string
		var at int64
		if err := rows.Scan(&id, &at, &e.By, &e.To, &e.Tenant, &e.Keys, &e.Digest); err != nil {
			return nil, s.fail("export", err)
		}
		if !parseID(&e.ID, id) {
			return nil, s.fail("export", fmt.Errorf("%w: the id %.40q of an export", ErrCorrupt, id))
		}
		e.At = time.UnixMicro(at).UTC()
		list = append(list, e)
	}
	return list, s.fail("export", rows.Err())
}
