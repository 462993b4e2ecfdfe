// Package catalog holds what the proxy knows of a database's tables: which
// columns are sealed, what views are made of, which names are worth a look.
package catalog

import (
	"context"

	"github.com/rowseal/rowseal/field"
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
	// more fields
}

// Load reads the catalog of the session's database, as the session sees it,
// temporary tables included.
func Load(ctx context.Context, q Querier, policy *field.Policy) (*Snapshot, error) { panic("not built") }

// Fingerprint is a cheap query whose answer (one row, one column) changes when
// the catalog does, so that a Snapshot needs loading again.
const Fingerprint = "…"

// Sensitive reports whether an identifier, folded as PostgreSQL folds it,
// may name something that is sealed or is made of something sealed: a
// table, a view or a partition in any schema, a function whose body names one
// or whose result is a row of one.
func (s *Snapshot) Sensitive(name string) bool { panic("not built") }

// Lookup finds a relation by name along the schemas of path; nil where there is none.
func (s *Snapshot) Lookup(path []string, name string) *Relation { panic("not built") }

// Relation finds a relation by schema and name; nil where there is none.
func (s *Snapshot) Relation(schema, name string) *Relation { panic("not built") }

// ByOID finds a relation by its OID; nil where there is none.
func (s *Snapshot) ByOID(oid uint32) *Relation { panic("not built") }

// Functions finds functions that are not of pg_catalog, by name along path, or
// in schema where it is not "".
func (s *Snapshot) Functions(path []string, schema, name string) []*Function { panic("not built") }

// TypeOID finds a type by name along path (or in schema), by its name in
// pg_type or its SQL spelling as the parser gives it ("int4", "varchar"); 0
// where there is none.
func (s *Snapshot) TypeOID(path []string, schema, name string) uint32 { panic("not built") }

// Relation is a table, view, materialized view, foreign table, partition or sequence.
type Relation struct {
	OID          uint32
	Schema, Name string
	// Kind is pg_class.relkind.
	Kind byte
	// Table is the policy's table whose sealed columns this relation has: its own
	// or, for a partition or child, its parent's. Nil where nothing is sealed.
	Table *field.Table
	// Columns are in the order of their numbers, without dropped ones.
	Columns []Column
	// Definition is a view's query, "" for others.
	Definition string
	// Unique are the column numbers of each unique index, primary key first,
	// without partial ones and those over expressions.
	Unique [][]int16
	// Triggers is set where INSTEAD OF triggers or rules other than a view's own decide
	// what a write does.
	Triggers bool
	// Temporary is set for temporary relations.
	Temporary bool
	// Sensitive is set for relations that are sealed, or views that name one, directly or through others.
	Sensitive bool
	// more fields
}

// Memo gives what make gave the first time it was called for this relation; for
// package plan, which keeps there what it learnt of a view.
func (r *Relation) Memo(make func() any) any { panic("not built") }

// Column finds a column by name; nil where there is none.
func (r *Relation) Column(name string) *Column { panic("not built") }

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
	// Sealed is the policy's column, nil where it is plain.
	Sealed *field.Column
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
}
