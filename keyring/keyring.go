package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// Config says where keys are and how they are held.
type Config struct {
	// Namespace names the deployment and is bound into every wrap and value;
	// "" by default. One key store serves one namespace.
	Namespace string
	// Roots are the root keys that wrap tenant keys, at least one. Any of them
	// opens a key; they are asked in this order, the next where one fails.
	Roots []kms.KMS
	// Store keeps the wrapped tenant keys. It may be nil where every column
	// has row keys wrapped by the KMS.
	Store Store
	// Intermediate puts a few store keys between root keys and new tenant
	// keys, so that a key for each of millions of users costs no KMS call.
	Intermediate bool
	// Entries bounds the tenant keys held; 0 means 10,000.
	Entries int
	// Built bounds the AEADs that are held, at about 1.2 kB each, and the
	// index keys; 0 means four times Entries. Of row keys as many are held,
	// but no more than Entries.
	Built int
	// TTL is how long a key is held, counted from when its unwrapping began; 0
	// means 5 minutes, 1 second to 1 hour is allowed. Disabling a root key stops all opening within it.
	TTL time.Duration
	// Concurrency bounds the KMS calls under way for one request; 0 means 64.
	Concurrency int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log takes warnings; nil discards them.
	Log *slog.Logger
}

// The defaults and fixed bounds of Config.
const (
	DefaultEntries     = 10_000
	DefaultTTL         = 5 * time.Minute
	DefaultConcurrency = 64

	// minTTL leaves a slow KMS time to answer within a key's life.
	minTTL = time.Second
	// storeEntries bounds the store keys held: storeSlots, and as many again
	// for every time that they were replaced.
	storeEntries = 64
	// walkedRowKeys is how many KMS-wrapped row keys a walk over a table holds at
	// least, at about 500 bytes each: what was sealed by several writers at a time
	// lies apart, and a key that was let go of costs a call.
	walkedRowKeys = 12_000
	// aeadsPerKey is how many built AEADs are held for each tenant key: a
	// tenant has several columns, and a column up to envelope.SaltCount salts.
	aeadsPerKey = 4
	// valuesPerSalt is how many values a process seals before it takes
	// another salt of the pool at random. 2^34 values of one field then spread
	// over the 16 salts evenly enough for the bound of docs/FORMAT.md.
	valuesPerSalt = 1 << 20
	// refreshKeys is the share of the TTL after which a tenant key that is in
	// use is unwrapped anew in the background, so that its users never wait
	// for the KMS. Keys derived from it follow later, when it is there.
	refreshKeys    = 0.75
	refreshDerived = 0.9
	// warnValues is half of the values that a field key may seal.
	warnValues = envelope.MaxValues / 2
)

