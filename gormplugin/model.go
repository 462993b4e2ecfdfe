package gormplugin

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// tagName is the struct tag of sealed, tenant and row id fields.
const tagName = "rowseal"

// Identified is what a model implements whose table has, or may get, another
// name than the one that its values are bound to.
type Identified interface {
	// RowsealID returns the table's stable name.
	RowsealID() string
}

// model is what the plugin knows of a GORM model. It does not change.
type model struct {
	schema *schema.Schema
	table  *field.Table             // nil where nothing is sealed
	fields map[string]*schema.Field // sealed ones by column
	cols   map[string]*field.Column // sealed ones by column name in lower case
	tenant *schema.Field            // nil for none
	rowID  *schema.Field            // nil for none
}

// columnTag returns the policy of a sealed field.
func columnTag(f *schema.Field) (field.ColumnConfig, error) {
	tag, err := field.ParseTag(f.Tag.Get(tagName))
	if err != nil {
		return field.ColumnConfig{}, tagError(f, err.Error())
	}
	cfg, err := tag.ColumnConfig(f.DBName, f.FieldType)
	if err != nil {
		return field.ColumnConfig{}, tagError(f, err.Error())
	}
	return cfg, nil
}

func tagError(f *schema.Field, remedy string) error {
	return &Error{Table: f.Schema.Table, Column: f.Name, Err: ErrTag, Remedy: remedy}
}

