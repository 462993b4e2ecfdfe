package gormplugin

import (
	"github.com/rowseal/rowseal/field"
)

const (
	remedySearch   = "declare search=equality in its rowseal tag to compare, join and group by it; else only IS NULL, IS NOT NULL and COUNT work on it"
	remedyEquality = "only =, <>, IN, IS NULL, joins on it, GROUP BY, DISTINCT and COUNT work on it, with values as parameters; do the rest after reading"
	remedyLike     = "the database cannot look into sealed values; filter after reading"
	remedyOrder    = "sealed values have no order; compare and sort after reading, or by another column"
	remedyCompute  = "compute in Go, before the value is sealed and before it is looked for"
	remedyLiteral  = "give the value as a parameter: a literal would reach the database in clear"
	remedyAny      = "write IN with a list of parameters"
	remedyOther    = "compare it with a parameter, or with a sealed column of the same domain and scope"
	remedyUsing    = "write the join's condition with ON"
	remedyTuple    = "compare one column at a time"
)

// remedyOf says what works on a sealed column.
func remedyOf(c *field.Column) string {
	if c.Search().Equality {
		return remedyEquality
	}
	return remedySearch
}

// remedyAt says what to do in place of what stands around the sealed column c,
// whose name is the tokens [first, next).
func (p *parser) remedyAt(c *field.Column, first, next int) string {
	after, before := p.at(next), p.at(first-1)
	switch {
	case after.is("like") || after.is("ilike") || after.is("similar") || after.is("~") || after.is("glob") || after.is("regexp"),
		after.is("not") && !p.at(next+1).is("in") && !p.at(next+1).is("between"):
		return remedyLike
	case after.is("between") || p.ordered(next) || p.ordered(first-1) || p.sorts(first):
		return remedyOrder
	case after.is(":") || after.is("|") || after.is("collate") || before.is("|"),
		before.is("(") && p.at(first-2).isName() && !p.at(first-3).is("join"):
		return remedyCompute
	case !c.Search().Equality:
		return remedySearch
	}
	return p.remedyBehind(next, first)
}

// remedyBehind is remedyAt for a column that can be compared.
func (p *parser) remedyBehind(next, first int) string {
	if list := p.enclosing(first); p.at(list - 1).is("using") {
		return remedyUsing
	} else if p.at(next).is(",") || p.at(first-1).is(",") {
		return remedyTuple
	}
	_, at := p.operator(next)
	switch t := p.at(at); {
	case at == 0:
		return remedyEquality
	case t.kind == tokenText || t.kind == tokenNumber, t.is("(") && p.at(at+1).kind != tokenParam && !p.at(at+1).isName() && !p.at(at+1).is("select"):
		return remedyLiteral
	case t.is("any") || t.is("all") || t.is("some"):
		return remedyAny
	case t.kind == tokenParam:
		return remedyCompute
	case t.isName():
		return remedyOther
	}
	return remedyEquality
}

// ordered says whether the token at i compares by order.
func (p *parser) ordered(i int) bool {
	switch t := p.at(i); {
	case t.is("<"), t.is(">"):
		return !(t.is("<") && p.at(i+1).is(">")) && !(t.is(">") && p.at(i-1).is("<"))
	case t.is("="):
		return p.at(i-1).is("<") || p.at(i-1).is(">")
	}
	return false
}

// sorts says whether the token at i stands in ORDER BY.
func (p *parser) sorts(i int) bool {
	by := p.listHead(i)
	return p.at(by).is("by") && p.at(by-1).is("order")
}
