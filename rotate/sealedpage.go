package rotate

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// sealedPage opens the values of one page after the other, with all keys of a page asked for at once. Its
// memory is used again for the next one; release clears what was opened.
type sealedPage struct {
	cipher  *field.Cipher
	columns []*field.Column
	who     identity

	rows  []field.Row  // whose each row is
	cells []sealedCell // row by row

	open  []field.OpenCell
	terms []field.Term
	at    []int  // of what is in open or terms, in cells
	ends  []int  // of the canonical forms in canon
	plain []byte // where all plaintexts lie
	canon []byte // and their canonical forms
}

// sealedCell is one value of a page.
type sealedCell struct {
	value  envelope.Value
	parsed bool   // it is not NULL, and a sealed value, of whatever column or tenant
	set    bool   // it is one that belongs here, as far as its header tells
	want   bool   // it is to be opened
	plain  []byte // nil if it was not opened
	owner  string // the tenant that opened it
	astray bool   // its terms are not those of plain
	err    error  // what is wrong with it
}

func newSealedPage(ctx context.Context, cfg *Config, t *field.Table, columns []*field.Column) (*sealedPage, error) {
	if cfg.Cipher == nil {
		return nil, fmt.Errorf("rotate: table %s: Config.Cipher is nil; give the cipher that opens its values", t.Name())
	}
	who, err := newIdentity(ctx, cfg, t)
	return &sealedPage{cipher: cfg.Cipher, columns: columns, who: who}, err
}

// fork returns a page for another worker.
func (p *sealedPage) fork() *sealedPage {
	return &sealedPage{cipher: p.cipher, columns: p.columns, who: p.who}
}

// parse takes in the rows of a page. A value of another type is taken in too: it can be opened.
func (p *sealedPage) parse(rows []row) {
	n := len(p.columns)
	p.rows = grown(p.rows, len(rows))
	p.cells = grown(p.cells, len(rows)*n)
	for i := range rows {
		r := &rows[i]
		var unknown error
		p.rows[i], unknown = p.who.of(r)
		for j, col := range p.columns {
			c := &p.cells[i*n+j]
			*c = sealedCell{err: unknown}
			if r.values[j] == nil {
				c.err = nil
				continue
			}
			if err := c.value.Parse(r.values[j]); err != nil {
				c.err = err
			} else if c.parsed = true; c.value.Column != col.Field().ID() {
				c.err = field.ErrWrongColumn
			}
			c.set = c.err == nil
		}
	}
}

// openWanted opens the cells that are wanted.
func (p *sealedPage) openWanted(ctx context.Context) error {
	p.open, p.at = p.open[:0], p.at[:0]
	size := 1
	for i := range p.cells {
		c := &p.cells[i]
		if !c.want || !c.set {
			continue
		}
		size += c.value.Len()
		p.open = append(p.open, field.OpenCell{
			Column: p.columns[i%len(p.columns)], Row: p.rows[i/len(p.columns)], Sealed: c.value.Bytes(), AnyType: true,
		})
		p.at = append(p.at, i)
	}
	if cap(p.plain) < size { // OpenOnce must not move it, which would leave plaintext behind
		p.plain = make([]byte, 0, size+size/4)
	}
	p.plain = p.plain[:0]
	for from := 0; from < len(p.open); from += openTogether {
		p.plain = p.cipher.OpenOnce(ctx, p.plain, p.open[from:min(from+openTogether, len(p.open))])
	}
	for k, i := range p.at {
		c, o := &p.cells[i], &p.open[k]
		c.plain, c.owner, c.err = o.Plain, o.Owner, o.Err
	}
	return ctx.Err()
}

// openTogether is how many cells are opened in one call: the row keys of so many are in memory at a time.
const openTogether = 256

// checkTerms compares the equality terms of the opened values with those that their plaintexts have
// now.
func (p *sealedPage) checkTerms(ctx context.Context) error {
	p.canonical()
	if len(p.at) == 0 {
		return nil
	}
	err := p.cipher.EqualityTerms(ctx, p.terms)
	if err != nil {
		err = p.termsOneByOne(ctx)
	}
	if err != nil {
		return err
	}
	for k, i := range p.at {
		if c := &p.cells[i]; c.err == nil {
			c.astray = !bytes.Equal(p.terms[k].Bytes, c.value.Equality())
		}
	}
	return nil
}

// canonical makes the operands of what is to be compared.
func (p *sealedPage) canonical() {
	p.terms, p.at, p.ends = p.terms[:0], p.at[:0], p.ends[:0]
	at := p.canon[:0]
	for i := range p.cells {
		c, col := &p.cells[i], p.columns[i%len(p.columns)]
		if c.plain == nil || c.value.Equality() == nil || !col.Search().Equality || c.value.Type != col.Type().Code() {
			continue
		}
		out, err := col.Type().Canonical(at, c.plain)
		if err != nil {
			c.err = err
			continue
		}
		if cap(out) != cap(p.canon) { // it moved
			clear(p.canon[:cap(p.canon)])
			p.canon = out
		}
		at = out
		p.at, p.ends = append(p.at, i), append(p.ends, len(out))
	}
	from := 0
	for k, i := range p.at {
		to := p.ends[k]
		p.terms = append(p.terms, field.Term{
			Column: p.columns[i%len(p.columns)], Tenant: p.cells[i].owner, Value: field.Canonical(at[from:to:to]),
		})
		from = to
	}
}

// termsOneByOne finds whose index key it is that cannot be had. An error that is nobody's own stops the page.
func (p *sealedPage) termsOneByOne(ctx context.Context) error {
	for k, i := range p.at {
		err := p.cipher.EqualityTerms(ctx, p.terms[k:k+1])
		if err == nil {
			continue
		}
		if _, own := classify(err); !own {
			return err
		}
		p.cells[i].err = err
	}
	return nil
}

// release clears what was opened.
func (p *sealedPage) release() {
	clear(p.plain[:cap(p.plain)])
	clear(p.canon[:cap(p.canon)])
}

// grown returns n elements, whatever they hold, in s's memory if it is large enough.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
