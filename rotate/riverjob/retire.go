package riverjob

import (
	"context"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// unused are older keys that a rotation left active, because it was interrupted or an import undid it, and that no value is
// under any more. What `rowseal keys rotate` did leaves nothing to do here.
//
// Of the job's own table its check is the proof, of the others a verify that began after the newer key was made. A key of which
// that is not known stays active; nothing is lost by it.
func (r *Runner) unused(ctx context.Context, s spec, status rotate.Status) (unused []keyring.Record, err error) {
	table := r.cfg.Policy.Table(s.Table)
	if table == nil {
		return nil, errNoTable
	}
	if !proves(s, table, status) {
		return nil, nil
	}
	older, newest, err := r.olderKeys(ctx, s.Tenant)
	if err != nil || len(older) == 0 {
		return nil, err
	}
	jobs, err := rotate.Jobs(ctx, r.cfg.Rotate.DB, r.cfg.Rotate.Dialect, true)
	if err != nil {
		return nil, err
	}
	others := r.otherTables(table)
	for _, k := range older {
		if use := rotate.UseOfKey(jobs, others, k.ID, newest[k.Tenant].CreatedAt); use.Unused() {
			unused = append(unused, k)
			continue
		}
		r.cfg.Rotate.Log.Info("a key stays active: other tables may have values under it; verify them and use rowseal keys retire", "key", k.ID.String())
	}
	return unused, nil
}

// retire ends the use of keys.
func (r *Runner) retire(ctx context.Context, unused []keyring.Record, job int64) error {
	for _, k := range unused {
		reason := fmt.Sprintf("job %d left no value under it", job)
		if err := r.cfg.Rotate.Keyring.Retire(ctx, k.ID, r.cfg.By, reason); err != nil {
			return err
		}
		r.cfg.Rotate.Log.Info("key retired", "key", k.ID.String(), "tenant", k.Tenant)
	}
	return nil
}

// proves says that a job which has come to its end left no value of the table under an older key: it is about all columns, wrote or found
// current whatever it met, and nothing was due when it looked again.
func proves(s spec, table *field.Table, status rotate.Status) bool {
	c := status.Counts
	if s.passes() == 1 || len(s.Columns) > 0 || c["failed"] > 0 || c["due"] > 0 || c["destroyed"] > 0 {
		return false
	}
	for _, col := range table.Columns() {
		if s.Kind == rotate.Rewrap && col.Mode() == envelope.ModeTenant {
			return false // which a rewrap does not read
		}
	}
	return s.Kind == rotate.Rewrap || s.Kind == rotate.Reseal
}

// olderKeys are the active keys of tenants that have a newer active one.
func (r *Runner) olderKeys(ctx context.Context, tenant string) (older []keyring.Record, newest map[string]keyring.Record, err error) {
	newest = map[string]keyring.Record{}
	filter := keyring.Filter{Purpose: keyring.PurposeTenant, Tenant: tenant}
	err = r.cfg.Rotate.Keyring.Each(ctx, filter, func(k keyring.Record) error {
		if k.State != keyring.Active {
			return nil
		}
		last, ok := newest[k.Tenant]
		if !ok {
			k.Wraps = nil // not needed, and there may be many tenants
			newest[k.Tenant] = k
			return nil
		}
		if last.Version < k.Version {
			last, k = k, last
		}
		newest[k.Tenant], older = last, append(older, k)
		return nil
	})
	return older, newest, err
}

// otherTables are the policy's. Older values may be under keys of the store whatever the columns say now.
func (r *Runner) otherTables(table *field.Table) (others []*field.Table) {
	for _, t := range r.cfg.Policy.Tables() {
		if t.Name() != table.Name() {
			others = append(others, t)
		}
	}
	return others
}
