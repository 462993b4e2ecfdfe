package pgtable

const queryTable = `SELECT c.oid::int8, c.relkind::text FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`

const queryElsewhere = `SELECT n.nspname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'f') AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) ORDER BY 1`

const queryColumns = `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
(WITH RECURSIVE base(oid) AS (SELECT a.atttypid UNION SELECT t.typbasetype FROM pg_catalog.pg_type t JOIN base ON t.oid = base.oid WHERE t.typtype = 'd')
 SELECT pg_catalog.bool_or(base.oid = 'pg_catalog.bytea'::regtype) FROM base),
a.attstorage = 'e', coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''), a.attgenerated <> '' OR a.attidentity <> ''
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped`

const queryConstraints = `SELECT k.conname, a.attname, k.contype::text, k.convalidated, k.coninhcount > 0
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE k.conrelid = $1::int8::oid
UNION ALL
SELECT k.conname || ' of ' || k.conrelid::regclass::text, a.attname, 'r', true, false
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
WHERE k.confrelid = $1::int8::oid
ORDER BY 1, 2`

// queryIndexes gives an index once for each column of the table that it is about.
const queryIndexes = `SELECT c.relname, a.attname,
coalesce(pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) = 'substr(' || pg_catalog.quote_ident(a.attname) || ', 9, 16)', false),
i.indisvalid, i.indpred IS NOT NULL, i.indisunique
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
WHERE i.indrelid = $1::int8::oid
 AND (a.attnum = ANY (i.indkey) OR pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) = 'substr(' || pg_catalog.quote_ident(a.attname) || ', 9, 16)')
ORDER BY 1, 2`

const queryTriggers = `SELECT t.tgname, a.attname, a.attnum = ANY (t.tgattr) OR t.tgqual IS NOT NULL AND
 pg_catalog.pg_get_triggerdef(t.oid) ~ ('\m' || pg_catalog.regexp_replace(a.attname, '(\W)', '\\\1', 'g') || '\M')
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.tgrelid = $1::int8::oid AND NOT t.tgisinternal
 AND (a.attnum = ANY (t.tgattr)
  OR pg_catalog.pg_get_triggerdef(t.oid) || ' ' || p.prosrc ~ ('\m' || pg_catalog.regexp_replace(a.attname, '(\W)', '\\\1', 'g') || '\M'))
ORDER BY 1, 2`

const queryViews = `SELECT DISTINCT w.ev_class::regclass::text, a.attname
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1::int8::oid AND a.attnum > 0 AND w.ev_class <> $1::int8::oid
ORDER BY 1, 2`

const queryParents = `SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = $1::int8::oid ORDER BY 1`
