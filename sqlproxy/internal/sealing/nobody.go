package sealing

import (
	"bytes"
	"crypto/rand"

	"github.com/rowseal/rowseal/blindindex"
)

// nobodysTerm gives bytes that stand for the term of a value which is looked for
// among nobody's rows: equal for equal values, and equal to no row's.
func (b *batch) nobodysTerm(form []byte) ([]byte, error) {
	for i, had := range b.nobody {
		if bytes.Equal(had, form) {
			return b.nobodys[i], nil
		}
	}
	term := make([]byte, blindindex.EqualitySize)
	if _, err := rand.Read(term); err != nil {
		return nil, err
	}
	b.nobody, b.nobodys = append(b.nobody, bytes.Clone(form)), append(b.nobodys, term)
	return term, nil
}

// nobodysTerms does so for an array's elements.
func (b *batch) nobodysTerms(cell int, forms [][]byte) error {
	terms := make([][]byte, len(forms))
	for i, form := range forms {
		if form == nil {
			continue
		}
		var err error
		if terms[i], err = b.nobodysTerm(form); err != nil {
			return err
		}
	}
	b.out[cell] = appendByteaArray(nil, len(terms), func(i int) []byte { return terms[i] })
	return nil
}
