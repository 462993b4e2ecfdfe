package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rowseal/rowseal/envelope"
)

// Imported counts what [Keyring.Import] did with the records of an export.
type Imported struct {
	Keys      int64 // records in the file
	Created   int64 // were not in the store
	Present   int64 // were there; the store's record stays as it is
	Destroyed int64 // were alive in the store and tombstones in the file: they are tombstones now
	// Refused were alive in the file, and the store has a tombstone for them or for their
	// tenant: they stay dead.
	Refused int64
	// Failures are the first records that were not imported because another stands at
	// their place, or that do not unwrap.
	Failures []error
	Failed   int64
}

// ImportConfig says what [Keyring.Import] does beside importing.
type ImportConfig struct {
	// By is noted in the records of keys that the file destroys and says nothing
	// about by whom.
	By string
	// Check unwraps each live record of the file from the store in the end.
	Check bool
}

const (
	importPage = 500
	// maxImportFailures is how many failures are listed; all are counted.
	maxImportFailures = 20
)

// Import takes the records of an export into the store, which may be empty or hold
// some already. It never changes a live record but into a tombstone, and it revives
// nothing: where the file and the store differ on whether a key lives, it is dead, and a
// tenant that was shredded in either gets no key from the other.
//
// The file is read several times, first as a whole to check its digest; nothing is
// written where that is wrong (ErrExport). Stopped in between, it can be run again. It
// goes on past single records that fail, which are counted; the store's own failures
// end it.
func (k *Keyring) Import(ctx context.Context, file io.ReadSeeker, cfg ImportConfig) (done Imported, err error) {
	a, err := k.admin()
	if err != nil {
		return done, err
	}
	restorer, ok := k.cfg.Store.(Restorer)
	if !ok {
		return done, &Error{Err: ErrStore, Remedy: "this key store does not implement keyring.Restorer"}
	}
	i := importer{k: k, admin: a, restorer: restorer, cfg: cfg, made: map[envelope.KeyID]bool{}}
	count := func(Record) error {
		i.done.Keys++
		return nil
	}
	if err := i.read(file, count); err != nil {
		return done, err
	}
	// Tombstones first: they decide over what is alive.
	for _, dead := range []bool{true, false} {
		if err := i.pass(ctx, file, dead, i.page); err != nil {
			return i.done, err
		}
	}
	if err := i.settle(ctx); err != nil {
		return i.done, err
	}
	if cfg.Check {
		err = i.pass(ctx, file, false, i.check)
	}
	k.Forget() // what was not to be had may be there now
	return i.done, err
}

// importer is one call of Import.
type importer struct {
	k        *Keyring
	admin    Admin
	restorer Restorer
	cfg      ImportConfig
	done     Imported
	made     map[envelope.KeyID]bool // alive, and not there before
}

func (i *importer) read(file io.ReadSeeker, do func(Record) error) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("keyring: reading the export again: %w", err)
	}
	_, err := readExport(file, i.head, do)
	return err
}

// head refuses the keys of another deployment, none of which would unwrap.
func (i *importer) head(h exportHead) error {
	if h.Namespace != i.k.cfg.Namespace {
		return &Error{Err: ErrExport, Remedy: fmt.Sprintf("its keys are of namespace %q, not %q", h.Namespace, i.k.cfg.Namespace)}
	}
	return nil
}

// pass gives the tombstones of the file, or the others, to do.
func (i *importer) pass(ctx context.Context, file io.ReadSeeker, dead bool, do func(context.Context, []Record) error) error {
	var page []Record
	err := i.read(file, func(r Record) error {
		if (r.State == Destroyed) != dead {
			return nil
		}
		if page = append(page, r); len(page) < importPage {
			return nil
		}
		err := do(ctx, page)
		page = page[:0]
		return err
	})
	if err == nil && len(page) > 0 {
		err = do(ctx, page)
	}
	return err
}

func (i *importer) fail(r *Record, err error, remedy string) {
	i.done.Failed++
	if len(i.done.Failures) < maxImportFailures {
		i.done.Failures = append(i.done.Failures, r.fail(err, remedy))
	}
}

// page imports records that are all tombstones or all alive.
func (i *importer) page(ctx context.Context, page []Record) error {
	ids := make([]envelope.KeyID, len(page))
	for n := range page {
		ids[n] = page[n].ID
	}
	standing, err := i.k.byID(ctx, ids)
	if err != nil {
		return err
	}
	var absent []Record
	for n := range page {
		r := &page[n]
		switch s := standing[r.ID]; {
		case s == nil:
			absent = append(absent, *r)
		case s.Tenant != r.Tenant || s.Purpose != r.Purpose || s.Version != r.Version || s.Commitment != r.Commitment:
			i.fail(r, ErrConflict, "the store has another key of that id, which stays")
		case s.State == Destroyed && r.State != Destroyed:
			i.done.Refused++
		case s.State != Destroyed && r.State == Destroyed:
			if err := i.destroy(ctx, s, r); err != nil {
				return err
			}
		default:
			i.done.Present++
		}
	}
	if absent, err = i.allowed(ctx, absent); err != nil || len(absent) == 0 {
		return err
	}
	return i.create(ctx, absent)
}

