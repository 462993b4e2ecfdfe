package sealing

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// batch carries out cells of one plan together: keys are fetched at once, and
// rows share row keys.
type batch struct {
	s       *Session
	plan    *plan.Plan
	client  []Value  // the client's parameters; nil for a text's constants
	out     [][]byte // by cell: what goes to the server, nil for NULL
	seals   []sealing
	terms   []field.Term
	termOf  []int // by term: its cell
	lists   []termList
	arrays  []sealList
	nobody  [][]byte // values that are looked for among nobody's rows
	nobodys [][]byte // what stands for their terms
}

// sealing is a cell that is sealed.
type sealing struct {
	cell  int
	row   field.Row
	value field.Binary
	// at is the element of an array whose value it is; 0 outside of one.
	at int
	to *[]byte // where the sealed value goes
}

// termList is a cell whose terms stand in batch.terms from, to.
type termList struct{ cell, from, to int }

// run carries out the cells, numbered from 0, and sets b.out.
func (b *batch) run(ctx context.Context, cells []int) error {
	b.out = make([][]byte, len(b.plan.Cells))
	for _, i := range cells {
		if err := b.add(i); err != nil {
			return refuse(b.plan.Cells[i].Column, err)
		}
	}
	if err := b.seal(ctx); err != nil {
		return err
	}
	for _, l := range b.arrays {
		b.out[l.cell] = appendByteaArray(nil, len(l.sealed), func(i int) []byte { return l.sealed[i] })
	}
	return b.search(ctx)
}

func (b *batch) add(i int) error {
	c := &b.plan.Cells[i]
	v, err := b.value(c.From)
	if err != nil {
		return err
	}
	switch c.Do {
	case plan.Seal:
		return b.addSeal(i, c, v)
	case plan.Term:
		return b.addTerm(i, c, v)
	case plan.Terms:
		return b.addTerms(i, c, v)
	case plan.Seals:
		return b.addSeals(i, c, v)
	}
	return broken("unknown action")
}

func (b *batch) addSeal(i int, c *plan.Cell, v Value) error {
	if v.Data == nil {
		return nil
	}
	v = cut(castText(v, c.From.As), c)
	plain, err := b.s.Settings.FromClient(nil, c.Column.Type(), v.OID, v.Format, v.Data)
	if err != nil {
		return err
	}
	row, err := b.row(c)
	if errors.Is(err, errNobody) {
		return nil // no row gets the value
	}
	if err != nil {
		return err
	}
	b.seals = append(b.seals, sealing{cell: i, row: row, value: plain, to: &b.out[i]})
	return nil
}

func (b *batch) addTerm(i int, c *plan.Cell, v Value) error {
	if v.Data == nil {
		return nil
	}
	form, err := b.s.comparand(c, v)
	if err != nil {
		return err
	}
	tenant, err := b.tenant(c)
	if errors.Is(err, errNobody) {
		b.out[i], err = b.nobodysTerm(form)
		return err
	}
	if err != nil {
		return err
	}
	b.terms = append(b.terms, field.Term{Column: c.Column, Tenant: tenant, Value: field.Canonical(form)})
	b.termOf = append(b.termOf, i)
	return nil
}

// addTerms adds an array's elements.
func (b *batch) addTerms(i int, c *plan.Cell, v Value) error {
	if v.Data == nil {
		return nil
	}
	elements, err := b.s.elements(c.Column.Type(), v)
	if err != nil {
		return err
	}
	tenant, err := b.tenant(c)
	if errors.Is(err, errNobody) {
		return b.nobodysTerms(i, elements)
	}
	if err != nil {
		return err
	}
	list := termList{cell: i, from: len(b.terms)}
	for _, form := range elements {
		b.terms = append(b.terms, field.Term{Column: c.Column, Tenant: tenant, Value: field.Canonical(form)})
		b.termOf = append(b.termOf, -1)
	}
	list.to = len(b.terms)
	b.lists = append(b.lists, list)
	return nil
}

// row gives what the cell's value is bound to.
func (b *batch) row(c *plan.Cell) (r field.Row, err error) {
	if r.Tenant, err = b.tenant(c); err != nil || c.RowID.IsZero() {
		return r, err
	}
	v, err := b.value(c.RowID)
	if err == nil {
		r.ID, err = idOf(v, c.RowID)
	}
	return r, err
}

// errNobody says that a tenant or row id which a condition compares with is NULL, so that there is no such row.
var errNobody = errors.New("no such row")

// idOf is identity for a source that gives v.
func idOf(v Value, from plan.Source) (any, error) {
	if v.Data == nil && from.Sought {
		return nil, errNobody
	}
	if from.Sought && from.Chars > 0 { // what does not fit is in no row
		return identity(v, from.As)
	}
	return fitting(v, from.As, from.Chars)
}