func (c *Config) validate() error {
	switch {
	case len(c.Roots) == 0:
		return errors.New("keyring: Config.Roots is empty; give at least one KMS")
	case c.Entries < 0 || c.Built < 0 || c.Concurrency < 0:
		return errors.New("keyring: Config.Entries, Config.Built and Config.Concurrency must not be negative")
	case c.TTL != 0 && (c.TTL < minTTL || c.TTL > dekcache.MaxTTL):
		return fmt.Errorf("keyring: Config.TTL is %v; %v to %v is allowed", c.TTL, minTTL, dekcache.MaxTTL)
	case len(c.Namespace) > 255:
		return errors.New("keyring: Config.Namespace is longer than 255 bytes")
	}
	if c.Entries == 0 {
		c.Entries = DefaultEntries
	}
	if c.Built == 0 {
		c.Built = c.Entries * aeadsPerKey
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Keyring hands out keys. It is safe for concurrent use and needs no closing;
// the Store and the KMS clients remain the caller's.
type Keyring struct {
	cfg Config

	held    *dekcache.Cache[envelope.KeyID, heldKey] // tenant and index keys
	stores  *dekcache.Cache[envelope.KeyID, heldKey] // store keys
	current *dekcache.Cache[owner, envelope.KeyID]
	writers *dekcache.Cache[writerRef, envelope.Key]
	readers *dekcache.Cache[readerRef, envelope.Key]
	rows    *dekcache.Cache[rowRef, envelope.Key]
	kmsRows *dekcache.Cache[string, envelope.Key]
	kmsRaws *dekcache.Cache[string, kmsRaw]
	indexes *dekcache.Cache[blindindex.Use, blindindex.Key]
	ends    *dekcache.Cache[string, tenantEnd]
	reused  reusedKeys
	tallies *tallies

	forgotten forgotten

	// The loaders as values made once, because a method value made for each
	// call would cost an allocation on the way to a cached key.
	load loaders
}

type loaders struct {
	held    dekcache.Loader[envelope.KeyID, heldKey]
	stores  dekcache.Loader[envelope.KeyID, heldKey]
	current dekcache.Loader[owner, envelope.KeyID]
	writers dekcache.Loader[writerRef, envelope.Key]
	readers dekcache.Loader[readerRef, envelope.Key]
	rows    dekcache.Loader[rowRef, envelope.Key]
	kmsRows dekcache.Loader[string, envelope.Key]
	kmsRaws dekcache.Loader[string, kmsRaw]
	indexes dekcache.Loader[blindindex.Use, blindindex.Key]
	ends    dekcache.Loader[string, tenantEnd]
}

// heldKey is an unwrapped tenant or store key and what its record said.
type heldKey struct {
	*envelope.TenantKey
	purpose Purpose
	expires time.Time
	asOf    uint64 // Record.asOf
}

// owner is whose current key is meant.
type owner struct {
	purpose Purpose
	tenant  string
}

// writerRef is what a key to seal with is wanted for; field is nil for the
// keys that wrap row keys.
type writerRef struct {
	tenant string
	field  *envelope.Field
	suite  envelope.Suite
}

// readerRef is the derived key that a stored value (or, with a nil field, a
// wrapped row key) names.
type readerRef struct {
	id    envelope.KeyID
	field *envelope.Field
	suite envelope.Suite
	salt  [envelope.SaltSize]byte
}

// rowRef is a row key as its value carries it.
type rowRef struct {
	id      envelope.KeyID
	suite   envelope.Suite
	wrapped [envelope.WrappedRowSize]byte
}

// New returns a Keyring. It makes no call to the store or a KMS, so that a
// process starts without them.
func New(cfg Config) (*Keyring, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	k := &Keyring{cfg: cfg}
	k.reused.cfg = &k.cfg
	k.load = loaders{k.loadHeld, k.loadStores, k.loadCurrent, k.loadWriters, k.loadReaders, k.loadRows, k.loadKMSRows, k.loadKMSRaws, k.loadIndexes, k.loadEnds}
	var err error
	if k.tallies, err = newTallies(cfg.Entries*aeadsPerKey, warnValues, cfg.Log); err != nil {
		return nil, err
	}
	return k, errors.Join(
		newCache(&k.held, &cfg, cfg.Entries, refreshKeys, 0),
		newCache(&k.stores, &cfg, storeEntries, refreshKeys, 0),
		newCache(&k.current, &cfg, cfg.Entries, refreshKeys, 0),
		newCache(&k.writers, &cfg, cfg.Built, refreshDerived, valuesPerSalt),
		newCache(&k.readers, &cfg, cfg.Built, refreshDerived, 0),
		newCache(&k.rows, &cfg, cfg.rowKeys(), 0, 0),
		newCache(&k.kmsRows, &cfg, cfg.rowKeys(), 0, 0),
		newCache(&k.kmsRaws, &cfg, max(cfg.Entries, walkedRowKeys), 0, 0),
		newCache(&k.indexes, &cfg, cfg.Built, refreshDerived, 0),
		newCache(&k.ends, &cfg, cfg.Entries, refreshKeys, 0),
	)
}

func newCache[K comparable, V any](c **dekcache.Cache[K, V], cfg *Config, entries int, refresh float64, maxValues uint64) (err error) {
	*c, err = dekcache.New(dekcache.Config[K, V]{
		Entries: entries, TTL: cfg.TTL, RefreshAhead: refresh, MaxValues: maxValues, Now: cfg.Now,
	})
	return err
}

// rowKeys is how many row keys are held.
func (c *Config) rowKeys() int { return min(c.Entries, c.Built) }

// now is the time by the injected clock or the system's.
func (c *Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// Namespace returns what all keys and values of k are bound to.
func (k *Keyring) Namespace() string { return k.cfg.Namespace }

// String names the type and shows nothing of the keys.
func (k *Keyring) String() string { return "rowseal keyring" }

// GoString is String.
func (k *Keyring) GoString() string { return k.String() }

// LogValue is String.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Stats are the counters of the caches, by what they hold.
type Stats struct {
	TenantKeys dekcache.Stats // unwrapped tenant and store keys
	Writers    dekcache.Stats // AEADs that seal
	Readers    dekcache.Stats // AEADs that open
	RowKeys    dekcache.Stats // row keys found in values
	KMSRowKeys dekcache.Stats // row keys that a KMS unwrapped
	IndexKeys  dekcache.Stats // keys that make search terms
}

// Stats returns the counters so far.
func (k *Keyring) Stats() Stats {
	return Stats{
		TenantKeys: k.held.Stats(), Writers: k.writers.Stats(), Readers: k.readers.Stats(),
		RowKeys: k.rows.Stats(), KMSRowKeys: k.kmsRows.Stats(), IndexKeys: k.indexes.Stats(),
	}
}

// Prepare makes sure that each tenant has a key to seal with, and that it is
// at hand, in as few calls as possible.
func (k *Keyring) Prepare(ctx context.Context, tenants ...string) error {
	_, errs := k.currentKeys(ctx, PurposeTenant, tenants)
	return errors.Join(errs...)
}
