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

// rewrap brings the row keys that values carry to the keys that are current now: for `key: row` the newest
// version of the tenant's key, for `key: row, wrap: kms` the current version of the first root key. Columns of
// `key: tenant` carry no row key and are not read.
type rewrap struct {
	columns  []*field.Column
	tenant   string
	tenantAt string
	refs     *references
	parsed   []envelope.Value
	counts   []count
}

var _ interface {
	work
	forker
} = (*rewrap)(nil)

func newRewrap(ctx context.Context, cfg *Config, job *Job) (work, error) {
	w := &rewrap{tenant: job.Tenant}
	for _, c := range job.Table.Columns() {
		if c.Mode() != envelope.ModeTenant && (len(job.Columns) == 0 || slices.Contains(job.Columns, c.Name())) {
			w.columns = append(w.columns, c)
		}
	}
	if len(w.columns) == 0 {
		return w, nil
	}
	if job.Tenant != "" {
		if w.tenantAt = job.Table.Tenant().Column; w.tenantAt == "" {
			return nil, fmt.Errorf("rotate: table %s has no tenant column, so that the rows of one tenant cannot be told; rewrap all rows", job.Table.Name())
		}
	}
	r, err := cfg.Keyring.NewRewrapper(ctx)
	if err != nil {
		return nil, fmt.Errorf("rotate: asking for the current root keys: %w", err)
	}
	root := ""
	if slices.ContainsFunc(w.columns, func(c *field.Column) bool { return c.Mode() == envelope.ModeKMS }) {
		root = r.Current()[0]
	}
	withColumns(job, w.columns)
	if err := withKeys(ctx, cfg, job, w.columns, root); err != nil {
		return nil, err
	}
	w.refs, err = newReferences(r, cfg.Concurrency)
	return w, err
}

// fork shares the references: a wrapped key that values of several ranges carry costs one KMS call.
func (w *rewrap) fork() work {
	return &rewrap{columns: w.columns, refs: w.refs, tenant: w.tenant, tenantAt: w.tenantAt}
}

func (w *rewrap) reads() reads {
	r := reads{writes: true}
	for _, c := range w.columns {
		r.sealed = append(r.sealed, c.Name())
	}
	r.tenant.column, r.tenant.value = w.tenantAt, w.tenant
	return r
}

// plan finds the new form of every value of rows that is due.
func (w *rewrap) plan(ctx context.Context, rows []row) ([]verdict, error) {
	n := len(w.columns)
	w.parsed = slices.Grow(w.parsed[:0], len(rows)*n)[:len(rows)*n]
	w.counts = slices.Grow(w.counts[:0], 4*len(rows))
	verdicts := make([]verdict, len(rows))
	fresh := make([][]byte, len(rows)*n)
	for i := range rows {
		verdicts[i].change = change{row: rows[i], fresh: fresh[i*n : (i+1)*n : (i+1)*n]}
		for c, sealed := range rows[i].values {
			v := &w.parsed[i*n+c]
			if sealed == nil {
				*v = envelope.Value{}
				continue
			}
			if err := parse(v, w.columns[c], sealed); err != nil {
				*v = envelope.Value{}
				if !w.finding(&verdicts[i], c, err) {
					return nil, err
				}
			}
		}
	}
	if err := w.refs.prepare(ctx, w.parsed); err != nil {
		return nil, err
	}
	for i := range verdicts {
		if err := w.planRow(ctx, &verdicts[i], w.parsed[i*n:(i+1)*n]); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

func (w *rewrap) planRow(ctx context.Context, o *verdict, values []envelope.Value) error {
	var seen, current, due, destroyed int64
	for c := range values {
		v := &values[c]
		if o.values[c] != nil {
			seen++
		}
		if v.Bytes() == nil { // NULL, or refused by parse
			continue
		}
		a := w.refs.of(ctx, v)
		if a.err == nil && a.due {
			o.fresh[c], a.err = envelope.Rewrap(make([]byte, 0, len(v.Bytes())+64), v, a.ref)
		}
		switch {
		case errors.Is(a.err, keyring.ErrDestroyed):
			destroyed++
		case a.err != nil:
			o.fresh[c] = nil
			if !w.finding(o, c, a.err) {
				return a.err
			}
		case a.due:
			due++
		default:
			current++
		}
	}
	o.writes = due > 0
	begin := len(w.counts)
	for _, n := range [...]count{{"values", seen}, {"current", current}, {"rewrapped", due}, {"destroyed", destroyed}} {
		if n.n > 0 {
			w.counts = append(w.counts, n)
		}
	}
	o.counts = w.counts[begin:len(w.counts):len(w.counts)]
	return nil
}

// finding notes what is wrong with a value; false where err is not the value's fault.
func (w *rewrap) finding(o *verdict, column int, err error) bool {
	f, ok := classify(err)
	if ok {
		f.Column = w.columns[column].Name()
		o.findings = append(o.findings, f)
	}
	return ok
}

// parse refuses what does not belong into the column. Its type is not looked
// at: it changes with a reseal, which a rewrap need not wait for.
func parse(v *envelope.Value, col *field.Column, sealed []byte) error {
	if err := v.Parse(sealed); err != nil {
		return err
	}
	if v.Column != col.Field().ID() {
		return ErrWrongColumn
	}
	return nil
}
