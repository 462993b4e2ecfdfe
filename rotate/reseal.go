package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// errInexact: a value cannot be brought into its column's new type without loss.
var errInexact = errors.New("value does not convert exactly")

// nullValue is what SealRows gets for what stays.
var nullValue any = field.Binary(nil)

// reseal opens values and seals them again as the policy says now.
type reseal struct {
	*sealedPage
	keyring    field.Keyring
	all        bool // what is current too
	whole      bool // all, as the job says it
	tenant     string
	tenantAt   string // the tenant column, where the job is one tenant's
	converters []converter
	sealing    []field.SealRow
	of         []int // of what is in sealing, in the page's rows
	values     []any
	fresh      [][]byte // converted plaintexts
	verdicts   []verdict
	sealed     [][]byte // of the verdicts
	counts     []count
	newest     map[string]newestKey
}

// newestKey is the key that seals a tenant's values now.
type newestKey struct {
	id  envelope.KeyID
	err error
}

// newReseal makes the work of a Reseal. Option "all" is "true" for values that are current too.
func newReseal(ctx context.Context, cfg *Config, job *Job) (work, error) {
	all, err := boolOption(job, "all")
	if err != nil {
		return nil, err
	}
	columns, err := chosenColumns(job)
	if err != nil {
		return nil, err
	}
	withPolicy(job, columns)
	if err := withKeys(ctx, cfg, job, columns, ""); err != nil {
		return nil, err
	}
	tenantAt, err := tenantColumn(job)
	if err != nil {
		return nil, err
	}
	page, err := newSealedPage(ctx, cfg, job.Table, columns)
	if err != nil {
		return nil, err
	}
	r := reseal{sealedPage: page, keyring: cfg.Keyring, all: all, whole: all, tenant: job.Tenant, tenantAt: tenantAt}
	return r.fork(), nil
}

// fork returns the same for another worker.
func (r *reseal) fork() work {
	other := &reseal{
		sealedPage: r.sealedPage.fork(), keyring: r.keyring, all: r.whole, whole: r.whole, tenant: r.tenant, tenantAt: r.tenantAt,
		newest: map[string]newestKey{},
	}
	for _, c := range r.columns {
		other.converters = append(other.converters, converter{to: c.Type()})
	}
	return other
}

// check has only what is stale be due, which says nothing of what is sealed again without need.
func (r *reseal) check(on bool) { r.all = r.whole && !on }

func (r *reseal) reads() reads {
	want := reads{sealed: namesOf(r.columns), beside: r.who.beside(), writes: true}
	want.tenant.column, want.tenant.value = r.tenantAt, r.tenant
	return want
}

// plan seals again what is stale, and all where the job says so. Where it takes the plaintext to tell, it opens
// the value: for terms, and for padding.
func (r *reseal) plan(ctx context.Context, rows []row) ([]verdict, error) {
	defer r.release()
	r.parse(rows)
	if !r.all {
		clear(r.newest)
		r.askNewest(ctx)
	}
	for i := range r.cells {
		c, col := &r.cells[i], r.columns[i%len(r.columns)]
		c.want = c.set && (r.all || col.Search().Equality || col.Pad() > 0 || !r.current(c, i))
	}
	if err := r.openWanted(ctx); err != nil {
		return nil, err
	}
	if !r.all {
		r.askNewest(ctx) // now for those whose row does not say
		if err := r.checkTerms(ctx); err != nil {
			return nil, err
		}
	}
	verdicts := r.empty(rows)
	r.gather()
	if err := r.seal(ctx, verdicts); err != nil {
		return nil, err
	}
	return verdicts, r.settle(verdicts)
}

