package field

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

// Policy says which columns of which tables are sealed, and how. It does not
// change once it is made, and is safe for concurrent use.
type Policy struct {
	tables []*Table
	byName map[string]*Table
}

// Table is a table with sealed columns.
type Table struct {
	name    string
	id      string
	tenant  TenantSource
	rowID   string
	columns []*Column
	byName  map[string]*Column
}

// Column is a sealed column.
type Column struct {
	name  string
	table *Table
	typ   codec.Type
	code  byte // of typ
	mode  envelope.Mode
	suite envelope.Suite
	reuse envelope.Reuse
	pad   int
	field *envelope.Field

	search Search
	scope  Scope
	domain string
	index  blindindex.Name // of the key of its terms

	memo atomic.Pointer[ownedMemo] // a cache beside the policy, no part of it
}

// TenantSource says where a row's tenant comes from.
type TenantSource struct {
	// Column is the column of the row that holds the tenant; "" where none does.
	Column string
	// Default is the tenant where nothing else says; "" refuses such rows.
	Default string
}

// TableConfig describes a table for [NewTable].
type TableConfig struct {
	// Name is the table's name, schema-qualified or not.
	Name string
	// ID is the stable name bound into every value; "" means Name without
	// "public.". It must not change when the table is renamed.
	ID string
	// Tenant says where a row's tenant comes from.
	Tenant TenantSource
	// RowID is the column that holds the application-assigned id which values
	// are bound to; "" binds to no row.
	RowID string
	// Columns are the sealed columns, at least one.
	Columns []ColumnConfig
}

// ColumnConfig describes a sealed column.
type ColumnConfig struct {
	// Name is the column's name.
	Name string
	// ID is the stable name bound into every value; "" means Name.
	ID string
	// Type is the logical type, required.
	Type codec.Type
	// Mode says which key seals; the zero value is the tenant's.
	Mode envelope.Mode
	// StrictFIPS takes HKDF-SHA256 in place of the CMAC-based derivation of
	// XAES-256-GCM. Values of both kinds open in either case.
	StrictFIPS bool
	// Reuse lets one KMS-wrapped row key seal several values; ModeKMS only.
	Reuse envelope.Reuse
	// Pad rounds the plaintext's length up to a multiple, to hide it; 0 does
	// not pad, 65,536 is the most.
	Pad int
	// Search says by which conditions the column is found; the zero value by
	// none. It does not go with ModeKMS.
	Search Search
	// Scope says whether tenants share index keys; only with Search.
	Scope Scope
	// Domain is a name whose columns share index keys, so that they can be
	// compared and joined; "" gives the column its own. Only with Search.
	Domain string
}

const (
	// maxPad bounds ColumnConfig.Pad.
	maxPad = 1 << 16
	// minReuseAge leaves a slow KMS time to answer within a key's life.
	minReuseAge = time.Second
	// maxName bounds the names of tables and columns, in bytes.
	maxName = 255
	// publicSchema is the schema that a bare table name means.
	publicSchema = "public."
)

// NewTable checks cfg and returns the table.
func NewTable(cfg TableConfig) (*Table, error) {
	if cfg.Name == "" {
		return nil, fmt.Errorf("a table has no name")
	}
	if cfg.ID == "" {
		cfg.ID = strings.TrimPrefix(cfg.Name, publicSchema)
	}
	if len(cfg.Columns) == 0 {
		return nil, fmt.Errorf("table %s: no sealed column is declared", cfg.Name)
	}
	for _, name := range []string{cfg.Name, cfg.Tenant.Column, cfg.RowID} {
		if len(name) > maxName || !utf8.ValidString(name) {
			return nil, fmt.Errorf("table %.40q: a name is longer than %d bytes or not UTF-8", cfg.Name, maxName)
		}
	}
	cfg.Tenant.Default = lowerUUID(cfg.Tenant.Default)
	t := &Table{name: cfg.Name, id: cfg.ID, tenant: cfg.Tenant, rowID: cfg.RowID, byName: map[string]*Column{}}
	if cfg.Tenant.Default != "" {
		if err := envelope.CheckTenant(cfg.Tenant.Default); err != nil {
			return nil, fmt.Errorf("table %s: default tenant: %w", cfg.Name, err)
		}
	}
	shared := domains{}
	for i := range cfg.Columns {
		c, err := newColumn(t, &cfg.Columns[i])
		if err == nil {
			err = shared.add(c)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", cfg.Name, err)
		}
		if t.byName[c.name] != nil {
			return nil, fmt.Errorf("table %s: column %s is declared twice", cfg.Name, c.name)
		}
		t.columns, t.byName[c.name] = append(t.columns, c), c
	}
	for _, plain := range []string{cfg.Tenant.Column, cfg.RowID} {
		if t.byName[plain] != nil {
			return nil, fmt.Errorf("table %s: column %s is tenant or row id and cannot be sealed too", cfg.Name, plain)
		}
	}
	return t, nil
}

