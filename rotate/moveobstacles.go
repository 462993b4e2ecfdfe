package rotate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// Obstacle is something in the database that hangs on the plain column.
type Obstacle struct {
	// What it is, in words.
	What string
	// Fix is what to do about it, mostly a statement.
	Fix string
	// Stops: the swap refuses to go on while it is there. Else it is good to know.
	Stops bool
}

// String is what it is and what to do.
func (o Obstacle) String() string {
	if o.Fix == "" {
		return o.What
	}
	return o.What + ": " + o.Fix
}

// Obstacles are what hangs on the plain column: all that is not carried over to the sealed one.
func (m *Move) Obstacles(ctx context.Context) ([]Obstacle, error) {
	if m.cfg.Dialect != PostgreSQL {
		return nil, nil
	}
	c, err := m.look(ctx, m.cfg.DB)
	if err != nil {
		return nil, m.wrap(err)
	}
	all, err := m.obstacles(ctx, m.cfg.DB, c)
	return all, m.wrap(err)
}

// Stage reads how far the column has come. Errors: ErrNoTable; ErrNoColumn where there is no plain column, nor one of
// its name that is sealed.
func (m *Move) Stage(ctx context.Context) (Stage, error) {
	if err := m.here(); err != nil {
		return "", err
	}
	c, err := m.look(ctx, m.cfg.DB)
	if err != nil {
		return "", m.wrap(err)
	}
	if c.columns[m.plain] == nil {
		return "", m.wrap(fmt.Errorf("%w: the table has no column %s", ErrNoColumn, m.plain))
	}
	return m.stage(c), nil
}

// refuse lists what stops.
func (m *Move) refuse(all []Obstacle) error {
	var stops []string
	for _, o := range all {
		if o.Stops {
			stops = append(stops, o.String())
		}
	}
	if len(stops) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrObstacle, strings.Join(stops, "; "))
}

// cannot is what rules sealing in place out from the first.
func (m *Move) cannot(c *catalog) (all []Obstacle) {
	add := func(fix, what string, args ...any) {
		all = append(all, Obstacle{What: fmt.Sprintf(what, args...), Fix: fix, Stops: true})
	}
	plain := c.columns[m.plain]
	for _, name := range []string{m.plain, m.sealed} {
		if len(name) > maxIdentifier {
			add("name it otherwise", "%s has %d bytes; PostgreSQL's names have %d at most", name, len(name), maxIdentifier)
		}
	}
	switch {
	case len(all) > 0:
		return all
	case c.kind != "r":
		add("move its rows to an ordinary table first", "%s is no ordinary table (partitioned, foreign, or a view)", c.table())
	case c.family:
		add("end the inheritance first, or move the rows to a table that stands alone", "%s has parents or children that have the column too", c.table())
	case plain == nil:
		add("mend `plain` in the policy's transition", "the table has no column %s", m.plain)
		return all
	}
	if plain == nil {
		return all
	}
	if slices.Contains(c.key, m.plain) {
		add("give the table another primary key first", "%s is part of the primary key", m.plain)
	}
	if plain.computed {
		add(c.alter()+"ALTER COLUMN "+quote(m.plain)+" DROP EXPRESSION (or DROP IDENTITY)", "the database computes %s, and has no keys", m.plain)
	}
	if want := fmt.Sprint(m.column.Type().OID()); plain.base != want {
		add("declare the column's own type in the policy, or change the column's first", "%s is %s in the database and %v in the policy", m.plain, plain.typ, m.column.Type())
	}
	if sealed := c.columns[m.sealed]; sealed != nil && (sealed.base != byteaOID || sealed.computed || sealed.text != "") {
		add("drop it or name the sealed column otherwise", "there is a column %s already, which is no empty-by-default bytea", m.sealed)
	}
	return all
}

