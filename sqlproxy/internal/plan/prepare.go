package plan

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// noType stands for a declared type that no column accepts.
const noType = 1

// prepare analyses PREPARE: its statement has parameters of its own, which get
// numbers and types as those of the protocol's Parse.
func (a *analyzer) prepare(raw *pg.RawStmt, s *pg.PrepareStmt) Stmt {
	from, to := a.stmtRange(raw)
	declared := make([]uint32, len(s.Argtypes))
	for i, t := range s.Argtypes {
		oid, ok := a.typeOID(t.GetTypeName())
		switch {
		case !ok:
			declared[i] = noType
		case oid != pgtype.UnknownOID:
			declared[i] = oid
		}
	}
	inner := &Plan{}
	sp := &space{from: from, to: to, declared: declared, inner: inner}
	sp.types = func(params []Param) { a.prepareTypes(from, params) }
	a.edits.spaces = append(a.edits.spaces, sp)
	outer, own := a.c, *a.c
	own.ParamTypes = declared
	a.c = &own
	mark := a.mark()
	st := a.anyStatement(raw, s.Query)
	a.sealGiven()
	a.c = outer
	inner.Stmts, inner.Hidden = []Stmt{st}, a.hidden
	inner.Touches = a.changed(mark) || st.Result != nil
	if a.prepared == nil {
		a.prepared = map[string]madePlan{}
	}
	a.prepared[s.Name] = madePlan{inner, a.changed(mark)}
	return Stmt{Kind: KindPrepare, Name: s.Name, Inner: inner}
}

// madePlan is a statement that the text itself prepares.
type madePlan struct {
	plan *Plan
	// rewritten is set where the server's statement is another, whose parameters
	// are not known before the whole text is.
	rewritten bool
}

// preparedPlan is the plan of what EXECUTE runs; nil where it is not known, or holds nothing sealed.
func (a *analyzer) preparedPlan(name string, at int) *Plan {
	if made, ok := a.prepared[name]; ok {
		if made.rewritten {
			a.refuse(&Refusal{
				SQLState: "0A000", Position: at,
				Message: fmt.Sprintf("prepared statement %q with sealed columns cannot be executed in the text that prepares it", name),
				Hint:    "Send PREPARE and EXECUTE one by one.",
			})
		}
		return made.plan
	}
	if a.c.Prepared == nil {
		return nil
	}
	return a.c.Prepared(name)
}

// stmtRange returns the bytes of a statement.
func (a *analyzer) stmtRange(raw *pg.RawStmt) (from, to int) {
	from = int(raw.StmtLocation)
	if raw.StmtLen == 0 {
		return from, len(a.tree.Text)
	}
	return from, from + int(raw.StmtLen)
}

// first returns the first token of a kind at or behind a byte offset; -1 for none.
func (a *analyzer) first(kind pg.Token, from int) int {
	for i, t := range a.tree.Tokens {
		if t.From >= from && t.Kind == kind {
			return i
		}
	}
	return -1
}

// prepareTypes writes PREPARE's list of types. Types that the client left open stay so.
func (a *analyzer) prepareTypes(from int, params []Param) {
	i := a.first(pg.Token_PREPARE, from) + 2
	var own []tokenRange
	if a.isWord(i, "(") {
		own = a.list(i)
	}
	types := make([]string, len(params))
	for k, p := range params {
		switch {
		case p.OID == pgtype.ByteaArrayOID:
			types[k] = "pg_catalog.bytea[]"
		case p.OID == pgtype.ByteaOID:
			types[k] = "pg_catalog.bytea"
		case p.OID == pgtype.TextOID:
			types[k] = "pg_catalog.text"
		case k < len(own):
			types[k] = a.tree.Text[a.tree.Tokens[own[k].first].From:a.tree.Tokens[own[k].last].To]
		default:
			types[k] = "pg_catalog.unknown"
		}
	}
	text := "(" + strings.Join(types, ", ") + ")"
	if own != nil {
		a.replace(a.tree.Tokens[i].From, a.tree.Tokens[a.closing(i)].To, text)
		return
	}
	a.insert(a.tree.Tokens[i-1].To, text)
}

