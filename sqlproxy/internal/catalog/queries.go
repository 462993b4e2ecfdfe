package catalog

import "strings"

// The queries run in the client's own session, whose search_path is the client's. So they name the
// schema of every function, type and operator, and use no syntax that looks an operator up by name (IN,
// BETWEEN, CASE x WHEN, USING). They need no rights beyond those that every role has. Numbers in
// pg_depend are those that PostgreSQL gives its own catalogs: 1247 pg_type, 1255 pg_proc, 1259 pg_class,
// 2618 pg_rewrite; languages are 12 internal, 13 C.
//
// What stands between {{ and }} may hold characters that the client's encoding has otherwise or not at all; see inUTF8.

const queryFacts = `SELECT pg_catalog.current_setting('server_encoding'), pg_catalog.current_setting('client_encoding'), n.nspname
FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()`

// inUTF8 gives a query's form for sessions whose texts the server converts: what is marked comes in
// UTF-8 whatever the client's encoding is, in hexadecimal digits. to is UTF8, or SQL_ASCII where the server does not know
// what its bytes stand for. For other sessions the query is left as it is.
func inUTF8(sql, to string) string {
	if to == "" {
		return unmarked.Replace(sql)
	}
	return strings.NewReplacer("{{", "pg_catalog.encode(pg_catalog.convert_to((",
		"}}", ")::pg_catalog.text, '"+to+"'::pg_catalog.name), 'hex')").Replace(sql)
}

var unmarked = strings.NewReplacer("{{", "", "}}", "")

const queryPath = `SELECT {{s}} FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS u(s, n) ORDER BY n`

const queryRelations = `SELECT c.oid, {{n.nspname}}, {{c.relname}}, c.relkind, c.relpersistence,
 EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid
   AND (t.tgtype OPERATOR(pg_catalog.&) 64::pg_catalog.int2) OPERATOR(pg_catalog.<>) 0::pg_catalog.int2)
 OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid
   AND w.rulename OPERATOR(pg_catalog.<>) '_RETURN'::pg_catalog.name)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,S}'::pg_catalog."char"[])
 AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)
ORDER BY c.oid`

const queryColumns = `SELECT a.attrelid, {{a.attname}}, a.attnum, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
 a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char", a.attidentity OPERATOR(pg_catalog.<>) ''::pg_catalog."char",
 EXISTS (SELECT FROM pg_catalog.pg_collation o WHERE o.oid OPERATOR(pg_catalog.=) a.attcollation AND NOT o.collisdeterministic)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,S}'::pg_catalog."char"[])
 AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
 AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)
ORDER BY a.attrelid, a.attnum`

const queryUnique = `SELECT i.indrelid, i.indnkeyatts, i.indkey
FROM pg_catalog.pg_index i
WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid`

// queryTaken gives the names that relations cannot get besides those of queryRelations; 99 is pg_toast.
const queryTaken = `SELECT {{n.nspname}}, {{c.relname}}
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{i,I,c}'::pg_catalog."char"[]) AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
 AND c.relnamespace OPERATOR(pg_catalog.<>) 99::pg_catalog.oid AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)`

const queryInherits = `SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i ORDER BY i.inhrelid, i.inhseqno`

// queryGuards gives the columns that have a guard of Rowseal's, by the names of these.
const queryGuards = `SELECT c.conrelid, c.conkey
FROM pg_catalog.pg_constraint c
WHERE c.contype OPERATOR(pg_catalog.=) 'c'::pg_catalog."char" AND c.conname OPERATOR(pg_catalog.~) '^rowseal_.*_guard_[0-9a-f]{16}$'`

const queryTypes = `SELECT t.oid, {{n.nspname}}, {{t.typname}}, t.typtype, t.typbasetype, t.typrelid, t.typarray, t.typelem, t.typcategory
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE NOT pg_catalog.pg_is_other_temp_schema(t.typnamespace)`

// A body in the SQL standard's form is not in prosrc.
const queryFunctions = `SELECT p.oid, {{n.nspname}}, {{p.proname}}, p.prorettype,
 p.prolang OPERATOR(pg_catalog.<>) 12::pg_catalog.oid AND p.prolang OPERATOR(pg_catalog.<>) 13::pg_catalog.oid,
 {{CASE WHEN p.prosrc OPERATOR(pg_catalog.=) ''::pg_catalog.text AND l.lanname OPERATOR(pg_catalog.=) 'sql'::pg_catalog.name
  THEN pg_catalog.pg_get_functiondef(p.oid) ELSE p.prosrc END}}, {{l.lanname}}, p.proretset, p.proconfig IS NULL
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
 JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
ORDER BY p.oid`

