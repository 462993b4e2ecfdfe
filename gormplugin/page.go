package gormplugin

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// resolve finds the sealed columns of a result, from the statement's text and
// the result's column names.
func (a *analysis) resolve(src *source) {
	groups := map[string]*group{}
	for i, name := range src.names {
		qual, column, optional := a.origin(i, name, len(src.names))
		if column == "" {
			continue
		}
		var candidates []*field.Column
		var m *model
		for _, known := range a.modelsIn(qual) {
			if c := known.column(column); c != nil {
				candidates, m = append(candidates, c), known
			}
		}
		if len(candidates) == 0 {
			continue
		}
		rc := &resultColumn{at: i, candidates: candidates, optional: optional && !a.only(column, name)}
		src.cols[i] = rc
		g := groups[qual]
		if g == nil {
			g = &group{tenant: -1, rowID: -1}
			if m.tenant != nil {
				g.tenant = a.find(src.names, qual, m.tenant.DBName)
			}
			if m.rowID != nil {
				g.rowID = a.find(src.names, qual, m.rowID.DBName)
			}
			groups[qual] = g
			src.groups = append(src.groups, g)
		}
		g.cols = append(g.cols, rc)
	}
}

// origin returns where a result column comes from; column is "" where it is
// no table's column. Without a star the list says it place by place; with one,
// the result's names have to.
func (a *analysis) origin(i int, name string, n int) (qual, column string, optional bool) {
	if !a.star && len(a.items) == n {
		if it := a.items[i]; it.plain {
			return a.onlyTable(it.qual), it.column, false
		}
		return "", "", false
	}
	for _, it := range a.items {
		if it.plain && strings.EqualFold(it.out, name) {
			return a.onlyTable(it.qual), it.column, true
		}
	}
	if !a.star {
		return "", "", false
	}
	return a.onlyTable(""), name, len(a.refs) > 1
}

// onlyTable names the statement's table in place of no qualifier, if there is
// one only.
func (a *analysis) onlyTable(qual string) string {
	if len(a.refs) == 1 {
		for only := range a.refs {
			return only
		}
	}
	return qual
}

// modelsIn returns the models that a qualifier of the result may mean.
func (a *analysis) modelsIn(qual string) (models []*model) {
	if found, ok := a.refs[qual]; ok {
		return found
	}
	for _, found := range a.refs {
		for _, m := range found {
			if !slices.Contains(models, m) {
				models = append(models, m)
			}
		}
	}
	return models
}

// only says whether a result column of that name can be nothing but a sealed
// one: every table is known, and seals its column of that name if it has one.
func (a *analysis) only(column, name string) bool {
	if !strings.EqualFold(column, name) {
		return false
	}
	for _, found := range a.refs {
		if len(found) == 0 {
			return false
		}
		for _, m := range found {
			if m.plainField(name) {
				return false
			}
		}
	}
	return true
}

// plainField says whether the model has a column of that name that is not
// sealed.
func (m *model) plainField(name string) bool {
	for column := range m.schema.FieldsByDBName {
		if strings.EqualFold(column, name) {
			return m.column(name) == nil
		}
	}
	return false
}

// unknown returns the places of the result's columns that are no column of a
// known model, and may be anything.
func (a *analysis) unknown(src *source) (places []int) {
	for i, name := range src.names {
		if src.cols[i] != nil {
			continue
		}
		qual, column, _ := a.origin(i, name, len(src.names))
		known := column != "" && !a.combines && slices.ContainsFunc(a.modelsIn(qual), func(m *model) bool { return m.plainField(column) })
		if !known {
			places = append(places, i)
		}
	}
	return places
}

// guard refuses sealed bytes of a known column in places where none should be:
// they would be handed out as they are.
func (src *source) guard(w *window) error {
	for i := range w.count {
		row := w.row(i)
		for _, at := range src.unknown {
			b := sealedBytes(row[at])
			if len(b) == 0 || b[0] != envelope.Magic {
				continue
			}
			v, err := envelope.Parse(b)
			if err != nil {
				continue
			}
			if c := src.s.p.models.sealed(v.Column); c != nil {
				return &Error{
					Table: c.Table().Name(), Column: c.Name(), Err: ErrStatement,
					Remedy: "result column " + src.names[at] + " holds its sealed values; select the column by its own name, in the outermost SELECT",
				}
			}
		}
	}
	return nil
}

// sealedBytes returns a cell's bytes, also where the database wrote them as
// PostgreSQL's hex text, as it does inside of documents and casts.
func sealedBytes(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		if text, ok := strings.CutPrefix(v, `\x`); ok {
			if b, err := hex.DecodeString(text); err == nil {
				return b
			}
		}
	}
	return nil
}

// find returns the place of a table's column in the result; -1 if it is not
// there or more than one column may be it.
func (a *analysis) find(names []string, qual, column string) int {
	at := -1
	for i, name := range names {
		q, c, optional := a.origin(i, name, len(names))
		if c == "" || q != qual || !strings.EqualFold(c, column) {
			continue
		}
		if at >= 0 || optional {
			return -1
		}
		at = i
	}
	return at
}

// openPage is what a window hands to the cipher for one group. It holds sealed
// bytes and the places to open into, no values.
type openPage struct {
	columns []*field.Column
	rows    []field.OpenRow
	cells   [][]byte
	into    []any
	places  []places // of each column
}

