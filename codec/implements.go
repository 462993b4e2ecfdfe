package codec

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"reflect"
)

// implements asks the type and its pointer, since a method may stand on either.
func implements[I any](rt reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return rt.Implements(i) || reflect.PointerTo(rt).Implements(i)
}

func implementsValuer(rt reflect.Type) bool { return implements[driver.Valuer](rt) }

// unmarshalsItself says whether encoding/json would call a method of rv.
func unmarshalsItself(rv reflect.Value) bool {
	rt := rv.Type()
	return implements[json.Unmarshaler](rt) || implements[encoding.TextUnmarshaler](rt)
}
