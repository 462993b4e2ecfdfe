package field

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// Term is an operand of an equality condition on a sealed column.
type Term struct {
	Column *Column
	// Tenant is that of the rows that are looked for, in the form that
	// [TenantOf] gives. "" means the context's tenant, else the table's
	// default. ScopeGlobal does not look at it.
	Tenant string
	// Value is what the column is compared with: any Go value that the
	// column's type takes, and beyond its modifiers, as in SQL: a varchar(3)
	// can be compared with a longer text, and is not equal to it.
	Value any
	// Bytes is set by [Cipher.EqualityTerms]: the 16 bytes that sealed values
	// equal to Value carry at envelope.EqualityOffset; nil for NULL, to which
	// nothing is equal.
	Bytes []byte
}

// EqualityTerms sets the Bytes of terms, fetching all keys that they need at
// once. On an error none is set. A column without `search: [equality]` is
// refused with ErrNoEquality; one with ScopeTenant needs a tenant, as sealing
// does (ErrTenantUnknown, ErrTenantMismatch).
//
// A tenant that has no index key yet gets one, as when sealing: the condition
// finds nothing under it, and what is sealed later has the same key. Tenants
// therefore come from the application and not from whoever asks.
func (c *Cipher) EqualityTerms(ctx context.Context, terms []Term) error {
	w := workspaces.Get().(*workspace)
	defer w.release()
	for i := range terms {
		terms[i].Bytes = nil
	}
	b := termBatch{c: c, terms: terms}
	if err := b.collect(ctx, w); err != nil {
		return err
	}
	return b.make(ctx, w)
}

// termBatch is one call of EqualityTerms.
type termBatch struct {
	c     *Cipher
	terms []Term
	spans []span // by term
	keys  keyBatch
}

// span is where a term's canonical bytes lie in the workspace, and the place
// of its key; null terms have neither.
type span struct {
	from, to, key int
	null          bool
}

// collect finds each operand's canonical bytes and the key that it needs.
func (b *termBatch) collect(ctx context.Context, w *workspace) error {
	b.spans = make([]span, len(b.terms))
	canonical := w.canonical[:0]
	for i := range b.terms {
		t, s := &b.terms[i], &b.spans[i]
		tenant, err := t.check(ctx)
		if err != nil {
			return err
		}
		out, null, err := comparand(canonical, t.Column.typ, t.Value)
		if s.null = null && err == nil; s.null {
			continue
		}
		if w.keepCanonical(out, err); err != nil {
			return t.Column.fail("search", -1, err)
		}
		s.from, s.to = len(canonical), len(out)
		canonical = out
		s.key = b.keys.place(b.c, t.Column, tenant)
	}
	return nil
}

// check returns the tenant whose index key makes the term.
func (t *Term) check(ctx context.Context) (string, error) {
	col := t.Column
	if !col.search.Equality {
		return "", col.fail("search", -1, ErrNoEquality)
	}
	if col.scope == ScopeGlobal {
		return globalTenant, nil
	}
	tenant, err := sealTenant(ctx, col.table, Row{Tenant: t.Tenant})
	switch {
	case errors.Is(err, ErrTenantUnknown):
		err = fmt.Errorf("%w; or declare `scope: global` to search all tenants at once", err)
	case err == nil:
		err = envelope.CheckTenant(tenant)
	}
	if err != nil {
		return "", col.fail("search", -1, err)
	}
	return tenant, nil
}

func (b *termBatch) make(ctx context.Context, w *workspace) error {
	b.keys.fetch(ctx, b.c)
	made := make([]byte, 0, len(b.terms)*blindindex.EqualitySize)
	for i := range b.terms {
		s := &b.spans[i]
		if s.null {
			continue
		}
		key, err := b.keys.get(s.key)
		if err != nil {
			for j := range b.terms[:i] {
				b.terms[j].Bytes = nil
			}
			return b.terms[i].Column.fail("search", -1, err)
		}
		n := len(made)
		made = key.Equality(made, w.canonical[s.from:s.to])
		b.terms[i].Bytes = made[n:len(made):len(made)]
	}
	return nil
}
