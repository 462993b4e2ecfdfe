package gormplugin

import "reflect"

// places are a column's values of one window, to be opened into.
type places interface {
	// at returns a pointer to the value of row i.
	at(i int) any
}

// placesOf are places of a type that is known here, and cost no reflection.
type placesOf[T any] []T

func (p placesOf[T]) at(i int) any { return &p[i] }

// otherPlaces are places of any type: a slice of it.
type otherPlaces struct{ slice reflect.Value }

func (p otherPlaces) at(i int) any { return p.slice.Index(i).Addr().Interface() }

// makePlaces makes a place for each of n values. They are new ones for every
// window: what a place was handed out for may keep it.
func (rc *resultColumn) makePlaces(n int) places {
	switch rc.into {
	case nil:
		return make(placesOf[any], n)
	case reflect.TypeFor[string]():
		return make(placesOf[string], n)
	case reflect.TypeFor[[]byte]():
		return make(placesOf[[]byte], n)
	case reflect.TypeFor[*string]():
		return make(placesOf[*string], n)
	}
	return otherPlaces{reflect.MakeSlice(reflect.SliceOf(rc.into), n, n)}
}
