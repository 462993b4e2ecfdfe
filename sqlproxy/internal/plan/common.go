package plan

import (
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// implicit are the types that PostgreSQL brings a value of another type to without being asked, among those that a
// list of values may mix.
var implicit = map[uint32][]uint32{
	pgtype.Int2OID:      {pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID},
	pgtype.Int4OID:      {pgtype.Int8OID, pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID},
	pgtype.Int8OID:      {pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID},
	pgtype.NumericOID:   {pgtype.Float4OID, pgtype.Float8OID},
	pgtype.Float4OID:    {pgtype.Float8OID},
	pgtype.DateOID:      {pgtype.TimestampOID, pgtype.TimestamptzOID},
	pgtype.TimestampOID: {pgtype.TimestamptzOID},
	pgtype.NameOID:      {pgtype.TextOID},
	pgtype.TextOID:      {pgtype.VarcharOID, pgtype.BPCharOID},
	pgtype.VarcharOID:   {pgtype.TextOID, pgtype.BPCharOID},
	pgtype.BPCharOID:    {pgtype.TextOID, pgtype.VarcharOID},
}

// commonOID is the type that PostgreSQL compares values of several types in, as its
// select_common_type has it; 0 for unknown ones stand beside any. ok is false where there is none.
func commonOID(oids []uint32) (common uint32, ok bool) {
	for _, oid := range oids {
		switch {
		case oid == 0, oid == pgtype.UnknownOID, oid == common:
		case common == 0, slices.Contains(implicit[common], oid) && !slices.Contains(implicit[oid], common):
			common = oid
		case !slices.Contains(implicit[oid], common):
			return 0, false
		}
	}
	return common, true
}

// literalTypes are the types of the constants and parameters of a list.
func (a *analyzer) literalTypes(list []*pg.Node) (oids []uint32) {
	for _, n := range list {
		if l, ok := a.anyLiteral(n); ok {
			oids = append(oids, l.oid)
		}
	}
	return oids
}

// ofList is a comparand for the items of x IN (…), which PostgreSQL brings to one type where there are
// two and more that are no columns.
func (a *analyzer) ofList(c *comparand, items []*pg.Node) *comparand {
	oids := a.literalTypes(items)
	if len(oids) < 2 {
		return c
	}
	common, ok := commonOID(append([]uint32{c.column.Type().OID()}, oids...))
	if !ok {
		return c // it compares them one by one
	}
	return c.in(common)
}

// ofArray is a comparand for the elements of ARRAY[…] with casts around it.
func (a *analyzer) ofArray(c *comparand, cast *pg.TypeCast, elements []*pg.Node) *comparand {
	for cast.GetArg().GetTypeCast() != nil {
		cast = cast.Arg.GetTypeCast()
	}
	if cast != nil {
		oid, _ := a.typeOID(cast.TypeName)
		return c.in(elementOID(oid))
	}
	oids := a.literalTypes(elements)
	common, ok := commonOID(oids)
	if !ok || len(oids) < len(elements) {
		return c
	}
	return c.in(orText(common))
}

// ofQuery is what is wanted of the result of a sub-query: there a constant without a type is a text, which matters to char.
func ofQuery(w want) want {
	if w.kind == wantCompare && w.compare.list == 0 && w.compare.column.Type().OID() == pgtype.BPCharOID {
		w.compare = w.compare.in(pgtype.TextOID)
	}
	return w
}

func orText(oid uint32) uint32 {
	if oid == 0 {
		return pgtype.TextOID
	}
	return oid
}

// in is the comparand for values that are brought to a type first.
func (c *comparand) in(oid uint32) *comparand {
	own := *c
	own.list = oid
	return &own
}

// asListed gives a constant or parameter the type that the server brings it to ahead of the comparison. ok is false
// where this would make another value of it, which only the server can.
func (a *analyzer) asListed(c *comparand, src Source, from int, oid uint32) (Source, uint32, bool) {
	to, column := c.list, c.column.Type().OID()
	untyped := oid == 0 || oid == pgtype.UnknownOID
	switch {
	case to == 0, to == oid, untyped && to == column, isText(to) && isText(column) && (untyped || isText(oid)):
		return src, oid, true
	case src.Const != nil && (untyped || isChars(to) && isChars(oid) || isFloat(to) && isNumber(oid)):
		k := *src.Const
		k.OID = to
		src.Const = &k
		return src, to, true
	case untyped:
		return src, to, a.readAs(from, src.Param, to)
	case isFloat(to):
		// Of a parameter it is not seen if it is rounded.
		return src, oid, isNumber(oid) && (column == pgtype.Float8OID || oid != pgtype.NumericOID && to != pgtype.Float4OID)
	}
	return src, oid, widens(oid, to) || slices.Contains(implicit[oid], to) && !isChars(to)
}

func isFloat(oid uint32) bool { return oid == pgtype.Float4OID || oid == pgtype.Float8OID }

func isChars(oid uint32) bool { return isText(oid) || oid == pgtype.BPCharOID }
