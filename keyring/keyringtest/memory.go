// Package keyringtest helps to test code that uses a keyring: a key store in
// memory that counts its calls. It keeps nothing; never seal values with it
// that must be opened again.
package keyringtest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// Store is a key store in memory. Its zero value is ready; it is safe for
// concurrent use.
type Store struct {
	// Clock is the store's clock; nil means time.Now.
	Clock func() time.Time
	// Fail, if not nil, is asked before every call, whose error it returns.
	Fail func() error

	queries atomic.Int64
	mu      sync.Mutex
	records map[envelope.KeyID]keyring.Record
	places  map[place]envelope.KeyID
	newest  map[place]uint32 // by place with version 0
	exports []keyring.Export
	watches map[int]watch
	watched int // numbers the watches
}

type place struct {
	purpose keyring.Purpose
	tenant  string
	version uint32
}

var (
	_ keyring.Store = (*Store)(nil)
	_ keyring.Admin = (*Store)(nil)

	_ keyring.Watcher = (*Store)(nil)
)

// Queries returns how many calls of ByID, Latest and Create there were.
func (s *Store) Queries() int64 { return s.queries.Load() }

func (s *Store) begin(ctx context.Context) error {
	s.queries.Add(1)
	if s.Fail != nil {
		if err := s.Fail(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// ByID implements keyring.Store.
func (s *Store) ByID(ctx context.Context, ids []envelope.KeyID) ([]keyring.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withParents(ids), nil
}

func (s *Store) withParents(ids []envelope.KeyID) (list []keyring.Record) {
	seen := map[envelope.KeyID]bool{}
	add := func(id envelope.KeyID) (parent envelope.KeyID) {
		r, ok := s.records[id]
		if ok && !seen[id] {
			seen[id] = true
			r.Wraps = slices.Clone(r.Wraps)
			list = append(list, r)
		}
		return r.Parent
	}
	for _, id := range ids {
		add(add(id))
	}
	return list
}

// Latest implements keyring.Store.
func (s *Store) Latest(ctx context.Context, p keyring.Purpose, tenants []string) ([]keyring.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []envelope.KeyID
	for _, tenant := range tenants {
		if id, ok := s.latest(p, tenant); ok {
			ids = append(ids, id)
		}
	}
	return s.withParents(ids), nil
}

func (s *Store) latest(p keyring.Purpose, tenant string) (id envelope.KeyID, ok bool) {
	newest := s.newest[place{purpose: p, tenant: tenant}]
	for v := newest; v > 0; v-- {
		id, ok = s.places[place{p, tenant, v}]
		if ok && s.records[id].State == keyring.Active {
			return id, true
		}
	}
	id, ok = s.places[place{p, tenant, newest}]
	return id, ok
}

// Create implements keyring.Store.
func (s *Store) Create(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[envelope.KeyID]keyring.Record{}
		s.places, s.newest = map[place]envelope.KeyID{}, map[place]uint32{}
	}
	standing := make([]keyring.Record, len(records))
	for i, r := range records {
		at := place{r.Purpose, r.Tenant, r.Version}
		if _, taken := s.places[at]; !taken {
			r.CreatedAt = s.now()
			r.ChangedAt = r.CreatedAt
			s.records[r.ID], s.places[at] = r, r.ID
			if r.State == keyring.Destroyed {
				s.tell(r.ID)
			}
			at.version = 0
			s.newest[at] = max(s.newest[at], r.Version)
			at.version = r.Version
		}
		standing[i] = s.records[s.places[at]]
	}
	return standing, nil
}

// List implements keyring.Admin.
func (s *Store) List(ctx context.Context, f keyring.Filter, after envelope.KeyID, limit int) ([]keyring.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []keyring.Record
	for id, r := range s.records {
		if bytes.Compare(id[:], after[:]) > 0 && matches(f, &r) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b keyring.Record) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list[:min(limit, len(list))], ctx.Err()
}

func matches(f keyring.Filter, r *keyring.Record) bool {
	root := r.Parent == envelope.KeyID{} && r.State != keyring.Destroyed
	return (f.Parent == envelope.KeyID{} || f.Parent == r.Parent) && (f.Tenant == "" || f.Tenant == r.Tenant) && (f.Purpose == "" || f.Purpose == r.Purpose) &&
		(!f.RootWrapped || root)
}

// Update implements keyring.Admin.
func (s *Store) Update(ctx context.Context, old, changed keyring.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[old.ID]
	if !ok || r.State != old.State || !sameWraps(r.Wraps, old.Wraps) {
		return false, ctx.Err()
	}
	if r.State != changed.State || changed.State == keyring.Destroyed {
		s.tell(old.ID)
	}
	if r.State != changed.State {
		r.ChangedAt = s.now()
	}
	r.State, r.Parent, r.Wraps = changed.State, changed.Parent, changed.Wraps
	r.ChangedBy, r.Reason = changed.ChangedBy, changed.Reason
	s.records[old.ID] = r
	return true, ctx.Err()
}

func sameWraps(a, b []kms.Wrapped) bool {
	return slices.EqualFunc(a, b, func(x, y kms.Wrapped) bool {
		return x.RootKey == y.RootKey && bytes.Equal(x.Blob, y.Blob)
	})
}

// Now implements keyring.Admin.
func (s *Store) Now(context.Context) (time.Time, error) { return s.now(), nil }

func (s *Store) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

// Edit changes the stored record of id, for tests of damage.
func (s *Store) Edit(id envelope.KeyID, change func(*keyring.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	change(&r)
	s.records[id] = r
}