// tenant gives the cell's tenant; "" where only session and table say.
func (b *batch) tenant(c *plan.Cell) (string, error) {
	if c.Tenant.IsZero() {
		return b.s.Tenant, nil
	}
	v, err := b.value(c.Tenant)
	if err != nil {
		return "", err
	}
	return b.tenantOf(v, c.Tenant)
}

// tenantOf gives the tenant that v, which comes from a source, names.
func (b *batch) tenantOf(v Value, from plan.Source) (string, error) {
	id, err := idOf(v, from)
	if err != nil {
		return "", err
	}
	tenant, err := field.TenantOf(id)
	if err == nil && b.s.Tenant != "" && tenant != b.s.Tenant {
		err = field.ErrTenantMismatch
	}
	return tenant, err
}

// value gives what a source stands for; the zero source is NULL.
func (b *batch) value(s plan.Source) (Value, error) {
	switch {
	case s.Const != nil && s.Const.Null:
		return Value{OID: s.Const.OID}, nil
	case s.Const != nil:
		return Value{OID: s.Const.OID, Data: notNil(s.Const.Text)}, nil
	case s.Param > len(b.client):
		return Value{}, &plan.Refusal{
			SQLState: stateNoParameter, Position: -1,
			Message: fmt.Sprintf("there is no parameter $%d", s.Param),
		}
	case s.Param > 0:
		v := b.client[s.Param-1]
		if v.OID == 0 {
			v.OID = s.Type
		}
		return v, nil
	}
	return Value{}, nil
}

func notNil(s string) []byte { return append([]byte{}, s...) }

// seal seals all rows whose cells are of the same columns in one call, so that a
// page of rows is one.
func (b *batch) seal(ctx context.Context) error {
	rows := b.rows()
	for len(rows) > 0 {
		columns := b.columns(rows[0])
		var page []field.SealRow
		var of, rest [][]int
		for _, row := range rows {
			if !b.sameColumns(columns, row) {
				rest = append(rest, row)
				continue
			}
			r := field.SealRow{Row: b.seals[row[0]].row}
			for _, at := range row {
				r.Values = append(r.Values, b.seals[at].value)
			}
			page, of = append(page, r), append(of, row)
		}
		if err := b.s.Cipher.SealRows(ctx, columns, page); err != nil {
			return refuse(columns[0], err)
		}
		for i, row := range of {
			for j, at := range row {
				*b.seals[at].to = page[i].Sealed[j]
			}
		}
		rows = rest
	}
	return nil
}

// rows groups the cells to seal by row and table, in their order. Cells of one
// row that are bound differently are rows of their own.
func (b *batch) rows() [][]int {
	type name struct {
		row, at int
		table   *field.Table
		bound   field.Row
	}
	var rows [][]int
	seen := map[name]int{}
	for at, s := range b.seals {
		c := &b.plan.Cells[s.cell]
		n := name{c.Row, s.at, c.Column.Table(), s.row}
		i, ok := seen[n]
		if !ok || b.hasColumn(rows[i], c.Column) {
			i = len(rows)
			seen[n], rows = i, append(rows, nil)
		}
		rows[i] = append(rows[i], at)
	}
	return rows
}

// hasColumn: a row holds a column once; a second value of it is another row's.
func (b *batch) hasColumn(row []int, col *field.Column) bool {
	for _, at := range row {
		if b.plan.Cells[b.seals[at].cell].Column == col {
			return true
		}
	}
	return false
}

func (b *batch) columns(row []int) []*field.Column {
	columns := make([]*field.Column, len(row))
	for i, at := range row {
		columns[i] = b.plan.Cells[b.seals[at].cell].Column
	}
	return columns
}

func (b *batch) sameColumns(columns []*field.Column, row []int) bool {
	if len(columns) != len(row) {
		return false
	}
	for i, at := range row {
		if b.plan.Cells[b.seals[at].cell].Column != columns[i] {
			return false
		}
	}
	return true
}

// search makes all terms at once.
func (b *batch) search(ctx context.Context) error {
	if len(b.terms) > 0 {
		if err := b.s.Cipher.EqualityTerms(ctx, b.terms); err != nil {
			return refuse(b.terms[0].Column, err)
		}
	}
	for i, cell := range b.termOf {
		if cell >= 0 {
			b.out[cell] = b.terms[i].Bytes
		}
	}
	for _, l := range b.lists {
		b.out[l.cell] = appendByteaArray(nil, l.to-l.from, func(i int) []byte { return b.terms[l.from+i].Bytes })
	}
	return nil
}
