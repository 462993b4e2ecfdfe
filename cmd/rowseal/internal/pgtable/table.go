// Package pgtable compares tables of a policy with what PostgreSQL's catalog
// says of them: what is missing and how to make it ([Table.Statements]), and
// what is not as it should be ([Table.Findings]).
package pgtable

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// Table is a table of the policy and what the database has of it.
type Table struct {
	Policy *field.Table
	// Schema and Name are where the policy looks for it.
	Schema, Name string
	// Kind is pg_class.relkind, 0 where there is no such table.
	Kind byte
	// Elsewhere are the schemas that have a table of that name, where this one has not.
	Elsewhere []string

	columns     map[string]*column
	constraints []constraint
	indexes     []index
	triggers    []trigger
	views       []view
	parents     []string
	upkeep      upkeep
}

type column struct {
	typ       string // as the database writes it
	bytea     bool   // or a domain over it
	external  bool   // storage
	byDefault string // expression
	computed  bool   // generated or identity
}

type constraint struct {
	name, column string
	kind         string // pg_constraint.contype; "r" for foreign keys of other tables
	valid        bool
	inherited    bool
}

type index struct {
	name, column   string
	terms          bool // begins with the column's term
	valid, partial bool
	unique         bool
}

type trigger struct {
	name, column string
	listed       bool // in UPDATE OF or WHEN; else the function's text has the column's name
}

type view struct{ name, column string }

// New returns the table as if the database had it, with its sealed columns, and
// nothing else.
func New(p *field.Table) *Table {
	t := &Table{Policy: p, Schema: "public", Name: p.Name(), Kind: 'r', columns: map[string]*column{}}
	if schema, name, ok := strings.Cut(p.Name(), "."); ok {
		t.Schema, t.Name = schema, name
	}
	for _, c := range p.Columns() {
		t.columns[c.Name()] = &column{typ: "bytea", bytea: true}
	}
	return t
}

// Inspect returns the table as the database has it.
func Inspect(ctx context.Context, db *sql.Conn, p *field.Table) (*Table, error) {
	t := New(p)
	t.Kind, t.columns = 0, map[string]*column{}
	var oid int64
	var kind string
	err := db.QueryRowContext(ctx, queryTable, t.Schema, t.Name).Scan(&oid, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return t, rows(ctx, db, queryElsewhere, func(scan func(...any) error) error {
			var schema string
			t.Elsewhere = append(t.Elsewhere, "")
			err := scan(&schema)
			t.Elsewhere[len(t.Elsewhere)-1] = schema
			return err
		}, t.Name)
	}
	if err != nil {
		return nil, err
	}
	t.Kind = kind[0]
	for _, read := range []func(context.Context, *sql.Conn, int64) error{
		t.readColumns, t.readConstraints, t.readIndexes, t.readTriggers, t.readViews, t.readParents, t.readUpkeep,
	} {
		if err := read(ctx, db, oid); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Table) readColumns(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryColumns, func(scan func(...any) error) error {
		var name string
		c := &column{}
		if err := scan(&name, &c.typ, &c.bytea, &c.external, &c.byDefault, &c.computed); err != nil {
			return err
		}
		t.columns[name] = c
		return nil
	}, oid)
}

func (t *Table) readConstraints(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryConstraints, func(scan func(...any) error) error {
		var c constraint
		err := scan(&c.name, &c.column, &c.kind, &c.valid, &c.inherited)
		t.constraints = append(t.constraints, c)
		return err
	}, oid)
}

func (t *Table) readIndexes(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryIndexes, func(scan func(...any) error) error {
		var i index
		err := scan(&i.name, &i.column, &i.terms, &i.valid, &i.partial, &i.unique)
		t.indexes = append(t.indexes, i)
		return err
	}, oid)
}

func (t *Table) readTriggers(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryTriggers, func(scan func(...any) error) error {
		var g trigger
		err := scan(&g.name, &g.column, &g.listed)
		t.triggers = append(t.triggers, g)
		return err
	}, oid)
}

func (t *Table) readViews(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryViews, func(scan func(...any) error) error {
		var v view
		err := scan(&v.name, &v.column)
		t.views = append(t.views, v)
		return err
	}, oid)
}

func (t *Table) readParents(ctx context.Context, db *sql.Conn, oid int64) error {
	return rows(ctx, db, queryParents, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		t.parents = append(t.parents, name)
		return err
	}, oid)
}

// rows gives each row of a query to take.
func rows(ctx context.Context, db *sql.Conn, query string, take func(scan func(...any) error) error, args ...any) error {
	found, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		if err := take(found.Scan); err != nil {
			return err
		}
	}
	return found.Err()
}
