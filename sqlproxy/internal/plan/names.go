package plan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// refKind says what a name means.
type refKind byte

const (
	// refNone: nothing that the analysis knows.
	refNone refKind = iota
	// refPlain: a column that is not known, of a relation that has nothing sealed, or a system column.
	refPlain
	refColumn
	refRow
	refStar
)

// reference is what a name in an expression means.
type reference struct {
	kind refKind
	org  origin
	rel  *relation
	// text is what may stand for the column elsewhere in the query, and must
	// stand here where write is set.
	text           string
	write, unnamed bool
	// from and to are the bytes of the name; located says that they are known.
	from, to int
	located  bool
}

// fields are the parts of a ColumnRef; star is set where it ends in *.
func fields(c *pg.ColumnRef) (names []string, star bool) {
	for _, f := range c.Fields {
		if f.GetAStar() != nil {
			return names, true
		}
		names = append(names, f.GetString_().GetSval())
	}
	return names, false
}

// extent returns the bytes of a name with n parts that begins at a byte offset.
func (a *analyzer) extent(at, n int) (from, to int, ok bool) {
	i := a.tree.At(at)
	last := i + 2*(n-1)
	if i < 0 || n < 1 || last >= len(a.tree.Tokens) {
		return 0, 0, false
	}
	for k := i; k <= last; k++ {
		if dot := a.isWord(k, "."); dot != ((k-i)%2 == 1) || a.tree.Tokens[k].Kind == pg.Token_UIDENT {
			return 0, 0, false
		}
	}
	return a.tree.Tokens[i].From, a.tree.Tokens[last].To, true
}

// reference finds what a name means, as PostgreSQL does: the columns of each
// query from the inside out, then whole rows.
func (a *analyzer) reference(sc *scope, c *pg.ColumnRef) reference {
	names, star := fields(c)
	var r reference
	switch {
	case star:
		r = a.starOf(sc, names)
	case len(names) == 1:
		r = a.unqualified(sc, names[0])
	default:
		r = a.qualified(sc, names)
	}
	r.from, r.to, r.located = a.extent(int(c.Location), len(c.Fields))
	if r.located && r.text == "" {
		r.text = a.tree.Text[r.from:r.to]
	}
	return r
}

func (a *analyzer) unqualified(sc *scope, name string) reference {
	for s := sc; s != nil; s = s.parent {
		var found []visible
		open := false
		for _, v := range s.visible {
			if v.name == name {
				found = append(found, v)
			}
		}
		for _, rel := range s.rels {
			open = open || rel.unknown
		}
		switch {
		case len(found) == 1:
			v := found[0]
			return reference{kind: refColumn, org: v.org, rel: v.rel, text: v.write, write: v.write != "", unnamed: v.unnamed}
		case len(found) > 1:
			return reference{kind: refNone}
		case isSystem(name) && len(s.rels) > 0, open:
			return reference{kind: refPlain}
		}
	}
	if rel := findRel(sc, "", name); rel != nil {
		return reference{kind: refRow, rel: rel}
	}
	return reference{kind: refNone}
}

func (a *analyzer) qualified(sc *scope, names []string) reference {
	schema, relName, name := "", names[len(names)-2], names[len(names)-1]
	if len(names) > 2 {
		schema = names[len(names)-3]
	}
	rel := findRel(sc, schema, relName)
	if rel == nil {
		return reference{kind: refNone}
	}
	i := slices.IndexFunc(rel.cols, func(c column) bool { return c.name == name })
	switch {
	case i >= 0:
		return reference{kind: refColumn, org: rel.cols[i].origin, rel: rel}
	case isSystem(name), rel.unknown:
		return reference{kind: refPlain, rel: rel}
	}
	// t.f is also how a function of a row may be called.
	return reference{kind: refRow, rel: rel}
}

func (a *analyzer) starOf(sc *scope, names []string) reference {
	if len(names) == 0 {
		return reference{kind: refStar}
	}
	schema := ""
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	rel := findRel(sc, schema, names[len(names)-1])
	if rel == nil {
		return reference{kind: refNone}
	}
	return reference{kind: refStar, rel: rel}
}

// findRel finds a relation by the name that it has in the query, innermost query first.
func findRel(sc *scope, schema, name string) *relation {
	for s := sc; s != nil; s = s.parent {
		for _, rel := range s.rels {
			if rel.alias == name && (schema == "" || rel.schema == schema) {
				return rel
			}
		}
	}
	return nil
}

func isSystem(name string) bool {
	switch name {
	case "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid":
		return true
	}
	return false
}

// hasSealed reports whether a relation has columns whose values may be sealed, or are made of such.
func (r *relation) hasSealed() bool {
	return slices.ContainsFunc(r.cols, func(c column) bool { return c.origin.isSealed() || c.origin.bad != nil })
}

// anySealed reports whether something sealed is in reach of names at a place.
func (sc *scope) anySealed() bool {
	for s := sc; s != nil; s = s.parent {
		for _, v := range s.visible {
			if v.org.isSealed() || v.org.bad != nil {
				return true
			}
		}
		if slices.ContainsFunc(s.rels, (*relation).hasSealed) {
			return true
		}
	}
	return false
}

// resolve finds the column that an expression is, where it is one; for
// callers that ask and change nothing.
func (a *analyzer) resolve(sc *scope, n *pg.Node) (origin, bool) {
	if c := n.GetColumnRef(); c != nil {
		if r := a.reference(sc, c); r.kind == refColumn {
			return r.org, true
		}
	}
	return origin{}, false
}

// add puts a relation into a scope, for qualified and unqualified names.
func (sc *scope) add(rel *relation) {
	sc.rels = append(sc.rels, rel)
	for _, c := range rel.cols {
		sc.visible = append(sc.visible, visible{name: c.name, rel: rel, org: c.origin})
	}
}

// newRelation makes a relation under a name.
func (a *analyzer) newRelation(alias string) *relation {
	a.rels++
	return &relation{id: a.rels, alias: alias}
}

// baseRelation makes one appearance of a table.
func (a *analyzer) baseRelation(t *catalog.Relation, alias string) *relation {
	rel := a.newRelation(alias)
	rel.table = t
	rel.cols = make([]column, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		rel.cols[i] = column{name: c.Name, num: c.Num, origin: origin{rel: rel, col: c}}
		if c.Sealed != nil {
			rel.cols[i].origin.possible = []*field.Column{c.Sealed}
			if c.Sealed.Transition().Plain != "" {
				rel.cols[i].origin.bad = inTransition(c.Sealed)
			}
		}
		if c.Wrong != "" {
			rel.cols[i].origin.bad = wrongColumn(t, c)
		}
	}
	return rel
}

// instance copies columns so that their rows are others than those of the
// original: a CTE or view that is named twice gives two rows.
func (a *analyzer) instance(cols []column) []column {
	copies := map[*relation]*relation{}
	out := slices.Clone(cols)
	for i := range out {
		rel := out[i].origin.rel
		if rel == nil {
			continue
		}
		if copies[rel] == nil {
			c := *rel
			a.rels++
			c.id = a.rels
			copies[rel] = &c
		}
		out[i].origin.rel = copies[rel]
	}
	return out
}

// renamed gives columns the names of an alias list.
func renamed(cols []column, alias *pg.Alias) []column {
	for i, n := range alias.GetColnames() {
		if i < len(cols) {
			cols[i].name = n.GetString_().GetSval()
		}
	}
	return cols
}

// quoted writes an identifier so that it means itself.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