// querySetters says whether anything but a function's body calls set_config, which is function 2078, or
// is made of pg_settings: views and rules, defaults, constraints, policies, triggers' conditions, domains,
// aggregates and functions that are set_config under another name.
const querySetters = `SELECT EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND (w.ev_action::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ' OR w.ev_qual::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 '))
 OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid
  AND d.refobjid OPERATOR(pg_catalog.=) 'pg_catalog.pg_settings'::pg_catalog.regclass::pg_catalog.oid
  AND d.classid OPERATOR(pg_catalog.=) 2618::pg_catalog.oid AND d.objid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE d.adbin::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ')
 OR EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conbin::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ')
 OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polqual::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 '
  OR p.polwithcheck::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ')
 OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgqual::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ')
 OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND t.typdefaultbin::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid 2078 ')
 OR EXISTS (SELECT FROM pg_catalog.pg_aggregate a WHERE a.aggtransfn::pg_catalog.oid OPERATOR(pg_catalog.=) 2078::pg_catalog.oid)
 OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND p.prosrc OPERATOR(pg_catalog.=) 'set_config_by_name'::pg_catalog.text)`

// queryDepends gives what views and functions are made of: relation (by its rule) or function, then
// what it names.
const queryDepends = `SELECT 1259, w.ev_class, d.refclassid, d.refobjid
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid OPERATOR(pg_catalog.=) d.objid
WHERE d.classid OPERATOR(pg_catalog.=) 2618::pg_catalog.oid
 AND d.refclassid OPERATOR(pg_catalog.=) ANY ('{1247,1255,1259}'::pg_catalog.oid[])
 AND w.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND w.rulename OPERATOR(pg_catalog.=) '_RETURN'::pg_catalog.name
UNION
SELECT 1255, d.objid, d.refclassid, d.refobjid
FROM pg_catalog.pg_depend d
WHERE d.classid OPERATOR(pg_catalog.=) 1255::pg_catalog.oid
 AND d.refclassid OPERATOR(pg_catalog.=) ANY ('{1247,1255,1259}'::pg_catalog.oid[])`

// queryViews gives the definitions of the views whose OIDs stand for %s.
const queryViews = `SELECT u.o, {{pg_catalog.pg_get_viewdef(u.o)}} FROM pg_catalog.unnest('{%s}'::pg_catalog.oid[]) AS u(o)`

// Fingerprint is a cheap query whose answer (one row, one column) changes when
// the catalog does, so that a Snapshot needs loading again. Temporary objects do
// not count: what a session makes of those only it can see. Take it before
// [Load], so that a change between the two is noticed next time.
const Fingerprint = `SELECT pg_catalog.json_build_array(
 (SELECT pg_catalog.sum(pg_catalog.hashint8extended(c.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (c.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,S}'::pg_catalog."char"[]) AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char")
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(a.attrelid::pg_catalog.int8 OPERATOR(pg_catalog.+) (a.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
  WHERE a.attrelid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
  AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p}'::pg_catalog."char"[]) AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char")
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(i.indexrelid::pg_catalog.int8 OPERATOR(pg_catalog.+) (i.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
  WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char")
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(i.inhrelid::pg_catalog.int8 OPERATOR(pg_catalog.+) (i.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
  WHERE c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char")
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(w.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (w.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_rewrite w WHERE w.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(t.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (t.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal)
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(p.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (p.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(t.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (t.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND t.typtype OPERATOR(pg_catalog.<>) 'c'::pg_catalog."char" AND t.typcategory OPERATOR(pg_catalog.<>) 'A'::pg_catalog."char")
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(n.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (n.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast_)?temp_')
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(p.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (p.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_policy p)
 , (SELECT pg_catalog.sum(pg_catalog.hashint8extended(c.oid::pg_catalog.int8 OPERATOR(pg_catalog.+) (c.xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32), 0)) FROM pg_catalog.pg_constraint c WHERE c.contypid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid))`