// destroy has the store's record follow the file's tombstone.
func (i *importer) destroy(ctx context.Context, s, tombstone *Record) error {
	by := tombstone.ChangedBy
	if by == "" {
		by = i.cfg.By
	}
	err := i.k.toState(ctx, i.admin, *s, Destroyed, by, tombstone.Reason)
	if errors.Is(err, ErrConflict) {
		i.fail(s, err, "run the import again")
		return nil
	}
	if err == nil {
		i.done.Destroyed++
	}
	return err
}

// allowed leaves out live records of tenants that were shredded.
func (i *importer) allowed(ctx context.Context, records []Record) (list []Record, err error) {
	tenants := map[Purpose][]string{}
	for _, r := range records {
		if r.State != Destroyed {
			tenants[r.Purpose] = append(tenants[r.Purpose], r.Tenant)
		}
	}
	ended := map[owner]bool{}
	for p, names := range tenants {
		latest, err := i.k.cfg.Store.Latest(ctx, p, names)
		if err != nil {
			return nil, storeError(err)
		}
		for _, r := range latest {
			ended[owner{r.Purpose, r.Tenant}] = r.Mark()
		}
	}
	for _, r := range records {
		if r.State != Destroyed && ended[owner{r.Purpose, r.Tenant}] {
			i.done.Refused++
			continue
		}
		list = append(list, r)
	}
	return list, nil
}

// create adds records that the store has not.
func (i *importer) create(ctx context.Context, records []Record) error {
	stands, err := i.restorer.Restore(ctx, records)
	if err != nil {
		return storeError(err)
	}
	for n := range records {
		r, s := &records[n], &stands[n]
		switch {
		case s.ID == r.ID:
			i.done.Created++
			if r.State != Destroyed {
				i.made[r.ID] = true
			}
		case s.State == Destroyed && r.State == Destroyed:
			i.done.Present++ // two tombstones of one place say the same
		case s.State == Destroyed:
			i.done.Refused++
		default:
			i.fail(r, ErrConflict, fmt.Sprintf("key %v stands at its place, version %d, and stays", s.ID, s.Version))
		}
	}
	return nil
}

// settle destroys what was made for tenants that were shredded while the import ran.
func (i *importer) settle(ctx context.Context) error {
	if len(i.made) == 0 {
		return nil
	}
	var shredded []owner
	err := i.k.Each(ctx, Filter{}, func(r Record) error {
		if r.Mark() {
			shredded = append(shredded, owner{r.Purpose, r.Tenant})
		}
		return nil
	})
	for _, o := range shredded {
		var list []Record
		if err == nil {
			list, err = i.k.versions(ctx, o.purpose, o.tenant)
		}
		if err == nil && slices.ContainsFunc(list, func(r Record) bool { return r.State != Destroyed && i.made[r.ID] }) {
			err = i.k.end(ctx, o.tenant, Destroyed, i.cfg.By, "")
		}
	}
	return err
}

// check unwraps what the store has for live records of the file.
func (i *importer) check(ctx context.Context, page []Record) error {
	ids := make([]envelope.KeyID, len(page))
	for n := range page {
		ids[n] = page[n].ID
	}
	records, err := i.k.byID(ctx, ids)
	if err != nil {
		return err
	}
	for _, stores := range []bool{true, false} {
		var wanted []envelope.KeyID
		for _, id := range ids {
			if r := records[id]; r != nil && r.State != Destroyed && (r.Purpose == PurposeStore) == stores {
				wanted = append(wanted, id)
			}
		}
		unwrap := i.k.unwrapKeys
		if stores {
			unwrap = i.k.unwrapStores
		}
		i.unwraps(ctx, wanted, records, unwrap)
	}
	return nil
}

func (i *importer) unwraps(ctx context.Context, ids []envelope.KeyID, records map[envelope.KeyID]*Record, unwrap unwrapper) {
	errs := make([]error, len(ids))
	unwrap(ctx, ids, records, func(n int, _ *heldKey, _ time.Time, err error) { errs[n] = err })
	for n, err := range errs {
		if err != nil {
			i.fail(records[ids[n]], err, "")
		}
	}
}
