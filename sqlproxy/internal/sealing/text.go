package sealing

import (
	"context"
	"encoding/hex"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Text gives the text for the server of a plan, its constants sealed. Cells that
// need a parameter are for [Session.Bind].
func (s *Session) Text(ctx context.Context, p *plan.Plan, text string) (*Rewritten, error) {
	if len(p.Pieces) == 0 {
		return &Rewritten{Text: text}, nil
	}
	b := batch{s: s, plan: p}
	var cells []int
	for _, piece := range p.Pieces {
		if piece.Cell > 0 {
			cells = append(cells, piece.Cell-1)
		}
	}
	if err := b.run(ctx, cells); err != nil {
		return nil, err
	}
	w := writer{client: text}
	for _, piece := range p.Pieces {
		switch {
		case piece.Cell > 0:
			w.constant(p.Cells[piece.Cell-1].Do, b.out[piece.Cell-1])
		case piece.Text != "":
			w.out.WriteString(piece.Text)
		default:
			w.kept = append(w.kept, kept{at: w.out.Len(), from: piece.From})
			w.out.WriteString(text[piece.From:piece.To])
		}
	}
	return &Rewritten{Text: w.out.String(), client: text, kept: w.kept}, nil
}

// writer puts a text together.
type writer struct {
	client string
	out    strings.Builder
	kept   []kept
}

// kept is a run of the client's text: it begins at a byte of the rewritten text
// and at a byte of the client's.
type kept struct{ at, from int }

// constant writes what an action gave, in a way that no setting of the session
// reads otherwise.
func (w *writer) constant(do plan.Action, data []byte) {
	switch {
	case data == nil && ofArray(do):
		w.out.WriteString("NULL::pg_catalog.bytea[]")
	case data == nil:
		w.out.WriteString("NULL::pg_catalog.bytea")
	case ofArray(do):
		w.array(data)
	default:
		w.bytea(data)
	}
}

func (w *writer) bytea(data []byte) {
	w.out.WriteString("pg_catalog.decode('")
	w.out.WriteString(hex.EncodeToString(data))
	w.out.WriteString("', 'hex')")
}

// array writes a bytea[] that is in binary form.
func (w *writer) array(data []byte) {
	w.out.WriteString("ARRAY[")
	first := true
	_ = eachElement(data, func(element []byte) error { // the array is appendByteaArray's
		if !first {
			w.out.WriteString(",")
		}
		if first = false; element == nil {
			w.out.WriteString("NULL")
			return nil
		}
		w.bytea(element)
		return nil
	})
	w.out.WriteString("]::pg_catalog.bytea[]")
}

// Rewritten is a text for the server.
type Rewritten struct {
	Text   string
	client string
	kept   []kept
}

// Position maps a 1-based character position in the rewritten text, as
// ErrorResponse has it, to one in the client's. What stands where the client
// wrote something else maps to the place of that.
func (r *Rewritten) Position(p int) int {
	if len(r.kept) == 0 || p < 1 {
		return p
	}
	at := byteOffset(r.Text, p-1)
	i := sort.Search(len(r.kept), func(i int) bool { return r.kept[i].at > at }) - 1
	if i < 0 {
		return 1
	}
	from := r.kept[i].from + at - r.kept[i].at
	if i+1 < len(r.kept) {
		from = min(from, r.kept[i+1].from)
	}
	return utf8.RuneCountInString(r.client[:min(from, len(r.client))]) + 1
}

// byteOffset is where the n-th character of s, from 0, begins.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
