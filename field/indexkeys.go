package field

import (
	"context"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// globalTenant stands for all tenants in a memo. A column's scope does not
// change, so that no tenant of this name meets it there.
const globalTenant = "*"

// memoTenant is under what a column's index key of tenant is remembered.
func (c *Column) memoTenant(tenant string) string {
	if c.scope == ScopeGlobal {
		return globalTenant
	}
	return tenant
}

// term returns the equality term of w.canonical, in w, for a value of tenant.
func (c *Cipher) term(ctx context.Context, w *workspace, m *memo, col *Column, tenant string) ([]byte, error) {
	key := m.indexKey(col.memoTenant(tenant))
	if key == nil {
		g := c.fetchIndexKey(ctx, col, tenant)
		if g.Err != nil {
			return nil, g.Err
		}
		if key = g.Key; key == nil {
			return nil, envelope.ErrKeyGone
		}
		m.keepIndexKey(col.memoTenant(tenant), g.Lease)
	}
	return key.Equality(w.term[:0], w.canonical), nil
}

func (c *Cipher) fetchIndexKey(ctx context.Context, col *Column, tenant string) blindindex.Grant {
	if err := envelope.CheckTenant(tenant); err != nil {
		return blindindex.Grant{Err: err}
	}
	r := requests.Get().(*request)
	defer r.release()
	r.indexUses[0] = col.indexUse(tenant)
	c.keyring.IndexKeys(ctx, r.indexUses[:], r.indexGrants[:])
	return r.indexGrants[0]
}

// keyBatch are index keys that are asked for in one call.
type keyBatch struct {
	seen   map[blindindex.Use]int
	wanted []wantedKey
}

// wantedKey is an index key, from the memo or to be asked for.
type wantedKey struct {
	use    blindindex.Use
	memo   *memo
	tenant string // in the memo
	key    *blindindex.Key
	err    error
}

// place returns where the key of col's values of tenant stands in the batch.
func (b *keyBatch) place(c *Cipher, col *Column, tenant string) int {
	use := col.indexUse(tenant)
	if at, ok := b.seen[use]; ok {
		return at
	}
	if b.seen == nil {
		b.seen = map[blindindex.Use]int{}
	}
	at := len(b.wanted)
	b.seen[use] = at
	k := wantedKey{use: use, memo: c.memo(col), tenant: col.memoTenant(tenant)}
	k.key = k.memo.indexKey(k.tenant)
	b.wanted = append(b.wanted, k)
	return at
}

// fetch asks for all keys that no memo had, at once.
func (b *keyBatch) fetch(ctx context.Context, c *Cipher) {
	var uses []blindindex.Use
	var at []int
	for i := range b.wanted {
		if b.wanted[i].key == nil {
			uses, at = append(uses, b.wanted[i].use), append(at, i)
		}
	}
	if len(uses) == 0 {
		return
	}
	grants := make([]blindindex.Grant, len(uses))
	c.keyring.IndexKeys(ctx, uses, grants)
	for j, i := range at {
		k, g := &b.wanted[i], &grants[j]
		if k.key, k.err = g.Key, g.Err; g.Err == nil {
			k.memo.keepIndexKey(k.tenant, g.Lease)
		}
	}
}

func (b *keyBatch) get(at int) (*blindindex.Key, error) {
	k := &b.wanted[at]
	if k.key == nil && k.err == nil {
		return nil, envelope.ErrKeyGone
	}
	return k.key, k.err
}

// pageTerms are the index keys of a page's cells.
type pageTerms struct {
	columns int
	places  []int // by cell, row by row; -1 for columns without terms
	keys    keyBatch
}

// fetch gets the keys of all cells at once; tenants are those of the rows.
func (p *pageTerms) fetch(ctx context.Context, c *Cipher, columns []*Column, tenants []string) {
	if !anyEquality(columns) {
		return
	}
	p.columns, p.places = len(columns), make([]int, 0, len(columns)*len(tenants))
	for i, tenant := range tenants {
		for j, col := range columns {
			switch {
			case !col.search.Equality:
				p.places = append(p.places, -1)
			case i > 0 && tenant == tenants[i-1]:
				p.places = append(p.places, p.places[(i-1)*len(columns)+j])
			default:
				p.places = append(p.places, p.keys.place(c, col, tenant))
			}
		}
	}
	p.keys.fetch(ctx, c)
}

func anyEquality(columns []*Column) bool {
	for _, c := range columns {
		if c.search.Equality {
			return true
		}
	}
	return false
}

// make returns, in w, the term of the cell whose canonical bytes w holds; nil
// for a column without terms.
func (p *pageTerms) make(w *workspace, row, column int) ([]byte, error) {
	if p.places == nil {
		return nil, nil
	}
	at := p.places[row*p.columns+column]
	if at < 0 {
		return nil, nil
	}
	key, err := p.keys.get(at)
	if err != nil {
		return nil, err
	}
	return key.Equality(w.term[:0], w.canonical), nil
}
