package plan

import (
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// analyzer is one text's analysis. Its first refusal sticks: later steps go on
// harmlessly, and Analyze returns it.
type analyzer struct {
	c       *Context
	tree    *parse.Tree
	text    string
	refusal *Refusal
	emitter

	// steps counts visited nodes, so that a text whose sub-queries have to be
	// looked at more than once ends as a refusal and not as a busy loop.
	steps int
	// rels numbers relations, so that one can tell which were made since.
	rels int
	// view is set while the definition of a view is read: its text is not the client's.
	view bool
	// sealed is set once a sealed column or a relation that has one was met.
	sealed bool
}

// scope is what names can mean at one place of a text.
type scope struct {
	parent *scope
	// rels are those that a qualified name finds, in order.
	rels []*relation
	// visible are the columns that an unqualified name finds and * gives, in order.
	visible []visible
	// ctes are those of a WITH clause whose scope this is.
	ctes map[string]*cte
	// open is set where a relation whose columns are not known is among rels,
	// so that an unknown name may be one of its columns.
	open bool
	// pending are the conditions of joins, which wait until all that pins tenants is known.
	pending []pendingOn
	// grouped are the sealed columns that the query groups by, so that beside
	// aggregates they are no columns of a row any more.
	grouped []origin
	// aliases are the query's output columns by name, for ORDER BY and GROUP BY.
	aliases []column
}

// visible is a column that a scope shows without qualifier.
type visible struct {
	name string
	rel  *relation // by which it is qualified
	org  origin
	// write is what stands for the column where its name alone does not work any
	// more, because a USING over sealed columns became an ON; "" where it does.
	write string
}

// relation is one appearance of a table, view, sub-query or function in a query.
type relation struct {
	id    int
	alias string
	// schema is set where the relation is named without alias and may be qualified by it too.
	schema string
	// table is nil for sub-queries, CTEs, functions and VALUES.
	table *catalog.Relation
	cols  []column
	// unknown is set where there may be more columns than cols.
	unknown bool
	// tenant is what the query compares the tenant column of this relation's rows
	// with, so that only rows of that tenant count; pinned says that there is one.
	tenant Source
	pinned bool
	// special is set for a relation whose rows are no rows of a table of their own (EXCLUDED), so
	// that system columns do not exist.
	special bool
}

// column is a column of a relation or of a result.
type column struct {
	name   string
	num    int16
	origin origin
}

// origin says where a value comes from.
type origin struct {
	// possible are the sealed columns whose values may stand there, all of one logical type; empty for plain values.
	possible []*field.Column
	// rel and col are the base table's column, sealed or plain, whose value it is,
	// unchanged and of one row of rel; nil for all else.
	rel *relation
	col *catalog.Column
	// bad is why nothing may be done with the value: it is made of sealed ones
	// in a way that cannot be followed. nil for none.
	bad *Refusal
	// null is set for a NULL constant, which goes with everything.
	null bool
}

// isSealed reports whether sealed values may stand there.
func (o origin) isSealed() bool { return len(o.possible) > 0 }

// column is the sealed column that stands for all possible ones; nil for plain values.
func (o origin) column() *field.Column {
	if len(o.possible) == 0 {
		return nil
	}
	return o.possible[0]
}

type wantKind byte

const (
	// wantOutput: the value is passed on as it is; sealed ones may be, and the origin says so.
	wantOutput wantKind = iota
	// wantForbid: a sealed value may not stand here; what says where "here" is.
	wantForbid
	// wantAssign: the value is written to target: constants are sealed, and only
	// values of the same column pass.
	wantAssign
	// wantCompare: the value is compared with others of compare's column: everything becomes a term.
	wantCompare
)

// want says what may stand at a place of the text.
type want struct {
	kind    wantKind
	what    string // for refusals: "operator <", "function lower"; only with wantForbid
	hint    string // of such a refusal; "" for the usual one
	target  *target
	compare *comparand
}

// target is a cell that is written.
type target struct {
	column        *field.Column
	tenant, rowID Source
	row           int
	// rel is the written row's table where values of the same row may be assigned; else nil.
	rel *relation
}

// comparand is what the values of a comparison have in common.
type comparand struct {
	column *field.Column
	// tenant is the one for which constants become terms.
	tenant Source
	// rels are the rows whose columns are compared, for tenants.
	rels []*relation
}

func forbid(what string) want { return want{kind: wantForbid, what: what} }

func assign(t *target) want { return want{kind: wantAssign, target: t} }

func compare(c *comparand) want { return want{kind: wantCompare, compare: c} }

var output = want{kind: wantOutput}

// refuse ends the analysis; the first refusal is the one that the client sees.
func (a *analyzer) refuse(r *Refusal) {
	if a.refusal == nil {
		a.refusal = r
	}
}
