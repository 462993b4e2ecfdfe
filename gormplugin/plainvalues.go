package gormplugin

import (
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// GORM reads a column into a fresh pointer to the field's type, which
// database/sql makes and fills by reflection, numbers by way of their text. A
// pointer of that type it takes as it is. So the plain columns beside sealed
// ones are handed out as pointers where that changes nothing else, which is
// cheaper than what handing out their rows a second time costs.

// mover replaces a plain column's values in a window by pointers to them.
type mover interface {
	// fits says whether GORM reads f into a pointer that move's can replace.
	fits(f *schema.Field) bool
	// move leaves alone NULLs and what is of another type or does not fit.
	move(w *window, at int)
}

// moved is the mover of driver values of type S to fields of type T.
type moved[S, T any] struct{ convert func(S) (T, bool) }

func (moved[S, T]) fits(f *schema.Field) bool {
	v := f.NewValuePool.Get()
	_, ok := v.(**T)
	f.NewValuePool.Put(v)
	return ok
}

func (m moved[S, T]) move(w *window, at int) {
	places := make([]T, w.count)
	for i := range places {
		cell := &w.row(i)[at]
		if s, ok := (*cell).(S); ok {
			if places[i], ok = m.convert(s); ok {
				*cell = &places[i]
			}
		}
	}
}

// movers are the movers by the field's type.
var movers = map[reflect.Type]mover{
	reflect.TypeFor[string]():    same[string](),
	reflect.TypeFor[bool]():      same[bool](),
	reflect.TypeFor[float64]():   same[float64](),
	reflect.TypeFor[time.Time](): same[time.Time](),
	reflect.TypeFor[int]():       integer[int](),
	reflect.TypeFor[int16]():     integer[int16](),
	reflect.TypeFor[int32]():     integer[int32](),
	reflect.TypeFor[int64]():     integer[int64](),
	reflect.TypeFor[uint]():      integer[uint](),
	reflect.TypeFor[uint32]():    integer[uint32](),
	reflect.TypeFor[uint64]():    integer[uint64](),
}

func same[T any]() mover {
	return moved[T, T]{func(v T) (T, bool) { return v, true }}
}

func integer[T int | int16 | int32 | int64 | uint | uint32 | uint64]() mover {
	return moved[int64, T]{func(v int64) (T, bool) {
		t := T(v)
		return t, int64(t) == v && (t < 0) == (v < 0)
	}}
}

// plainDestinations finds the plain columns that can be handed out as
// pointers: those that GORM reads into a field of s and nothing else.
func (src *source) plainDestinations(stmt *gorm.Statement, s *schema.Schema) {
	if len(stmt.ColumnMapping) > 0 {
		return
	}
	for i, name := range src.names {
		f := s.LookUpField(name)
		if src.cols[i] != nil || f == nil || f.Serializer != nil || !f.Readable || f.NewValuePool == nil {
			continue
		}
		if slices.Index(src.names, name) != i || slices.Contains(src.names[i+1:], name) {
			continue // GORM may read the second one into another field
		}
		if m := movers[f.FieldType]; m != nil && m.fits(f) {
			if src.movers == nil {
				src.movers = make([]mover, len(src.names))
			}
			src.movers[i] = m
		}
	}
}

// move replaces the plain values of the window that GORM takes as pointers.
func (src *source) move(w *window) {
	for i, m := range src.movers {
		if m != nil {
			m.move(w, i)
		}
	}
}
