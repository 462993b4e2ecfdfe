package field

import (
	"errors"
	"fmt"
	"reflect"
)

// StructConfig says which table a struct describes, for [TableOf].
type StructConfig struct {
	// Table is the table's name, schema-qualified or not; required.
	Table string
	// ID is the stable name bound into every value; "" means Table without
	// "public.".
	ID string
	// ColumnName gives a field's column; nil means the name in its `db` tag,
	// else GORM's default, snake case.
	ColumnName func(reflect.StructField) string
	// Default is the tenant where no field is tagged as one; "" for none.
	Default string
}

// TableOf builds the table of a struct, given as a value or pointer, from the
// `rowseal` tags of its fields and of the structs embedded in it; see
// [ParseTag]. Fields of named struct fields are not looked at: a struct there
// may be another table's model.
//
// A tag that would have no effect is refused: one that Go cannot parse, one on
// an unexported field, and one on a field whose column another field has too.
func TableOf(model any, cfg StructConfig) (*Table, error) {
	rt := reflect.TypeOf(model)
	for rt != nil && rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	if rt == nil || rt.Kind() != reflect.Struct {
		return nil, fmt.Errorf("rowseal: TableOf needs a struct or a pointer to one, not %T", model)
	}
	if cfg.Table == "" {
		return nil, fmt.Errorf("rowseal: %s: StructConfig.Table is empty; set it to the table's name", rt)
	}
	if cfg.ColumnName == nil {
		cfg.ColumnName = columnName
	}
	r := structReader{
		cfg: cfg, table: TableConfig{Name: cfg.Table, ID: cfg.ID},
		owners: map[string]taggedField{}, walking: map[reflect.Type]bool{},
	}
	if err := r.walk(rt); err != nil {
		return nil, fmt.Errorf("rowseal: %w", err)
	}
	if r.table.Tenant.Column == "" {
		r.table.Tenant.Default = cfg.Default
	}
	t, err := NewTable(r.table)
	if err != nil {
		return nil, fmt.Errorf("rowseal: %s: %w", rt, err)
	}
	return t, nil
}

// structReader collects the table of a struct.
type structReader struct {
	cfg     StructConfig
	table   TableConfig
	owners  map[string]taggedField // by column
	walking map[reflect.Type]bool  // a struct may embed a pointer to itself
}

// taggedField is a field, tagged or not, for errors about its column.
type taggedField struct {
	name   string
	tagged bool
}

func (r *structReader) walk(rt reflect.Type) error {
	if r.walking[rt] {
		return nil
	}
	r.walking[rt] = true
	defer delete(r.walking, rt)
	for i := range rt.NumField() {
		f := rt.Field(i)
		if err := r.field(f); err != nil {
			var inner *structError
			if errors.As(err, &inner) {
				return err
			}
			return &structError{field: fmt.Sprintf("%s.%s (%s)", rt, f.Name, f.Type), err: err}
		}
	}
	return nil
}

// structError names the struct, field and Go type that err is about.
type structError struct {
	field string
	err   error
}

func (e *structError) Error() string { return e.field + ": " + e.err.Error() }

func (r *structReader) field(f reflect.StructField) error {
	text, tagged, err := LookupTag(f.Tag)
	switch {
	case err != nil:
		return err
	case !tagged && f.Anonymous:
		if embedded := structUnder(f.Type); embedded != nil {
			return r.walk(embedded)
		}
	case tagged && !f.IsExported():
		return errors.New("the field is not exported, so its value cannot be read; export it or remove its rowseal tag")
	}
	if !f.IsExported() {
		return nil
	}
	name := r.cfg.ColumnName(f)
	if err := r.own(name, taggedField{name: f.Name, tagged: tagged}); err != nil || !tagged {
		return err
	}
	tag, err := parseTag(text)
	if err != nil {
		return fmt.Errorf("struct tag: %w", err)
	}
	return r.apply(tag, name, insideSecret(f.Type))
}

// structUnder returns the struct that rt is or points to, or nil.
func structUnder(rt reflect.Type) reflect.Type {
	if rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	if rt.Kind() != reflect.Struct {
		return nil
	}
	return rt
}

// own notes whose column name is. Where two fields have one column and one of
// them is tagged, the other could write it in clear.
func (r *structReader) own(name string, f taggedField) error {
	if name == "" && f.tagged {
		return errors.New("StructConfig.ColumnName gives no name for it; a tagged field needs a column")
	}
	other, taken := r.owners[name]
	if taken && (other.tagged || f.tagged) {
		return fmt.Errorf("column %s belongs to field %s too; give each a column of its own", name, other.name)
	}
	r.owners[name] = f
	return nil
}

func (r *structReader) apply(tag Tag, name string, goType reflect.Type) error {
	switch {
	case tag.Tenant && r.table.Tenant.Column != "":
		return fmt.Errorf("column %s is the tenant already; tag one field only", r.table.Tenant.Column)
	case tag.RowID && r.table.RowID != "":
		return fmt.Errorf("column %s is the row id already; tag one field only", r.table.RowID)
	}
	if tag.Tenant {
		r.table.Tenant.Column = name
	}
	if tag.RowID {
		r.table.RowID = name
	}
	if !tag.Seal {
		return nil
	}
	c, err := tag.columnConfig(name, goType)
	if err != nil {
		return err
	}
	r.table.Columns = append(r.table.Columns, c)
	return nil
}
