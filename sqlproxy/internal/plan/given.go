package plan

import (
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

// rowSource is VALUES or unnest in FROM or WITH: rows of constants and parameters, which a
// statement may put into columns of its target. A column of it that goes into a sealed one is
// sealed where it stands, and is a sealed column from there on, so that what the rest of
// the statement does with it is judged as for any other.
type rowSource struct {
	// rows are the values of VALUES; of unnest one row of arrays.
	rows  [][]*pg.Node
	array bool
	cols  []*given
	// read is set once the statement itself, and not only a look ahead, has read it;
	// sealed once its values are.
	read, sealed bool
}

// given is a column of a rowSource.
type given struct {
	src *rowSource
	i   int
	// column is the sealed column that the values go into; nil for a plain one.
	column *field.Column
	// cast is set where they go into it through a cast to its type, own where that has the type's modifier too.
	cast, own bool
	// oid is the type that the server gives the column; 0 where its values have none in
	// common. Only of a sealed one.
	oid uint32
	// bound is whose rows the values get into; nil as long as nothing writes them.
	bound *binding
}

// givenPin is a column of a target that is equal to a column of a rowSource.
type givenPin struct {
	by *given
	// of is the appearance of the source in the statement; nil where there is but one.
	of *relation
	// typ is the type of the target's column, cast that of a cast of the source's; 0 for none.
	typ, cast uint32
	// sought is set where a condition says so, and not an assignment.
	sought bool
}

// binding is whose rows the values of a given column get into.
type binding struct {
	tenant, rowID bound
	by            *writing
}

// bound is where a tenant or row id comes from: pin, or else src.
type bound struct {
	src Source
	pin *givenPin
}

// givenBy returns the column of VALUES or unnest that a value is, unchanged and of one row; nil for others.
func (o origin) givenBy() *given {
	if o.rel == nil {
		return nil
	}
	return o.given
}

// passesTo reports whether a value that is bad elsewhere may be assigned: one of a rowSource, which is of another type.
func (o origin) passesTo(w want) bool {
	return (w.kind == wantAssign || w.anyway) && o.givenBy() != nil
}

// source notes a rowSource under the node that it is, which may be read several times.
func (a *analyzer) source(node any, rows [][]*pg.Node, array bool) *rowSource {
	src := a.sources[node]
	if src == nil {
		src = &rowSource{rows: rows, array: array}
		for i := range rows[0] {
			src.cols = append(src.cols, &given{src: src, i: i})
		}
		if a.sources == nil {
			a.sources = map[any]*rowSource{}
		}
		a.sources[node] = src
		a.given = append(a.given, src)
	}
	src.read = src.read || a.drying == 0
	return src
}

// valuesSource returns the rowSource that VALUES is; nil where it is none: where its
// rows are not all there, or are wanted for something else.
func (a *analyzer) valuesSource(s *pg.SelectStmt, wants []want) *rowSource {
	if a.view || len(s.SortClause) > 0 || s.LimitCount != nil || s.LimitOffset != nil || len(s.LockingClause) > 0 {
		return nil
	}
	for _, w := range wants {
		if w.kind != wantOutput || w.target != nil {
			return nil
		}
	}
	var rows [][]*pg.Node
	for _, l := range s.ValuesLists {
		items := l.GetList().GetItems()
		if len(items) == 0 || len(rows) > 0 && len(items) != len(rows[0]) {
			return nil
		}
		rows = append(rows, items)
	}
	return a.source(s, rows, false)
}

// giveColumns makes the columns of a rowSource such. Those that hold sealed values by themselves stay as they are.
func (a *analyzer) giveColumns(src *rowSource, cols []column) {
	rel := a.newRelation("")
	for i, g := range src.cols {
		o := &cols[i].origin
		switch {
		case g.column != nil:
			g.oid = a.givenType(g)
			*o = origin{possible: []*field.Column{g.column}, as: g.oid}
			if g.converts() {
				o.bad = a.unsupported(g.column, "use of values of another type that are converted to its type",
					"Cast them to the column's type in VALUES or in the array.", -1)
			}
		case o.isSealed() || o.bad != nil:
			continue
		}
		o.rel, o.col, o.given, o.once = rel, nil, g, true
	}
}

// givenType is the type that the server gives a column of a rowSource; 0 where the
// analysis does not know it, or the server would refuse it.
func (a *analyzer) givenType(g *given) uint32 {
	if g.src.array {
		l, ok := a.anyLiteral(g.src.rows[0][g.i])
		if !ok {
			return 0
		}
		return elementOID(l.oid)
	}
	typ := uint32(0)
	for _, row := range g.src.rows {
		l, ok := a.literalFor(row[g.i], g.column)
		switch {
		case !ok:
			return 0
		case l.oid == 0, l.oid == pgtype.UnknownOID, l.oid == typ:
		case typ == 0, widens(typ, l.oid):
			typ = l.oid
		case widens(l.oid, typ):
		case isText(typ) && isText(l.oid):
			typ = pgtype.TextOID
		default:
			return 0
		}
	}
	if typ == 0 {
		return pgtype.TextOID
	}
	return typ
}

// flows reports whether a column of the source goes into a sealed one.
func (src *rowSource) flows() bool {
	return slices.ContainsFunc(src.cols, func(g *given) bool { return g.column != nil })
}

// converts reports whether values of the column become others on their way into the sealed one: elsewhere they
// would be what they were before.
func (g *given) converts() bool {
	own := g.column.Type()
	if isText(g.oid) && isText(own.OID()) {
		return g.own // without the cast what is too long is refused
	}
	return g.oid != own.OID() || own.Modifier() >= 0
}

// flow notes that an expression which is assigned to a sealed column gives it values of a rowSource. It
// is asked ahead of the statement's own reading, which then finds the source's column sealed.
func (a *analyzer) flow(sc *scope, c *field.Column, n *pg.Node) {
	switch {
	case n.GetTypeCast() != nil:
		o, _ := a.resolve(sc, n.GetTypeCast().Arg)
		a.flowsInto(a.castGiven(o, n.GetTypeCast()), c)
	case n.GetCaseExpr() != nil:
		for _, when := range n.GetCaseExpr().Args {
			a.flow(sc, c, when.GetCaseWhen().GetResult())
		}
		a.flow(sc, c, n.GetCaseExpr().Defresult)
	case n.GetCoalesceExpr() != nil:
		for _, arg := range n.GetCoalesceExpr().Args {
			a.flow(sc, c, arg)
		}
	case n.GetColumnRef() != nil:
		o, _ := a.resolve(sc, n)
		a.flowsInto(o, c)
	}
}

// castGiven is what a cast makes of a value of a rowSource that is not sealed; nothing of others.
func (a *analyzer) castGiven(o origin, c *pg.TypeCast) origin {
	oid, ok := a.typeOID(c.TypeName)
	if g := o.givenBy(); !ok || g == nil || g.column != nil || o.cast != 0 {
		return origin{}
	}
	if mods := c.TypeName.GetTypmods(); len(mods) > 0 {
		if o.mod, ok = modifier(oid, mods); !ok {
			return origin{}
		}
	}
	o.cast, o.null = oid, false
	return o
}

// flowsInto notes that a value goes into a sealed column, where it is of a rowSource and not sealed yet.
func (a *analyzer) flowsInto(o origin, c *field.Column) {
	g, own := o.givenBy(), c.Type().OID()
	if g == nil || g.column != nil || o.cast != 0 && o.cast != own && !(isText(o.cast) && isText(own)) {
		return
	}
	if o.mod != 0 && (o.cast != own || o.mod != c.Type().Modifier()) {
		return
	}
	g.column, g.cast, g.own = c, o.cast != 0, o.mod != 0
	a.flowing++
	a.peeked = nil // what was seen before is not what will be read
}

// ahead looks at a statement before it is read, for what flows into sealed columns.
func (a *analyzer) ahead(look func()) {
	if a.refusal == nil {
		looking := a.looking
		a.looking = true
		a.dry(look)
		a.looking = looking
	}
}

// aheadOfWith looks for what statements of a WITH clause, which write, put from one of its queries into sealed
// columns: once more as long as it finds something, because what it finds may let it get further.
func (a *analyzer) aheadOfWith(sc *scope, w *pg.WithClause) {
	writes := slices.ContainsFunc(w.GetCtes(), func(n *pg.Node) bool {
		return n.GetCommonTableExpr().GetCtequery().GetSelectStmt() == nil
	})
	for found := -1; writes && a.drying == 0 && found != a.flowing; {
		found = a.flowing
		a.ahead(func() { a.with(sc, w) })
	}
}

// owners are whose rows the values of a rowSource get into.
type owners struct {
	*writing
	tenant, rowID owner
	// several says why one of the source's rows may get into several rows; "" where it does not.
	several func(o origin) string
}

// bind checks a value of a rowSource against whose row it gets into, and notes that.
func (a *analyzer) bind(o origin, t *target, at int) bool {
	g, c := o.given, t.column
	if t.owners == nil {
		a.refuseColumn(c, at, "values of VALUES and unnest cannot be assigned here", "Assign them in SET, or in the SELECT or VALUES of an INSERT.")
		return false
	}
	b := &binding{by: t.owners.writing}
	problem := ""
	if b.tenant, problem = t.owners.tenant.boundBy(o); problem != "" {
		a.refuseColumn(c, at, problem, "Compare the tenant's column with a column of the same VALUES, or with a constant or parameter, or assign it so.")
		return false
	}
	if own := c.Table().RowID() != ""; own {
		if b.rowID, problem = t.owners.rowID.boundBy(o); problem != "" {
			a.refuseColumn(c, at, problem, "Compare the row's id with a column of the same VALUES, or assign it one.")
			return false
		}
	}
	if ownsRows(c) {
		if why := t.owners.several(o); why != "" {
			a.refuseColumn(c, at, why, "Compare all columns of a unique index with columns of the same VALUES, and give VALUES a FROM of its own.")
			return false
		}
	}
	return a.agree(g, b, c, at)
}

// agree notes a binding, which must be that of the column's other uses.
func (a *analyzer) agree(g *given, b *binding, c *field.Column, at int) bool {
	had := g.bound
	switch {
	case had == nil:
	case !sameBound(&had.tenant, &b.tenant) || !sameBound(&had.rowID, &b.rowID):
		a.refuseColumn(c, at, "the same values get into rows of different tenants or ids", "Give each statement values of its own.")
		return false
	case a.drying == 0 && had.by != nil && had.by != b.by && ownsRows(c):
		a.refuseColumn(c, at, "the same values get into rows of two statements, and each row needs one of its own", "Give each statement values of its own.")
		return false
	}
	if a.drying > 0 {
		b.by = nil
	}
	g.bound = b
	return true
}

// sameBound reports whether two rows are of one owner. Where one of them is not only sought, neither is.
func sameBound(x, y *bound) bool {
	if x.pin == nil || y.pin == nil {
		return x.pin == y.pin && equalSource(x.src, y.src)
	}
	if x.pin.by != y.pin.by || x.pin.typ != y.pin.typ || x.pin.cast != y.pin.cast {
		return false
	}
	if !x.pin.sought {
		y.pin = x.pin
	}
	return true
}

// boundBy gives the owner of the rows that a value of a rowSource gets into.
func (own owner) boundBy(o origin) (b bound, problem string) {
	for i := range own.rows {
		if p := &own.rows[i]; p.of == nil || p.of == o.rel {
			return bound{pin: p}, ""
		}
	}
	return bound{src: own.src}, own.problem
}
