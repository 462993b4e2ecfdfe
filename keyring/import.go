package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rowseal/rowseal/envelope"
)

// Imported counts what [Keyring.Import] did with the records of an export.
type Imported struct {
	Keys      int64 // records in the file
	Created   int64 // were not in the store; of imports at once, each counts what stands there in the end
	Present   int64 // were there; the store's record stays as it is
	Destroyed int64 // were alive in the store and tombstones in the file: they are tombstones now
	// Moved were alive in the file while another key stands at their place: they open
	// values under another version, wrapped anew, and seal none.
	Moved int64
	// Left are alive in the store and tombstones in the file, or of a tenant that is
	// shredded in the file. They stay, for want of ImportConfig.Destroy or because an import
	// never destroys keys that others depend on. LeftAlive are the first of them.
	Left      int64
	LeftAlive []Record
	// Refused were alive in the file, and the store has a tombstone for them or for their
	// tenant: they stay dead. So are tombstones that would end a tenant that is left alive.
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
	// Destroy has the store follow the tombstones of the file: keys that live in the store
	// are destroyed, and tenants that the file says were shredded are shredded, keys that they got
	// since included. Keys of PurposeStore and PurposeGlobalIndex stay in any case.
	Destroy bool
	// Check unwraps each live record of the file from the store in the end.
	Check bool
}

const (
	importPage = 500
	// maxImportFailures is how many failures are listed; all are counted.
	maxImportFailures = 20
)

// Import takes the records of an export into the store, which may be empty or hold
// some already. It revives nothing: a key, or a tenant, that is dead in the store gets
// nothing from the file. What lives in the store and is dead in the file stays and is told,
// unless ImportConfig.Destroy says that the file is right.
//
// Where the application went on with new keys after the store was lost, those stand at the
// places of the file's. The file's keys come under the next free versions then, retired, so that
// what they sealed opens. A search key cannot: ErrTaken says what to do.
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
	i := importer{k: k, admin: a, restorer: restorer, cfg: cfg, ends: map[string]State{}, marks: map[envelope.KeyID]bool{}, dead: map[envelope.KeyID]bool{}}
	count := func(r Record) error {
		i.done.Keys++
		return i.noteEnd(&r)
	}
	if err := i.read(file, count); err != nil {
		return done, err
	}
	err = i.all(ctx, file)
	k.Forget() // what was not to be had may be there now
	return i.done, err
}

// all does the passes over the file.
func (i *importer) all(ctx context.Context, file io.ReadSeeker) error {
	// What ended goes first, then all tombstones: they decide over what is alive.
	if err := i.endTenants(ctx, file); err != nil {
		return err
	}
	for _, dead := range []bool{true, false} {
		if err := i.pass(ctx, file, dead, i.page); err != nil {
			return err
		}
	}
	if i.displaced {
		for _, stores := range []bool{true, false} { // store keys unwrap the others
			i.stores = stores
			if err := i.pass(ctx, file, false, i.moveAside); err != nil {
				return err
			}
		}
	}
	if err := i.settle(ctx, file); err != nil {
		return err
	}
	if i.cfg.Check {
		return i.pass(ctx, file, false, i.check)
	}
	return nil
}

// importer is one call of Import.
type importer struct {
	k        *Keyring
	admin    Admin
	restorer Restorer
	cfg      ImportConfig
	done     Imported
	// ends are the tenants that the file has a mark for: Destroyed, or Retired where they were
	// barred only. A tenant that lives on in the store, and is to, is in lives.
	ends  map[string]State
	lives map[string]bool
	// marks and dead are the file's marks and tombstones of those tenants.
	marks, dead map[envelope.KeyID]bool
	// displaced: a key stands at the place of one of the file's; stores is which of these moveAside takes.
	displaced, stores bool
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
	standing, err := i.standing(ctx, page)
	if err != nil {
		return err
	}
	var absent []Record
	for n := range page {
		r := &page[n]
		switch s := standing[r.ID]; {
		case s == nil && r.State == Destroyed && i.lives[r.Tenant] && !r.Purpose.shared():
			i.done.Refused++ // a mark would end the tenant
		case s == nil:
			absent = append(absent, *r)
		case !sameKey(s, r):
			i.fail(r, ErrTaken, "the store has another key of that id, which stays")
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

// standing returns what the store has under the ids of page.
func (i *importer) standing(ctx context.Context, page []Record) (map[envelope.KeyID]*Record, error) {
	ids := make([]envelope.KeyID, len(page))
	for n := range page {
		ids[n] = page[n].ID
	}
	return i.k.byID(ctx, ids)
}

// sameKey reports whether the store's record is that of the file, at its version or moved aside.
func sameKey(s, r *Record) bool {
	return s.Tenant == r.Tenant && s.Purpose == r.Purpose && s.Commitment == r.Commitment && (s.Version == r.Version || s.State != Active)
}

// shared reports whether keys of purpose p serve more than one tenant.
func (p Purpose) shared() bool { return p == PurposeStore || p == PurposeGlobalIndex }

// destroy has the store's record follow the file's tombstone, where that is wanted.
func (i *importer) destroy(ctx context.Context, s, tombstone *Record) error {
	if s.Purpose.shared() || !i.cfg.Destroy {
		i.leave(s)
		return nil
	}
	err := i.k.toState(ctx, i.admin, *s, Destroyed, cmp.Or(tombstone.ChangedBy, i.cfg.By), tombstone.Reason)
	if errors.Is(err, ErrConflict) {
		i.fail(s, err, "run the import again")
		return nil
	}
	if err == nil {
		i.done.Destroyed++
	}
	return err
}

// leave notes a key that lives against the file's word.
func (i *importer) leave(s *Record) {
	i.done.Left++
	if len(i.done.LeftAlive) < maxImportFailures {
		i.done.LeftAlive = append(i.done.LeftAlive, *s)
	}
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
			barred := i.ends[r.Tenant] == Retired && i.marks[r.ID] && !r.Ended() // by the file's own mark
			ended[owner{r.Purpose, r.Tenant}] = r.Mark() && !barred
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
		case s.State == Destroyed && r.State == Destroyed:
			i.done.Present++ // two tombstones of one place say the same
		case s.State == Destroyed || r.State == Destroyed:
			i.done.Refused++ // what is dead stays so, and another key is none of its business
		case r.Purpose.indexes():
			i.fail(r, ErrTaken, indexTaken)
		default:
			i.displaced = true // moveAside brings it
		}
	}
	return nil
}

// indexTaken is what to do where the application made a search key before the lost one was imported.
const indexTaken = "the search key that was made since stays. Values from before open and are not found by searches; " +
	"`rowseal rotate verify` lists them as stale-terms, and `rowseal rotate reseal` makes their search terms anew. " +
	"To keep the old search key, import into an empty key store before any program writes"

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
