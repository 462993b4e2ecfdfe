// Package catalog holds what the proxy knows of a database's tables: which
// columns are sealed, what views are made of, which names are worth a look.
package catalog

import (
	"context"
	"sync/atomic"
	"unicode/utf8"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// Querier runs a query of the proxy's own on the session's connection, in
// place, and gives the rows in text form; nil for NULL. Parameters are not
// needed: the package's queries are constants.
type Querier interface {
	Query(ctx context.Context, sql string) ([][][]byte, error)
}

// Snapshot is a database's catalog at one moment. It does not change and may
// be shared.
type Snapshot struct {
	// Path is the session's effective search_path when the catalog was read. Names in a
	// view's Definition are to be looked up along it, whatever the session's is later:
	// the server leaves out the schemas that were not needed then.
	Path []string

	temp      string // the session's schema of temporary objects, "" for none
	server    string // the server's encoding; "" where the catalog was not asked
	narrow    bool   // the encoding is not UTF-8: names beyond ASCII may be folded otherwise
	code      parse.Effects
	relations map[qualified]*Relation
	taken     map[qualified]bool // names of indexes and composite types
	byOID     map[uint32]*Relation
	functions map[string][]*Function
	types     map[qualified]uint32
	arrays    map[uint32]uint32 // type to its array type
	elements  map[uint32]uint32 // the other way round
	bases     map[uint32]uint32 // domain to what it is over
	names     map[string]parse.Kind
	// shapes has for each length a bit for the first bytes of names: most words of a text
	// are told apart by it, without a look at names.
	shapes [maxName + 1]uint64
}

// maxName is the length in bytes of the longest name of PostgreSQL.
const maxName = 63

func shapeOf(first byte) uint64 { return 1 << (first % 64) }

type qualified struct{ schema, name string }

// Temporary reports whether the session had a schema of temporary objects, so that the
// Snapshot is of no use for other sessions.
func (s *Snapshot) Temporary() bool { return s.temp != "" }

// Coding says what texts of a session are in whose client_encoding is as given.
func (s *Snapshot) Coding(client string) parse.Coding {
	if s.server == "" {
		return parse.CodingOf(client, "UTF8")
	}
	return parse.CodingOf(client, s.server)
}

// Kind says what a word of a text may name; it is made for [parse.Scanner].
func (s *Snapshot) Kind(word []byte) parse.Kind {
	var kind parse.Kind
	if n := len(word); n > 0 && n <= maxName && s.shapes[n]&shapeOf(word[0]) != 0 {
		kind = s.names[string(word)]
	}
	if s.narrow && kind&parse.NamesSealed == 0 && len(s.names) > 0 {
		for _, c := range word {
			if c >= utf8.RuneSelf {
				return kind | parse.NamesSealed
			}
		}
	}
	return kind
}

// Sensitive reports whether an identifier, folded as PostgreSQL folds it,
// may name something that is sealed or is made of something sealed: a
// table, a view or a partition in any schema, a function whose body names one
// or whose result is a row of one. A table of the policy that does not exist
// is sensitive too: a statement may be about to make it.
func (s *Snapshot) Sensitive(name string) bool {
	return s.Kind([]byte(name))&parse.NamesSealed != 0
}

// Lookup finds a relation by name along the schemas of path; nil where there is none.
func (s *Snapshot) Lookup(path []string, name string) *Relation {
	for _, schema := range path {
		if r := s.Relation(schema, name); r != nil {
			return r
		}
	}
	return nil
}

// Relation finds a relation by schema and name; nil where there is none. The
// schema pg_temp is the session's own.
func (s *Snapshot) Relation(schema, name string) *Relation {
	return s.relations[qualified{s.schema(schema), name}]
}

// Taken reports whether a schema has a relation, an index or a composite type of this name, so that an index
// cannot have it.
func (s *Snapshot) Taken(schema, name string) bool {
	at := qualified{s.schema(schema), name}
	return s.relations[at] != nil || s.taken[at]
}

func (s *Snapshot) schema(name string) string {
	if name == "pg_temp" {
		return s.temp
	}
	return name
}

// ByOID finds a relation by its OID; nil where there is none.
func (s *Snapshot) ByOID(oid uint32) *Relation { return s.byOID[oid] }

// Relations gives all relations, in no order.
func (s *Snapshot) Relations() []*Relation {
	all := make([]*Relation, 0, len(s.byOID))
	for _, r := range s.byOID {
		all = append(all, r)
	}
	return all
}

// Functions finds functions that are not PostgreSQL's own, by name along path, or
// in schema where it is not "".
func (s *Snapshot) Functions(path []string, schema, name string) []*Function {
	if schema != "" {
		path = []string{schema}
	}
	var found []*Function
	for _, schema := range path {
		for _, f := range s.functions[name] {
			if f.Schema == s.schema(schema) {
				found = append(found, f)
			}
		}
	}
	return found
}

// TypeOID finds a type by name along path (or in schema), by its name in
// pg_type or its SQL spelling as the parser gives it ("int4", "varchar"); 0
// where there is none.
func (s *Snapshot) TypeOID(path []string, schema, name string) uint32 {
	if schema != "" {
		path = []string{schema}
	}
	for _, schema := range path {
		if oid := s.types[qualified{s.schema(schema), name}]; oid != 0 {
			return oid
		}
	}
	return 0
}

// ArrayOf gives the type of arrays of a type, 0 where there is none.
func (s *Snapshot) ArrayOf(oid uint32) uint32 { return s.arrays[oid] }

// ElementOf gives the type of an array type's elements, 0 for other types.
func (s *Snapshot) ElementOf(oid uint32) uint32 { return s.elements[oid] }

// BaseOf gives what a domain is over, through all domains between; other types give themselves.
func (s *Snapshot) BaseOf(oid uint32) uint32 {
	// Domains cannot go in circles; the bound is for a catalog that is damaged.
	for range 64 {
		base, ok := s.bases[oid]
		if !ok {
			break
		}
		oid = base
	}
	return oid
}

// Relation is a table, view, materialized view, foreign table, partition or sequence.
type Relation struct {
	OID          uint32
	Schema, Name string
	// Kind is pg_class.relkind.
	Kind byte
	// Table is the policy's table whose sealed columns this relation has: its own
	// or, for a partition or child, its parent's. Nil where nothing is sealed.
	Table *field.Table
	// Wrong says why the relation cannot be used as the policy has it, with a remedy; "" where it can.
	// Statements that name it are to be refused.
	Wrong string
	// Columns are in the order of their numbers, without dropped ones.
	Columns []Column
	// Definition is a sensitive view's query, "" for other relations. See [Snapshot.Path].
	Definition string
	// Unique are the column numbers of each unique index, primary key first,
	// without partial and deferrable ones and those over expressions.
	Unique [][]int16
	// Triggers is set where INSTEAD OF triggers or rules other than a view's own decide
	// what a write does.
	Triggers bool
	// Temporary is set for temporary relations.
	Temporary bool
	// Sensitive is set for relations that are sealed, or views that name one, directly or through others.
	Sensitive bool
	// Parents and Children are those of partitions and inheritance.
	Parents, Children []*Relation

	memo atomic.Pointer[any]
}

// Memo gives what make gave the first time it was called for this relation; for
// package plan, which keeps there what it learnt of a view. At the same time make
// may be called more than once; one answer is kept.
func (r *Relation) Memo(make func() any) any {
	if kept := r.memo.Load(); kept != nil {
		return *kept
	}
	made := make()
	r.memo.CompareAndSwap(nil, &made)
	return *r.memo.Load()
}

// Column finds a column by name; nil where there is none.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// String gives schema and name, for errors.
func (r *Relation) String() string { return r.Schema + "." + r.Name }

// Column is a column of a relation.
type Column struct {
	Name   string
	Num    int16
	Type   uint32
	Typmod int32
	// NotNull, HasDefault, Generated, Identity and Default are those of
	// pg_attribute and pg_attrdef.
	NotNull    bool
	HasDefault bool
	Generated  bool
	Identity   bool
	// Loose is set where the column's collation takes texts for equal that differ.
	Loose bool
	// Unfit says, of the column that holds a sealed table's tenant or bound id, why what is written to it need not be what it
	// then holds; "" where it is. Chars is n where it is a varchar(n), -n where it is a char(n), else 0: other lengths are
	// written otherwise than they are given.
	Unfit string
	Chars int
	// Sealed is the policy's column, nil where it is plain.
	Sealed *field.Column
	// Moving is, of a plain column in transition, the policy's column that takes over its values
	// and stands beside it; nil for all others. What the column has is in both.
	Moving *field.Column
	// Hidden is set where clients do not see the column: the sealed one beside a plain one that has Moving set, and
	// what is left of the plain one once the sealed one has its name.
	Hidden bool
	// Wrong says why a sealed column cannot hold sealed values, or that a plain one holds
	// whole rows of a sealed table, with a remedy; "" where nothing is wrong.
	// Statements that name it are to be refused.
	Wrong string
}

// Function is a function or procedure.
type Function struct {
	OID          uint32
	Schema, Name string
	// Sensitive is set where its body names a sealed relation or one that is
	// made of it, or its result is a row of one.
	Sensitive bool
	// Returns is the relation whose rows it returns; nil for other results.
	Returns *Relation
	// Set is set where it may return several rows, or none.
	Set bool
	// Query is the body of a function in SQL that returns a relation's rows and changes no setting, or where that is written
	// in the SQL standard's form the statement that would make the function; "" for others.
	Query string
}
