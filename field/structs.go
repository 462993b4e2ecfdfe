package field

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// SealedStruct is a row that is ready to be written: the sealed bytes of the
// columns that the table seals, with nil for NULL, and of all others the
// struct's values. It holds nothing of what was sealed in clear.
type SealedStruct struct {
	plan   *structPlan
	values []any
}

// SealStruct seals src, a struct or a pointer to one, for table, and leaves it
// as it is. Tenant and row id are the fields of the table's tenant and row id
// columns, which must be set; a struct without a tenant field takes the
// context's tenant or the table's default.
//
// A field's column is named by its `db` tag, without one it is the field's
// name in snake case; `db:"-"` excludes a field. Embedded structs belong to the
// row. A struct may have fewer columns than the table.
func (c *Cipher) SealStruct(ctx context.Context, table *Table, src any) (SealedStruct, error) {
	rv := reflect.ValueOf(src)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return SealedStruct{}, fmt.Errorf("rowseal: SealStruct needs a struct or a pointer to one, not a %T that is nil", src)
	}
	p, err := c.plan(table, rv.Type())
	if err != nil {
		return SealedStruct{}, err
	}
	sealed, err := c.sealStructs(ctx, p, []reflect.Value{rv})
	if err != nil {
		return SealedStruct{}, withoutRow(err)
	}
	return sealed[0], nil
}

// SealStructs is SealStruct for a page: src is a slice of structs or of
// pointers to them. All keys that the page needs are fetched at once. On an
// error nothing is to be written.
func (c *Cipher) SealStructs(ctx context.Context, table *Table, src any) ([]SealedStruct, error) {
	rv := reflect.ValueOf(src)
	if rv.Kind() != reflect.Slice {
		return nil, fmt.Errorf("rowseal: SealStructs needs a slice of structs or of pointers to them, not %T", src)
	}
	rt := rv.Type().Elem()
	if rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	p, err := c.plan(table, rt)
	if err != nil {
		return nil, err
	}
	rows := make([]reflect.Value, rv.Len())
	for i := range rows {
		if rows[i] = reflect.Indirect(rv.Index(i)); !rows[i].IsValid() {
			return nil, fmt.Errorf("rowseal: SealStructs: row %d is nil", i)
		}
	}
	return c.sealStructs(ctx, p, rows)
}

// withoutRow takes the row's number out of an error about the only one.
func withoutRow(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return &Error{Op: e.Op, Table: e.Table, Column: e.Column, Row: -1, Err: e.Err}
}

// sealStructs seals rows of p's type.
func (c *Cipher) sealStructs(ctx context.Context, p *structPlan, rows []reflect.Value) ([]SealedStruct, error) {
	page := make([]SealRow, len(rows))
	for i, row := range rows {
		known, err := p.sealRow(row)
		if err != nil {
			return nil, p.sealed[0].fail("seal", i, err)
		}
		page[i] = SealRow{Row: known, Values: make([]any, len(p.sealed))}
		for j, cell := range p.cells {
			page[i].Values[j] = p.value(row, cell).Interface()
		}
	}
	if err := c.SealRows(ctx, p.sealed, page); err != nil {
		return nil, err
	}
	out := make([]SealedStruct, len(rows))
	for i, row := range rows {
		out[i] = p.sealedStruct(row, page[i].Sealed)
	}
	return out, nil
}

// sealRow is what the struct says of its row. A field that was not set would
// bind values to a row or tenant that is not theirs.
func (p *structPlan) sealRow(row reflect.Value) (known Row, err error) {
	if p.tenant >= 0 {
		v := p.value(row, p.tenant)
		if isUnset(v) {
			return known, fmt.Errorf("%w (field %s is empty)", ErrTenantUnknown, p.fields[p.tenant].name)
		}
		if known.Tenant, err = TenantOf(v.Interface()); err != nil {
			return known, err
		}
	}
	if p.table.rowID == "" {
		return known, nil
	}
	if p.rowID < 0 || isUnset(p.value(row, p.rowID)) {
		return known, fmt.Errorf("%w (column %s)", ErrRowUnknown, p.table.rowID)
	}
	known.ID = p.value(row, p.rowID).Interface()
	return known, nil
}

func (p *structPlan) sealedStruct(row reflect.Value, sealed [][]byte) SealedStruct {
	s := SealedStruct{plan: p, values: make([]any, len(p.fields))}
	for i := range p.fields {
		if p.fields[i].sealed == nil {
			s.values[i] = p.value(row, i).Interface()
		}
	}
	for j, cell := range p.cells {
		if sealed[j] != nil { // a nil []byte is an empty blob to some drivers
			s.values[cell] = sealed[j]
		}
	}
	return s
}

// Columns names the columns in the order of the struct's fields.
func (s SealedStruct) Columns() []string {
	if s.plan == nil {
		return nil
	}
	names := make([]string, len(s.plan.fields))
	for i := range s.plan.fields {
		names[i] = s.plan.fields[i].column
	}
	return names
}

// Args gives the arguments of a statement: the values of the named columns, in
// that order, or of all, in the order of Columns, where none is named.
//
// A column that the struct does not have gives an argument that no driver
// takes, so that the statement fails with an error that names the column.
func (s SealedStruct) Args(columns ...string) []any {
	if len(columns) == 0 {
		columns = s.Columns()
	}
	args := make([]any, len(columns))
	for i, name := range columns {
		args[i] = s.arg(name)
	}
	return args
}

// Map gives by name what Args gives in order. It converts to
// pgx.StrictNamedArgs; pgx.NamedArgs takes NULL for a name that is missing.
func (s SealedStruct) Map(columns ...string) map[string]any {
	if len(columns) == 0 {
		columns = s.Columns()
	}
	m := make(map[string]any, len(columns))
	for _, name := range columns {
		m[name] = s.arg(name)
	}
	return m
}

func (s SealedStruct) arg(name string) any {
	if s.plan == nil {
		return missingColumn{"no row was sealed: the error of SealStruct was not looked at"}
	}
	if at, ok := s.plan.byColumn[name]; ok {
		return s.values[at]
	}
	return missingColumn{fmt.Sprintf("%v has no column %q; it has %s", s.plan.typ, name, strings.Join(s.Columns(), ", "))}
}

// missingColumn stands for a value that is not there.
type missingColumn struct{ problem string }

// Value refuses.
func (m missingColumn) Value() (driver.Value, error) {
	return nil, fmt.Errorf("rowseal: %s", m.problem)
}
