package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// edits collects what becomes of a text: edits by byte offset and the cells
// that stand in them. Nothing is written until all of it is known, because
// which number a parameter gets depends on all of its uses.
type edits struct {
	list  []edit
	cells []Cell
	// numbers finds a cell among cells, by what it is.
	numbers map[Cell]int
	// reads are the types that casts in the text give to a parameter's value, by
	// space and parameter.
	reads map[paramKey]uint32
	// spaces are the statements whose parameters are their own: those behind PREPARE.
	spaces []*space
	rows   int
	// repeats has constants sealed anew each time that the text runs.
	repeats bool
}

type paramKey struct{ space, param int }

// edit replaces the bytes from to to. One without bytes inserts. Exactly one
// of text and cell says by what; both may be empty, which deletes.
type edit struct {
	from, to int
	text     string
	cell     int
	// number is that of the parameter which gives the cell, once known.
	number int
	// outer is set for an insertion that goes around others.
	outer bool
}

// space is a statement behind PREPARE.
type space struct {
	from, to int
	// declared are the types that PREPARE gives, 0 for unknown.
	declared []uint32
	inner    *Plan
	// types writes the list of types once the parameters are known.
	types func(params []Param)
}

// replace puts text in place of the bytes from to to.
func (a *analyzer) replace(from, to int, text string) {
	a.edits.list = append(a.edits.list, edit{from: from, to: to, text: text})
}

// insert puts text before the byte at. Texts of one place stay in the order of the calls.
func (a *analyzer) insert(at int, text string) { a.replace(at, at, text) }

// insertBefore puts text before the byte at, and before what else is inserted there.
func (a *analyzer) insertBefore(at int, text string) {
	a.edits.list = append(a.edits.list, edit{from: at, to: at, text: text, outer: true})
}

// cell notes a value that is sealed or becomes a term, and returns its number,
// from 1. Equal cells are one.
func (a *analyzer) cell(c Cell) int {
	e := &a.edits
	a.typeOwners(&c)
	// An entry may be of a step that was taken back.
	if n := e.numbers[c]; n > 0 && n <= len(e.cells) && e.cells[n-1] == c {
		return n
	}
	if e.numbers == nil {
		e.numbers = map[Cell]int{}
	}
	e.cells = append(e.cells, c)
	e.numbers[c] = len(e.cells)
	return len(e.cells)
}

// typeOwners notes the types of the columns that the cell's tenant and row id
// belong to: '07' and 7 are one tenant where that is a number.
func (a *analyzer) typeOwners(c *Cell) {
	if c.Tenant.IsZero() && c.RowID.IsZero() {
		return
	}
	t := c.Column.Table()
	rel := a.c.Catalog.Relation(catalog.NameOf(t))
	if rel == nil {
		return
	}
	for name, src := range map[string]*Source{t.Tenant().Column: &c.Tenant, t.RowID(): &c.RowID} {
		if col := rel.Column(name); col != nil && !src.IsZero() {
			src.As, src.Chars = a.c.Catalog.BaseOf(col.Type), col.Chars
		}
	}
}

// useCell puts a cell's value in place of the bytes from to to.
func (a *analyzer) useCell(from, to, cell int) {
	a.edits.list = append(a.edits.list, edit{from: from, to: to, cell: cell})
}

// newRow returns a number for Cell.Row.
func (a *analyzer) newRow() int {
	a.edits.rows++
	return a.edits.rows
}

// mark remembers how far the edits are, for reset and changed.
func (a *analyzer) mark() int { return len(a.edits.list) }

// reset takes back the edits since a mark.
func (a *analyzer) reset(mark int) { a.edits.list = a.edits.list[:mark] }

// changed reports whether there are edits since a mark.
func (a *analyzer) changed(mark int) bool { return len(a.edits.list) > mark }

// readAs notes that a cast around a parameter's use, which is removed, makes
// its value one of type oid. It reports whether this agrees with what else is known of it.
func (a *analyzer) readAs(at, param int, oid uint32) bool {
	e := &a.edits
	if e.reads == nil {
		e.reads = map[paramKey]uint32{}
	}
	k := paramKey{e.spaceAt(at), param}
	if had := e.reads[k]; had != 0 && had != oid {
		return false
	}
	e.reads[k] = oid
	return true
}

