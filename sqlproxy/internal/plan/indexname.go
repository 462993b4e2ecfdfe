package plan

import (
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// maxIdentifier is the length in bytes of the longest name of PostgreSQL.
const maxIdentifier = 63

// nameIndex names an index that the statement does not, as the server would if the
// sealed columns were plain: it would take "substr" for their name, and clients
// know a unique index that was violated by its name. Where the list holds expressions the server chooses.
func (a *analyzer) nameIndex(s *pg.IndexStmt) {
	columns := indexColumns(s)
	if s.Idxname != "" || columns == nil {
		return
	}
	on := a.tree.At(int(s.Relation.Location)) - 1
	if a.kindAt(on) == pg.Token_ONLY {
		on--
	}
	if a.kindAt(on) != pg.Token_ON {
		return
	}
	schema := a.schemaOf(s.Relation)
	for n := 0; ; n++ {
		label := "idx"
		if n > 0 {
			label += strconv.Itoa(n)
		}
		name := objectName(s.Relation.Relname, strings.Join(columns, "_"), label)
		at := schema + "." + name
		if a.c.Catalog.Taken(schema, name) || a.indexes[at] {
			continue
		}
		if a.indexes == nil {
			a.indexes = map[string]bool{}
		}
		a.indexes[at] = true
		a.insert(a.tree.Tokens[on].From, quoted(name)+" ")
		return
	}
}

// indexColumns gives the names of an index's columns, distinct ones; nil where one is an expression.
func indexColumns(s *pg.IndexStmt) (names []string) {
	for _, list := range [][]*pg.Node{s.IndexParams, s.IndexIncludingParams} {
		for _, n := range list {
			name := n.GetIndexElem().GetName()
			if name == "" {
				return nil
			}
			names = append(names, name)
		}
	}
	return distinct(names)
}

// schemaOf gives the schema of a table, which may be one that the text is about to make.
func (a *analyzer) schemaOf(rv *pg.RangeVar) string {
	if r := a.lookup(rv); r != nil {
		return r.Schema
	}
	if rv.Schemaname != "" {
		return rv.Schemaname
	}
	for _, schema := range a.c.Path {
		if schema != "pg_catalog" && !strings.HasPrefix(schema, "pg_temp") {
			return schema
		}
	}
	return ""
}

// distinct puts numbers behind names that come again, as the server does with the columns of an index.
func distinct(names []string) []string {
	seen := map[string]bool{}
	out := make([]string, 0, len(names))
	for _, name := range names {
		unique := name
		for n := 1; seen[unique]; n++ {
			number := strconv.Itoa(n)
			unique = clip(name, maxIdentifier-len(number)) + number
		}
		seen[unique] = true
		out = append(out, unique)
	}
	return out
}

// objectName joins parts of a name as the server's makeObjectName does: where they are
// too long together the longer one of the first two loses its end.
func objectName(table, columns, label string) string {
	columns = clip(columns, maxIdentifier)
	room := maxIdentifier - len(label) - 2
	t, c := len(table), len(columns)
	for t+c > room {
		if t > c {
			t--
		} else {
			c--
		}
	}
	return clip(table, t) + "_" + clip(columns, c) + "_" + label
}

// clip cuts a string after at most so many bytes, between two characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
