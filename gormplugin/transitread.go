package gormplugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// hide finds the plain columns of a result's columns in transition, and hides
// those that the application did not ask for.
func (a *analysis) hide(src *source) {
	if !a.transits {
		return
	}
	hidden := map[int]bool{}
	for i, name := range src.names {
		if strings.HasPrefix(name, hiddenPrefix) {
			hidden[i] = true
		}
		rc := src.cols[i]
		if rc == nil {
			continue
		}
		for _, c := range rc.candidates {
			rc.moving = preferMoving(rc.moving, c)
		}
		if !moving(rc.moving) {
			rc.moving = nil
		} else if at := a.plainPlace(src, rc); at >= 0 {
			rc.clear, hidden[at] = at+1, true
		}
	}
	a.doubt(src)
	if len(hidden) == 0 {
		return
	}
	src.shown, src.visible = []int{}, []string{}
	for i, name := range src.names {
		if !hidden[i] {
			src.shown, src.visible = append(src.shown, i), append(src.visible, name)
		}
	}
}

// doubt notes the result columns of a star of which one is in transition, and
// another has its name.
func (a *analysis) doubt(src *source) {
	for i, name := range src.names {
		if _, twice := onlyPlace(src.names, name); !a.star || !twice {
			continue
		}
		for _, m := range a.modelsIn("*") {
			if c := m.column(name); moving(c) {
				src.doubts = append(src.doubts, doubtful{at: i, column: c})
			}
		}
	}
}

// doubtful is a result column that may be one in transition.
type doubtful struct {
	at     int
	column *field.Column
}

// certain refuses rows in which a plain value may be missing.
func (src *source) certain(w *window) error {
	for _, d := range src.doubts {
		for i := range w.count {
			if w.isNull(src, i, d.at) {
				return unclear(d.column)
			}
		}
	}
	return nil
}

// isNull says whether the database gave NULL for a cell: the bytes of sealed
// columns are kept aside.
func (w *window) isNull(src *source, row, at int) bool {
	rc := src.cols[at]
	return w.row(row)[at] == nil && (rc == nil || w.raw[rc.sealed][row] == nil)
}

func unclear(c *field.Column) error {
	return &Error{
		Table: c.Table().Name(), Column: c.Name(), Err: ErrTransition,
		Remedy: "the result has no single column " + c.Transition().Plain + ", which has the value; select the columns one by one, of the table itself",
	}
}

// plainPlace returns the place of the plain column beside a result column; -1
// where it is not there, or may be another row's.
func (a *analysis) plainPlace(src *source, rc *resultColumn) int {
	if !a.star && len(a.items) == len(src.names) {
		return a.items[rc.at].clear - 1
	}
	for _, it := range a.items {
		if it.clear > 0 && strings.EqualFold(it.out, src.names[rc.at]) {
			return slices.Index(src.names, a.items[it.clear-1].out)
		}
	}
	plain := rc.moving.Transition().Plain
	at, twice := onlyPlace(src.names, plain)
	if _, also := onlyPlace(src.names, src.names[rc.at]); twice || also {
		return -1
	}
	for _, it := range a.items {
		if it.plain && strings.EqualFold(it.out, plain) {
			return -1 // selected by name, of whichever table
		}
	}
	return at
}

// onlyPlace returns the place of a result column, and whether there are two of
// that name; -1 where there is none.
func onlyPlace(names []string, name string) (at int, twice bool) {
	at = -1
	for i, n := range names {
		if strings.EqualFold(n, name) {
			at, twice = i, at >= 0
		}
	}
	return at, twice
}

// standIn puts the plain column's value in the place of a sealed one that is
// NULL. into points to where it is opened to.
func (src *source) standIn(g *group, rc *resultColumn, row []any, into any) error {
	c := rc.moving
	if c == nil || row[rc.at] != nil {
		return nil
	}
	if rc.clear == 0 {
		if at, _ := onlyPlace(src.names, c.Transition().Plain); rc.optional && at < 0 {
			return nil // another table's column
		}
		return unclear(c)
	}
	value := row[rc.clear-1]
	if value == nil {
		return nil
	}
	if err := src.sameTenant(g, c, row); err != nil {
		return err
	}
	plain, err := encodeStored(c.Type(), value)
	if err == nil {
		if err = c.Type().Decode(plain, into); err == nil {
			row[rc.at] = rc.result(into)
		}
	}
	if err != nil {
		return fmt.Errorf("rowseal: %v, read from %s: %w", c, c.Transition().Plain, err)
	}
	return nil
}

// sameTenant refuses a plain value of another tenant than the context's, as a
// sealed one would be. The result must have the tenant for that.
func (src *source) sameTenant(g *group, c *field.Column, row []any) error {
	bound := field.TenantFrom(src.ctx)
	if bound == "" || g.tenant < 0 {
		return nil
	}
	var known field.Row
	if err := src.identify(g, c, row, &known); err != nil {
		return err
	}
	if known.Tenant != bound {
		return &Error{Table: c.Table().Name(), Column: c.Name(), Err: field.ErrTenantMismatch}
	}
	return nil
}

// encodeStored returns a driver's value of a plain column of type t in the
// form in which values are sealed.
func encodeStored(t codec.Type, v any) ([]byte, error) {
	switch x := v.(type) {
	case string:
		if !isBytes(t) {
			return t.EncodeText(nil, x)
		}
		v = []byte(x)
	case []byte:
		if !isBytes(t) {
			return t.EncodeText(nil, string(x))
		}
	case int64:
		if t.String() == "bool" {
			v = x != 0
		}
	}
	out, _, err := t.Encode(nil, v)
	return out, err
}
