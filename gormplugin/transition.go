package gormplugin

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// veiled is a value on its way to a plain column, which logs must not show.
// Drivers get it where the statement is sent.
type veiled struct{ value any }

var (
	_ driver.Valuer  = veiled{}
	_ fmt.Formatter  = veiled{}
	_ slog.LogValuer = veiled{}
)

// Value refuses drivers, and gives GORM's log, which shows what it returns,
// a word in place of the value.
func (veiled) Value() (driver.Value, error) {
	return hidden, fmt.Errorf("rowseal: a value for a plain column did not pass the plugin: %w", ErrNotRegistered)
}

// MarshalJSON refuses, for drivers that encode what they do not know as JSON.
func (veiled) MarshalJSON() ([]byte, error) { return nil, ErrNotRegistered }

// Format prints no value.
func (veiled) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue prints no value.
func (veiled) LogValue() slog.Value { return slog.StringValue(hidden) }

// veil returns v as a parameter for a plain column of type t; nil stays NULL.
// What t refuses was refused when it was sealed.
func veil(t codec.Type, v any) (any, error) {
	plain, null, err := t.Encode(nil, v)
	if err != nil || null {
		return nil, err
	}
	natural, err := t.Natural(plain)
	if err != nil {
		return nil, err
	}
	switch x := natural.(type) {
	case []byte:
		if !isBytes(t) {
			natural = string(x)
		}
	default:
		if !driver.IsValue(natural) {
			text, err := t.AppendText(nil, plain)
			return veiled{string(text)}, err
		}
	}
	return veiled{natural}, nil
}

// isBytes says whether t is bytea itself.
func isBytes(t codec.Type) bool { return t.String() == "bytea" }

// twice returns what is sent for an operand of a column in transition.
func (o operand) twice(ctx context.Context, t field.Term, term any) (both twice, err error) {
	both.term = term
	if both.plain, err = veil(operandType(o.column.Type()), t.Value); err != nil {
		var e *codec.Error
		if errors.As(err, &e) {
			err = errors.New(e.Reason)
		}
		return both, &Error{
			Table: o.column.Table().Name(), Column: o.column.Name(), Err: ErrTransition,
			Remedy: fmt.Sprintf("the value cannot be compared with %s either: %v", o.column.Transition().Plain, err),
		}
	}
	if o.scope.model != nil && t.Tenant != "" {
		both.tenant, err = o.scope.model.tenantValue(ctx, t.Tenant)
	}
	return both, err
}

// operandType is the type of a parameter that is compared with a column of
// type t: without modifiers, and the widest of the integers.
func operandType(t codec.Type) codec.Type {
	name := t.String()
	if from := strings.IndexByte(name, '('); from >= 0 {
		name = name[:from] + name[strings.IndexByte(name, ')')+1:]
	}
	switch name {
	case "char":
		name = "bpchar"
	case "int2", "int4":
		name = "int8"
	}
	if wide, err := codec.ParseType(name); err == nil {
		return wide
	}
	return t
}

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

// plainFieldOf returns the model's field whose column is the plain one of c,
// or nil.
func (m *model) plainFieldOf(c *field.Column) *schema.Field {
	for _, f := range m.schema.Fields {
		if moving(c) && strings.EqualFold(f.DBName, c.Transition().Plain) {
			return f
		}
	}
	return nil
}

// movingTo returns the column that takes over from the plain column of that
// name, or nil.
func (m *model) movingTo(plain string) *field.Column {
	for _, c := range m.cols {
		if moving(c) && strings.EqualFold(c.Transition().Plain, plain) {
			return c
		}
	}
	return nil
}

// refusePlain refuses a plain column that is written by itself.
func (m *model) refusePlain(column string) error {
	if c := m.movingTo(column); c != nil {
		return m.refuse(column, ErrTransition, "assign "+c.Name()+", which takes over from it")
	}
	return nil
}

// refusePlain refuses an INSERT that names a plain column.
func (g *insertPage) refusePlain() error {
	for _, c := range g.values.Columns {
		if err := g.m.refusePlain(c.Name); err != nil {
			return err
		}
	}
	return nil
}

// addPlain adds to an INSERT the plain columns that are written beside sealed
// ones. at are the places of columns, and rows the values before sealing.
func (g *insertPage) addPlain(columns []*field.Column, at []int, rows [][]any) error {
	for j, c := range columns {
		if !c.Transition().Both {
			continue
		}
		g.values.Columns = append(slices.Clip(g.values.Columns), clause.Column{Name: c.Transition().Plain})
		for i := range rows {
			v, err := g.m.veiled(c, rows[i][at[j]])
			if err != nil {
				return err
			}
			g.values.Values[i] = append(g.values.Values[i], v)
		}
	}
	return nil
}

// veiled returns a value that GORM assigns to c as its plain column gets it.
func (m *model) veiled(c *field.Column, v any) (any, error) {
	v, err := m.plain(c, v)
	if err != nil {
		return nil, err
	}
	if v, err = veil(c.Type(), v); err != nil {
		return nil, fmt.Errorf("rowseal: %v: %w", c, err)
	}
	return v, nil
}

// withPlain adds to the sealed form of set the assignments of plain columns:
// the value that the sealed column gets, or NULL, so that no old value is read
// again once the sealed one is NULL.
func (m *model) withPlain(set, sealed clause.Set) (clause.Set, error) {
	for _, a := range set {
		if err := m.refusePlain(a.Column.Name); err != nil {
			return nil, err
		}
		c := m.column(a.Column.Name)
		if !moving(c) {
			continue
		}
		to := clause.Assignment{Column: clause.Column{Name: c.Transition().Plain}}
		if c.Transition().Both {
			if from, ok := a.Value.(clause.Column); ok && from.Table == "excluded" {
				to.Value = clause.Column{Table: from.Table, Name: to.Column.Name}
			} else {
				var err error
				if to.Value, err = m.veiled(c, a.Value); err != nil {
					return nil, err
				}
			}
		}
		sealed = append(slices.Clip(sealed), to)
	}
	return sealed, nil
}
