package pgtable

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// Finding is a difference between policy and database.
type Finding struct {
	// About is the table or column.
	About string
	// What is the difference, and Mend what to do about it. Where Mend is "", it is
	// no fault, but good to know.
	What, Mend string
}

const byInit = "run rowseal init"

// Blocks are the findings because of which Statements are left out.
func (t *Table) Blocks() (all []Finding) {
	about := t.Policy.Name()
	switch t.Kind {
	case 0:
		f := Finding{about, fmt.Sprintf("there is no table %s in schema %s", t.Name, t.Schema), "create it with bytea columns, then " + byInit}
		if len(t.Elsewhere) > 0 {
			f.Mend = fmt.Sprintf("the table of that name in %s is another to the policy; declare it as %s.%s if it is meant",
				strings.Join(t.Elsewhere, " and "), t.Elsewhere[0], t.Name)
		}
		return []Finding{f}
	case 'v', 'm':
		return []Finding{{about, "it is a view", "declare the table that it is made of"}}
	}
	for _, c := range t.Policy.Columns() {
		have := t.columns[c.Name()]
		plain := t.columns[c.Transition().Plain]
		switch {
		case have == nil && plain != nil && plain.bytea: // it was swapped, or is yet to be made; `rotate seal` tells which
		case have == nil && plain != nil:
			all = append(all, Finding{c.String(), "the table has no such column", "rowseal rotate seal --table " + about + " --column " + c.Name()})
		case have == nil:
			all = append(all, Finding{c.String(), "the table has no such column", t.alter() + "ADD COLUMN " + quote(c.Name()) + " bytea, then " + byInit})
		case !have.bytea:
			all = append(all, Finding{
				c.String(), fmt.Sprintf("it is %s in the database, and sealed values are bytea", have.typ),
				"move its values to a bytea column with a transition, or make an empty column bytea; then " + byInit,
			})
		case t.guardedByParent(c):
			all = append(all, Finding{
				c.String(), "a guard of " + strings.Join(t.parents, " or ") + ", whose rows its rows are too, is for another declaration",
				"declare the parent in place of its parts",
			})
		case have.computed:
			all = append(all, Finding{c.String(), "the database computes it, and has no keys", t.alter() + "ALTER COLUMN " + quote(c.Name()) + " DROP EXPRESSION"})
		}
	}
	return all
}

// Findings are all differences, those that a mere look shows last.
func (t *Table) Findings() []Finding {
	all := t.Blocks()
	if t.Kind == 0 || t.Kind == 'v' || t.Kind == 'm' {
		return all
	}
	for _, plain := range [][2]string{{t.Policy.Tenant().Column, "tenant"}, {t.Policy.RowID(), "row id"}} {
		if plain[0] != "" && t.columns[plain[0]] == nil {
			all = append(all, Finding{t.Policy.Name(), fmt.Sprintf("it has no column %s, which the policy names as %s", plain[0], plain[1]), "add the column, or mend the policy"})
		}
	}
	for _, parent := range t.parents {
		all = append(all, Finding{
			t.Policy.Name(), "its rows are rows of " + parent + " too",
			"declare " + parent + " in place of its parts, unless it is declared already",
		})
	}
	for _, c := range t.Policy.Columns() {
		if have := t.columns[c.Name()]; have != nil {
			all = append(all, t.column(c, have)...)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return min(len(b.Mend), 1) - min(len(a.Mend), 1) })
	return all
}

func (t *Table) column(c *field.Column, have *column) (all []Finding) {
	add := func(mend, format string, args ...any) {
		all = append(all, Finding{c.String(), fmt.Sprintf(format, args...), mend})
	}
	if have.bytea && !have.external && t.Kind != 'f' {
		add(byInit, "the database tries to compress it in vain")
	}
	if have.byDefault != "" && !have.computed {
		add(t.alter()+"ALTER COLUMN "+quote(c.Name())+" DROP DEFAULT", "it has a default, which is no sealed value")
	}
	if plain := c.Transition().Plain; plain != "" && t.columns[plain] == nil {
		add("end the transition in the policy, or mend the name", "it takes over from column %s, which the table does not have", plain)
	}
	if have.bytea && !have.computed && t.Kind != 'f' && !t.guardedByParent(c) {
		all = append(all, t.guardFindings(c)...)
		if guard.Searchable(c) && t.termIndex(c) == nil {
			add(byInit, "equality is declared, and no index serves it")
		}
	}
	if !have.bytea {
		return all
	}
	return append(all, t.others(c)...)
}

func (t *Table) guardFindings(c *field.Column) (all []Finding) {
	present := t.present(c)
	for _, g := range guard.Of(c) {
		at := slices.IndexFunc(present, func(p constraint) bool { return strings.HasSuffix(p.name, g.Suffix()) })
		what := "the database takes any bytes for it"
		if g.Kind == guard.KindTerms {
			what = "the database takes values without search terms for it"
		}
		switch {
		case at < 0:
			all = append(all, Finding{c.String(), what + ": it has no guard", byInit})
		case !present[at].valid:
			all = append(all, Finding{c.String(), fmt.Sprintf("its guard %s was never checked against the rows that were there before", present[at].name), byInit})
		}
	}
	for _, p := range present {
		if !slices.ContainsFunc(guard.Of(c), func(g guard.Guard) bool { return strings.HasSuffix(p.name, g.Suffix()) }) {
			all = append(all, Finding{c.String(), fmt.Sprintf("its guard %s is for another declaration of the column", p.name), byInit})
		}
	}
	return all
}

// others are what others made over the column.
func (t *Table) others(c *field.Column) (all []Finding) {
	add := func(mend, format string, args ...any) {
		all = append(all, Finding{c.String(), fmt.Sprintf(format, args...), mend})
	}
	for _, k := range t.constraints {
		drop := t.alter() + "DROP CONSTRAINT " + quote(k.name)
		switch {
		case k.column != c.Name():
		case k.kind == "f" || k.kind == "r":
			add("drop the foreign key: values of equal plaintext differ, so that it can only fail", "the foreign key %s compares its sealed bytes", k.name)
		case k.kind == "c" && !strings.HasPrefix(k.name, guard.Ours) && !strings.HasPrefix(k.name, guard.Moving):
			add(drop, "the constraint %s checks its sealed bytes", k.name)
		case k.kind == "u" || k.kind == "p" || k.kind == "x":
			add(drop+", and make a unique index over substr("+quote(c.Name())+", 9, 16) where equality is declared",
				"the constraint %s compares its sealed bytes, which are never equal", k.name)
		}
	}
	for _, i := range t.indexes {
		owned := slices.ContainsFunc(t.constraints, func(k constraint) bool { return k.name == i.name })
		if i.column == c.Name() && !i.terms && !owned {
			add("DROP INDEX "+quote(t.Schema, i.name), "the index %s is over its sealed bytes, which no condition compares", i.name)
		}
	}
	for _, g := range t.triggers {
		switch {
		case g.column != c.Name() || strings.HasPrefix(g.name, guard.Ours):
		case g.listed:
			add("let the trigger not depend on the column", "the trigger %s looks at its sealed bytes", g.name)
		default:
			add("", "the function of trigger %s names it, and sees sealed bytes only", g.name)
		}
	}
	for _, v := range t.views {
		if v.column == c.Name() {
			add("", "the view %s names it; the proxy opens it where the view passes it on as it is", v.name)
		}
	}
	return all
}
