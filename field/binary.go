package field

import (
	"context"
	"errors"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

// Binary is a value in the PostgreSQL binary form of its column's type, for
// callers that have values from the wire: as a value of [SealRow] or
// [Cipher.Seal] it is checked and sealed as it is. nil is NULL.
type Binary []byte

// Canonical is the operand of a condition in the canonical form of its column's
// type, which [codec.Type.Comparand] gives: a [Term] takes it as it is. nil is
// NULL.
type Canonical []byte

// OpenCell is a value to open; see [Cipher.OpenCells].
type OpenCell struct {
	Column *Column
	Row
	// Sealed is the stored value, not NULL.
	Sealed []byte
	// AnyType lets a value open that was sealed as another type than the column's; Plain is then in that
	// type's form, whose code stands in the value's header.
	AnyType bool
	// Owner is set to the tenant whose value it is.
	Owner string
	// Plain is set to the PostgreSQL binary form of the value.
	Plain []byte
	// Err says why the value was not opened; Plain is then nil. It is an [*Error].
	Err error
}

// OpenCells opens values of any columns. All keys that they need are fetched at
// once. Each cell has an outcome of its own; that of one does not touch the
// others'.
//
// The plaintexts are appended to dst, in whose memory each Plain lies, and
// which the caller clears when it is done with them.
func (c *Cipher) OpenCells(ctx context.Context, dst []byte, cells []OpenCell) []byte {
	return c.openCells(ctx, dst, cells, c.keyring.OpenKeys)
}

// OpenOnce is OpenCells for walks over whole tables, whose values do not come again soon: a keyring that has
// OpenKeysOnce, with the signature of OpenKeys, is asked by that. Package keyring's then keeps no row keys, which would
// push out those that the application uses.
func (c *Cipher) OpenOnce(ctx context.Context, dst []byte, cells []OpenCell) []byte {
	if k, ok := c.keyring.(interface {
		OpenKeysOnce(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant)
	}); ok {
		return c.openCells(ctx, dst, cells, k.OpenKeysOnce)
	}
	return c.OpenCells(ctx, dst, cells)
}

func (c *Cipher) openCells(ctx context.Context, dst []byte, cells []OpenCell, ask askKeys) []byte {
	w := workspaces.Get().(*workspace)
	defer w.release()
	at := w.takeCells(len(cells))
	c.fetchCells(ctx, cells, at, ask)
	bound := TenantFrom(ctx)
	ends := make([]int, len(cells))
	begin := len(dst)
	for i := range cells {
		if cells[i].Err == nil {
			dst, cells[i].Err = c.appendCell(dst, bound, &cells[i], &at[i])
		}
		ends[i] = len(dst)
	}
	for i := range cells { // only now, since dst may have moved
		if cells[i].Err == nil {
			cells[i].Plain = dst[begin:ends[i]:ends[i]]
		}
		begin = ends[i]
	}
	return dst
}

// fetchCells parses the cells' values and sets their keys, from the memo or at
// once from the keyring.
func (c *Cipher) fetchCells(ctx context.Context, cells []OpenCell, at []cell, ask askKeys) {
	var refs []envelope.Ref
	var missing []int
	for i := range cells {
		col := cells[i].Column
		cells[i].Plain, cells[i].Owner, cells[i].Err = nil, "", nil
		if err := parseFor(&at[i].value, col, cells[i].Sealed); err != nil && !(cells[i].AnyType && errors.Is(err, ErrWrongType)) {
			cells[i].Err = col.fail("open", -1, err)
			continue
		}
		if at[i].key, at[i].ad = c.memo(col).openKey(&at[i].value); at[i].key == nil {
			if refs == nil {
				refs, missing = make([]envelope.Ref, 0, len(cells)-i), make([]int, 0, len(cells)-i)
			}
			refs = append(refs, envelope.Ref{Field: col.field, Value: &at[i].value})
			missing = append(missing, i)
		}
	}
	askOpenKeys(ctx, ask, at, refs, missing)
	for _, i := range missing {
		if err := at[i].err; err != nil {
			cells[i].Err = cells[i].Column.fail("open", -1, err)
		}
	}
}

// appendCell appends the plaintext of a cell whose key is at hand.
func (c *Cipher) appendCell(dst []byte, bound string, o *OpenCell, at *cell) ([]byte, error) {
	tenant, err := openTenant(bound, o.Row)
	if err != nil {
		return dst, o.Column.fail("open", -1, err)
	}
	b := c.binding(o.Column, at.key.Tenant(), at.ad)
	out, data, err := openPlain(dst, &at.value, &b, at.key, tenant, o.ID)
	if err != nil {
		return dst, o.Column.fail("open", -1, err)
	}
	o.Owner = at.key.Tenant()
	c.memo(o.Column).keepOpenKey(&b, at.lease, &at.value)
	return overClaim(dst, out, data), nil
}

// OpenAtHand is [Cipher.OpenBytes] where the value's key was used lately, so that
// nothing need be fetched. ok is false, and dst unchanged, where it was not.
func (c *Cipher) OpenAtHand(dst []byte, col *Column, row Row, sealed []byte) (out []byte, ok bool, err error) {
	var v envelope.Value
	if err := parseFor(&v, col, sealed); err != nil {
		return dst, true, col.fail("open", -1, err)
	}
	key, ad := c.memo(col).openKey(&v)
	if key == nil {
		return dst, false, nil
	}
	b := c.binding(col, key.Tenant(), ad)
	out, data, err := openPlain(dst, &v, &b, key, row.Tenant, row.ID)
	if err != nil {
		return dst, true, col.fail("open", -1, err)
	}
	return overClaim(dst, out, data), true, nil
}

// overClaim moves a value's bytes over the row claim that stands before them,
// if one does, and cuts off its padding.
func overClaim(dst, out, data []byte) []byte {
	n := len(dst)
	end := n + copy(out[n:], data)
	clear(out[end:])
	return out[:end]
}

// comparand gives the canonical form of a condition's operand.
func comparand(dst []byte, t codec.Type, v any) (canonical []byte, null bool, err error) {
	c, ok := v.(Canonical)
	switch {
	case !ok:
		return t.Comparand(dst, v)
	case c == nil:
		return dst, true, nil
	}
	return append(dst, c...), false, nil
}

// encodeValue writes the bytes of a value to seal.
func encodeValue(dst []byte, t codec.Type, v any) (out []byte, null bool, err error) {
	b, ok := v.(Binary)
	switch {
	case !ok:
		return t.Encode(dst, v)
	case b == nil:
		return dst, true, nil
	}
	out, err = t.EncodeBinary(dst, b)
	return out, false, err
}
