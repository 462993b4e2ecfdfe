package field

import (
	"context"

	"github.com/rowseal/rowseal/envelope"
)

// SealRow is one row of a page to seal: Values[j] belongs to the page's
// columns[j]. SealRows sets Sealed, as long as Values, with nil for NULL.
type SealRow struct {
	Row
	Values []any
	Sealed [][]byte
}

// SealRows seals the values of columns, which are of one table, in every row.
// All keys that the page needs are fetched at once. In ModeRow and ModeKMS the
// columns of a row share its key. On an error nothing is to be used.
func (c *Cipher) SealRows(ctx context.Context, columns []*Column, rows []SealRow) error {
	if len(columns) == 0 || len(rows) == 0 {
		return nil
	}
	p := sealPage{
		c: c, ctx: ctx, columns: columns, rows: rows, molds: make([]mold, len(columns)),
		maker: envelope.RowKeys{Namespace: c.namespace},
	}
	if err := p.collect(); err != nil {
		return err
	}
	p.grants = make([]envelope.Grant, len(p.uses))
	c.keyring.SealKeys(ctx, p.uses, p.grants)
	p.terms.fetch(ctx, c, columns, p.tenants)
	w := workspaces.Get().(*workspace)
	defer w.release()
	values := make([][]byte, len(rows)*len(columns))
	for i := range rows {
		lo, hi := i*len(columns), (i+1)*len(columns)
		rows[i].Sealed = values[lo:hi:hi]
		if err := p.sealRow(w, i); err != nil {
			return err
		}
	}
	return nil
}

// sealPage is one call of SealRows.
type sealPage struct {
	c       *Cipher
	ctx     context.Context
	columns []*Column
	rows    []SealRow
	tenants []string // by row
	places  []int    // of each cell's key in uses, row by row
	uses    []envelope.Use
	grants  []envelope.Grant
	rowKeys []rowKey // of the row at hand
	maker   envelope.RowKeys
	terms   pageTerms
	molds   []mold // by column
	sealed  []byte // room for coming values
}

// mold is what a column's values have in common from one row to the next.
type mold struct {
	header  envelope.Header
	binding envelope.Binding
}

// The short values of pages of at least minTogether lie together in pieces of
// sealedRoom, which is what a caller keeps that keeps one of them. Values with
// a plaintext above maxTogether lie by themselves.
const (
	sealedRoom  = 8 << 10
	minTogether = 8
	maxTogether = 512
)

// rowKey is a row's key under one of the page's wrapping keys.
type rowKey struct{ wrap, key *envelope.Key }

// collect finds every row's tenant and every key that the page needs.
func (p *sealPage) collect() error {
	p.tenants = make([]string, len(p.rows))
	p.places = make([]int, 0, len(p.rows)*len(p.columns))
	seen := map[envelope.Use]int{}
	tenant := ""
	for i := range p.rows {
		if i == 0 || p.rows[i].Tenant != p.rows[i-1].Tenant {
			var err error
			if tenant, err = sealTenant(p.ctx, p.columns[0].table, p.rows[i].Row); err == nil {
				err = envelope.CheckTenant(tenant)
			}
			if err != nil {
				return p.columns[0].fail("seal", i, err)
			}
		}
		p.tenants[i] = tenant
		for j, col := range p.columns {
			p.places = append(p.places, p.place(seen, i, j, col))
		}
	}
	return nil
}

// place returns where in uses the key of a cell stands. Rows share keys where
// tenant and column do, except those of the KMS, which are a row's own.
func (p *sealPage) place(seen map[envelope.Use]int, i, j int, col *Column) int {
	tenant := p.tenants[i]
	if col.mode != envelope.ModeKMS && i > 0 && tenant == p.tenants[i-1] {
		return p.places[(i-1)*len(p.columns)+j]
	}
	u := col.use(tenant)
	if col.mode == envelope.ModeKMS {
		for k, other := range p.columns[:j] {
			if other.mode == envelope.ModeKMS && other.reuse == col.reuse {
				return p.places[i*len(p.columns)+k]
			}
		}
	} else if at, ok := seen[u]; ok {
		return at
	}
	seen[u] = len(p.uses)
	p.uses = append(p.uses, u)
	return len(p.uses) - 1
}

func (p *sealPage) sealRow(w *workspace, i int) error {
	r := &p.rows[i]
	p.rowKeys = p.rowKeys[:0]
	p.maker.Reuse() // a row's keys seal nothing else
	for j, col := range p.columns {
		null, err := w.encode(col, r.Row, r.Values[j])
		if err == nil && !null {
			r.Sealed[j], err = p.sealCell(w, i, j, col)
		}
		if err != nil {
			return col.fail("seal", i, err)
		}
	}
	return nil
}

func (p *sealPage) sealCell(w *workspace, i, j int, col *Column) ([]byte, error) {
	key, err := p.take(w, p.places[i*len(p.columns)+j])
	if err == nil && col.mode == envelope.ModeRow {
		key, err = p.rowKey(key)
	}
	if err != nil {
		return nil, err
	}
	term, err := p.terms.make(w, i, j)
	if err != nil {
		return nil, err
	}
	m := p.mold(i, j, col)
	m.header.Equality = term
	if len(w.plain) > maxTogether || len(p.places) < minTogether {
		return envelope.Seal(nil, &m.header, key, &m.binding, w.plain)
	}
	if cap(p.sealed)-len(p.sealed) < 2*maxTogether {
		p.sealed = make([]byte, 0, sealedRoom)
	}
	from := len(p.sealed)
	out, err := envelope.Seal(p.sealed, &m.header, key, &m.binding, w.plain)
	if err != nil {
		return nil, err
	}
	p.sealed = out
	return out[from:len(out):len(out)], nil
}

