package plan

import (
	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// ownsRows reports whether a sealed value of the column may stand in one row only.
func ownsRows(c *field.Column) bool {
	return c.Table().RowID() != "" || c.Mode() == envelope.ModeRow || c.Mode() == envelope.ModeKMS
}

// sealGiven seals the values of VALUES and unnest that a statement puts into sealed columns. Whose
// they are is known when all of the statement is read.
func (a *analyzer) sealGiven() {
	for _, src := range a.given {
		if !src.read || src.sealed || a.refusal != nil {
			continue
		}
		src.sealed = true
		for i := range src.rows {
			a.sealRow(src, i)
		}
	}
}

func (a *analyzer) sealRow(src *rowSource, row int) {
	number := a.newRow()
	for _, g := range src.cols {
		if g.column == nil || a.refusal != nil {
			continue
		}
		at := locationOf(src.rows[row][g.i])
		switch l, _ := a.literalFor(src.rows[row][g.i], g.column); {
		case g.bound == nil:
			a.refuseColumn(g.column, at, "it is not known into which rows the value gets", "Assign the column of VALUES in SET, or in the SELECT of an INSERT.")
		case !a.literals(g) || !g.assignable():
			a.refuse(a.typeMismatch(g.column, at))
		default:
			a.sealItem(g, row, number, l)
		}
	}
}

// literals refuses values of a column that are neither constants nor parameters.
func (a *analyzer) literals(g *given) bool {
	for _, row := range g.src.rows {
		if _, ok := a.literalFor(row[g.i], g.column); !ok {
			a.result(row[g.i], assign(&target{column: g.column}))
			return false
		}
	}
	return true
}

// assignable reports whether the server would assign the column's values to the sealed one.
func (g *given) assignable() bool {
	return g.oid != 0 && (g.cast && isText(g.oid) || pgtext.CanAssign(g.oid, g.column.Type()))
}

// sealItem puts the sealed form of a constant or parameter of a rowSource into its place.
func (a *analyzer) sealItem(g *given, row, number int, l literal) {
	tokens := a.tree.Tokens
	from, to := tokens[l.first].From, tokens[l.last].To
	c := Cell{Do: Seal, Column: g.column, From: l.src, Row: number}
	c.From.Own = c.From.Own || g.own
	null := "NULL::pg_catalog.bytea"
	if g.src.array {
		c.Do, null = Seals, "NULL::pg_catalog.bytea[]"
	}
	if l.src.Const != nil && l.src.Const.Null {
		a.replace(from, to, null)
		return
	}
	if !a.typeItem(&c.From, g, l, from) {
		a.refuse(a.typeMismatch(g.column, from))
		return
	}
	nobody, problem := false, ""
	for _, own := range []struct {
		of    bound
		to    *Source
		other string
	}{
		{g.bound.tenant, &c.Tenant, "the tenant of the row is neither a constant nor a parameter of the tenant's type"},
		{g.bound.rowID, &c.RowID, "values are bound to the row's id, which is neither a constant nor a parameter of the id's type"},
	} {
		none := false
		if *own.to, none, problem = a.ownerOf(g, own.of, row, own.other, own.to == &c.Tenant); problem != "" {
			a.refuseColumn(g.column, from, problem, "Write it as a constant or parameter, with the type of its column.")
			return
		}
		nobody = nobody || none
	}
	if nobody {
		a.replace(from, to, null)
		return
	}
	a.useCell(from, to, a.cell(c))
}

// typeItem gives a value the type that the server gives its column.
func (a *analyzer) typeItem(src *Source, g *given, l literal, at int) bool {
	if g.cast && isText(g.oid) && !isText(g.column.Type().OID()) {
		src.As = g.column.Type().OID()
	}
	if l.oid != 0 && l.oid != pgtype.UnknownOID || g.src.array {
		return true
	}
	if src.Const == nil {
		return a.readAs(at, src.Param, g.oid)
	}
	k := *src.Const
	k.OID = g.oid
	src.Const = &k
	return true
}

// ownerOf gives the tenant or id of the rows that a row of a rowSource gets into. none is set where it gets into none.
func (a *analyzer) ownerOf(g *given, b bound, row int, other string, tenant bool) (src Source, none bool, problem string) {
	if b.pin == nil {
		return b.src, false, ""
	}
	n := g.src.rows[row][b.pin.by.i]
	l, ok := a.literal(n)
	if !ok || !a.identifies(b.pin) {
		return Source{}, false, other
	}
	src = l.src
	if src.isNull() {
		if b.pin.sought {
			return Source{}, true, ""
		}
		if !tenant || g.src.array {
			return Source{}, false, other
		}
		own := a.tenantless(g.column.Table())
		return own.src, false, own.problem
	}
	src.Array, src.Sought = g.src.array, b.pin.sought
	if src.Param != 0 {
		src.Type = l.oid
		if src.Type == 0 {
			src.Type = a.givenType(b.pin.by)
		}
	}
	if src.Const != nil && !src.Array && (src.Const.OID == pgtype.UnknownOID || b.pin.cast != 0) {
		k := *src.Const
		k.OID = b.pin.typ
		src.Const = &k
	}
	return src, false, ""
}

// identifies reports whether values of a source's column have one spelling in the target's column that it is equal
// to: 1.0 is not the id 1.
func (a *analyzer) identifies(p *givenPin) bool {
	oid := a.givenType(p.by)
	typ := a.c.Catalog.BaseOf(p.typ)
	same := oid == typ || isText(oid) && isText(typ) || isInteger(oid) && isInteger(typ)
	switch {
	case !isText(typ) && !isInteger(typ) && typ != pgtype.UUIDOID:
		return false
	case p.cast != 0:
		return p.cast == typ && (same || isText(oid))
	}
	return same
}

// givenPinOf reads a column of a rowSource, or a cast of one, that is compared with or assigned to a column of a type.
func (a *analyzer) givenPinOf(sc *scope, n *pg.Node, typ uint32) (p givenPin, ok bool) {
	var o origin
	if c := n.GetTypeCast(); c != nil {
		o, _ = a.resolve(sc, c.Arg)
		o = a.castGiven(o, c)
	} else {
		o, _ = a.resolve(sc, n)
	}
	return o.pin(typ)
}

// pin is a value of a rowSource as one that is equal to a column of a type.
func (o origin) pin(typ uint32) (p givenPin, ok bool) {
	g := o.givenBy()
	return givenPin{by: g, of: o.rel, typ: typ, cast: o.cast}, g != nil && g.column == nil && o.mod == 0
}