// reset makes room for so many empty rows. The page is empty.
func (p *openPage) reset(rows, columns int) {
	n := rows * columns
	p.columns = slices.Grow(p.columns, columns)[:columns]
	p.places = slices.Grow(p.places, columns)[:columns]
	p.rows = slices.Grow(p.rows, rows)[:rows]
	p.cells, p.into = slices.Grow(p.cells, n)[:n], slices.Grow(p.into, n)[:n]
	for i := range p.rows {
		lo, hi := i*columns, (i+1)*columns
		p.rows[i] = field.OpenRow{Sealed: p.cells[lo:hi:hi], Into: p.into[lo:hi:hi]}
	}
}

// empty makes the page refer to nothing.
func (p *openPage) empty() {
	clear(p.columns)
	clear(p.places)
	clear(p.rows)
	clear(p.cells)
	clear(p.into)
	p.columns, p.places, p.rows, p.cells, p.into = p.columns[:0], p.places[:0], p.rows[:0], p.cells[:0], p.into[:0]
}

// open opens one table's sealed values in the window: one call of the cipher,
// so that all keys are fetched at once.
func (src *source) open(w *window, g *group, page *openPage) error {
	page.reset(w.count, len(g.cols))
	for j, rc := range g.cols {
		page.columns[j], page.places[j] = rc.choose(w.raw[rc.sealed]), rc.makePlaces(w.count)
	}
	for i := range page.rows {
		found := false
		for j, rc := range g.cols {
			b, err := w.sealedCell(rc, page.columns[j], i)
			if err != nil {
				return err
			}
			if b != nil {
				page.rows[i].Sealed[j], page.rows[i].Into[j], found = b, page.places[j].at(i), true
			} else if err := src.standIn(g, rc, w.row(i), page.places[j].at(i)); err != nil {
				return err
			} else if rc.optional {
				src.asText(w.row(i), rc.at)
			}
		}
		if found {
			if err := src.identify(g, page.columns[0], w.row(i), &page.rows[i].Row); err != nil {
				return err
			}
		}
	}
	if err := src.s.p.cipher.OpenRows(src.ctx, page.columns, page.rows); err != nil {
		return err
	}
	for i := range page.rows {
		row := w.row(i)
		for j, rc := range g.cols {
			if p := page.rows[i].Into[j]; p != nil {
				row[rc.at] = rc.result(p)
			}
		}
	}
	page.empty()
	return nil
}

// choose returns which of the possible columns a result column is: the one
// that the first value's header names.
func (rc *resultColumn) choose(raw [][]byte) *field.Column {
	if len(rc.candidates) == 1 {
		return rc.candidates[0]
	}
	for _, b := range raw {
		v, err := envelope.Parse(b)
		if err != nil {
			continue
		}
		for _, c := range rc.candidates {
			if c.Field().ID() == v.Column {
				return c
			}
		}
	}
	return rc.candidates[0]
}

// sealedCell returns the bytes to open of row i; nil for NULL, and for values
// that are another table's plain column of the same name.
func (w *window) sealedCell(rc *resultColumn, c *field.Column, i int) ([]byte, error) {
	b, other := w.raw[rc.sealed][i], &w.row(i)[rc.at]
	switch {
	case b == nil && *other == nil:
		return nil, nil
	case rc.optional:
		if len(b) == 0 || b[0] != envelope.Magic {
			if b != nil {
				*other = bytes.Clone(b)
			}
			return nil, nil
		}
		if parsed, err := envelope.Parse(b); err != nil || parsed.Column != c.Field().ID() {
			return nil, &Error{
				Table: c.Table().Name(), Column: c.Name(), Err: ErrStatement,
				Remedy: "a result column of that name may be another table's, and holds other sealed bytes; select the columns one by one",
			}
		}
	case b == nil:
		return nil, &Error{Table: c.Table().Name(), Column: c.Name(), Err: ErrUnsealed, Remedy: "seal the rows that were written before the column was sealed"}
	}
	return b, nil
}

// asText has a value of another table's plain column be text, where it is that:
// MySQL's driver gives bytes, and goes by the column's type afterwards.
func (src *source) asText(row []any, at int) {
	b, ok := row[at].([]byte)
	if !ok || !isMySQL(src.s.stmt) {
		return
	}
	switch name := src.types[at].DatabaseTypeName(); {
	case strings.Contains(name, "CHAR"), strings.Contains(name, "TEXT"), name == "JSON", name == "ENUM", name == "SET", name == "DECIMAL":
		row[at] = string(b)
	}
}

// identify takes the row's tenant and id from the result, where it has them.
func (src *source) identify(g *group, c *field.Column, row []any, known *field.Row) (err error) {
	if g.tenant >= 0 {
		if known.Tenant, err = field.TenantOf(src.identifier(row, g.tenant)); err != nil {
			return &Error{Table: c.Table().Name(), Column: src.names[g.tenant], Err: errors.Join(errHalfKnown, err)}
		}
	}
	if g.rowID >= 0 {
		if known.ID = src.identifier(row, g.rowID); known.ID == nil {
			return &Error{Table: c.Table().Name(), Column: src.names[g.rowID], Err: errors.Join(errHalfKnown, field.ErrRowUnknown)}
		}
	}
	return nil
}

// result returns what database/sql hands on: the place itself where its type
// is the destination's, which carrier.Scan expects, or the natural value in it.
func (rc *resultColumn) result(p any) any {
	if rc.into == nil {
		return *p.(*any)
	}
	return p
}
