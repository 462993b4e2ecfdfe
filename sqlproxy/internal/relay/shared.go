package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
)

const (
	// maxPlans bounds the plan cache, maxPlanText the texts in it.
	maxPlans    = 4096
	maxPlanText = 16 << 10
	// freshFor is how long a catalog is taken to be what it was when a session last looked. Changes
	// that go through the proxy are seen at once.
	freshFor = 5 * time.Second
)

// Shared is what the sessions of a server have in common: policy, cipher, the
// plans made so far, and what each database's catalog is like. It is safe for
// concurrent use.
type Shared struct {
	rules  atomic.Pointer[rules]
	engine engine
	// backends are those behind a pooler that sessions have: *session by what askBackend gives.
	backends sync.Map
	causes   causes
	sizes    sizes
}

// NewShared returns a Shared for a policy and the cipher that carries it out. A policy without
// tables relays everything; cipher may be nil then.
func NewShared(policy *field.Policy, cipher *field.Cipher) *Shared {
	s := &Shared{engine: realEngine}
	s.sizes.small = smallResult
	s.Replace(policy, cipher)
	return s
}

// Replace puts another policy and cipher in force. Sessions go on: the next
// statement, and the next Bind of a prepared one, follow the new rules.
func (s *Shared) Replace(policy *field.Policy, cipher *field.Cipher) {
	plans, err := lru.New[planKey, *plan.Plan](maxPlans)
	if err != nil {
		panic("rowseal: internal error: " + err.Error())
	}
	s.rules.Store(&rules{
		policy: policy, cipher: cipher,
		sealed:    policy != nil && len(policy.Tables()) > 0,
		plans:     plans,
		databases: map[place]*database{},
	})
}

// rules are a policy, and all that follows from it.
type rules struct {
	policy *field.Policy
	cipher *field.Cipher
	// sealed reports whether the policy has any table.
	sealed bool
	plans  *lru.Cache[planKey, *plan.Plan]

	mu        sync.Mutex
	databases map[place]*database
}

// planKey is what a plan follows from. The tenant is not part of it, but whether there is one is.
type planKey struct {
	text, oids, path string
	snapshot         *catalog.Snapshot
	tenant           bool
	noBackslash      bool
	nullEquals       bool
	prepared         bool
}

// database is what is known of one database's catalog.
type database struct {
	mu       sync.Mutex
	snapshot *catalog.Snapshot
	print    string
	// until is when it must be looked at again, in nanoseconds since start; 0 is at once.
	until atomic.Int64
}

// start is when the process began, for times that only compare.
var start = time.Now()

func (d *database) fresh() bool { return int64(time.Since(start)) < d.until.Load() }

// stale has every session look at the catalog before its next statement.
func (d *database) stale() { d.until.Store(0) }

// get gives the snapshot and its fingerprint; nil where none was loaded.
func (d *database) get() (snapshot *catalog.Snapshot, print string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.snapshot, d.print
}

// put says that the catalog is as in snapshot. asked is when the question was put, so that what was changed since is looked at.
func (d *database) put(snapshot *catalog.Snapshot, print string, before int64) {
	d.mu.Lock()
	d.snapshot, d.print = snapshot, print
	d.mu.Unlock()
	d.until.CompareAndSwap(before, int64(time.Since(start)+freshFor))
}

// place is where a database is: sessions that began before a reload may be on another server.
type place struct{ server, name string }

// databaseOf gives what is known of a session's database.
func (r *rules) databaseOf(s *session) *database {
	at := place{s.cfg.Server, s.pair.Database}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.databases[at]
	if d == nil {
		d = &database{}
		r.databases[at] = d
	}
	return d
}

// engine is the analysis, as functions, so that tests can put plans in its place.
type engine struct {
	scan        func(snapshot *catalog.Snapshot, text string, coding parse.Coding) parse.Words
	analyze     func(c *plan.Context, text string) (*plan.Plan, error)
	load        func(ctx context.Context, q catalog.Querier, policy *field.Policy) (*catalog.Snapshot, error)
	fingerprint string
	// column gives the sealed column that RowDescription names; nil for a plain one.
	column  func(snapshot *catalog.Snapshot, table uint32, num int16) *field.Column
	copyIn  func(s *sealing.Session, p *plan.Copy) copySealer
	copyOut func(s *sealing.Session, p *plan.Copy) copyOpener
	// covered reports whether a table, as ErrorResponse names it, has sealed columns.
	covered func(snapshot *catalog.Snapshot, schema, table string) bool
}

// copySealer and copyOpener are sealing's CopyIn and CopyOut.
type copySealer interface {
	Write(ctx context.Context, dst, data []byte) ([]byte, error)
	Close(ctx context.Context, dst []byte) ([]byte, error)
}

type copyOpener interface {
	Row(ctx context.Context, dst, data []byte) ([]byte, error)
}

var realEngine = engine{
	scan: func(snapshot *catalog.Snapshot, text string, coding parse.Coding) parse.Words {
		return parse.Scan(text, coding, snapshot.Sensitive)
	},
	analyze:     plan.Analyze,
	load:        catalog.Load,
	fingerprint: catalog.Fingerprint,
	column: func(snapshot *catalog.Snapshot, table uint32, num int16) *field.Column {
		relation := snapshot.ByOID(table)
		if relation == nil || relation.Table == nil {
			return nil
		}
		for i := range relation.Columns {
			if relation.Columns[i].Num == num {
				return relation.Columns[i].Sealed
			}
		}
		return nil
	},
	copyIn:  func(s *sealing.Session, p *plan.Copy) copySealer { return s.NewCopyIn(p) },
	copyOut: func(s *sealing.Session, p *plan.Copy) copyOpener { return s.NewCopyOut(p) },
	covered: func(snapshot *catalog.Snapshot, schema, table string) bool {
		relation := snapshot.Relation(schema, table)
		return relation != nil && relation.Sensitive
	},
}
