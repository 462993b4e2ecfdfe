package plan

import (
	"errors"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// Context is what the session knows when a text is analysed.
type Context struct {
	// Catalog is what the server's tables are like, as this session sees them.
	Catalog *catalog.Snapshot
	// Policy is what the operator lists, for tables that are yet to be made; nil for nothing.
	Policy *field.Policy
	// Path is the session's effective search_path: schemas that exist, in the order
	// in which names are looked up, pg_temp and pg_catalog included where they are searched.
	Path []string
	// ParamTypes are the OIDs that the client declared for parameters, which may
	// be fewer than the text has; 0 where it left one open.
	ParamTypes []uint32
	// Tenant is the session's tenant, "" where it has none. It decides whether a
	// tenant is known, and is not part of the plan, which says "the session's", unless
	// that is OfTenant.
	Tenant string
	// Prepared gives the plan that SQL's PREPARE or the protocol's Parse made
	// under a name, for EXECUTE, an empty one for a text with nothing sealed; nil where there is none: EXECUTE
	// with arguments is refused then, as the server would log them.
	Prepared func(name string) *Plan
	// Cursor gives the outputs of a cursor or portal, for FETCH.
	Cursor func(name string) []Output
	// NoBackslash is set where standard_conforming_strings is off, so that the
	// parser and the server would read backslashes differently.
	NoBackslash bool
	// NullEquals is set where transform_null_equals is on, so that the server reads `= NULL` as IS NULL.
	NullEquals bool
	// Repeats is set for a text that may run several times with one plan (Parse), so that
	// its constants are sealed anew each time.
	Repeats bool
}

// Analyze makes the plan of a text. The error is a [*Refusal].
func Analyze(c *Context, text string) (*Plan, error) {
	tree, err := parse.Parse(text)
	if err != nil {
		return nil, syntaxRefusal(err)
	}
	if r := noSuchParameter(tree); r != nil {
		return nil, r
	}
	a := &analyzer{c: c, tree: tree, text: text}
	a.backslashes()
	if a.order(); a.refusal != nil {
		return nil, a.refusal
	}
	p := &Plan{Stmts: make([]Stmt, 0, len(tree.Stmts))}
	for _, s := range tree.Stmts {
		p.Stmts = append(p.Stmts, a.statement(s.Stmt))
		a.sealGiven()
		if a.refusal != nil {
			return nil, a.refusal
		}
	}
	a.closeClear()
	a.edits.repeats = c.Repeats && len(tree.Stmts) == 1 && takesParameters(tree.Stmts[0].Stmt)
	if a.finish(p); a.refusal != nil {
		return nil, a.refusal
	}
	p.Effects = parse.Scan(text, parse.UTF8, func(string) bool { return false }).Effects
	p.OfTenant, p.Hidden = a.ofTenant, a.hidden
	p.Touches = len(p.Pieces) > 0 || p.Params != nil
	for _, s := range p.Stmts {
		p.Touches = p.Touches || s.Result != nil || s.Copy != nil || s.Inner != nil && s.Inner.Touches
	}
	return p, nil
}

// maxParams is how many parameters the protocol's messages can count.
const maxParams = 1<<16 - 1

// noSuchParameter refuses parameters that no message can give a value. What is made of a text has room for all
// numbers up to its highest.
func noSuchParameter(tree *parse.Tree) *Refusal {
	for _, t := range tree.Tokens {
		if t.Kind != pg.Token_PARAM {
			continue
		}
		if n, err := strconv.Atoi(tree.Text[t.From+1 : t.To]); err != nil || n > maxParams {
			return &Refusal{SQLState: "42P02", Position: t.From, Message: "there is no parameter " + tree.Text[t.From:t.To]}
		}
	}
	return nil
}

// syntaxRefusal is the refusal of a text that the parser does not read. The
// server might read it otherwise, and would write it into its log.
func syntaxRefusal(err error) *Refusal {
	var e *parse.Error
	if !errors.As(err, &e) {
		return &Refusal{SQLState: "42601", Message: "statement cannot be parsed", Position: -1}
	}
	return &Refusal{SQLState: e.SQLState, Message: e.Message, Position: e.Position}
}

// statement analyses one statement of the text.
func (a *analyzer) statement(n *pg.Node) Stmt {
	if s := n.GetSelectStmt(); s != nil {
		return Stmt{Result: a.outputs(a.query(&scope{}, s, nil), n)}
	}
	return a.command(n)
}

// outputs are result columns for the session; nil where nothing sealed can be in them.
func (a *analyzer) outputs(cols []column, n *pg.Node) []Output {
	if !anySealedColumn(cols) {
		return nil
	}
	out := make([]Output, len(cols))
	for i, c := range cols {
		out[i] = Output{Possible: c.origin.possible, As: c.origin.as, Clear: c.origin.clear, TenantAt: -1, RowIDAt: -1}
		if c.origin.bad != nil {
			bad := *c.origin.bad
			bad.Position = locationOf(n)
			a.refuse(&bad)
		}
		if !c.origin.isSealed() || c.origin.rel == nil {
			continue
		}
		for j, other := range cols {
			switch {
			case other.origin.rel != c.origin.rel:
			case isTenantColumn(other.origin):
				out[i].TenantAt = j
			case isRowID(other.origin):
				out[i].RowIDAt = j
			}
		}
	}
	return out
}

// takesParameters reports whether a statement may have parameters: the commands
// that PostgreSQL plans do, utility statements do not.
func takesParameters(n *pg.Node) bool {
	switch n.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		return true
	}
	return false
}