// obstacles are all, those that the catalog's dependencies tell among them.
func (m *Move) obstacles(ctx context.Context, q querier, c *catalog) ([]Obstacle, error) {
	all := m.cannot(c)
	plain := c.columns[m.plain]
	if plain == nil {
		return all, nil
	}
	add := func(stops bool, fix, what string, args ...any) {
		all = append(all, Obstacle{What: fmt.Sprintf(what, args...), Fix: fix, Stops: stops})
	}
	if plain.text != "" && !plain.computed {
		add(true, c.alter()+"ALTER COLUMN "+quote(m.plain)+" DROP DEFAULT, and let programs give the value",
			"%s has a default, which the database would store in clear", m.plain)
	}
	if plain.domain {
		add(false, "", "the checks of domain %s do not hold for sealed values", plain.typ)
	}
	if plain.unsteady {
		add(false, "", "%s's collation takes other bytes for equal; sealed values are compared byte by byte", m.plain)
	}
	for _, i := range c.indexes {
		all = m.indexObstacle(all, c, i)
	}
	found, err := texts(ctx, q, dependentsSQL, c.oid, fmt.Sprint(plain.num))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if o := dependent(c, f); o != nil && !m.own(c, f) {
			all = append(all, *o)
		}
	}
	all = append(all, m.writers(c)...)
	if found, err = texts(ctx, q, publishedSQL, c.schema, c.name, fmt.Sprint(len(c.columns))); err != nil {
		return nil, err
	}
	for _, f := range found {
		add(false, fmt.Sprintf("add a column %s bytea to the subscribers' tables before it is prepared, and change names and drop there as here", cmp.Or(m.sealed, m.plain)),
			"publication %s sends all columns of %s, and a subscriber takes no row with a column that it does not have", f[0], c.table())
	}
	found, err = texts(ctx, q, functionsSQL, c.oid, c.name, m.plain)
	for _, f := range found {
		add(false, "", "the text of function %s names table and column: it sees sealed bytes after the swap", f[0])
	}
	return all, err
}

// own says whether a dependent is of this move's making.
func (m *Move) own(c *catalog, f []string) bool {
	return f[2] == m.made("some") || f[2] == m.made("empty") || f[2] == m.made("clear") ||
		slices.ContainsFunc(m.triggersOf(c, "moving"), func(t catalogTrigger) bool { return t.name == f[2] })
}

// indexObstacle says of an index what becomes of it.
func (m *Move) indexObstacle(all []Obstacle, c *catalog, i catalogIndex) []Obstacle {
	if !slices.Contains(i.uses, m.plain) || i.primary || i.name == m.made("left") || i.name == m.made("back") {
		return all
	}
	drop := "DROP INDEX " + quote(c.schema) + "." + quote(i.name)
	if i.constraint != "" {
		drop = c.alter() + "DROP CONSTRAINT " + quote(i.constraint)
	}
	carried := guard.Searchable(m.column) && i.carries(m.plain)
	tenant := m.table.Tenant().Column
	switch {
	case i.identity:
		return append(all, Obstacle{fmt.Sprintf("index %s is the replica identity", i.name), c.alter() + "REPLICA IDENTITY DEFAULT", true})
	case i.unique && carried && tenant != "" && m.column.Scope() == field.ScopeTenant && !slices.Contains(i.columns, tenant):
		return append(all, Obstacle{
			fmt.Sprintf("index %s is unique over all tenants, and search terms are a tenant's own", i.name),
			"declare `scope: global` for the column, or " + drop + " and make one with " + tenant + " before the column", true,
		})
	case i.unique && !carried && !guard.Searchable(m.column):
		return append(all, Obstacle{fmt.Sprintf("index %s is unique, and sealed values are never equal", i.name), "declare `search: [equality]` for the column, or " + drop, true})
	case i.unique && !carried:
		return append(all, Obstacle{fmt.Sprintf("unique index %s cannot be made over search terms as it is", i.name), drop, true})
	case !carried:
		return append(all, Obstacle{fmt.Sprintf("index %s serves no condition on sealed values, and goes with the old column", i.name), "", false})
	}
	return all
}

