package plan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// passes reports whether a function gives one of the values of its first argument, as it was.
func passes(f *pg.FuncCall) bool {
	if f.Over == nil || len(f.Args) == 0 || !ownFunction(f) {
		return false
	}
	switch lastName(f.Funcname) {
	case "lag", "lead", "first_value", "last_value", "nth_value":
		return true
	}
	return false
}

// ownFunction reports whether a function is named as one of PostgreSQL's own may be.
func ownFunction(f *pg.FuncCall) bool {
	return len(f.Funcname) == 1 || len(f.Funcname) == 2 && f.Funcname[0].GetString_().GetSval() == "pg_catalog"
}

// scalars are functions of PostgreSQL's own that often give values of rows, and always one.
var scalars = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range strings.Fields(`now clock_timestamp statement_timestamp transaction_timestamp timeofday
		nextval currval lastval random gen_random_uuid md5 sha256 lower upper initcap btrim ltrim rtrim trim
		concat concat_ws format length char_length octet_length substr substring left right lpad rpad replace
		repeat reverse split_part to_char to_date to_timestamp to_number date_trunc date_part extract age
		make_date make_time make_timestamp make_timestamptz make_interval abs ceil ceiling floor round trunc
		mod power sqrt encode decode convert_to convert_from to_json to_jsonb json_build_object
		jsonb_build_object json_build_array jsonb_build_array jsonb_set array_append array_cat array_length
		string_to_array array_to_string current_setting current_database pg_backend_pid txid_current
		pg_current_xact_id inet_client_addr timezone to_tsvector to_tsquery plainto_tsquery hashtext`) {
		out[name] = true
	}
	return out
}()

// sets are beginnings of names that PostgreSQL's own functions have which return several rows.
var sets = []string{"generate_", "unnest", "regexp_", "string_to_table", "json", "pg_", "ts_", "aclexplode", "txid_"}

// mayGiveRows reports whether an expression calls a function that may return
// several rows: one that does, or that is not known. What a sub-query calls is its own.
func (a *analyzer) mayGiveRows(m proto.Message) bool {
	switch x := m.(type) {
	case *pg.SubLink:
		return x.Testexpr != nil && a.mayGiveRows(x.Testexpr)
	case *pg.FuncCall:
		if a.returnsSet(x) {
			return true
		}
	}
	found := false
	children(m, func(c proto.Message) { found = found || a.mayGiveRows(c) })
	return found
}

// returnsSet reports whether a function may return several rows.
func (a *analyzer) returnsSet(f *pg.FuncCall) bool {
	name, schema := lastName(f.Funcname), ""
	if len(f.Funcname) > 1 {
		schema = f.Funcname[len(f.Funcname)-2].GetString_().GetSval()
	}
	found := a.c.Catalog.Functions(a.c.Path, schema, name)
	if slices.ContainsFunc(found, func(fn *catalog.Function) bool { return fn.Set }) {
		return true
	}
	if ownFunction(f) && scalars[name] {
		return false
	}
	return len(found) == 0 || ownFunction(f) && slices.ContainsFunc(sets, func(s string) bool { return strings.HasPrefix(name, s) })
}

// runsText reports whether a function runs a query that it is given as text.
func runsText(name string) bool {
	return strings.HasSuffix(name, "_to_xml") || strings.HasSuffix(name, "_to_xmlschema") ||
		strings.HasSuffix(name, "_to_xml_and_xmlschema") || strings.HasPrefix(name, "dblink") ||
		strings.HasPrefix(name, "crosstab") || name == "ts_stat" || name == "ts_rewrite"
}

// call reads a function call.
func (a *analyzer) call(sc *scope, n *pg.Node, f *pg.FuncCall, w want) origin {
	name := lastName(f.Funcname)
	if a.sensitiveCall(f, name) {
		return origin{}
	}
	for _, s := range f.AggOrder {
		a.expr(sc, s.GetSortBy().GetNode(), forbid("ORDER BY in function "+name))
	}
	a.expr(sc, f.AggFilter, forbid("FILTER"))
	a.window(sc, f.Over)
	switch {
	case passes(f):
		return a.passing(sc, n, f, w)
	case name == "count" && ownFunction(f) && len(f.Args) == 1:
		a.count(sc, f)
	default:
		a.exprs(sc, f.Args, forbid("function "+name))
	}
	return a.result(n, w)
}

// sensitiveCall refuses functions whose body is about sealed columns: the
// server runs it without the proxy.
func (a *analyzer) sensitiveCall(f *pg.FuncCall, name string) bool {
	schema := ""
	if len(f.Funcname) > 1 {
		schema = f.Funcname[len(f.Funcname)-2].GetString_().GetSval()
	}
	if runsText(name) {
		a.refuse(&Refusal{
			SQLState: notSupported, Position: int(f.Location),
			Message: "function " + name + " runs a text that the proxy does not see, in a statement with sealed columns",
			Hint:    "Run the query itself.",
		})
		return true
	}
	if schema == "pg_catalog" {
		return false
	}
	for _, fn := range a.c.Catalog.Functions(a.c.Path, schema, name) {
		if fn.Sensitive {
			a.refuse(&Refusal{
				SQLState: notSupported, Position: int(f.Location),
				Message: "function " + name + " works on sealed columns inside the server, where the proxy does not see them",
				Hint:    "Write its query in the statement. A function in SQL without arguments whose one query gives rows of the table can stand in FROM.",
			})
			return true
		}
	}
	return false
}

// passing reads lag, first_value and their kin.
func (a *analyzer) passing(sc *scope, n *pg.Node, f *pg.FuncCall, w want) origin {
	o := a.peek(sc, f.Args[0])
	if !o.isSealed() && w.kind != wantCompare {
		a.exprs(sc, f.Args, forbid("function "+lastName(f.Funcname)))
		return a.result(n, w)
	}
	if w.kind == wantForbid || w.kind == wantAssign {
		a.exprs(sc, f.Args, w)
		return origin{}
	}
	w = a.beside(sc, w, o)
	o = a.expr(sc, f.Args[0], w)
	for i, arg := range f.Args[1:] {
		if i == 1 && lastName(f.Funcname) != "nth_value" {
			o = a.merged(o, a.expr(sc, arg, w), locationOf(arg))
			continue
		}
		a.expr(sc, arg, forbid("function "+lastName(f.Funcname)))
	}
	o.rel, o.col, o.as = nil, nil, o.unmodified()
	return o
}

// count reads count(x), for which only NULL matters, and count(DISTINCT x), for which terms stand.
func (a *analyzer) count(sc *scope, f *pg.FuncCall) {
	if !f.AggDistinct {
		w := output
		w.count = true
		if row := f.Args[0].GetRowExpr(); row != nil {
			a.exprs(sc, row.Args, w)
			return
		}
		a.expr(sc, f.Args[0], w)
		return
	}
	args := f.Args
	if row := f.Args[0].GetRowExpr(); row != nil {
		args = row.Args
	}
	var plain []origin
	for _, n := range args {
		if o, ok := a.resolve(sc, n); ok && !o.isSealed() {
			plain = append(plain, o)
		}
	}
	for _, n := range args {
		o := a.peek(sc, n)
		if !o.isSealed() {
			a.expr(sc, n, forbid("count(DISTINCT …)"))
			continue
		}
		if !a.groupable(o, plain, "count(DISTINCT …)", locationOf(n)) {
			return
		}
		a.expr(sc, n, compare(a.selfComparand(o)))
	}
}
