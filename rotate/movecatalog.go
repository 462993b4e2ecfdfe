package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
)

// catalog is what PostgreSQL has of a table with a column on the move.
type catalog struct {
	oid          string
	schema, name string
	kind         string // pg_class.relkind
	family       bool   // it has parents or children
	columns      map[string]*catalogColumn
	key          []string // of the primary key
	constraints  []catalogConstraint
	indexes      []catalogIndex
	triggers     []catalogTrigger
	hasSchema    bool // rowseal
}

type catalogColumn struct {
	num      int
	typ      string // as the database writes it
	base     string // oid of the type that a domain is over, or its own
	modifier string
	domain   bool
	notNull  bool
	computed bool // generated or identity
	external bool
	comment  string
	grants   []string // "SELECT to ann", in SQL
	text     string   // of the default; "" for none
	unsteady bool     // its collation takes other bytes for equal
}

type catalogConstraint struct {
	name, kind string
	valid      bool
	columns    []string
}

type catalogIndex struct {
	name                   string
	unique, valid, primary bool
	identity               bool // replica identity
	constraint             string
	method, predicate      string
	parts                  []string // the key's, in SQL
	columns                []string // plain ones of the key, "" for an expression
	included               []string
	plainOrder             bool // ascending, default operator classes and collations throughout
	definition             string
	added                  bool     // by a move: the plain column had none
	uses                   []string // all columns that it is made of, its predicate's and expressions' too
}

type catalogTrigger struct {
	name, function string // the function as SQL names it
	body, language string
	enabled        string // pg_trigger.tgenabled
	before         bool   // each row that is inserted or updated
	everyUpdate    bool   // whatever column it changes
}

const (
	catalogTableSQL = `SELECT c.oid::text, n.nspname, c.relname, c.relkind::text,
(EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid))::text,
(EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'rowseal'))::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1::text)`

	catalogColumnsSQL = `SELECT a.attname, a.attnum::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
(WITH RECURSIVE base(oid) AS (SELECT a.atttypid UNION SELECT d.typbasetype FROM pg_catalog.pg_type d JOIN base ON d.oid = base.oid WHERE d.typtype = 'd')
 SELECT base.oid::int8::text FROM base JOIN pg_catalog.pg_type b ON b.oid = base.oid WHERE b.typtype <> 'd'),
CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END::text, (t.typtype = 'd')::text,
a.attnotnull::text, (a.attgenerated <> '' OR a.attidentity <> '')::text, (a.attstorage = 'e')::text,
coalesce(pg_catalog.col_description(a.attrelid, a.attnum), ''), coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
coalesce((SELECT NOT o.collisdeterministic FROM pg_catalog.pg_collation o WHERE o.oid = a.attcollation), false)::text,
coalesce((SELECT pg_catalog.string_agg(g.privilege_type || ' to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END
 || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, E'\n' ORDER BY g.grantee, g.privilege_type) FROM pg_catalog.aclexplode(a.attacl) g), '')
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

	catalogConstraintsSQL = `SELECT k.conname, k.contype::text, k.convalidated::text,
coalesce((SELECT pg_catalog.string_agg(a.attname, E'\n' ORDER BY o.n) FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS o(num, n)
 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num), '')
FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1::text::oid ORDER BY 1`

	catalogIndexesSQL = `SELECT c.relname, i.indisunique::text, i.indisvalid::text, i.indisprimary::text, i.indisreplident::text,
coalesce((SELECT conname FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid), ''), m.amname,
coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''),
coalesce((SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, n, true), E'\n' ORDER BY n) FROM pg_catalog.generate_series(1, i.indnkeyatts) n), ''),
(SELECT pg_catalog.string_agg(coalesce(a.attname, ''), E'\n' ORDER BY n) FROM pg_catalog.generate_series(1, i.indnkeyatts) n
 LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]),
coalesce((SELECT pg_catalog.string_agg(a.attname, E'\n' ORDER BY n) FROM pg_catalog.generate_series(i.indnkeyatts + 1, i.indnatts) n
 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]), ''),
((SELECT pg_catalog.bool_and(o = 0) FROM pg_catalog.unnest(i.indoption) o)
 AND (SELECT pg_catalog.bool_and(p.opcdefault) FROM pg_catalog.unnest(i.indclass) o JOIN pg_catalog.pg_opclass p ON p.oid = o))::text,
coalesce(pg_catalog.pg_get_indexdef(i.indexrelid), ''), -- NULL while somebody drops it
coalesce((SELECT pg_catalog.string_agg(a.attname, E'\n' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum > 0
 AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))), ''),
coalesce(pg_catalog.obj_description(i.indexrelid, 'pg_class'), '')
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE i.indrelid = $1::text::oid ORDER BY 1`

	// tgtype has 1 for each row, 2 for BEFORE, 4 for INSERT and 16 for UPDATE (catalog/pg_trigger.h). Triggers of one
	// event fire in the order of their names' bytes.
	catalogTriggersSQL = `SELECT g.tgname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname), p.prosrc, l.lanname, g.tgenabled::text,
