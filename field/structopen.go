package field

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ResultRows is the result of a query: pgx.Rows and *sql.Rows are.
type ResultRows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

// OpenStruct reads the first row of rows into dst, a pointer to a struct, and
// opens its sealed columns. Without a row the error is sql.ErrNoRows. See
// [Cipher.OpenStructs].
func (c *Cipher) OpenStruct(ctx context.Context, table *Table, dst any, rows ResultRows) error {
	if err := present(rows); err != nil {
		return err
	}
	defer closeRows(rows)
	rv := reflect.ValueOf(dst)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("rowseal: OpenStruct needs a pointer to a struct, not %T", dst)
	}
	read, err := c.openStructs(ctx, table, rv.Type().Elem(), rows, 1)
	if err != nil {
		return withoutRow(err)
	}
	if len(read) == 0 {
		return sql.ErrNoRows
	}
	rv.Elem().Set(read[0])
	return nil
}

// OpenStructs reads all of rows into dst, a pointer to a slice of structs or
// of pointers to them, and then opens the sealed columns of all rows, with one
// fetch for all keys. rows, of pgx or database/sql, are closed when it returns.
// On an error dst is as it was.
//
// Columns are found by name, as [Cipher.SealStruct] names them. As with
// pgx.RowToStructByName, the result must have a column for every field and a
// field for every column; read parts of a table into a smaller struct.
//
// Every value is compared with its row: where the table has a tenant column
// or row id, the struct must have it too. The tenant may instead be the
// context's, see [WithTenant].
func (c *Cipher) OpenStructs(ctx context.Context, table *Table, dst any, rows ResultRows) error {
	if err := present(rows); err != nil {
		return err
	}
	defer closeRows(rows)
	rv := reflect.ValueOf(dst)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Slice {
		return fmt.Errorf("rowseal: OpenStructs needs a pointer to a slice of structs or of pointers to them, not %T", dst)
	}
	rt := rv.Type().Elem().Elem()
	pointers := rt.Kind() == reflect.Pointer
	if pointers {
		rt = rt.Elem()
	}
	read, err := c.openStructs(ctx, table, rt, rows, -1)
	if err != nil {
		return err
	}
	out := reflect.MakeSlice(rv.Type().Elem(), len(read), len(read))
	for i, row := range read {
		if pointers {
			row = row.Addr()
		}
		out.Index(i).Set(row)
	}
	rv.Elem().Set(out)
	return nil
}

// present refuses what database/sql gives when a query failed.
func present(rows ResultRows) error {
	if rv := reflect.ValueOf(rows); !rv.IsValid() || rv.Kind() == reflect.Pointer && rv.IsNil() {
		return errors.New("rowseal: rows is nil; look at the error of the query first")
	}
	return nil
}

// closeRows closes what Next did not: pgx's Close has no result, that of
// database/sql has one, which Err tells too.
func closeRows(rows ResultRows) {
	switch r := rows.(type) {
	case interface{ Close() }:
		r.Close()
	case interface{ Close() error }:
		_ = r.Close()
	}
}

