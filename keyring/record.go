package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// Purpose says what a stored key is for. The words are stored and bound into
// every wrap.
type Purpose string

const (
	// PurposeTenant: a tenant's key, the input to its field and row keys.
	PurposeTenant Purpose = "tenant"
	// PurposeIndex: a tenant's key for search terms.
	PurposeIndex Purpose = "index"
	// PurposeGlobalIndex: the one key of the namespace for search terms that
	// are alike for all tenants. Its Tenant is "*".
	PurposeGlobalIndex Purpose = "index-global"
	// PurposeStore: a key between the KMS and tenant keys; its Tenant is a
	// slot number.
	PurposeStore Purpose = "store"

	purposeRow = "row" // KMS-wrapped row keys, which are not stored here
)

// State is where a key stands in its life.
type State string

const (
	// Active keys seal and open.
	Active State = "active"
	// Retired keys only open.
	Retired State = "retired"
	// Destroyed keys are tombstones: their wraps are gone.
	Destroyed State = "destroyed"
)

// Record is a key as the key store keeps it. It holds nothing secret.
type Record struct {
	ID         envelope.KeyID
	Tenant     string
	Purpose    Purpose
	Version    uint32 // 1, 2, … per tenant and purpose
	State      State
	Parent     envelope.KeyID // the store key that wraps it; zero: root keys do
	Commitment [envelope.CommitmentSize]byte
	Wraps      []kms.Wrapped // one for each root key; empty when destroyed
	CreatedAt  time.Time     // by the store's clock; set by the store
	ChangedAt  time.Time     // when State last changed; set by the store
	ChangedBy  string        // who changed the state last; "" at first
	Reason     string        // why; "" at first

	asOf uint64 // what a Keyring had forgotten before it read this; see forgotten
}

// Bits of r that a wrap is bound to.
func (r *Record) binding(namespace string) kms.Binding {
	return kms.Binding{
		Namespace: namespace, Tenant: r.Tenant, Purpose: string(r.Purpose),
		KeyID: r.ID.String(), Version: r.Version,
	}
}

// String names the key for errors and lists.
func (r *Record) String() string {
	return fmt.Sprintf("%s key %s (tenant %q, version %d, %s)", r.Purpose, r.ID, r.Tenant, r.Version, r.State)
}

// Store is where wrapped keys are kept. Implementations are safe for
// concurrent use, use no connection or transaction of their callers, and
// return only after a write is durable.
type Store interface {
	// ByID returns the records of ids, and those of their Parents, in one
	// query and any order. Ids that do not exist are left out.
	ByID(ctx context.Context, ids []envelope.KeyID) ([]Record, error)
	// Latest returns for each tenant the record with the highest version of
	// the purpose that is active, or if none is, the highest of all, and the
	// records of their Parents, in one query and any order.
	Latest(ctx context.Context, p Purpose, tenants []string) ([]Record, error)
	// Create stores each record whose tenant, purpose and version are not
	// taken, and returns what now stands at each place, in the records' order
	// and without Parents: the record itself, or the one that was there before
	// it. Of concurrent calls one wins.
	Create(ctx context.Context, records []Record) ([]Record, error)
}

// Admin is what key management asks of a store beyond [Store]: [Keyring.Each], Rotate, Retire, Destroy, Bar, Shred,
// Export and Import, and a [Rewrapper]. Where the store has it not, they fail with [ErrStore].
type Admin interface {
	// List returns up to limit records with an id above after, by ascending id.
	List(ctx context.Context, f Filter, after envelope.KeyID, limit int) ([]Record, error)
	// Update replaces State, Parent, Wraps, ChangedBy and Reason of the
	// record old.ID by those of new, if State and Wraps are still as in old. It
	// reports false, and changes nothing, if not. ChangedAt is set where State
	// changes, and by nothing else: the wait before a key may be destroyed counts
	// from there, and a rewrap must not begin it again.
	Update(ctx context.Context, old, new Record) (bool, error)
	// Now is the store's clock.
	Now(ctx context.Context) (time.Time, error)
}

// Watcher is what a store that tells of changes offers beyond [Store].
type Watcher interface {
	// Watch calls changed with the ids of keys whose state was changed, and of
	// tombstones that were made, by anybody, soon after each change, until ctx ends; its error is then ctx's. It
	// calls gap, with the reason or nil at first, whenever it begins to listen:
	// what was changed before is not told. It does not call both at once. The error is
	// at once errors.ErrUnsupported where the store cannot tell.
	Watch(ctx context.Context, changed func(ids []envelope.KeyID), gap func(reason error)) error
}

// Restorer is a store that takes records back from an export. [Keyring.Import] needs it.
type Restorer interface {
	// Restore is [Store.Create] of records that keep their CreatedAt and
	// ChangedAt.
	Restore(ctx context.Context, records []Record) ([]Record, error)
}

// Export is a copy of keys that somebody took. They are wrapped in it as they are
// in the store.
type Export struct {
	ID     envelope.KeyID // of the export; random
	At     time.Time      // by the store's clock; set by the store
	By     string         // who took it
	To     string         // where to
	Tenant string         // whose keys; "" for all
	Keys   int64          // how many records; 0 while it is written, or where it broke off
	Digest string         // the file's last line has it, in hex; "" like Keys
}

// Ledger is a store that remembers exports. [Keyring.Export] and [Keyring.Exports] need it.
type Ledger interface {
	// SaveExport notes e, or where its ID is noted already, its Keys and Digest.
	SaveExport(ctx context.Context, e Export) error
	// Exports returns all exports, the oldest first.
	Exports(ctx context.Context) ([]Export, error)
}

// Filter narrows a List. Zero fields do not narrow.
type Filter struct {
	Tenant  string
	Purpose Purpose
	// Parent is the store key that wraps the keys.
	Parent envelope.KeyID
	// RootWrapped leaves out the keys that a store key wraps, and tombstones.
	RootWrapped bool
}
