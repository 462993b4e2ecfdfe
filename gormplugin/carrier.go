package gormplugin

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/envelope"
)

// serializerName is the word in `gorm:"serializer:rowseal"`.
const serializerName = "rowseal"

// carrier is the GORM serializer of sealed fields. It seals nothing: it makes
// sure that a sealed field's value reaches a driver only when the plugin has
// put sealed bytes in its place. Without the plugin there is nothing in a
// statement but a logical value, which no driver can encode. GORM asks it for
// the fields of structs only: what maps hold is stopped by the guards that
// migrations make.
type carrier struct{}

var _ schema.SerializerInterface = carrier{}

// Value wraps the field's value for the clause builders of this package.
func (carrier) Value(_ context.Context, _ *schema.Field, _ reflect.Value, value any) (any, error) {
	if isNull(value) {
		return nil, nil // GORM then writes IS NULL
	}
	return logical{value: value}, nil
}

// isNull says whether a value is SQL NULL.
func isNull(value any) bool {
	switch value.(type) {
	case nil:
		return true
	case string, bool, int, int64, uint, float64: // most are these, and ask nobody
		return false
	}
	if rv := reflect.ValueOf(value); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return true
	}
	valuer, ok := value.(driver.Valuer)
	if !ok {
		return false
	}
	v, err := valuer.Value()
	return err == nil && v == nil
}

// Scan sets the field to what the plugin opened: a pointer to the field's type
// for the models of a query, a driver value where rows are scanned by hand.
func (carrier) Scan(ctx context.Context, f *schema.Field, dst reflect.Value, value any) error {
	rv := f.ReflectValueOf(ctx, dst)
	if value == nil {
		rv.SetZero()
		return nil
	}
	opened := reflect.ValueOf(value)
	if opened.Kind() == reflect.Pointer && opened.Type().Elem() == f.FieldType {
		rv.Set(opened.Elem())
		return nil
	}
	return scanNatural(f, rv, value)
}

// scanNatural takes a value in the form in which rows are handed out where the
// destination is not known: the column's natural driver value. Sealed bytes
// come here only from a database without the plugin, and are refused.
func scanNatural(f *schema.Field, rv reflect.Value, value any) error {
	tag, err := columnTag(f)
	if err != nil {
		return err
	}
	if b, ok := value.([]byte); ok {
		if v, err := envelope.Parse(b); err == nil && v.Type == tag.Type.Code() {
			return &Error{Table: f.Schema.Table, Column: f.DBName, Err: ErrNotRegistered}
		}
	}
	var plain []byte
	if s, ok := value.(string); ok {
		plain, err = tag.Type.EncodeText(nil, s)
	} else {
		plain, _, err = tag.Type.Encode(nil, value)
	}
	if err != nil {
		return fmt.Errorf("rowseal: %s.%s: %w", f.Schema.Table, f.DBName, err)
	}
	p := reflect.New(f.FieldType)
	if err := tag.Type.Decode(plain, p.Interface()); err != nil {
		return fmt.Errorf("rowseal: %s.%s: %w", f.Schema.Table, f.DBName, err)
	}
	rv.Set(p.Elem())
	return nil
}

// logical is a sealed field's value on its way through GORM. Nothing encodes
// or prints it.
type logical struct {
	mute

	value any
}

var _ driver.Valuer = logical{}

// Value refuses: a driver that asks is about to write plaintext.
func (logical) Value() (driver.Value, error) {
	return nil, fmt.Errorf("rowseal: a sealed field's value was not sealed: %w", ErrNotRegistered)
}

// Format prints what tells values apart and says nothing of them. GORM matches
// the rows of an association by the text of their keys, which may be sealed.
func (l logical) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenAs(l.value)) }

// sealed is a sealed value in a statement's parameters. It tells the check in
// front of the driver that these bytes came from the cipher, and logs that
// they need not be shown.
//
// It is used by its pointer: those of a page are made at once.
type sealed struct{ bytes []byte }

// Value gives the bytes to drivers.
func (s *sealed) Value() (driver.Value, error) { return s.bytes, nil }

// serializerType is the reflect.Type of GORM's wrapper around the value of a
// field with a serializer, once one was seen: a thousand rows have thousands.
var serializerType atomic.Value

// isSerializerValue recognises GORM's wrapper around the value of a field with
// a serializer. Its type is not exported, so it is known by its name.
func isSerializerValue(v any) bool {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return false
	}
	if known := serializerType.Load(); known != nil {
		return known == any(t)
	}
	is := t.Elem().Name() == "serializer" && t.Elem().PkgPath() == reflect.TypeFor[schema.Schema]().PkgPath()
	if is {
		serializerType.Store(t)
	}
	return is
}

// unwrapLogical returns the value inside GORM's wrapper around a sealed
// field's value; ok is false for anything else.
func unwrapLogical(v any) (value any, ok bool) {
	if !isSerializerValue(v) {
		return nil, false
	}
	inner, err := v.(driver.Valuer).Value()
	if err != nil {
		return nil, false
	}
	l, ok := inner.(logical)
	return l.value, ok
}
