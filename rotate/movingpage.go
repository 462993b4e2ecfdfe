package rotate

import (
	"context"
	"fmt"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// movingPage is a page of a table with columns in transition: beside the sealed values it has what stands in
// their plain columns.
type movingPage struct {
	*sealedPage
	tenant, tenantAt string
	clear            [][]byte // the plain columns' values, in the form that is sealed; nil for NULL. By cell
	unfit            []error  // what does not fit the column's type. By cell
}

// newMovingPage takes the job's columns that are in transition.
func newMovingPage(ctx context.Context, cfg *Config, job *Job) (*movingPage, error) {
	chosen, err := chosenColumns(job)
	if err != nil {
		return nil, err
	}
	var columns []*field.Column
	for _, c := range chosen {
		switch {
		case c.Transition().Plain != "":
			columns = append(columns, c)
		case len(job.Columns) > 0:
			return nil, fmt.Errorf("rotate: %w: column %v takes over from no plain column; declare `transition: {plain: COLUMN, write: both}` in the policy", errNoTransition, c)
		}
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("rotate: %w: no column of table %s is in transition; declare `transition: {plain: COLUMN, write: both}` in the policy", errNoTransition, job.Table.Name())
	}
	withPolicy(job, columns)
	for _, c := range columns { // withPolicy does not know of them
		write := "sealed"
		if c.Transition().Both {
			write = "both"
		}
		identify(job, movesOption+c.Name(), write+" "+c.Transition().Plain)
	}
	tenantAt, err := tenantColumn(job)
	if err != nil {
		return nil, err
	}
	page, err := newSealedPage(ctx, cfg, job.Table, columns)
	if err != nil {
		return nil, err
	}
	return &movingPage{sealedPage: page, tenant: job.Tenant, tenantAt: tenantAt}, nil
}

// fork returns a page for another worker.
func (p *movingPage) fork() *movingPage {
	return &movingPage{sealedPage: p.sealedPage.fork(), tenant: p.tenant, tenantAt: p.tenantAt}
}

func (p *movingPage) reads() reads {
	want := reads{sealed: namesOf(p.columns), beside: p.who.beside(), writes: true, fills: true}
	for _, c := range p.columns {
		want.plain = append(want.plain, plainColumn{name: c.Transition().Plain, typ: c.Type()})
	}
	want.tenant.column, want.tenant.value = p.tenantAt, p.tenant
	return want
}

// take parses the sealed values of a page and reads the plain ones.
func (p *movingPage) take(rows []row) {
	p.parse(rows)
	n := len(p.columns)
	p.clear, p.unfit = grown(p.clear, len(rows)*n), grown(p.unfit, len(rows)*n)
	for i := range rows {
		for j, col := range p.columns {
			if v := rows[i].plain[j]; v != nil {
				p.clear[i*n+j], p.unfit[i*n+j] = storedBytes(col.Type(), v)
			}
		}
	}
}

// there says whether a plain value is, fitting or not.
func (p *movingPage) there(cell int) bool { return p.clear[cell] != nil || p.unfit[cell] != nil }

// known says why nothing can be sealed for a row, if that is so: what it lacks would make one of all values of the page.
func (p *movingPage) known(row int) error {
	r, table := p.rows[row], p.columns[0].Table()
	tenant := r.Tenant
	if tenant == "" {
		tenant = table.Tenant().Default
	}
	switch {
	case tenant == "":
		return field.ErrTenantUnknown
	case p.who.id.name != "" && r.ID == nil:
		return field.ErrRowUnknown
	}
	if err := envelope.CheckTenant(tenant); err != nil {
		return fmt.Errorf("%w: %w", field.ErrTenantUnknown, err)
	}
	return nil
}

func (p *movingPage) release() {
	for _, b := range p.clear {
		clear(b)
	}
	clear(p.clear)
	p.sealedPage.release()
}

// judged appends the finding that a value's error is; where it says nothing of the value, it is returned.
func judged(v *verdict, column string, err error) error {
	f, own := classify(err)
	if !own {
		return err
	}
	f.Column = column
	v.findings = append(v.findings, f)
	return nil
}

// storedBytes returns a plain column's value, as drivers give it, in the form in which type t is sealed. It lies in
// memory of its own.
func storedBytes(t codec.Type, v any) ([]byte, error) {
	text := ""
	switch x := v.(type) {
	case field.Binary:
		return t.EncodeBinary(nil, x)
	case string:
		text = x
	case []byte:
		text = string(x)
	case int64:
		if t.String() == "bool" {
			v = x != 0
		}
		out, _, err := t.Encode(nil, v)
		return out, err
	default:
		out, _, err := t.Encode(nil, v)
		return out, err
	}
	if t.String() == "bytea" {
		out, _, err := t.Encode(nil, []byte(text))
		return out, err
	}
	out, err := t.EncodeText(nil, text)
	if err != nil {
		if at, ok := timeOf(text); ok {
			out, _, err = t.Encode(nil, at)
		}
	}
	return out, err
}
