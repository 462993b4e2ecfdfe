package field

import (
	"context"

	"github.com/rowseal/rowseal/envelope"
)

// Open opens sealed, which stands in column col of a row, into dst, a pointer
// to any Go type that the column's type fills. A nil sealed is NULL.
func (c *Cipher) Open(ctx context.Context, dst any, col *Column, row Row, sealed []byte) error {
	if sealed == nil {
		return col.decode(nil, dst, -1)
	}
	w := workspaces.Get().(*workspace)
	defer w.release()
	out, data, err := c.open(ctx, w.plain[:0], col, row, sealed)
	if err != nil {
		return col.fail("open", -1, err)
	}
	w.keep(out)
	return col.decode(data, dst, -1)
}

// OpenBytes appends to dst the PostgreSQL binary form of the value in sealed,
// which must not be NULL. With room in dst it allocates nothing.
func (c *Cipher) OpenBytes(ctx context.Context, dst []byte, col *Column, row Row, sealed []byte) ([]byte, error) {
	out, data, err := c.open(ctx, dst, col, row, sealed)
	if err != nil {
		return nil, col.fail("open", -1, err)
	}
	return overClaim(dst, out, data), nil
}

// open appends the plaintext of sealed to dst and returns it with, in it, the
// value's bytes. What a cached key needs stays on the stack.
func (c *Cipher) open(ctx context.Context, dst []byte, col *Column, row Row, sealed []byte) (out, data []byte, err error) {
	var v envelope.Value
	if err := parseFor(&v, col, sealed); err != nil {
		return nil, nil, err
	}
	tenant, err := openTenant(TenantFrom(ctx), row)
	if err != nil {
		return nil, nil, err
	}
	m := c.memo(col)
	key, ad := m.openKey(&v)
	if key != nil {
		b := c.binding(col, key.Tenant(), ad)
		return openPlain(dst, &v, &b, key, tenant, row.ID)
	}
	g := c.fetchOpenKey(ctx, col, v)
	if g.Err != nil {
		return nil, nil, g.Err
	}
	b := c.binding(col, g.Key.Tenant(), nil)
	if out, data, err = openPlain(dst, &v, &b, g.Key, tenant, row.ID); err == nil {
		m.keepOpenKey(&b, g.Lease, &v)
	}
	return out, data, err
}

func (c *Cipher) fetchOpenKey(ctx context.Context, col *Column, v envelope.Value) envelope.Grant {
	r := requests.Get().(*request)
	defer r.release()
	r.value = v
	r.refs[0] = envelope.Ref{Field: col.field, Value: &r.value}
	c.keyring.OpenKeys(ctx, r.refs[:], r.grants[:])
	return r.grants[0]
}

// parseFor parses sealed and refuses what was sealed for another column or
// type, before any key is asked for.
func parseFor(v *envelope.Value, col *Column, sealed []byte) error {
	if err := v.Parse(sealed); err != nil {
		return err
	}
	if v.Column != col.field.ID() {
		return ErrWrongColumn
	}
	if v.Type != col.code {
		return ErrWrongType
	}
	return nil
}

// openPlain is where every value is opened: the tag first, then the claims.
// tenant and id are what the caller knows; "" and nil are not checked. out is
// dst with the plaintext, data the value's bytes in it, never nil.
func openPlain(dst []byte, v *envelope.Value, b *envelope.Binding, key *envelope.Key, tenant string, id any) (out, data []byte, err error) {
	if out, err = envelope.Open(dst, v, key, b); err != nil {
		return nil, nil, err
	}
	if tenant != "" && tenant != key.Tenant() {
		err = ErrTenantMismatch
	}
	data = out[len(dst):]
	if err == nil && v.Flags&envelope.FlagClaim != 0 {
		data, err = checkClaim(data, id)
	}
	if err == nil && v.Flags&envelope.FlagPadded != 0 {
		data, err = envelope.Unpad(data)
	}
	if err != nil {
		clear(out[len(dst):])
		return nil, nil, err
	}
	if data == nil {
		data = []byte{}
	}
	return out, data, nil
}

// checkClaim cuts the row claim off data and compares it with id, if known.
func checkClaim(data []byte, id any) ([]byte, error) {
	claim, rest, err := envelope.SplitClaim(data)
	if err != nil || id == nil {
		return rest, err
	}
	want, err := claimOf(id)
	if err != nil {
		return nil, err
	}
	if claim != want {
		return nil, ErrRowMismatch
	}
	return rest, nil
}

// decode brings a value's bytes, nil for NULL, into dst.
func (c *Column) decode(data []byte, dst any, row int) error {
	if err := c.typ.Decode(data, dst); err != nil {
		return c.fail("open", row, err)
	}
	return nil
}
