package keyring

import (
	"context"
	"time"

	"github.com/rowseal/rowseal/envelope"
)

// tenantEnd is how far a tenant's life has come to an end.
type tenantEnd struct {
	seals, opens error // nil where the tenant still does
}

// loadEnds looks for the marks of tenants, in one query.
func (k *Keyring) loadEnds(ctx context.Context, tenants []string, deliver func(int, *tenantEnd, time.Time, error)) {
	asOf := k.forgotten.count.Load()
	list, err := k.cfg.Store.Latest(ctx, PurposeTenant, tenants)
	if err != nil {
		deliverAll(len(tenants), deliver, storeError(err))
		return
	}
	marks := map[string]*Record{}
	for i := range list {
		if r := &list[i]; r.Purpose == PurposeTenant && r.Mark() {
			marks[r.Tenant] = r
		}
	}
	var until time.Time
	if k.forgotten.count.Load() != asOf { // it may be a mark that was read too early
		until = k.cfg.now().Add(lastUse)
	}
	for i, tenant := range tenants {
		var e tenantEnd
		if r := marks[tenant]; r != nil {
			e.seals = destroyed(r)
			if r.Ended() {
				e.opens = e.seals
			}
		}
		deliver(i, &e, until, nil)
	}
}

// endsOf sets the errors of grants for tenants that have ended: row keys that the KMS wraps
// depend on no key of the store, so that nothing else would refuse them. tenant says whose
// key the grant at a place of at is. It returns the places that remain.
func (k *Keyring) endsOf(ctx context.Context, at batch, tenant func(int) string, failed func(*tenantEnd) error, grants []envelope.Grant) batch {
	if k.cfg.Store == nil || len(at) == 0 {
		return at
	}
	places := map[string]int{}
	var tenants []string
	for _, i := range at {
		if _, seen := places[tenant(i)]; !seen {
			places[tenant(i)] = len(tenants)
			tenants = append(tenants, tenant(i))
		}
	}
	ends := getMany(ctx, k.ends, tenants, k.load.ends)
	remain := make(batch, 0, len(at))
	for _, i := range at {
		end := &ends[places[tenant(i)]]
		err := end.Err
		if err == nil {
			err = failed(end.Value)
		}
		if err != nil {
			grants[i] = envelope.Grant{Err: err}
			continue
		}
		remain = append(remain, i)
	}
	return remain
}

func (e *tenantEnd) sealing() error { return e.seals }

func (e *tenantEnd) opening() error { return e.opens }
