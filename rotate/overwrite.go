package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// ErrNotShredded: an overwrite was asked for while the tenant still has keys that open its values.
var ErrNotShredded = errors.New("tenant still has keys; shred it first")

// overwrite replaces what is left of a shredded tenant's values. Terms under a global index key outlive the
// tenant's keys: they go on telling which values are equal to others'.
type overwrite struct {
	columns  []*field.Column
	plain    []plainColumn // in transition, emptied
	tenant   string
	tenantAt string
	keys     map[envelope.KeyID]bool // the tenant's, all destroyed
}

// newOverwrite makes the work of an Overwrite, which needs a tenant whose keys are all destroyed. It is about the
// columns with `scope: global`, or all with option "all", and those in transition, whose plain columns are emptied.
func newOverwrite(ctx context.Context, cfg *Config, job *Job) (work, error) {
	if job.Tenant == "" {
		return nil, errors.New("rotate: an overwrite needs the tenant that was shredded")
	}
	all, err := boolOption(job, "all")
	if err != nil {
		return nil, err
	}
	columns, err := chosenColumns(job)
	if err != nil {
		return nil, err
	}
	if !all {
		columns = slices.DeleteFunc(columns, func(c *field.Column) bool { return c.Scope() != field.ScopeGlobal && c.Transition().Plain == "" })
	}
	o := &overwrite{columns: columns, tenant: job.Tenant, keys: map[envelope.KeyID]bool{}}
	for _, c := range columns {
		if c.Transition().Plain != "" {
			o.plain = append(o.plain, plainColumn{name: c.Transition().Plain, typ: c.Type()})
		}
	}
	if o.tenantAt, err = tenantColumn(job); err != nil {
		return nil, err
	}
	err = cfg.Keyring.Each(ctx, keyring.Filter{Tenant: job.Tenant}, func(r keyring.Record) error {
		switch {
		case r.Purpose != keyring.PurposeTenant && r.Purpose != keyring.PurposeIndex:
		case r.State != keyring.Destroyed:
			return fmt.Errorf("rotate: %w: %s", ErrNotShredded, &r)
		case r.Purpose == keyring.PurposeTenant:
			o.keys[r.ID] = true
		}
		return nil
	})
	if err == nil && len(o.keys) == 0 {
		err = fmt.Errorf("rotate: %w: the key store has no key of tenant %q; check its spelling and keys.store", keyring.ErrUnknownKey, job.Tenant)
	}
	return o, err
}

// fork returns o, which is not changed by its use.
func (o *overwrite) fork() work { return o }

func (o *overwrite) reads() reads {
	want := reads{sealed: namesOf(o.columns), plain: o.plain, writes: true, fills: len(o.plain) > 0}
	want.tenant.column, want.tenant.value = o.tenantAt, o.tenant
	return want
}

// plan replaces every value that is the tenant's. What belongs to others stays: it may be the only one.
func (o *overwrite) plan(_ context.Context, rows []row) ([]verdict, error) {
	verdicts := make([]verdict, len(rows))
	for i := range rows {
		d := &verdicts[i]
		d.change = change{row: rows[i], fresh: make([][]byte, len(o.columns))}
		var values, done int64
		for j, col := range o.columns {
			if rows[i].values[j] == nil {
				continue
			}
			values++
			fresh, err := o.blank(rows[i].values[j], col)
			if err != nil {
				f, own := classify(err)
				if !own {
					return nil, err
				}
				f.Column = col.Name()
				d.findings = append(d.findings, f)
				continue
			}
			d.fresh[j], d.writes = fresh, true
			done++
		}
		d.counts = counted(d.counts, count{"values", values}, count{"overwritten", done})
		o.empty(d)
	}
	return verdicts, nil
}

// empty takes the row's values in clear away: no key has to be destroyed to read those.
func (o *overwrite) empty(d *verdict) {
	var emptied int64
	for j := range o.plain {
		if d.row.plain[j] == nil {
			continue
		}
		if d.plainTo == nil {
			d.plainTo = make([]plainEdit, len(o.plain))
		}
		d.plainTo[j], d.writes = plainEdit{set: true}, true
		emptied++
	}
	if len(o.plain) > 0 {
		d.counts = append(d.counts, count{"emptied", emptied})
	}
}

// blank returns a value of the same form that nothing opens.
func (o *overwrite) blank(sealed []byte, col *field.Column) ([]byte, error) {
	v, err := envelope.Parse(sealed)
	if err != nil {
		return nil, err
	}
	if v.Column != col.Field().ID() {
		return nil, field.ErrWrongColumn
	}
	if v.Mode() == envelope.ModeKMS && v.Tenant() != o.tenant || v.Mode() != envelope.ModeKMS && !o.keys[v.KeyID()] {
		return nil, field.ErrTenantMismatch
	}
	return v.AppendBlank(make([]byte, 0, len(sealed))), nil
}