func newColumn(t *Table, cfg *ColumnConfig) (*Column, error) {
	if cfg.ID == "" {
		cfg.ID = cfg.Name
	}
	f, err := envelope.NewField(t.id, cfg.ID)
	switch {
	case err != nil:
		return nil, err
	case cfg.Name == "":
		return nil, fmt.Errorf("a column has no name")
	case len(cfg.Name) > maxName || !utf8.ValidString(cfg.Name):
		return nil, fmt.Errorf("column %.40q: the name is longer than %d bytes or not UTF-8", cfg.Name, maxName)
	case cfg.Reuse.Age > 0 && cfg.Reuse.Values == 0:
		return nil, fmt.Errorf("column %s: reuse needs a number of values", cfg.Name)
	case cfg.Type == codec.Type{}:
		return nil, fmt.Errorf("column %s has no type", cfg.Name)
	case cfg.Pad < 0 || cfg.Pad > maxPad:
		return nil, fmt.Errorf("column %s: pad is %d; 0 to %d is allowed", cfg.Name, cfg.Pad, maxPad)
	case cfg.Mode != envelope.ModeKMS && cfg.Reuse != envelope.Reuse{}:
		return nil, fmt.Errorf("column %s: reuse goes with `key: row, wrap: kms` only", cfg.Name)
	case cfg.Reuse.Values < 0 || cfg.Reuse.Age < 0 || cfg.Reuse.Age > 0 && cfg.Reuse.Age < minReuseAge:
		return nil, fmt.Errorf("column %s: reuse takes a number of values, and an age of %v or more", cfg.Name, minReuseAge)
	}
	if err := cfg.checkSearch(); err != nil {
		return nil, err
	}
	c := &Column{
		name: cfg.Name, table: t, typ: cfg.Type, code: cfg.Type.Code(), mode: cfg.Mode, suite: suiteOf(cfg),
		reuse: cfg.Reuse, pad: cfg.Pad, field: f, search: cfg.Search, scope: cfg.Scope, domain: cfg.Domain,
	}
	c.index = c.indexName()
	return c, nil
}

func suiteOf(cfg *ColumnConfig) envelope.Suite {
	switch {
	case cfg.Mode == envelope.ModeKMS:
		return envelope.SuiteRow
	case cfg.Mode == envelope.ModeRow && cfg.StrictFIPS:
		return envelope.SuiteRowHKDF
	case cfg.Mode == envelope.ModeRow:
		return envelope.SuiteRow
	case cfg.StrictFIPS:
		return envelope.SuiteHKDF
	}
	return envelope.SuiteXAES
}

// NewPolicy joins tables. Two columns with one column id, two tables with one
// name, and columns of one domain whose types or scopes differ are refused.
func NewPolicy(tables ...*Table) (*Policy, error) {
	p := &Policy{tables: slices.Clone(tables), byName: map[string]*Table{}}
	ids, shared := map[envelope.ColumnID]*Column{}, domains{}
	for _, t := range tables {
		if p.Table(t.name) != nil {
			return nil, fmt.Errorf("table %s is declared twice", t.name)
		}
		p.byName[t.name] = t
		for _, c := range t.columns {
			if other := ids[c.field.ID()]; other != nil {
				return nil, fmt.Errorf("columns %v and %v have the same column id; give one of them another `id`", other, c)
			}
			ids[c.field.ID()] = c
			if err := shared.add(c); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// Tables returns the tables in the order of their declaration.
func (p *Policy) Tables() []*Table { return slices.Clone(p.tables) }

// Table returns the table of that name, or nil. A name without schema also
// finds the table declared in schema public, and the other way round.
func (p *Policy) Table(name string) *Table {
	if t := p.byName[name]; t != nil {
		return t
	}
	if bare, ok := strings.CutPrefix(name, publicSchema); ok {
		return p.byName[bare]
	}
	return p.byName[publicSchema+name]
}

// Name returns the table's name as declared.
func (t *Table) Name() string { return t.name }

// ID returns the stable name that is bound into values.
func (t *Table) ID() string { return t.id }

// Tenant returns where a row's tenant comes from.
func (t *Table) Tenant() TenantSource { return t.tenant }

// RowID returns the column whose value rows are bound to; "" for none.
func (t *Table) RowID() string { return t.rowID }

// Columns returns the sealed columns in the order of their declaration.
func (t *Table) Columns() []*Column { return slices.Clone(t.columns) }

// Column returns the sealed column of that name, or nil.
func (t *Table) Column(name string) *Column { return t.byName[name] }

// String returns the table's name.
func (t *Table) String() string { return t.name }

// Name returns the column's name.
func (c *Column) Name() string { return c.name }

// Table returns the column's table.
func (c *Column) Table() *Table { return c.table }

// Type returns the logical type, which applications see.
func (c *Column) Type() codec.Type { return c.typ }

// Mode returns which key seals the column.
func (c *Column) Mode() envelope.Mode { return c.mode }

// Suite returns the suite that new values are sealed with.
func (c *Column) Suite() envelope.Suite { return c.suite }

// Field returns the column as values know it.
func (c *Column) Field() *envelope.Field { return c.field }

// Pad returns the multiple that plaintexts are padded to; 0 for none.
func (c *Column) Pad() int { return c.pad }

// Guard returns the bytes that every value of the column begins with.
func (c *Column) Guard() [envelope.GuardSize]byte { return c.field.Guard(c.typ.Code()) }

// String returns "table.column", for errors.
func (c *Column) String() string { return c.table.name + "." + c.name }
