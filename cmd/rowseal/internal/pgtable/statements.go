package pgtable

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// Statement is a step towards what the policy asks for.
type Statement struct {
	SQL string
	// Locks: it holds off all readers and writers for a moment, and must not
	// wait for one with others waiting behind it.
	Locks bool
	// Column is the sealed column that it is about.
	Column *field.Column
}

// Statements are what the database lacks, in order. They are nothing where
// there is no such table; columns that cannot hold sealed values are left out.
func (t *Table) Statements() []Statement {
	if t.Kind != 'r' && t.Kind != 'p' {
		return nil
	}
	var all []Statement
	for _, c := range t.Policy.Columns() {
		if have := t.columns[c.Name()]; have != nil && have.bytea && !have.computed && !t.guardedByParent(c) {
			all = append(all, t.storage(c)...)
			all = append(all, t.guards(c)...)
			all = append(all, t.index(c)...)
		}
	}
	return all
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

func (t *Table) alter() string { return "ALTER TABLE " + quote(t.Schema, t.Name) + " " }

// storage: sealed bytes do not compress, so that trying costs and gains nothing.
func (t *Table) storage(c *field.Column) []Statement {
	if t.columns[c.Name()].external {
		return nil
	}
	return []Statement{{SQL: t.alter() + "ALTER COLUMN " + quote(c.Name()) + " SET STORAGE EXTERNAL", Locks: true, Column: c}}
}

// guards adds them NOT VALID, which needs no look at the rows, and then looks at
// the rows while others read and write.
func (t *Table) guards(c *field.Column) (all []Statement) {
	present := t.present(c)
	var parts, validate []string
	for _, p := range present {
		if !slices.ContainsFunc(guard.Of(c), func(g guard.Guard) bool { return strings.HasSuffix(p.name, g.Suffix()) }) {
			parts = append(parts, "DROP CONSTRAINT "+quote(p.name))
		}
	}
	for _, g := range guard.Of(c) {
		at := slices.IndexFunc(present, func(p constraint) bool { return strings.HasSuffix(p.name, g.Suffix()) })
		switch {
		case at < 0:
			parts = append(parts, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s) NOT VALID", quote(g.Name(t.Name)), guard.PostgreSQL.Condition(g, quote(c.Name()))))
			validate = append(validate, g.Name(t.Name))
		case !present[at].valid:
			validate = append(validate, present[at].name)
		}
	}
	if len(parts) > 0 {
		all = append(all, Statement{SQL: t.alter() + strings.Join(parts, ", "), Locks: true, Column: c})
	}
	for _, name := range validate {
		all = append(all, Statement{SQL: t.alter() + "VALIDATE CONSTRAINT " + quote(name), Column: c})
	}
	return all
}

// guardedByParent says whether a parent's guard demands other values than the
// column's declaration here: no value would pass both.
func (t *Table) guardedByParent(c *field.Column) bool {
	return slices.ContainsFunc(t.present(c), func(p constraint) bool {
		return p.inherited && !slices.ContainsFunc(guard.Of(c), func(g guard.Guard) bool { return strings.HasSuffix(p.name, g.Suffix()) })
	})
}

// present are the column's guards, of whichever content.
func (t *Table) present(c *field.Column) (found []constraint) {
	for _, k := range t.constraints {
		if k.kind == "c" && k.column == c.Name() && strings.HasPrefix(k.name, guard.Ours) {
			found = append(found, k)
		}
	}
	return found
}

// index makes the index over the column's terms beside readers and writers,
// which PostgreSQL cannot do for partitioned tables.
func (t *Table) index(c *field.Column) (all []Statement) {
	if !guard.Searchable(c) || t.termIndex(c) != nil {
		return nil
	}
	concurrently, only := "CONCURRENTLY ", t.Kind == 'p'
	if only {
		concurrently = ""
	}
	for _, i := range t.indexes {
		if strings.HasSuffix(i.name, guard.IndexSuffix(c)) && !i.valid {
			all = append(all, Statement{SQL: "DROP INDEX " + concurrently + quote(t.Schema, i.name), Locks: only, Column: c})
		}
	}
	return append(all, Statement{
		SQL: fmt.Sprintf("CREATE INDEX %s%s ON %s (substr(%s, 9, 16))", concurrently,
			quote(guard.IndexName(t.Name, c)), quote(t.Schema, t.Name), quote(c.Name())),
		Locks: only, Column: c,
	})
}

// termIndex is a whole index that begins with the column's terms; nil for none.
func (t *Table) termIndex(c *field.Column) *index {
	for i, have := range t.indexes {
		if have.column == c.Name() && have.terms && have.valid && !have.partial {
			return &t.indexes[i]
		}
	}
	return nil
}
