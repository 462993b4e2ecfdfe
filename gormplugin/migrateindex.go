package gormplugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// sealedParts returns the sealed columns of an index.
func (m *model) sealedParts(idx *schema.Index) (out []*field.Column) {
	if idx == nil || !m.seals() {
		return nil
	}
	for _, opt := range idx.Fields {
		if c := m.column(opt.DBName); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// lookIndex returns the index of that name or field that the tags declare, or
// the searchable column whose index no tag declares.
func (t target) lookIndex(name string) (*schema.Index, *field.Column) {
	if !t.seals() {
		return nil, nil
	}
	if idx := t.schema.LookIndex(name); idx != nil {
		return idx, nil
	}
	for _, c := range t.sealedColumns() {
		f := t.fields[c.Name()]
		if guard.Searchable(c) && !indexed(f) && (name == f.Name || name == c.Name() || strings.HasSuffix(name, guard.IndexSuffix(c))) {
			return nil, c
		}
	}
	return nil, nil
}

// indexed says whether the field's tag declares an index.
func indexed(f *schema.Field) bool {
	_, plain := f.TagSettings["INDEX"]
	_, unique := f.TagSettings["UNIQUEINDEX"]
	return plain || unique
}

// ensureIndexes creates the search index of a column that no tag declares one
// for. GORM creates the others by their tags, with CreateIndex below.
func (m *migrator) ensureIndexes(t target, c *field.Column) error {
	if !guard.Searchable(c) || indexed(t.fields[c.Name()]) {
		return nil
	}
	have, err := m.sql.indexes(m.reader(), quoterOf(m.db), t.table)
	if err != nil || slices.ContainsFunc(have, func(i presentIndex) bool { return strings.HasSuffix(i.Name, guard.IndexSuffix(c)) }) {
		return err
	}
	return m.createTermIndex(t, c)
}

func (m *migrator) createTermIndex(t target, c *field.Column) error {
	quote := quoterOf(m.db)
	return m.exec([]string{fmt.Sprintf("CREATE INDEX %s ON %s (%s)",
		quote(guard.IndexName(t.table, c)), quote(t.table), m.sql.term(quote(c.Name())))})
}

// BuildIndexOptions writes the columns of an index, sealed ones as their term.
func (m *migrator) BuildIndexOptions(opts []schema.IndexOption, stmt *gorm.Statement) []any {
	build, ok := m.Migrator.(indexOptions)
	if !ok {
		_ = m.db.AddError(fmt.Errorf("rowseal: the migrator of %s builds no indexes", m.d.Name()))
		return nil
	}
	own := slices.Clone(opts)
	for i, opt := range own {
		if opt.Field == nil || opt.Field.Schema == nil {
			continue
		}
		if _, carried := opt.Field.Serializer.(carrier); carried && m.sql != nil {
			own[i].Expression, own[i].Length = m.sql.term(stmt.Quote(opt.DBName)), 0
		}
	}
	return build.BuildIndexOptions(own, stmt)
}

// CreateIndex creates an index, over terms where it names sealed columns.
func (m *migrator) CreateIndex(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	idx, c := t.lookIndex(name)
	switch {
	case c != nil:
		return m.createTermIndex(t, c)
	case len(t.sealedParts(idx)) == 0:
		return m.Migrator.CreateIndex(value, name)
	}
	text, err := indexText(idx, m.d.Name())
	if err != nil {
		return t.refuse(t.sealedParts(idx)[0].Name(), ErrTag, err.Error())
	}
	quote := quoterOf(m.db)
	parts := m.BuildIndexOptions(idx.Fields, &gorm.Statement{DB: m.db})
	err = m.db.Exec(text, clause.Expr{SQL: quote(idx.Name)}, clause.Expr{SQL: quote(t.table)}, parts).Error
	var coded interface{ SQLState() string }
	if errors.Is(err, gorm.ErrDuplicatedKey) || errors.As(err, &coded) && coded.SQLState() == "23505" {
		// PostgreSQL's detail of the error holds the term.
		return t.refuse(t.sealedParts(idx)[0].Name(), gorm.ErrDuplicatedKey, "rows have equal values; the index "+idx.Name+" cannot be unique")
	}
	return err
}

// indexText returns the statement for an index with sealed columns: ? for its
// name, its table and the list of its parts.
func indexText(idx *schema.Index, database string) (string, error) {
	create, on := "CREATE INDEX ?", " ON ? ?"
	switch strings.ToUpper(idx.Class) {
	case "":
	case "UNIQUE":
		create = "CREATE UNIQUE INDEX ?"
	default:
		return "", fmt.Errorf("remove the class %s from the index %s: terms are compared for equality only", idx.Class, idx.Name)
	}
	switch kind := strings.ToLower(idx.Type); {
	case kind == "":
	case database == "postgres" && (kind == "btree" || kind == "hash"):
		on = " ON ? USING " + kind + " ?"
	default:
		return "", fmt.Errorf("remove the type %s from the index %s: terms are compared for equality only", idx.Type, idx.Name)
	}
	switch option := strings.TrimSpace(idx.Option); {
	case option == "":
	case database == "postgres" && strings.EqualFold(option, "concurrently"):
		create = strings.Replace(create, "INDEX", "INDEX CONCURRENTLY", 1)
	default:
		on += " " + option
	}
	if idx.Where != "" {
		on += " WHERE " + idx.Where
	}
	return create + on, nil
}

// HasIndex says whether the table has the index. One of that name over a
// sealed column's bytes is not it.
func (m *migrator) HasIndex(value any, name string) bool {
	t, err := m.target(value)
	if err != nil {
		return false
	}
	idx, c := t.lookIndex(name)
	terms := len(t.sealedParts(idx))
	if c == nil && terms == 0 {
		return m.Migrator.HasIndex(value, name)
	}
	have, err := m.sql.indexes(m.reader(), quoterOf(m.db), t.table)
	return err == nil && slices.ContainsFunc(have, func(i presentIndex) bool {
		if c != nil {
			return strings.HasSuffix(i.Name, guard.IndexSuffix(c))
		}
		return i.Name == idx.Name && strings.Count(i.Def, m.sql.termMark()) >= terms
	})
}

// DropIndex drops an index by its name, or by the field's.
func (m *migrator) DropIndex(value any, name string) error {
	t, err := m.target(value)
	if err != nil {
		return err
	}
	_, c := t.lookIndex(name)
	if c == nil {
		return m.Migrator.DropIndex(value, name)
	}
	have, err := m.sql.indexes(m.reader(), quoterOf(m.db), t.table)
	if err != nil {
		return err
	}
	for _, i := range have {
		if strings.HasSuffix(i.Name, guard.IndexSuffix(c)) {
			return m.Migrator.DropIndex(value, i.Name)
		}
	}
	return t.refuse(c.Name(), ErrMigration, "the table has no search index over it")
}