// finish sets the plan's Pieces, Cells, Params, NumParams and Logical.
func (a *analyzer) finish(p *Plan) {
	if r := a.edits.finish(a.tree, a.c.ParamTypes, p); r != nil {
		a.refuse(r)
	}
}

// spaceAt returns the index of the space that a byte belongs to, from 1; 0 is the text itself.
func (e *edits) spaceAt(at int) int {
	for i, s := range e.spaces {
		if at >= s.from && at < s.to {
			return i + 1
		}
	}
	return 0
}

// finish sets the plan's Pieces, Cells, Params, NumParams and Logical.
func (e *edits) finish(tree *parse.Tree, declared []uint32, p *Plan) *Refusal {
	if r := e.sort(len(tree.Text)); r != nil {
		return r
	}
	e.compact()
	for i, s := range e.spaces {
		e.number(tree, i+1, s.declared, s.inner)
		s.inner.Cells = e.cells
	}
	e.number(tree, 0, declared, p)
	for _, s := range e.spaces {
		if s.inner.Params != nil {
			s.types(s.inner.Params)
		}
	}
	if len(e.list) == 0 {
		return nil
	}
	// The lists of types are edits too.
	if r := e.sort(len(tree.Text)); r != nil {
		return r
	}
	p.Cells = e.cells
	p.Pieces = e.pieces(tree.Text)
	return nil
}

// sort orders the edits and checks that none overlap: two parts of the
// analysis that both rewrite a place would give a text that neither meant.
func (e *edits) sort(length int) *Refusal {
	slices.SortStableFunc(e.list, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), before(a.outer, b.outer))
	})
	end := 0
	for _, d := range e.list {
		if d.from < end || d.to < d.from || d.to > length {
			return &Refusal{
				SQLState: "XX000", Position: min(d.from, length),
				Message: "the proxy cannot rewrite this statement: two changes meet in one place",
				Hint:    "Write the statement in another form, and report this as a defect.",
			}
		}
		end = d.to
	}
	return nil
}

func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// number gives the parameters of one space their numbers and types.
func (e *edits) number(tree *parse.Tree, in int, declared []uint32, p *Plan) {
	plain, dropped, highest := e.uses(tree, in)
	p.NumParams = highest
	params := make([]Param, max(highest, len(declared)))
	logical := make([]uint32, len(params))
	for i := range params {
		params[i].Client = i + 1
	}
	changed := false
	at := map[int]int{} // cell -> number
	for i := range e.list {
		d := &e.list[i]
		if d.cell == 0 || e.spaceAt(d.from) != in {
			continue
		}
		c := e.cells[d.cell-1]
		if !c.byParameter() && !(c.Tenant.isNull() && highest > 0) && !(c.seals() && (in > 0 || e.repeats || c.ownKey() && highest > 0)) {
			continue
		}
		changed = true
		n, ok := at[d.cell]
		if !ok {
			n = c.From.Param
			if n == 0 || plain[n] || params[n-1].Cell != 0 {
				params = append(params, Param{})
				n = len(params)
			}
			at[d.cell] = n
			params[n-1] = Param{Cell: d.cell, OID: c.oid()}
		}
		d.number = n
		if k := c.From.Param; k != 0 && !plain[k] {
			logical[k-1] = e.logical(in, k, declared, c)
		}
	}
	for n := range dropped {
		if !plain[n] && params[n-1].Cell == 0 {
			// No use is left from which the server could tell a type.
			params[n-1], changed = Param{OID: pgtype.TextOID}, true
		}
	}
	if changed {
		p.Params, p.Logical = params, logical
	}
}

// logical returns the type that a parameter has for the client where all its uses are sealed.
func (e *edits) logical(in, param int, declared []uint32, c Cell) uint32 {
	if param <= len(declared) && declared[param-1] != 0 {
		return declared[param-1]
	}
	if oid := e.reads[paramKey{in, param}]; oid != 0 {
		return oid
	}
	if c.OfArray() {
		return arrayOID(c.Column.Type().OID())
	}
	return c.Column.Type().OID()
}