// openStructs reads up to limit rows, all for -1, and opens them. A problem of
// the query goes before one of the result's columns: pgx gives rows without
// columns when the query failed, and may say so at the first row only.
func (c *Cipher) openStructs(ctx context.Context, table *Table, rt reflect.Type, rows ResultRows, limit int) ([]reflect.Value, error) {
	p, err := c.plan(table, rt)
	if err != nil {
		return nil, err
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	s, err := p.scanner(ctx, rows)
	if err != nil {
		if !rows.Next() && rows.Err() != nil {
			return nil, rows.Err() // that is why there are no columns
		}
		return nil, err
	}
	var read []reflect.Value
	var page []OpenRow
	for len(read) != limit && rows.Next() {
		row, sealed, err := s.scan(rows)
		if err != nil {
			return nil, err
		}
		open, err := p.openRow(row, sealed)
		if err != nil {
			return nil, p.sealed[0].fail("open", len(read), err)
		}
		read, page = append(read, row), append(page, open)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	closeRows(rows) // the connection is free while keys are fetched
	return read, c.OpenRows(ctx, p.sealed, page)
}

// structScanner scans a result's rows.
type structScanner struct {
	plan  *structPlan
	order []int // of each of the result's columns, into plan.fields
	cell  []int // of each of the result's columns, into plan.sealed; -1 for others
}

func (p *structPlan) scanner(ctx context.Context, rows ResultRows) (*structScanner, error) {
	names, err := resultColumns(rows)
	if err != nil {
		return nil, err
	}
	s := &structScanner{plan: p}
	seen := make([]bool, len(p.fields))
	for _, name := range names {
		at, ok := p.byColumn[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("rowseal: table %s: the result has a column %q, %v has no field for it; it has %s",
				p.table.name, name, p.typ, strings.Join(SealedStruct{plan: p}.Columns(), ", "))
		case seen[at]:
			return nil, fmt.Errorf("rowseal: table %s: the result has two columns %q; rename one", p.table.name, name)
		}
		seen[at] = true
		s.order, s.cell = append(s.order, at), append(s.cell, slices.Index(p.cells, at))
	}
	if at := slices.Index(seen, false); at >= 0 {
		return nil, fmt.Errorf("rowseal: table %s: the result has no column %q for field %s of %v; select it, or read into a struct without it",
			p.table.name, p.fields[at].column, p.fields[at].name, p.typ)
	}
	return s, p.identified(ctx)
}

// identified refuses to open values whose row or tenant nobody knows: they
// could be another's.
func (p *structPlan) identified(ctx context.Context) error {
	var column string
	switch {
	case p.table.tenant.Column != "" && p.tenant < 0 && TenantFrom(ctx) == "":
		column = p.table.tenant.Column
	case p.table.rowID != "" && p.rowID < 0:
		column = p.table.rowID
	default:
		return nil
	}
	return fmt.Errorf("rowseal: table %s: %v has no field for column %s, which says whose the values are; add it", p.table.name, p.typ, column)
}

// scan reads a row into a new struct, its sealed columns into bytes.
func (s *structScanner) scan(rows ResultRows) (reflect.Value, [][]byte, error) {
	row := reflect.New(s.plan.typ).Elem()
	sealed := make([][]byte, len(s.plan.sealed))
	into := make([]any, len(s.order))
	for i, at := range s.order {
		if s.cell[i] >= 0 {
			into[i] = &sealed[s.cell[i]]
		} else {
			into[i] = s.plan.value(row, at).Addr().Interface()
		}
	}
	return row, sealed, rows.Scan(into...)
}

// openRow is one row of the page to open. A row without sealed values needs no
// tenant.
func (p *structPlan) openRow(row reflect.Value, sealed [][]byte) (open OpenRow, err error) {
	open.Sealed, open.Into = sealed, make([]any, len(sealed))
	for j, cell := range p.cells {
		open.Into[j] = p.value(row, cell).Addr().Interface()
	}
	if !slices.ContainsFunc(sealed, func(b []byte) bool { return b != nil }) {
		return open, nil
	}
	if p.tenant >= 0 {
		if open.Tenant, err = TenantOf(p.value(row, p.tenant).Interface()); err != nil {
			return open, err
		}
	}
	if p.rowID >= 0 {
		open.ID = p.value(row, p.rowID).Interface()
	}
	return open, nil
}

// resultColumns names a result's columns. *sql.Rows has a method for that.
// pgx.Rows has FieldDescriptions, a slice of structs with a Name; it is called
// by reflection, so that programs without pgx do not carry its connections.
func resultColumns(rows ResultRows) ([]string, error) {
	if r, ok := rows.(interface{ Columns() ([]string, error) }); ok {
		return r.Columns()
	}
	m := reflect.ValueOf(rows).MethodByName("FieldDescriptions")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 || m.Type().Out(0).Kind() != reflect.Slice {
		return nil, fmt.Errorf("rowseal: the columns of a %T are not known; give it a method Columns() ([]string, error)", rows)
	}
	list := m.Call(nil)[0]
	names := make([]string, list.Len())
	for i := range names {
		name := reflect.Indirect(list.Index(i)).FieldByName("Name")
		if name.Kind() != reflect.String {
			return nil, fmt.Errorf("rowseal: the columns of a %T have no names", rows)
		}
		names[i] = name.String()
	}
	return names, nil
}
