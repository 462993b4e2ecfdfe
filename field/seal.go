package field

import (
	"context"

	"github.com/rowseal/rowseal/envelope"
)

// Seal appends to dst the sealed form of v for column col of a row. v is any
// Go value that the column's type takes; a NULL gives nil. In ModeRow and
// ModeKMS the value gets a row key of its own: use SealRows for the columns of
// one row to share it.
//
// With room in dst it allocates nothing beyond what v's conversion to any and
// to the type's bytes does.
func (c *Cipher) Seal(ctx context.Context, dst []byte, col *Column, row Row, v any) ([]byte, error) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	tenant, err := sealTenant(ctx, col.table, row)
	if err != nil {
		return nil, col.fail("seal", -1, err)
	}
	null, err := w.encode(col, row, v)
	if err != nil {
		return nil, col.fail("seal", -1, err)
	}
	if null {
		return nil, nil
	}
	m := c.memo(col)
	var lease envelope.Lease // of a key that m does not remember
	key, ad := m.sealKey(tenant, len(w.plain))
	if key == nil {
		g := c.fetchSealKey(ctx, tenant, col, len(w.plain))
		if key, lease, err = g.Key, g.Lease, g.Err; err != nil {
			return nil, col.fail("seal", -1, err)
		}
	}
	if col.mode == envelope.ModeRow {
		if key, err = envelope.NewRowKey(key, c.namespace); err != nil {
			return nil, col.fail("seal", -1, err)
		}
	}
	var term []byte
	if col.search.Equality {
		if term, err = c.term(ctx, w, m, col, tenant); err != nil {
			return nil, col.fail("seal", -1, err)
		}
	}
	h, b := col.header(), c.binding(col, tenant, ad)
	h.Equality = term
	out, err := envelope.Seal(dst, &h, key, &b, w.plain)
	if err != nil {
		return nil, col.fail("seal", -1, err)
	}
	m.keepSealKey(&b, lease, out[len(dst):])
	return out, nil
}

// fetchSealKey asks for a key to seal n bytes with, and counts that.
func (c *Cipher) fetchSealKey(ctx context.Context, tenant string, col *Column, n int) envelope.Grant {
	if err := envelope.CheckTenant(tenant); err != nil {
		return envelope.Grant{Err: err}
	}
	r := requests.Get().(*request)
	defer r.release()
	for {
		r.uses[0] = col.use(tenant)
		c.keyring.SealKeys(ctx, r.uses[:], r.grants[:])
		if g := r.grants[0]; g.Err != nil || g.Lease == nil || g.Lease.Use(n) {
			return g
		}
		// Used up by others since it was granted: the next one is fresh.
	}
}

// use is what a key to seal col's values for tenant is asked for with.
func (c *Column) use(tenant string) envelope.Use {
	u := envelope.Use{Tenant: tenant, Mode: c.mode, Suite: c.suite, Reuse: c.reuse}
	if c.mode == envelope.ModeTenant {
		u.Field = c.field
	}
	return u
}

// encode writes the plaintext of v, with row claim and padding as the policy
// says, into w.plain, and its canonical form into w.canonical where the column
// has equality terms. null reports SQL NULL, which is not sealed.
func (w *workspace) encode(col *Column, row Row, v any) (null bool, err error) {
	plain := w.plain[:0]
	if col.table.rowID != "" {
		claim, err := claimOf(row.ID)
		if err != nil {
			return false, err
		}
		plain = envelope.AppendClaim(plain, claim)
	}
	from := len(plain)
	plain, null, err = encodeValue(plain, col.typ, v)
	if err != nil {
		w.used = cap(w.plain) // an encoder that failed may have written anywhere
		return false, err
	}
	w.keep(plain)
	if !null && col.search.Equality {
		canonical, err := col.typ.Canonical(w.canonical[:0], plain[from:])
		if w.keepCanonical(canonical, err); err != nil {
			return false, err
		}
	}
	if !null && col.pad > 0 {
		w.keep(envelope.Pad(plain, from, col.pad))
	}
	return null, nil
}

// header is what the headers of col's values have in common.
func (c *Column) header() envelope.Header {
	return envelope.Header{Column: c.field.ID(), Type: c.code, Claim: c.table.rowID != "", Padded: c.pad > 0}
}