// uses finds which parameters of a space stand outside of cells, which stood
// in what was replaced by other text, and the highest number.
func (e *edits) uses(tree *parse.Tree, in int) (plain, dropped map[int]bool, highest int) {
	plain, dropped = map[int]bool{}, map[int]bool{}
	next := 0
	for _, t := range tree.Tokens {
		if t.Kind != pg.Token_PARAM || e.spaceAt(t.From) != in {
			continue
		}
		name := tree.Text[t.From:t.To]
		n, err := strconv.Atoi(name[1:])
		if err != nil || n < 1 {
			continue
		}
		highest = max(highest, n)
		for next < len(e.list) && e.list[next].to <= t.From {
			next++
		}
		switch {
		case next == len(e.list) || e.list[next].from > t.From:
			plain[n] = true
		case e.list[next].cell != 0:
		default:
			dropped[n] = true
			plain[n] = plain[n] || names(e.list[next].text, name)
		}
	}
	return plain, dropped, highest
}

// names reports whether a text of the proxy's names a parameter.
func names(text, param string) bool {
	for {
		_, rest, ok := strings.Cut(text, param)
		if !ok {
			return false
		}
		if rest == "" || rest[0] < '0' || rest[0] > '9' {
			return true
		}
		text = rest
	}
}

// byParameter reports whether the cell's value is made when parameters are
// bound: it is a parameter's, or belongs to a tenant or row that one names.
func (c Cell) byParameter() bool {
	return c.From.Param != 0 || c.Tenant.Param != 0 || c.RowID.Param != 0
}

// ownKey reports whether the value carries a key that no other row may have: a
// prepared statement must seal it anew each time that it runs.
func (c Cell) ownKey() bool { return c.seals() && c.Column.Mode() != envelope.ModeTenant }

// seals reports whether the cell gives sealed values.
func (c Cell) seals() bool { return c.Do == Seal || c.Do == Seals }

// OfArray reports whether the cell gives an array, made of one.
func (c Cell) OfArray() bool { return c.Do == Terms || c.Do == Seals }

// oid is the type of the cell's value for the server.
func (c Cell) oid() uint32 {
	if c.OfArray() {
		return pgtype.ByteaArrayOID
	}
	return pgtype.ByteaOID
}

// pieces joins the edits with the text between them.
func (e *edits) pieces(text string) []Piece {
	var out []Piece
	// A constant's quote or a cast's colons may have been all that kept a word from the next.
	last := byte(' ')
	put := func(p Piece, first, end byte) {
		if wordByte(last) && wordByte(first) {
			out = append(out, Piece{Text: " "})
		}
		out, last = append(out, p), end
	}
	at := 0
	for _, d := range e.list {
		if d.from > at {
			put(Piece{From: at, To: d.from}, text[at], text[d.from-1])
		}
		at = d.to
		switch {
		case d.number != 0:
			put(Piece{Text: "$" + strconv.Itoa(d.number)}, '$', '0')
		case d.cell != 0:
			put(Piece{Cell: d.cell}, 'x', 'x')
		case d.text != "":
			put(Piece{Text: d.text}, d.text[0], d.text[len(d.text)-1])
		}
	}
	if at < len(text) {
		put(Piece{From: at, To: len(text)}, text[at], text[len(text)-1])
	}
	return out
}

func wordByte(b byte) bool {
	return b == '_' || b == '$' || b >= 0x80 || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// compact drops the cells that no edit uses, which later steps of the analysis took back.
func (e *edits) compact() {
	kept, at := e.cells[:0:0], map[int]int{}
	for i := range e.list {
		d := &e.list[i]
		if d.cell == 0 {
			continue
		}
		n, ok := at[d.cell]
		if !ok {
			kept = append(kept, e.cells[d.cell-1])
			n = len(kept)
			at[d.cell] = n
		}
		d.cell = n
	}
	e.cells = kept
}
