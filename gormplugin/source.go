package gormplugin

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// source is a result whose sealed columns are opened, a window at a time.
type source struct {
	ctx     context.Context
	s       *scope
	rows    *sql.Rows
	names   []string
	types   []*sql.ColumnType
	cols    []*resultColumn // by place; nil for columns that are not sealed
	groups  []*group
	unknown []int   // places of columns that may be anything
	sealed  int     // how many columns are
	movers  []mover // of plain columns, by place; nil for values handed out as they are

	into []any   // a *scanner for every column
	now  *window // nil before the first row, and when closed
	done bool    // no rows are left to read
}

var (
	_ driver.Rows                           = (*source)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*source)(nil)
	_ driver.RowsColumnTypeLength           = (*source)(nil)
	_ driver.RowsColumnTypeNullable         = (*source)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*source)(nil)
	_ driver.RowsColumnTypeScanType         = (*source)(nil)
)

// resultColumn is a column of the result that holds sealed values.
type resultColumn struct {
	at         int
	candidates []*field.Column // that the statement's text leaves possible
	optional   bool            // it may be a plain column of the same name
	into       reflect.Type    // of the values to open into; nil for natural ones
	sealed     int             // its place in window.raw
}

// group is the sealed columns of one table in the result.
type group struct {
	cols   []*resultColumn
	tenant int // place of the table's tenant column in the result; -1 for none
	rowID  int
}

// newSource returns the opened form of rows, or nil where nothing in them can
// be sealed.
func (s *scope) newSource(ctx context.Context, a *analysis, rows *sql.Rows) (*source, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	src := &source{ctx: ctx, s: s, rows: rows, names: names, cols: make([]*resultColumn, len(names))}
	a.resolve(src)
	for _, rc := range src.cols {
		if rc != nil {
			rc.sealed = src.sealed
			src.sealed++
		}
	}
	src.unknown = a.unknown(src)
	if len(src.groups) == 0 && len(src.unknown) == 0 {
		return nil, nil
	}
	if src.types, err = rows.ColumnTypes(); err != nil {
		return nil, err
	}
	if !s.byHand {
		destinations(s.stmt, src)
	}
	return src, nil
}

// plainSource hands on rows in which nothing is sealed.
func plainSource(rows *sql.Rows) *source {
	src := &source{rows: rows}
	src.names, _ = rows.Columns()
	src.types, _ = rows.ColumnTypes()
	src.cols = make([]*resultColumn, len(src.names))
	return src
}

// Columns returns the names of the result's columns.
func (src *source) Columns() []string { return src.names }

// Close closes the underlying rows.
func (src *source) Close() error {
	if src.now != nil {
		src.now.giveBack()
		src.now, src.into, src.done = nil, nil, true
	}
	return src.rows.Close()
}

// Next gives the next row.
func (src *source) Next(dest []driver.Value) error {
	if src.now == nil || src.now.at >= src.now.count {
		if err := src.fill(); err != nil {
			return err
		}
	}
	row := src.now.row(src.now.at)
	for i, v := range row {
		dest[i] = v
	}
	clear(row)
	src.now.at++
	return nil
}

// destinations finds the Go types that a query's rows are read into, so that
// values are opened straight into them. It follows gorm.Scan.
func destinations(stmt *gorm.Statement, src *source) {
	s, direct := src.destination(stmt)
	if s == nil {
		return
	}
	if !direct {
		src.plainDestinations(stmt, s)
	}
	for _, c := range src.cols {
		if c == nil {
			continue
		}
		f := s.LookUpField(src.names[c.at])
		if f == nil {
			continue
		}
		if _, sealed := f.Serializer.(carrier); sealed || direct {
			c.into = f.FieldType
		}
	}
}

// destination returns the schema whose fields the result is read into; direct
// says that it is a map, which gets values of the fields' types.
func (src *source) destination(stmt *gorm.Statement) (s *schema.Schema, direct bool) {
	switch stmt.Dest.(type) {
	case map[string]any, *map[string]any, *[]map[string]any:
		return stmt.Schema, true
	}
	if !stmt.ReflectValue.IsValid() || stmt.Schema == nil {
		return nil, false
	}
	t := stmt.ReflectValue.Type()
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	if len(src.names) == 1 {
		if _, scans := reflect.New(t).Interface().(sql.Scanner); scans || t.ConvertibleTo(schema.TimeReflectType) {
			return nil, false
		}
	}
	if t == stmt.Schema.ModelType {
		return stmt.Schema, false
	}
	return src.s.p.models.parsed(stmt, t), false
}

// ColumnTypeDatabaseTypeName is that of the stored column, as migrations need it.
func (src *source) ColumnTypeDatabaseTypeName(i int) string { return src.types[i].DatabaseTypeName() }

// ColumnTypeLength is that of the stored column.
func (src *source) ColumnTypeLength(i int) (int64, bool) { return src.types[i].Length() }

// ColumnTypeNullable is that of the stored column.
func (src *source) ColumnTypeNullable(i int) (nullable, ok bool) { return src.types[i].Nullable() }

// ColumnTypePrecisionScale is that of the stored column.
func (src *source) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	return src.types[i].DecimalSize()
}

// ColumnTypeScanType is the stored column's, and any for opened columns.
func (src *source) ColumnTypeScanType(i int) reflect.Type {
	if src.cols[i] != nil || src.types[i].ScanType() == nil {
		return reflect.TypeFor[any]()
	}
	return src.types[i].ScanType()
}

// identifier returns the value of a tenant or row id column. Some drivers give
// text as bytes, which would be taken for a UUID where they are 16.
func (src *source) identifier(row []any, at int) any {
	b, ok := row[at].([]byte)
	if !ok {
		return row[at]
	}
	switch name := strings.ToLower(src.types[at].DatabaseTypeName()); {
	case strings.Contains(name, "blob"), strings.Contains(name, "binary"), name == "bytea":
		return b
	}
	return string(b)
}

var errHalfKnown = errors.New("the result has the tenant or row id column, but not its value")