// dependentsSQL lists what depends on a column: class, what it is, its name, a table or the like, more about it.
const dependentsSQL = `SELECT DISTINCT d.classid::pg_catalog.regclass::text, coalesce(pg_catalog.pg_describe_object(d.classid, d.objid, 0), ''),
coalesce(k.conname, g.tgname, p.polname, s.stxname, b.pubname, v.relname, ga.attname, ''),
coalesce(k.conrelid::pg_catalog.regclass::text, g.tgrelid::pg_catalog.regclass::text, r.ev_class::pg_catalog.regclass::text, s.stxnamespace::pg_catalog.regnamespace::text, ''),
coalesce(k.contype::text, v.relkind::text, ci.relkind::text, ''), coalesce((ga.attnum = $2::text::int)::text, '')
FROM pg_catalog.pg_depend d
LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
LEFT JOIN pg_catalog.pg_trigger g ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid = d.objid
LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
LEFT JOIN pg_catalog.pg_statistic_ext s ON d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = d.objid
LEFT JOIN pg_catalog.pg_publication_rel br ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND br.oid = d.objid
LEFT JOIN pg_catalog.pg_publication b ON b.oid = br.prpubid
LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
LEFT JOIN pg_catalog.pg_class ci ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND ci.oid = d.objid
LEFT JOIN pg_catalog.pg_attrdef ad ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND ad.oid = d.objid
LEFT JOIN pg_catalog.pg_attribute ga ON ga.attrelid = ad.adrelid AND ga.attnum = ad.adnum
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::text::oid AND d.refobjsubid = $2::text::int
ORDER BY 1, 2`

// publishedSQL lists publications that send a table without a list of its columns, which PostgreSQL 15 has.
const publishedSQL = `SELECT t.pubname FROM pg_catalog.pg_publication_tables t WHERE t.schemaname = $1::text AND t.tablename = $2::text
AND coalesce(pg_catalog.jsonb_array_length(pg_catalog.to_jsonb(t) -> 'attnames') >= $3::text::int, true) ORDER BY 1`

// functionsSQL finds functions whose text has the names of table and column. PostgreSQL knows nothing of their
// dependencies.
const functionsSQL = `SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'rowseal')
AND p.prosrc ~ ('\m' || pg_catalog.regexp_replace($3::text, '(\W)', '\\\1', 'g') || '\M')
AND (p.prosrc ~ ('\m' || pg_catalog.regexp_replace($2::text, '(\W)', '\\\1', 'g') || '\M')
 OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid AND t.tgrelid = $1::text::oid))
ORDER BY 1 LIMIT 20`

// dependent is the obstacle that a line of dependentsSQL is; nil for what is dealt with otherwise.
func dependent(c *catalog, f []string) *Obstacle {
	what, name, of, kind := f[1], f[2], f[3], f[4]
	fix := "drop it before the swap, and make it anew after it if it can do without the value"
	switch class := f[0][strings.LastIndexByte(f[0], '.')+1:]; class {
	case "pg_constraint":
		if kind == "u" || kind == "p" {
			return nil // as an index
		}
		fix = "ALTER TABLE " + of + " DROP CONSTRAINT " + quote(name)
		if kind == "c" {
			fix += ", and let programs check"
		}
	case "pg_class":
		if kind == "i" || kind == "I" {
			return nil
		}
	case "pg_attrdef":
		if f[5] == "true" {
			return nil // the default itself
		}
		what, fix = "generated column "+name, c.alter()+"ALTER COLUMN "+quote(name)+" DROP EXPRESSION"
	case "pg_trigger":
		fix = "DROP TRIGGER " + quote(name) + " ON " + of + ", and make it anew without the column"
	case "pg_policy":
		fix = "DROP POLICY " + quote(name) + " ON " + c.table() + ", and make it anew without the column"
	case "pg_statistic_ext":
		fix = "DROP STATISTICS " + of + "." + quote(name)
	case "pg_publication_rel":
		fix = "ALTER PUBLICATION " + quote(name) + " SET TABLE without the column in list or filter"
	case "pg_rewrite":
		what = "view " + of
		fix = "DROP VIEW " + of + ", and make it anew after the swap"
		if kind == "m" {
			fix = strings.Replace(fix, "DROP VIEW", "DROP MATERIALIZED VIEW", 1)
		}
	}
	return &Obstacle{What: what + " depends on the column", Fix: fix, Stops: true}
}