// mold returns the mold of a cell: that of the column's last value, where it
// is the same tenant's. In a long page it learns their associated data.
func (p *sealPage) mold(i, j int, col *Column) *mold {
	m, tenant := &p.molds[j], p.tenants[i]
	if m.binding.Tenant != tenant { // which is never ""
		m.header, m.binding = col.header(), p.c.binding(col, tenant, nil)
	}
	if m.binding.Known == nil && !col.search.Equality && i >= minTogether && tenant == p.tenants[i-1] {
		if before := p.rows[i-1].Sealed[j]; before != nil {
			m.binding.Known = commonAD(&m.binding, before)
		}
	}
	return m
}

// take returns the key granted at a place and counts its use, asking for a
// fresh one when it is used up.
func (p *sealPage) take(w *workspace, at int) (*envelope.Key, error) {
	for {
		g := &p.grants[at]
		if g.Err != nil || g.Lease == nil || g.Lease.Use(len(w.plain)) {
			return g.Key, g.Err
		}
		p.c.keyring.SealKeys(p.ctx, p.uses[at:at+1], p.grants[at:at+1])
	}
}

// rowKey returns the row's key under wrap, made when the row first needs it.
func (p *sealPage) rowKey(wrap *envelope.Key) (*envelope.Key, error) {
	for _, k := range p.rowKeys {
		if k.wrap == wrap {
			return k.key, nil
		}
	}
	key, err := p.maker.New(wrap)
	if err == nil {
		p.rowKeys = append(p.rowKeys, rowKey{wrap, key})
	}
	return key, err
}

// OpenRow is one row of a page to open: Sealed[j] stands in the page's
// columns[j] and is opened into Into[j], a pointer; a nil Into[j] is skipped.
type OpenRow struct {
	Row
	Sealed [][]byte
	Into   []any
}

// OpenRows opens the values of columns in every row. All keys that the page
// needs are fetched at once. On an error some destinations may be set.
func (c *Cipher) OpenRows(ctx context.Context, columns []*Column, rows []OpenRow) error {
	w := workspaces.Get().(*workspace)
	defer w.release()
	cells := w.takeCells(len(columns) * len(rows))
	if err := parsePage(cells, columns, rows); err != nil {
		return err
	}
	c.fetchOpenKeys(ctx, columns, cells)
	bound := TenantFrom(ctx)
	for i := range rows {
		tenant, err := openTenant(bound, rows[i].Row)
		if err != nil {
			return columns[0].fail("open", i, err)
		}
		for j, col := range columns {
			if rows[i].Into[j] == nil {
				continue
			}
			if err := c.openCell(w, col, tenant, i, rows[i].ID, &cells[i*len(columns)+j], rows[i].Into[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// askKeys is a keyring's way to give keys that open values.
type askKeys func(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant)

// cell is one value of a page; without a value it is NULL or skipped.
type cell struct {
	value envelope.Value
	set   bool
	key   *envelope.Key
	ad    []byte
	lease envelope.Lease // of a key that the memo does not have
	err   error
}

// parsePage parses every value into its cell, row by row.
func parsePage(cells []cell, columns []*Column, rows []OpenRow) error {
	for i := range rows {
		for j, col := range columns {
			if rows[i].Sealed[j] == nil || rows[i].Into[j] == nil {
				continue
			}
			cell := &cells[i*len(columns)+j]
			if err := parseFor(&cell.value, col, rows[i].Sealed[j]); err != nil {
				return col.fail("open", i, err)
			}
			cell.set = true
		}
	}
	return nil
}

// fetchOpenKeys sets the keys of all cells, from the memo or at once from the
// keyring.
func (c *Cipher) fetchOpenKeys(ctx context.Context, columns []*Column, cells []cell) {
	var refs []envelope.Ref
	var at []int
	for n := range cells {
		if !cells[n].set {
			continue
		}
		col := columns[n%len(columns)]
		if cells[n].key, cells[n].ad = c.memo(col).openKey(&cells[n].value); cells[n].key == nil {
			refs = append(refs, envelope.Ref{Field: col.field, Value: &cells[n].value})
			at = append(at, n)
		}
	}
	askOpenKeys(ctx, c.keyring.OpenKeys, cells, refs, at)
}

// askOpenKeys asks for the keys of the cells at these places, at once, and sets
// them or why there is none.
func askOpenKeys(ctx context.Context, ask askKeys, cells []cell, refs []envelope.Ref, at []int) {
	if len(refs) == 0 {
		return
	}
	grants := make([]envelope.Grant, len(refs))
	ask(ctx, refs, grants)
	for i, n := range at {
		cells[n].key, cells[n].lease, cells[n].err = grants[i].Key, grants[i].Lease, grants[i].Err
	}
}

func (c *Cipher) openCell(w *workspace, col *Column, tenant string, row int, id any, cell *cell, dst any) error {
	if !cell.set {
		return col.decode(nil, dst, row)
	}
	if cell.err != nil {
		return col.fail("open", row, cell.err)
	}
	b := c.binding(col, cell.key.Tenant(), cell.ad)
	out, data, err := openPlain(w.plain[:0], &cell.value, &b, cell.key, tenant, id)
	if err != nil {
		return col.fail("open", row, err)
	}
	w.keep(out)
	c.memo(col).keepOpenKey(&b, cell.lease, &cell.value)
	return col.decode(data, dst, row)
}