// empty returns the rows' verdicts in memory that the last page's had, which is done with.
func (r *reseal) empty(rows []row) []verdict {
	n := len(r.columns)
	r.verdicts, r.sealed = grown(r.verdicts, len(rows)), grown(r.sealed, len(rows)*n)
	clear(r.sealed)
	r.counts = slices.Grow(r.counts[:0], kindsOfCounts*len(rows))
	for i := range r.verdicts {
		r.verdicts[i] = verdict{change: change{row: rows[i], fresh: r.sealed[i*n : (i+1)*n : (i+1)*n]}}
	}
	return r.verdicts
}

// kindsOfCounts is how many counts a row can have.
const kindsOfCounts = 4

// tenantOf is the tenant of a value's row, or where that does not say, the one that opened it; else "".
func (r *reseal) tenantOf(c *sealedCell, at int) string {
	if c.owner != "" {
		return c.owner
	}
	return r.rows[at/len(r.columns)].Tenant
}

// askNewest finds the newest keys of the tenants of the page's rows that are not known yet, at once.
func (r *reseal) askNewest(ctx context.Context) {
	var uses []envelope.Use
	for i := range r.cells {
		c, col := &r.cells[i], r.columns[i%len(r.columns)]
		tenant := r.tenantOf(c, i)
		if !c.set || tenant == "" || col.Mode() == envelope.ModeKMS {
			continue
		}
		if _, ok := r.newest[tenant]; ok {
			continue
		}
		r.newest[tenant] = newestKey{}
		u := envelope.Use{Tenant: tenant, Mode: col.Mode(), Suite: col.Suite()}
		if u.Mode == envelope.ModeTenant {
			u.Field = col.Field()
		}
		uses = append(uses, u)
	}
	if len(uses) == 0 {
		return
	}
	grants := make([]envelope.Grant, len(uses))
	r.keyring.SealKeys(ctx, uses, grants)
	for i, g := range grants {
		n := newestKey{err: g.Err}
		if g.Err == nil {
			n.id = g.Key.ID()
		}
		r.newest[uses[i].Tenant] = n
	}
}

// current says that a value's header is what a new one would have. What stands behind it is for those
// who have opened it.
func (r *reseal) current(c *sealedCell, at int) bool {
	col := r.columns[at%len(r.columns)]
	if c.value.Type != col.Type().Code() || staleForm(&c.value, col) != "" {
		return false
	}
	if col.Mode() == envelope.ModeKMS {
		return true // the root key is a rewrap's business
	}
	n := r.newest[r.tenantOf(c, at)]
	return n.err == nil && n.id == c.value.KeyID()
}

// stale says that an opened value is to be sealed again.
func (r *reseal) stale(c *sealedCell, at int) bool {
	return r.all || c.astray || !r.current(c, at) || stalePadding(&c.value, r.columns[at%len(r.columns)], c.plain)
}

// gather collects what is to be sealed. The columns of a row are sealed together, so that they share a row key.
func (r *reseal) gather() {
	n := len(r.columns)
	r.sealing, r.of, r.values = r.sealing[:0], r.of[:0], grown(r.values, len(r.cells))
	for i := range r.rows {
		values, any, owner := r.values[i*n:(i+1)*n], false, ""
		for j := range values {
			values[j] = nullValue
			c := &r.cells[i*n+j]
			if c.plain == nil || c.err != nil || !r.stale(c, i*n+j) {
				continue
			}
			if c.err = r.misplaced(c, i, owner); c.err != nil {
				continue
			}
			if values[j] = r.data(c, j); c.err == nil {
				any, owner = true, c.owner
			}
		}
		if any {
			r.sealing = append(r.sealing, field.SealRow{Row: field.Row{Tenant: owner, ID: r.rows[i].ID}, Values: values})
			r.of = append(r.of, i)
		}
	}
}

// misplaced says why an opened value is not sealed again for its row.
func (r *reseal) misplaced(c *sealedCell, row int, owner string) error {
	switch {
	case owner != "" && owner != c.owner:
		return fmt.Errorf("%w: the values of this row are of several tenants", field.ErrTenantMismatch)
	case r.who.id.name != "" && r.rows[row].ID == nil:
		return field.ErrRowUnknown
	}
	return nil
}

