package keyringtest

import (
	"context"
	"slices"

	"github.com/rowseal/rowseal/keyring"
)

var (
	_ keyring.Restorer = (*Store)(nil)
	_ keyring.Ledger   = (*Store)(nil)
)

// Restore implements keyring.Restorer.
func (s *Store) Restore(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	standing, err := s.Create(ctx, records)
	for i := range standing {
		if standing[i].ID != records[i].ID {
			continue
		}
		s.Edit(records[i].ID, func(r *keyring.Record) { r.CreatedAt, r.ChangedAt = records[i].CreatedAt, records[i].ChangedAt })
		standing[i].CreatedAt, standing[i].ChangedAt = records[i].CreatedAt, records[i].ChangedAt
	}
	return standing, err
}

// SaveExport implements keyring.Ledger.
func (s *Store) SaveExport(ctx context.Context, e keyring.Export) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.exports {
		if s.exports[i].ID == e.ID {
			s.exports[i].Keys, s.exports[i].Digest = e.Keys, e.Digest
			return ctx.Err()
		}
	}
	e.At = s.now()
	s.exports = append(s.exports, e)
	return ctx.Err()
}

// Exports implements keyring.Ledger.
func (s *Store) Exports(ctx context.Context) ([]keyring.Export, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exports), ctx.Err()
}