// execute analyses EXECUTE. Arguments for sealed parameters must be constants;
// those that the server's statement has more are put behind the client's.
func (a *analyzer) execute(raw *pg.RawStmt, s *pg.ExecuteStmt) Stmt {
	var out Stmt
	from, _ := a.stmtRange(raw)
	p := a.preparedPlan(s.Name, from)
	a.isPrepared(s, p, from)
	if p != nil {
		a.hidden = append(a.hidden, p.Hidden...)
	}
	if p != nil && len(p.Stmts) == 1 {
		out.Result = p.Stmts[0].Result
	}
	if p == nil || p.Params == nil {
		a.exprs(&scope{}, s.Params, forbid("EXECUTE"))
		return out
	}
	open := a.first(pg.Token_EXECUTE, from) + 2
	parts := a.list(open)
	if len(parts) != len(s.Params) || len(parts) != len(p.Logical) {
		a.refuse(&Refusal{
			SQLState: "42601", Position: from,
			Message: fmt.Sprintf("wrong number of parameters for prepared statement %q", s.Name),
			Detail:  fmt.Sprintf("Expected %d parameters but got %d.", len(p.Logical), len(parts)),
		})
		return out
	}
	x := &execution{a: a, p: p, args: s.Params, rows: map[int]int{}}
	for k, param := range p.Params[:len(parts)] {
		x.own(k, param, a.tree.Tokens[parts[k].first].From, a.tree.Tokens[parts[k].last].To)
	}
	if more := p.Params[len(parts):]; len(more) > 0 {
		x.appended(more, open, len(parts))
	}
	return out
}

// isPrepared refuses arguments for a statement that does not exist: the server
// would write them into its log, and they may be meant for sealed columns.
func (a *analyzer) isPrepared(s *pg.ExecuteStmt, p *Plan, at int) {
	if p != nil || len(s.Params) == 0 {
		return
	}
	a.refuse(&Refusal{
		SQLState: "26000", Position: at,
		Message: fmt.Sprintf("prepared statement %q does not exist", s.Name),
		Hint:    "Prepare it in this session, with PREPARE or by the driver.",
	})
}

// execution fills the parameters of a prepared statement.
type execution struct {
	a    *analyzer
	p    *Plan
	args []*pg.Node
	rows map[int]int
}

// appended writes the arguments that the client does not give behind its own,
// for which there may be no parentheses.
func (x *execution) appended(params []Param, open, own int) {
	separator, at := "(", x.a.tree.Tokens[open-1].To
	if own > 0 {
		separator, at = ", ", x.a.tree.Tokens[x.a.closing(open)].From
	}
	for _, p := range params {
		x.a.insert(at, separator)
		x.value(p, at, at)
		separator = ", "
	}
	if own == 0 {
		x.a.insert(at, ")")
	}
}

// own handles the k-th of the client's arguments.
func (x *execution) own(k int, param Param, from, to int) {
	if param.Client == k+1 {
		// Where the parameter stands, PREPARE was found to show it beside a plain column.
		w := forbid("EXECUTE")
		w.column = true
		x.a.expr(&scope{}, x.args[k], w)
		return
	}
	x.value(param, from, to)
}

// value puts a parameter's cell into the list of arguments.
func (x *execution) value(param Param, from, to int) {
	if param.Cell == 0 {
		x.a.replace(from, to, "NULL")
		return
	}
	c := x.p.Cells[param.Cell-1]
	for _, s := range []*Source{&c.From, &c.Tenant, &c.RowID} {
		if s.Param != 0 && !x.fill(s, c) {
			return
		}
	}
	if c.From.Const.Null {
		x.a.replace(from, to, "NULL")
		return
	}
	if c.seals() {
		if x.rows[c.Row] == 0 {
			x.rows[c.Row] = x.a.newRow()
		}
		c.Row = x.rows[c.Row]
	}
	x.a.useCell(from, to, x.a.cell(c))
}

// fill puts an argument's constant in place of a parameter.
func (x *execution) fill(s *Source, c Cell) bool {
	n := s.Param - 1
	if n < len(x.args) {
		if src, _, _, oid, ok := x.a.constant(x.args[n]); ok && src.Const != nil {
			k := *src.Const
			if logical := x.p.Logical[n]; oid == pgtype.UnknownOID && logical != 0 {
				k.OID = logical
			}
			*s = Source{Const: &k, As: s.As, Chars: s.Chars, Array: s.Array, Sought: s.Sought}
			return true
		}
	}
	x.a.refuseColumn(c.Column, -1, fmt.Sprintf("argument %d of EXECUTE is no constant", n+1), "Write the value itself.")
	return false
}
