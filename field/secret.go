package field

import (
	"database/sql/driver"
	"errors"
	"log/slog"
	"reflect"
)

// ErrNotSealed: a [Secret] was on its way to or from a database, a log or a
// document without having been sealed or opened.
var ErrNotSealed = errors.New("a field.Secret is not sealed; write it with Cipher.SealStruct and read it with Cipher.OpenStruct")

// Secret is the type of a field whose value must not reach a database by
// mistake: a driver that is handed it, or asked to fill it, fails with
// ErrNotSealed, and so does encoding/json. Printed and logged it is "sealed".
//
// [Cipher.SealStruct] and [Cipher.OpenStruct] look through it, and so does
// [TableOf]. For a column that may be NULL write Secret[*string]. It is not for
// models of package gormplugin, whose serializer does the same there.
type Secret[T any] struct{ V T }

// SecretOf wraps v.
func SecretOf[T any](v T) Secret[T] { return Secret[T]{V: v} }

// Value refuses: what a driver would write is not sealed.
func (Secret[T]) Value() (driver.Value, error) { return nil, ErrNotSealed }

// Scan refuses: what a driver would read is not opened.
func (*Secret[T]) Scan(any) error { return ErrNotSealed }

// MarshalJSON refuses; give V where the value is meant to be seen.
func (Secret[T]) MarshalJSON() ([]byte, error) { return nil, ErrNotSealed }

// String hides the value.
func (Secret[T]) String() string { return "sealed" }

// GoString hides the value.
func (Secret[T]) GoString() string { return "sealed" }

// LogValue hides the value.
func (Secret[T]) LogValue() slog.Value { return slog.StringValue("sealed") }

func (Secret[T]) secret() {}

// IsSecret says whether values of the type are a [Secret].
func IsSecret(rt reflect.Type) bool { return isSecret(rt) }

// isSecret says whether rt is a Secret; its value is then the only field.
func isSecret(rt reflect.Type) bool {
	return rt.Kind() == reflect.Struct && rt.Implements(reflect.TypeFor[interface{ secret() }]()) && rt.PkgPath() == reflect.TypeFor[Row]().PkgPath()
}

// insideSecret is the type of the value in a Secret, and rt for any other.
func insideSecret(rt reflect.Type) reflect.Type {
	if isSecret(rt) {
		return rt.Field(0).Type
	}
	return rt
}