(g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0)::text, (g.tgtype & 3 = 3 AND g.tgtype & 16 <> 0 AND g.tgattr = '' AND g.tgqual IS NULL)::text
FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE g.tgrelid = $1::text::oid AND NOT g.tgisinternal ORDER BY 1`
)

// look reads the catalog as it is at one moment.
func (m *Move) look(ctx context.Context, q querier) (c *catalog, err error) {
	b, ok := q.(beginner)
	if !ok { // in a transaction that has the table to itself
		return m.read(ctx, q)
	}
	tx, err := b.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	return m.read(ctx, tx)
}

func (m *Move) read(ctx context.Context, q querier) (*catalog, error) {
	found, err := texts(ctx, q, catalogTableSQL, quoteName(m.table.Name()))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w %s; check the policy's table name and the connection's search_path", ErrNoTable, m.table.Name())
	}
	t := found[0]
	c := &catalog{
		oid: t[0], schema: t[1], name: t[2], kind: t[3], family: t[4] == "true", hasSchema: t[5] == "true",
		columns: map[string]*catalogColumn{},
	}
	for _, read := range []func(context.Context, querier) error{c.readColumns, c.readConstraints, c.readIndexes, c.readTriggers} {
		if err := read(ctx, q); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *catalog) readColumns(ctx context.Context, q querier) error {
	found, err := texts(ctx, q, catalogColumnsSQL, c.oid)
	for _, f := range found {
		num, err := strconv.Atoi(f[1])
		if err != nil {
			return err
		}
		c.columns[f[0]] = &catalogColumn{
			num: num, typ: f[2], base: f[3], modifier: f[4], domain: f[5] == "true", notNull: f[6] == "true", computed: f[7] == "true",
			external: f[8] == "true", comment: f[9], text: f[10], unsteady: f[11] == "true", grants: lines(f[12]),
		}
	}
	return err
}

func (c *catalog) readConstraints(ctx context.Context, q querier) error {
	found, err := texts(ctx, q, catalogConstraintsSQL, c.oid)
	for _, f := range found {
		c.constraints = append(c.constraints, catalogConstraint{name: f[0], kind: f[1], valid: f[2] == "true", columns: lines(f[3])})
	}
	return err
}

func (c *catalog) readIndexes(ctx context.Context, q querier) error {
	found, err := texts(ctx, q, catalogIndexesSQL, c.oid)
	for _, f := range found {
		i := catalogIndex{
			name: f[0], unique: f[1] == "true", valid: f[2] == "true", primary: f[3] == "true", identity: f[4] == "true", constraint: f[5],
			method: f[6], predicate: f[7], parts: strings.Split(f[8], "\n"), columns: strings.Split(f[9], "\n"), included: lines(f[10]),
			plainOrder: f[11] == "true", definition: f[12], uses: lines(f[13]), added: f[14] == addedComment,
		}
		if i.primary {
			c.key = i.columns
		}
		c.indexes = append(c.indexes, i)
	}
	return err
}

func (c *catalog) readTriggers(ctx context.Context, q querier) error {
	found, err := texts(ctx, q, catalogTriggersSQL, c.oid)
	for _, f := range found {
		c.triggers = append(c.triggers, catalogTrigger{
			name: f[0], function: f[1], body: f[2], language: f[3], enabled: f[4], before: f[5] == "true", everyUpdate: f[6] == "true",
		})
	}
	return err
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (c *catalog) table() string { return quote(c.schema) + "." + quote(c.name) }

func (c *catalog) alter() string { return "ALTER TABLE " + c.table() + " " }

func (c *catalog) constraint(name string) *catalogConstraint {
	for i := range c.constraints {
		if c.constraints[i].name == name {
			return &c.constraints[i]
		}
	}
	return nil
}

func (c *catalog) index(name string) *catalogIndex {
	for i := range c.indexes {
		if c.indexes[i].name == name {
			return &c.indexes[i]
		}
	}
	return nil
}

// guardOf finds a guard of a column by what it checks.
func (c *catalog) guardOf(g guard.Guard, column string) *catalogConstraint {
	for i := range c.constraints {
		k := &c.constraints[i]
		if k.kind == "c" && slices.Equal(k.columns, []string{column}) && strings.HasPrefix(k.name, guard.Ours) && strings.HasSuffix(k.name, g.Suffix()) {
			return k
		}
	}
	return nil
}

const byteaOID = "17"

// holdsSealed says whether the column of that name holds sealed values of m's: bytes, and guarded where clear values
// would be bytes too.
func (m *Move) holdsSealed(c *catalog, name string) bool {
	have := c.columns[name]
	if have == nil || have.base != byteaOID {
		return false
	}
	return m.column.Type().OID() != 17 || c.guardOf(guard.Of(m.column)[0], name) != nil
}

// stage says how far the column has come.
func (m *Move) stage(c *catalog) Stage {
	both := m.sealed != "" && c.columns[m.sealed] != nil
	switch {
	case !both && m.holdsSealed(c, m.plain):
		switch {
		case c.constraint(m.made("set")) != nil:
			return StageSwapped
		case c.columns[m.old] != nil:
			return StageFinished
		}
		return StageSealed
	case !both:
		return StageClear
	case len(m.prepares(c)) > 0:
		return StagePreparing
	}
	return StagePrepared
}
