package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

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
	edits   edits

	// steps counts visited nodes, so that a text whose sub-queries have to be
	// looked at more than once ends as a refusal and not as a busy loop.
	steps int
	// rels numbers relations, so that one can tell which were made since.
	rels int
	// view is set while the definition of a view is read: its text is not the client's.
	view bool
	// same are pairs of relations whose rows are of one tenant where they meet.
	same []pair
	// uses are the places where parameters and constants stand in clear.
	uses []clearUse
	// prepared and cursors are what the text itself makes, for its statements behind that.
	prepared map[string]madePlan
	cursors  map[string][]Output
	// indexes are the names, behind their schemas, that were given to indexes of the text.
	indexes map[string]bool
	// peeked are the result columns of queries that were looked at before they are read.
	peeked map[*pg.SelectStmt][]column
	// positive are the operators, by their place in the text, that a row has to fulfil or may fulfil
	// in place of others: where they do not hold it is only not found.
	positive map[int]bool
	// shown are sub-queries, by their place in the text, whose result goes to the client or into a row as it is.
	shown map[int]bool
	// inside counts the queries around the one that is read, and lacking those places around it where a row
	// that is not found may make the statement do more.
	inside, lacking int
	// found are columns by which rows were found of the session's tenant alone.
	found []origin
	// sources are VALUES and unnest by their nodes, and given the same in order.
	sources map[any]*rowSource
	given   []*rowSource
	// flowing counts their columns that go into sealed ones.
	flowing int
	// drying counts the steps of the analysis that are under way and will be forgotten.
	drying int
	// looking is set in looks for what flows into sealed columns: a condition that compares it with one is good only
	// once that is known.
	looking bool
	// hidden are the columns of the text's tables that clients do not see.
	hidden []string
	// ofTenant is set once the text for the server names the session's tenant.
	ofTenant bool
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
	// pending are the conditions of joins, which wait until all that pins tenants is known.
	pending []pendingOn
	// strict is set where no condition holds for rows that an outer join fills with NULL.
	strict bool
	// grouped are the sealed columns that the query groups by: beside
	// aggregates they are no columns of a row any more.
	grouped []origin
	// oldest is the number from which on relations are this query's own.
	oldest int
	// undo takes back what conditions said of relations of outer queries.
	undo []func(oldest int)
}

// visible is a column that a scope shows without qualifier.
type visible struct {
	name string
	rel  *relation // by which it is qualified
	org  origin
	// write is what stands for the column where its name alone does not work any
	// more, because a USING over sealed columns became an ON; "" where it does.
	write string
	// unnamed is set where write is no column, and so gives a result column no name.
	unnamed bool
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
	// hidden are columns that the server has here and clients do not see.
	hidden []string
	// unknown is set where there may be more columns than cols.
	unknown bool
	// tenant is what the query compares the tenant column of this relation's rows
	// with, so that only rows of that tenant count; pinned says that there is one.
	tenant Source
	pinned bool
}

// pair are two relations of which only rows of one tenant meet. What pins the
// tenant of from pins that of to, unless loose is set; with both it goes either way.
type pair struct {
	from, to    *relation
	both, loose bool
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
	// given is the column of VALUES or unnest whose value it is, unchanged, where rel is one row of
	// these; nil for all else. once is set where that row comes once, cast is the type of a cast of the value; 0 for none.
	given *given
	once  bool
	cast  uint32
	// mod is the modifier of that cast; 0 for none.
	mod int32
	// bad is why nothing may be done with the value: it is made of sealed ones
	// in a way that cannot be followed. nil for none.
	bad *Refusal
	// null is set for a NULL constant, which goes with everything.
	null bool
	// moving is set for a column in transition where it stands in its table: what it has is in two columns.
	// clear is set once it is one value, which says by its first byte if it is in clear.
	moving, clear bool
	// as is the type that the server would tell of the value, without a modifier; 0 where it is
	// the sealed column's type, modifier and all.
	as uint32
}

// unmodified is the type of a sealed value once its modifier is lost.
func (o origin) unmodified() uint32 {
	if o.as != 0 || !o.isSealed() {
		return o.as
	}
	return o.column().Type().OID()
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
	kind wantKind
	what string // for refusals: "operator <", "function lower"; only with wantForbid
	hint string // of such a refusal; "" for the usual one
	// count is set where only whether the value is NULL matters, as in count(x).
	count   bool
	target  *target
	compare *comparand
	// column is set where the value is meant for a plain column.
	column bool
	// anyway is set for a look ahead, which may see what is bad as output.
	anyway bool
}

// changes reports whether constants and parameters in its place are sealed or become terms.
func (w want) changes() bool {
	return w.kind == wantAssign || w.kind == wantCompare || w.target != nil
}

// sealed is the column whose values stand in such a place.
func (w want) sealed() *field.Column {
	if w.target != nil {
		return w.target.column
	}
	return w.compare.column
}

// target is a cell that is written.
type target struct {
	column        *field.Column
	tenant, rowID Source
	row           int
	// rel is the written row's table where values of the same row may be assigned; else nil.
	rel *relation
	// refusal is why constants cannot be sealed here; nil where they can.
	refusal *Refusal
	// owners are whose rows values of VALUES and unnest get into; nil where they may not stand.
	owners *owners
	// among is how many values stand in the parentheses of a row of values; 0 where it is none of a row.
	among int
}

// comparand is what the values of a comparison have in common.
type comparand struct {
	column *field.Column
	// tenant is the one for which constants become terms, and whose rows are
	// compared; known says that there is one, or that none is needed.
	tenant Source
	known  bool
	// session is set where the session gives the tenant, of rows that may be of others.
	session bool
	// rel is the row of the first column that is compared; nil where it is none of one table.
	rel *relation
	// list is the type that constants and parameters are brought to ahead of the comparison, as those of a list
	// are; 0 where each is compared as it is.
	list uint32
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
