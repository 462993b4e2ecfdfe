package gormplugin

import (
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// checkIndexTags refuses indexes over sealed bytes, which differ for equal
// values: they find nothing, and nothing is unique in them.
func checkIndexTags(f *schema.Field, equality bool) error {
	if f.Unique {
		if equality {
			return tagError(f, "write `uniqueIndex` in place of `unique` into the gorm tag")
		}
		return tagError(f, "remove `unique` from the gorm tag: sealed values of equal plaintexts differ, so nothing would be unique")
	}
	if !indexed(f) || equality {
		return nil
	}
	if _, unique := f.TagSettings["UNIQUEINDEX"]; unique {
		return tagError(f, "remove `uniqueindex` from the gorm tag: sealed values of equal plaintexts differ, so nothing would be unique")
	}
	if strings.Contains(strings.ToLower(f.TagSettings["INDEX"]), "unique") {
		return tagError(f, "remove `unique` from the index: sealed values of equal plaintexts differ, so nothing would be unique")
	}
	return tagError(f, "remove `index` from the gorm tag: an index over sealed bytes finds nothing")
}

// checkSchema refuses what the model's tags would have the database compute
// with sealed columns, on whichever field they stand.
func (m *model) checkSchema(d dialect) error {
	for _, chk := range m.schema.ParseCheckConstraints() {
		if c := m.mentioned(chk.Constraint, d); c != nil {
			return tagError(chk.Field, fmt.Sprintf("remove `check` from the gorm tag: the database cannot check the sealed column %s; check it in a BeforeSave hook", c.Name()))
		}
	}
	for _, f := range m.schema.Fields {
		kind := f.TagSettings["TYPE"]
		if c := m.mentioned(kind, d); c != nil && strings.Contains(strings.ToLower(kind), " as ") && m.fields[f.DBName] == nil {
			return tagError(f, fmt.Sprintf("the database cannot compute with the sealed column %s", c.Name()))
		}
	}
	for _, idx := range m.schema.ParseIndexes() {
		if err := m.checkIndex(idx, d); err != nil {
			return err
		}
	}
	return m.checkForeignKeys()
}

// checkForeignKeys refuses constraints that would have the database compare
// sealed bytes. The associations themselves work where the keys can be
// compared: see Column.Comparable.
func (m *model) checkForeignKeys() error {
	for _, rel := range m.schema.Relationships.Relations {
		free := rel.Field.IgnoreMigration || rel.ParseConstraint() == nil
		for _, ref := range rel.References {
			if _, sealed := ref.ForeignKey.Serializer.(carrier); sealed && !free {
				return tagError(rel.Field, "add `constraint:-` to the gorm tag: the database cannot compare the sealed keys of two tables")
			}
		}
	}
	return nil
}

func (m *model) checkIndex(idx *schema.Index, d dialect) error {
	if c := m.mentioned(idx.Where+" "+idx.Option, d); c != nil {
		return m.refuse(c.Name(), ErrTag, fmt.Sprintf("remove it from the condition or option of the index %s: the database cannot compare sealed values", idx.Name))
	}
	for _, opt := range idx.Fields {
		if c := m.mentioned(opt.Expression, d); c != nil {
			return m.refuse(c.Name(), ErrTag, fmt.Sprintf("remove it from the expression of the index %s: the database cannot compute with sealed values", idx.Name))
		}
		if c := m.column(opt.DBName); c != nil && (opt.Expression != "" || opt.Sort != "" || opt.Collate != "" || opt.Length != 0) {
			return m.refuse(c.Name(), ErrTag, fmt.Sprintf("remove expression, sort, collate and length from the index %s: it holds the column's search term", idx.Name))
		}
	}
	return nil
}

// mentioned returns a sealed column that stands in a piece of SQL, also in one
// that cannot be read; nil for none.
func (m *model) mentioned(text string, d dialect) *field.Column {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	tokens, ok := lex(text, d)
	for _, t := range tokens {
		if c := m.column(t.text); c != nil && (t.kind == tokenWord || t.kind == tokenName) {
			return c
		}
	}
	if !ok && m.seals() {
		return m.table.Columns()[0]
	}
	return nil
}

// pinned says whether the tag of a column says what its values are bound to.
func (m *model) pinned(c *field.Column) bool {
	f := m.fields[c.Name()]
	if f == nil {
		return false
	}
	tag, err := field.ParseTag(f.Tag.Get(tagName))
	return err == nil && tag.Column.ID != ""
}

// identified says whether a model says what its values are bound to.
func identified(s *schema.Schema) bool {
	named, ok := reflect.New(s.ModelType).Interface().(Identified)
	return ok && named.RowsealID() != ""
}
