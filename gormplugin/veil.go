package gormplugin

import (
	"database/sql/driver"
	"fmt"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// veiled is a value on its way to a plain column, which logs must not show.
// Drivers get it where the statement is sent.
type veiled struct {
	mute

	value any
}

var _ driver.Valuer = veiled{}

// Value refuses drivers, and gives GORM's log, which shows what it returns,
// a word in place of the value.
func (veiled) Value() (driver.Value, error) {
	return hidden, fmt.Errorf("rowseal: a value for a plain column did not pass the plugin: %w", ErrNotRegistered)
}

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
			return veiled{value: string(text)}, err
		}
	}
	return veiled{value: natural}, nil
}

// isBytes says whether t is bytea itself.
func isBytes(t codec.Type) bool { return t.String() == "bytea" }

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