// newModel reads the tags of s. tenant is the tenant of rows where neither the
// row nor the context says one; "" refuses such rows.
func newModel(s *schema.Schema, tenant string) (*model, error) {
	m := &model{schema: s, fields: map[string]*schema.Field{}, cols: map[string]*field.Column{}}
	cfg := field.TableConfig{Name: s.Table}
	if named, ok := reflect.New(s.ModelType).Interface().(Identified); ok {
		cfg.ID = named.RowsealID()
	}
	for _, f := range s.Fields {
		if err := m.read(f, &cfg); err != nil {
			return nil, err
		}
	}
	if len(cfg.Columns) == 0 {
		return m, nil
	}
	cfg.Tenant.Default = tenant
	if m.tenant != nil {
		cfg.Tenant = field.TenantSource{Column: m.tenant.DBName}
	}
	if m.rowID != nil {
		cfg.RowID = m.rowID.DBName
	}
	table, err := field.NewTable(cfg)
	if err != nil {
		return nil, &Error{Table: s.Table, Err: ErrTag, Remedy: err.Error()}
	}
	m.table = table
	for _, c := range table.Columns() {
		if f := m.plainFieldOf(c); f != nil {
			return nil, tagError(f, "its column is the plain one that "+c.Name()+" takes over from, which the plugin reads and writes; remove the field")
		}
		m.cols[strings.ToLower(c.Name())] = c
		if err := checkIndexTags(m.fields[c.Name()], guard.Searchable(c)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// read takes one field's tag into m and cfg.
func (m *model) read(f *schema.Field, cfg *field.TableConfig) error {
	word, tagged, err := field.LookupTag(f.Tag)
	if err != nil { // Go would skip the tag without a word
		return tagError(f, err.Error())
	}
	_, carried := f.Serializer.(carrier)
	if !tagged {
		if carried {
			return tagError(f, "the serializer needs a tag beside it; write "+wantedTag(f, `rowseal:"seal"`))
		}
		return nil
	}
	tag, err := field.ParseTag(word)
	switch {
	case err != nil:
		return tagError(f, err.Error())
	case f.DBName == "":
		return tagError(f, "the field is no column, so its rowseal tag has no effect; remove one of the two tags")
	case tag.Tenant:
		return m.setPlain(&m.tenant, f, "tenant")
	case tag.RowID:
		return m.setPlain(&m.rowID, f, "rowid")
	}
	if err := checkSealedTag(f, carried); err != nil {
		return err
	}
	column, err := columnTag(f)
	if err != nil {
		return err
	}
	cfg.Columns = append(cfg.Columns, column)
	m.fields[f.DBName] = f
	return nil
}

func (m *model) setPlain(place **schema.Field, f *schema.Field, word string) error {
	if *place != nil {
		return tagError(f, fmt.Sprintf("rowseal:%q stands at %s too; one field of a model has it", word, (*place).Name))
	}
	if f.Serializer != nil {
		return tagError(f, fmt.Sprintf("a rowseal:%q field has no serializer; remove it", word))
	}
	*place = f
	return nil
}

// checkSealedTag refuses sealed fields whose gorm tag would let plaintext
// through or promises what sealed values cannot keep.
func checkSealedTag(f *schema.Field, carried bool) error {
	switch strings.ToLower(string(f.DataType)) {
	case "bytes", "bytea", "blob", "mediumblob", "longblob":
	default:
		carried = false
	}
	if !carried {
		return tagError(f, "a sealed field needs its serializer and the type bytes; write "+wantedTag(f, ""))
	}
	if f.PrimaryKey {
		return tagError(f, "a primary key cannot be sealed")
	}
	if field.IsSecret(f.FieldType) {
		return tagError(f, "field.Secret is for structs without GORM; give the field the type inside, which the serializer keeps from being sent")
	}
	for setting, why := range map[string]string{
		"DEFAULT":   "a default would stand in the database's schema in clear; set the value in a BeforeCreate hook",
		"GENERATED": "the database cannot compute a sealed value",
		"CHECK":     "the database cannot check a sealed value; check it in a BeforeSave hook",
	} {
		if _, ok := f.TagSettings[setting]; ok {
			return tagError(f, fmt.Sprintf("remove `%s` from the gorm tag: %s", strings.ToLower(setting), why))
		}
	}
	return nil
}

// wantedTag returns the field's tags with what a sealed field needs put in.
func wantedTag(f *schema.Field, seal string) string {
	settings := []string{"serializer:" + serializerName, "type:bytes"}
	for part := range strings.SplitSeq(f.Tag.Get("gorm"), ";") {
		key, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ":")
		if key != "" && key != "serializer" && key != "type" {
			settings = append(settings, strings.TrimSpace(part))
		}
	}
	if seal == "" {
		seal = fmt.Sprintf("%s:%q", tagName, f.Tag.Get(tagName))
	}
	return fmt.Sprintf("%s %s `gorm:%q %s`", f.Name, f.FieldType, strings.Join(settings, ";"), seal)
}

// column returns the sealed column of that name, or nil.
func (m *model) column(name string) *field.Column { return m.cols[strings.ToLower(name)] }

// seals says whether m has sealed columns.
func (m *model) seals() bool { return m != nil && m.table != nil }

// refuse makes an error about a column of m.
func (m *model) refuse(column string, err error, remedy string) error {
	return &Error{Table: m.schema.Table, Column: column, Err: err, Remedy: remedy}
}

// identity returns a tenant or row id in the Go type of its field, as the model
// has it. The database may take another spelling for the same (01 and 1): it is
// refused, because sealed values belong to one.
func (m *model) identity(ctx context.Context, f *schema.Field, v any) (any, error) {
	if reflect.TypeOf(v) == f.FieldType {
		return v, nil
	}
	mismatch := field.ErrTenantMismatch
	if f == m.rowID {
		mismatch = field.ErrRowMismatch
	}
	refused := m.refuse(f.DBName, mismatch, "give it in its usual form, as the field's type "+f.FieldType.String()+" has it")
	want, err := field.TenantOf(v)
	if err != nil {
		return nil, m.refuse(f.DBName, err, "give it a value of the field's type "+f.FieldType.String())
	}
	row := reflect.New(m.schema.ModelType)
	if err := f.Set(ctx, row, v); err != nil {
		return nil, refused
	}
	own, _ := f.ValueOf(ctx, row)
	if got, err := field.TenantOf(own); err != nil || got != want {
		return nil, refused
	}
	return own, nil
}

// tenantValue returns tenant as the tenant field's Go type has it.
func (m *model) tenantValue(ctx context.Context, tenant string) (any, error) {
	row := reflect.New(m.schema.ModelType)
	if err := m.tenant.Set(ctx, row, tenant); err != nil {
		return nil, m.refuse(m.tenant.DBName, field.ErrTenantMismatch, "the context's tenant does not fit the field's type "+m.tenant.FieldType.String())
	}
	v, _ := m.tenant.ValueOf(ctx, row)
	got, err := field.TenantOf(v)
	if err != nil || got != tenant {
		return nil, m.refuse(m.tenant.DBName, field.ErrTenantMismatch, "the context's tenant does not fit the field's type "+m.tenant.FieldType.String())
	}
	return v, nil
}
