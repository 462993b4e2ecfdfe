package gormplugin

import (
	"context"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// dropUnmatched sets associations that a LEFT JOIN found nothing for to nil.
// GORM does so itself for columns that are read into pointers, which those
// with a serializer are not: it would leave an empty struct.
func (p *Plugin) dropUnmatched(db *gorm.DB) {
	stmt := db.Statement
	if db.Error != nil || stmt.Schema == nil || len(stmt.Joins) == 0 {
		return
	}
	paths, partial := joinedPaths(stmt)
	for _, path := range paths {
		switch rv := reflect.Indirect(stmt.ReflectValue); rv.Kind() {
		case reflect.Slice, reflect.Array:
			for i := range rv.Len() {
				p.dropIn(stmt.Context, stmt.Schema, rv.Index(i), path, partial)
			}
		case reflect.Struct:
			p.dropIn(stmt.Context, stmt.Schema, rv, path, partial)
		}
	}
}

// joinedPaths returns the associations that a query may have read by joins;
// partial says that not all of their columns were. A join written by hand may
// have read any of them, as columns named Association__column.
func joinedPaths(stmt *gorm.Statement) (paths [][]string, partial bool) {
	byHand := false
	for _, join := range stmt.Joins {
		partial = partial || len(join.Selects)+len(join.Omits) > 0
		path := strings.Split(join.Name, ".")
		if stmt.Schema.Relationships.Relations[path[0]] == nil {
			byHand = true
			continue
		}
		paths = append(paths, path)
	}
	if byHand {
		for name, rel := range stmt.Schema.Relationships.Relations {
			if rel.Type == schema.BelongsTo || rel.Type == schema.HasOne {
				paths = append(paths, []string{name})
			}
		}
	}
	return paths, partial || byHand
}

// dropIn follows path from a struct of schema s to the first association that
// has no primary key, nor, where that may not have been read, anything else.
func (p *Plugin) dropIn(ctx context.Context, s *schema.Schema, rv reflect.Value, path []string, partial bool) {
	for _, name := range path {
		rel := s.Relationships.Relations[name]
		rv = reflect.Indirect(rv)
		if rel == nil || !rv.IsValid() || rv.Type() != s.ModelType {
			return
		}
		s = rel.FieldSchema
		found := rel.Field.ReflectValueOf(ctx, rv)
		if found.Kind() == reflect.Pointer {
			if found.IsNil() {
				return
			}
			if m, err := p.models.model(s, p.defaultTenant()); err == nil && m.seals() && !hasKey(ctx, s, found) && !(partial && hasValue(ctx, s, found)) {
				found.SetZero()
				return
			}
		}
		rv = found
	}
}

func hasKey(ctx context.Context, s *schema.Schema, rv reflect.Value) bool {
	for _, f := range s.PrimaryFields {
		if _, zero := f.ValueOf(ctx, rv); !zero {
			return true
		}
	}
	return len(s.PrimaryFields) == 0
}

func hasValue(ctx context.Context, s *schema.Schema, rv reflect.Value) bool {
	for _, f := range s.FieldsByDBName {
		if _, zero := f.ValueOf(ctx, rv); !zero {
			return true
		}
	}
	return false
}
