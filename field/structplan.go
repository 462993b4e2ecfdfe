package field

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// structPlan says where the columns of a table are in a struct.
type structPlan struct {
	table    *Table
	typ      reflect.Type
	fields   []structField
	byColumn map[string]int // into fields
	sealed   []*Column
	cells    []int // of each of sealed, into fields
	tenant   int   // into fields; -1 where the struct has no such field
	rowID    int
}

// structField is a field with a column.
type structField struct {
	name   string // of the field, for errors
	column string
	index  []int
	sealed *Column // nil for a column that is not
	secret bool
}

// structKey is what a plan is kept under.
type structKey struct {
	table *Table
	typ   reflect.Type
}

func (c *Cipher) plan(table *Table, rt reflect.Type) (*structPlan, error) {
	if table == nil {
		return nil, errors.New("rowseal: the table is nil; make one with TableOf, or take it from a Policy")
	}
	if rt == nil || rt.Kind() != reflect.Struct {
		return nil, fmt.Errorf("rowseal: table %s: a %v is no struct", table.name, rt)
	}
	key := structKey{table, rt}
	if p, ok := c.plans.Load(key); ok {
		return p.(*structPlan), nil
	}
	p := &structPlan{table: table, typ: rt, byColumn: map[string]int{}, tenant: -1, rowID: -1}
	err := p.walk(rt, nil)
	if err == nil && len(p.sealed) == 0 {
		err = errors.New("no field has a sealed column of the table; name columns with `db:\"…\"` tags")
	}
	if err != nil {
		return nil, fmt.Errorf("rowseal: table %s, %v: %w", table.name, rt, err)
	}
	kept, _ := c.plans.LoadOrStore(key, p)
	return kept.(*structPlan), nil
}

func (p *structPlan) walk(rt reflect.Type, above []int) error {
	for i := range rt.NumField() {
		f := rt.Field(i)
		f.Index = append(append([]int(nil), above...), i)
		if err := p.field(f); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

func (p *structPlan) field(f reflect.StructField) error {
	text, tagged, err := LookupTag(f.Tag)
	if err != nil {
		return err
	}
	name := columnName(f)
	if name == "" && !tagged {
		return nil
	}
	if f.Anonymous && !tagged && !isSecret(f.Type) {
		switch {
		case f.Type.Kind() == reflect.Struct:
			return p.walk(f.Type, f.Index)
		case structUnder(f.Type) != nil:
			return errors.New("a pointer to a struct is embedded, which may be nil; embed the struct, or exclude it with `db:\"-\"`")
		}
	}
	if !f.IsExported() {
		if tagged {
			return errors.New("it is not exported, so its value cannot be read; export it or remove its rowseal tag")
		}
		return nil
	}
	if err := p.checkTag(text, tagged, name); err != nil {
		return err
	}
	return p.add(structField{name: f.Name, column: name, index: f.Index, sealed: p.table.Column(name), secret: isSecret(f.Type)})
}

// checkTag refuses a tag that the table does not fulfil: the column would be
// written in clear, or under another tenant or row.
func (p *structPlan) checkTag(text string, tagged bool, name string) error {
	if !tagged {
		return nil
	}
	tag, err := parseTag(text)
	switch {
	case err != nil:
		return fmt.Errorf("struct tag: %w", err)
	case tag.Seal && p.table.Column(name) == nil:
		return fmt.Errorf("its tag seals it, but the table has no sealed column %q; name the table's column with a `db:\"…\"` tag", name)
	case tag.Tenant && p.table.tenant.Column != name:
		return fmt.Errorf("its tag says tenant, but the table's tenant column is %q", p.table.tenant.Column)
	case tag.RowID && p.table.rowID != name:
		return fmt.Errorf("its tag says rowid, but the table's row id column is %q", p.table.rowID)
	}
	return nil
}

func (p *structPlan) add(f structField) error {
	if other, taken := p.byColumn[f.column]; taken {
		return fmt.Errorf("column %s belongs to field %s too; give each a column of its own, or exclude one with `db:\"-\"`", f.column, p.fields[other].name)
	}
	if f.sealed == nil {
		if f.secret {
			return fmt.Errorf("it is a Secret, but column %s of the table is not sealed", f.column)
		}
		if err := p.checkCase(f.column); err != nil {
			return err
		}
	}
	at := len(p.fields)
	p.byColumn[f.column] = at
	p.fields = append(p.fields, f)
	if f.sealed != nil {
		p.sealed, p.cells = append(p.sealed, f.sealed), append(p.cells, at)
	}
	switch f.column {
	case p.table.tenant.Column:
		p.tenant = at
	case p.table.rowID:
		p.rowID = at
	}
	return nil
}

// checkCase refuses a column that is a sealed one to a database, which folds
// case, but would be written in clear here.
func (p *structPlan) checkCase(column string) error {
	for _, c := range p.table.columns {
		if strings.EqualFold(c.name, column) {
			return fmt.Errorf("its column %s differs from the sealed column %s in case only; write it alike in the `db:\"…\"` tag", column, c.name)
		}
	}
	return nil
}

// value is where field i of a struct keeps what its column holds.
func (p *structPlan) value(row reflect.Value, i int) reflect.Value {
	v := row.FieldByIndex(p.fields[i].index)
	if p.fields[i].secret {
		v = v.Field(0)
	}
	return v
}

// isUnset says whether a field that identifies was left alone.
func isUnset(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.IsZero()
}

// columnName is the column of a field: that of its `db` tag, as pgx and sqlx
// read it, else GORM's default. It is "" where the tag is "-".
func columnName(f reflect.StructField) string {
	tag, ok := f.Tag.Lookup("db")
	if !ok {
		return snakeCase(f.Name)
	}
	name, _, _ := strings.Cut(tag, ",")
	switch name {
	case "-":
		return ""
	case "":
		return snakeCase(f.Name)
	}
	return name
}