// data is the plaintext in the column's type, checked against the type's modifiers.
func (r *reseal) data(c *sealedCell, column int) any {
	to := r.columns[column].Type()
	if c.value.Type == to.Code() {
		return field.Binary(c.plain)
	}
	fresh, err := r.converters[column].convert(c.value.Type, c.plain)
	if err != nil {
		c.err = fmt.Errorf("%w: %w", field.ErrWrongType, err)
		return nullValue
	}
	r.fresh = append(r.fresh, fresh)
	return field.Binary(fresh)
}

// seal seals what was gathered. Where a row cannot be sealed, its values get the error and the others are
// sealed without it: a value that does not fit the type's new modifiers, a tenant without a key.
func (r *reseal) seal(ctx context.Context, verdicts []verdict) error {
	for len(r.sealing) > 0 {
		err := r.cipher.SealRows(ctx, r.columns, r.sealing)
		if err == nil {
			break
		}
		failed, isOne := errors.AsType[*field.Error](err)
		if _, own := classify(err); !own || !isOne || failed.Row < 0 {
			return err
		}
		r.drop(failed)
	}
	for k, i := range r.of {
		for j, sealed := range r.sealing[k].Sealed {
			if sealed != nil {
				verdicts[i].fresh[j], verdicts[i].writes = sealed, true
			}
		}
	}
	return nil
}

// drop takes out what failed: with a key error all rows of the tenant, with a value that does not fit its
// column's type all that do not, so that few rounds are enough for any page.
func (r *reseal) drop(failed *field.Error) {
	tenant := r.sealing[failed.Row].Tenant
	_, keyFailed := errors.AsType[*keyring.Error](failed)
	_, unfit := errors.AsType[*codec.Error](failed)
	kept := 0
	for k := range r.sealing {
		row, i := r.sealing[k], r.of[k]
		left := 0
		for j, col := range r.columns {
			b, _ := row.Values[j].(field.Binary)
			if b == nil {
				continue
			}
			var err error
			switch {
			case keyFailed && row.Tenant == tenant, k == failed.Row && col.Name() == failed.Column:
				err = failed
			case unfit:
				err = r.fits(j, b)
			}
			if err == nil {
				left++
				continue
			}
			row.Values[j], r.cells[i*len(r.columns)+j].err = nullValue, err
		}
		if left > 0 {
			r.sealing[kept], r.of[kept] = row, i
			kept++
		}
	}
	r.sealing, r.of = r.sealing[:kept], r.of[:kept]
}

// fits says whether a plaintext is within its column's type.
func (r *reseal) fits(column int, plain []byte) error {
	out, err := r.columns[column].Type().EncodeBinary(nil, plain)
	clear(out)
	return err
}

// settle counts what became of every value.
func (r *reseal) settle(verdicts []verdict) error {
	n := len(r.columns)
	for i := range verdicts {
		v := &verdicts[i]
		var values, resealed, current, destroyed int64
		for j, col := range r.columns {
			c := &r.cells[i*n+j]
			if v.values[j] == nil {
				continue
			}
			values++
			switch {
			case v.fresh[j] != nil:
				resealed++
			case c.err == nil:
				current++
			default:
				f, own := classify(c.err)
				if !own {
					return c.err
				}
				if f.Kind == FindingDestroyedKey {
					destroyed++
					continue
				}
				f.Column = col.Name()
				v.findings = append(v.findings, f)
			}
		}
		from := len(r.counts)
		r.counts = counted(r.counts, count{"values", values}, count{"resealed", resealed}, count{"current", current}, count{"destroyed", destroyed})
		v.counts = r.counts[from:len(r.counts):len(r.counts)]
	}
	return nil
}

func (r *reseal) release() {
	for _, b := range r.fresh {
		clear(b)
	}
	r.fresh = r.fresh[:0]
	for i := range r.converters {
		r.converters[i].release()
	}
	r.sealedPage.release()
}
