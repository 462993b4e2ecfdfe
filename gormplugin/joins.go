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
	for _, join := range stmt.Joins {
		if len(join.Selects)+len(join.Omits) > 0 {
			continue // the primary key may not have been read
		}
		path := strings.Split(join.Name, ".")
		switch rv := reflect.Indirect(stmt.ReflectValue); rv.Kind() {
		case reflect.Slice, reflect.Array:
			for i := range rv.Len() {
				p.dropIn(stmt.Context, stmt.Schema, rv.Index(i), path)
			}
		case reflect.Struct:
			p.dropIn(stmt.Context, stmt.Schema, rv, path)
		}
	}
}

// dropIn follows path from a struct of schema s to the first association that
// has no primary key.
func (p *Plugin) dropIn(ctx context.Context, s *schema.Schema, rv reflect.Value, path []string) {
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
			if m, err := p.models.model(s, p.defaultTenant()); err == nil && m.seals() && !hasKey(ctx, s, found) {
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
