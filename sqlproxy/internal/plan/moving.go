package plan

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// A column in transition has its values in two columns of its table: the plain one, by whose name clients know it, and the
// sealed one, which is hidden. Where it is read, what stands for it is the sealed value and, where that is NULL, the
// plain one in its type's binary form behind a zero byte, with which no sealed value begins.

// finishTransition is the hint of what columns in transition do not do.
const finishTransition = "Its values are in two columns until its transition is finished: do that, and take `transition` out of the policy; " +
	"or compute in the application."

// senders are the functions that give the binary form of a type.
var senders = map[uint32]string{
	pgtype.TextOID: "textsend", pgtype.VarcharOID: "varcharsend", pgtype.BPCharOID: "bpcharsend", pgtype.ByteaOID: "byteasend",
	pgtype.BoolOID: "boolsend", pgtype.Int2OID: "int2send", pgtype.Int4OID: "int4send", pgtype.Int8OID: "int8send",
	pgtype.Float4OID: "float4send", pgtype.Float8OID: "float8send", pgtype.NumericOID: "numeric_send", pgtype.DateOID: "date_send",
	pgtype.TimeOID: "time_send", pgtype.TimestampOID: "timestamp_send", pgtype.TimestamptzOID: "timestamptz_send",
	pgtype.IntervalOID: "interval_send", pgtype.UUIDOID: "uuid_send", pgtype.JSONOID: "json_send", pgtype.JSONBOID: "jsonb_send",
	pgtype.InetOID: "inet_send",
}

func senderOf(t codec.Type) string {
	if t.IsArray() {
		return "array_send"
	}
	return senders[t.OID()]
}

// eitherOf is what stands for a column in transition where it is read.
func eitherOf(rel *relation, c column) string {
	return "COALESCE(" + sealedOne(rel, c.origin) + ", pg_catalog.decode('00', 'hex') OPERATOR(pg_catalog.||) pg_catalog." +
		senderOf(c.origin.column().Type()) + "(" + quoted(rel.alias) + "." + quoted(c.name) + "))"
}

// sealedOne is the hidden column of one in transition.
func sealedOne(rel *relation, o origin) string {
	return quoted(rel.alias) + "." + quoted(o.column().Name())
}

// taken is the origin of a column that stands in an expression: of one in transition, both of its columns.
func (o origin) taken() origin {
	o.moving, o.clear = false, o.clear || o.moving
	return o
}

// hides reports whether a name is that of a hidden column of the scope.
func (sc *scope) hides(name string) bool {
	return slices.ContainsFunc(sc.rels, func(r *relation) bool { return slices.Contains(r.hidden, name) })
}

// hiddenColumn is the refusal of a column that clients do not see.
func hiddenColumn(name string) *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: -1, Column: name,
		Message: "column " + quoted(name) + " is part of a transition, and cannot be named",
		Hint:    "Name the plain column: through the proxy it has the values of both.",
	}
}

// hiddenColumns is the refusal of what cannot do without the columns that clients do not see.
func hiddenColumns(t *catalog.Relation, what string, at int) *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: at, Table: t.Name,
		Message: what + " is not possible while columns of table " + t.Name + " are in transition",
		Hint:    "Name the table itself and its columns, or finish the transition, and take `transition` out of the policy.",
	}
}

// unsupportedOf is unsupported, and says where the column is in transition.
func (a *analyzer) unsupportedOf(o origin, what, hint string, at int) *Refusal {
	if o.moving || o.clear {
		return a.unsupported(o.column(), what, finishTransition, at)
	}
	return a.unsupported(o.column(), what, hint, at)
}

// unrenamed refuses to give the columns of a table other names where some are hidden.
func (a *analyzer) unrenamed(rel *relation, alias *pg.Alias) {
	if len(rel.hidden) > 0 && len(alias.GetColnames()) > 0 {
		a.refuse(hiddenColumns(rel.table, "a list of names for the columns", -1))
	}
}

// unmerged refuses NATURAL joins of tables with columns in transition: the server would merge hidden columns too.
func (m *merging) unmerged() {
	for _, v := range append(slices.Clone(m.left), m.right...) {
		if m.j.IsNatural && v.rel != nil && len(v.rel.hidden) > 0 && v.rel.table != nil {
			m.a.refuse(hiddenColumns(v.rel.table, "NATURAL JOIN", -1))
		}
	}
}

// moving reports whether the i-th column is in transition.
func (w *writing) moving(i int) bool { return w.rel.cols[i].origin.moving }

// anyMoving reports whether some of the columns are in transition.
func (w *writing) anyMoving(columns []int) bool { return slices.ContainsFunc(columns, w.moving) }

// besides writes what the hidden column of the i-th one gets: before the byte at, behind the text before.
type besides struct {
	at     int
	before string
	// guard is a condition without which the sealed value would get into another tenant's row; "" for none.
	guard string
}

// put writes a cell, or text where that is 0.
func (b besides) put(a *analyzer, cell int, text string) {
	before, behind := b.before, ", "
	if b.guard != "" && (cell > 0 || text != "DEFAULT") {
		before += "CASE WHEN " + b.guard + " THEN "
		behind = " ELSE pg_catalog.decode(pg_catalog.concat('" + ForeignRow + "'), 'hex') END, "
	}
	a.insert(b.at, before)
	if cell > 0 {
		a.useCell(b.at, b.at, cell)
	} else {
		a.insert(b.at, text)
	}
	a.insert(b.at, behind)
}

// writeMoving analyses a value for a column in transition: the sealed value goes into the hidden column, and
// the plain one keeps the client's, or NULL.
func (a *analyzer) writeMoving(w *writing, i int, n *pg.Node, t *target, b besides) {
	o := w.rel.cols[i].origin
	if d := n.GetSetToDefault(); d != nil {
		if a.serverDefault(w, i, int(d.Location)); b.at < 0 {
			b.at = int(d.Location)
		}
		b.put(a, 0, "DEFAULT")
		return
	}
	src, from, to, oid, ok := a.constant(n)
	if !ok {
		a.refuse(a.unsupportedOf(o, "assigning an expression", "", locationOf(n)))
		return
	}
	if b.at < 0 {
		if b.at = from; !a.standsAlone(from, to, t.among) {
			a.refuse(a.unsupportedOf(o, "a value in parentheses", "", from))
		}
	}
	if src.Const != nil && src.Const.Null {
		b.put(a, 0, "NULL::pg_catalog.bytea")
		return
	}
	own := *t
	own.column = o.column()
	cell := a.sealedCell(&own, src, from, oid)
	if cell == 0 {
		return
	}
	b.put(a, cell, "")
	if !own.column.Transition().Both {
		a.replace(from, to, "NULL")
	}
}

// standsAlone reports whether nothing but the commas and parentheses of its row of n values stand around a value, so that
// another may be put before it.
func (a *analyzer) standsAlone(from, to, n int) bool {
	first := a.tree.At(from)
	if first < 1 {
		return false
	}
	last := first
	for last+1 < len(a.tree.Tokens) && a.tree.Tokens[last+1].To <= to {
		last++
	}
	opened, closed := a.isWord(first-1, "("), a.isWord(last+1, ")")
	if opened && closed {
		return n == 1 && !a.isWord(first-2, "(")
	}
	return (opened || a.isWord(first-1, ",")) && (closed || a.isWord(last+1, ","))
}

// listMoving writes the hidden columns into INSERT's list of columns. n is how many values a row has, for where the list is missing.
func (a *analyzer) listMoving(ins *insertion, list []*pg.Node, rv *pg.RangeVar, n int) {
	hidden := func(i int) string { return quoted(ins.sealed(i).Name()) + ", " }
	for j, item := range list {
		if i := ins.columns[j]; ins.moving(i) {
			a.insert(int(item.GetResTarget().GetLocation()), hidden(i))
		}
	}
	if len(list) > 0 || len(ins.rel.hidden) == 0 || n == 0 {
		return
	}
	var b strings.Builder
	for j, i := range ins.columns[:min(n, len(ins.columns))] {
		if j > 0 {
			b.WriteString(", ")
		}
		if ins.moving(i) {
			b.WriteString(hidden(i))
		}
		b.WriteString(quoted(ins.rel.cols[i].name))
	}
	end := a.tree.At(int(rv.Location))
	if end < 0 {
		a.refuse(unlocated())
		return
	}
	for a.isWord(end+1, ".") {
		end += 2
	}
	if rv.GetAlias() != nil {
		end += 2
	}
	a.insert(a.tree.Tokens[end].To, " ("+b.String()+")")
}

// assignMoving analyses what SET gives to a column in transition.
func (a *analyzer) assignMoving(sc *scope, set *setting, t assignment, tgt *target) {
	if a.ownColumn(sc, set.writing, t.val) == t.i {
		return // both columns keep what they have
	}
	name := set.sealed(t.i).Name()
	b := besides{at: t.at, before: quoted(name) + " = ", guard: set.guard}
	if t.among > 0 {
		a.insert(t.at, quoted(name)+", ")
		b.at, b.before = -1, ""
	}
	if set.excluded == nil || a.excludedColumn(sc, set, t.val) != t.i {
		a.writeMoving(set.writing, t.i, t.val, tgt, b)
		return
	}
	if ref := t.val.GetColumnRef(); b.at < 0 {
		b.at = int(ref.GetLocation())
		if from, to, ok := a.extent(b.at, len(ref.Fields)); !ok || !a.standsAlone(from, to, t.among) {
			a.refuse(a.unsupportedOf(set.rel.cols[t.i].origin, "a value in parentheses", "", b.at))
		}
	}
	b.put(a, 0, "excluded."+quoted(name))
}

// noneMoving refuses ways to write of which it is not known what they put into columns in transition.
func (a *analyzer) noneMoving(w *writing, columns []int, what string, at int) {
	for _, i := range columns {
		if w.moving(i) {
			a.refuse(a.unsupported(w.sealed(i), what, "Write constants or parameters with VALUES or SET, or finish the transition.", at))
			return
		}
	}
}

// copyOfMoving is the refusal of COPY of a table with columns in transition.
func copyOfMoving(t *catalog.Relation, s *pg.CopyStmt) *Refusal {
	r := hiddenColumns(t, "COPY of the table", int(s.Relation.Location))
	r.Hint = "COPY (SELECT … FROM " + quoted(t.Name) + ") TO, or name the columns that are not in transition."
	if s.IsFrom {
		r.Hint = "INSERT the rows, or name the columns that are not in transition."
	}
	return r
}

// unbegun reports whether a column is yet to be made, by a transition, in the policy's table.
func (a *analyzer) unbegun(c *field.Column) bool {
	if c.Transition().Plain == "" {
		return false
	}
	r := a.c.Catalog.Relation(catalog.NameOf(c.Table()))
	return r != nil && !slices.ContainsFunc(r.Columns, func(own catalog.Column) bool { return own.Sealed == c })
}

// changesMoving refuses schema changes of columns in transition.
func (a *analyzer) changesMoving(n *pg.Node) {
	a.touchesMoving(n.GetAlterTableStmt().GetRelation(), n)
	a.touchesMoving(n.GetIndexStmt().GetRelation(), n)
	a.touchesMoving(n.GetRenameStmt().GetRelation(), n)
	a.touchesMoving(n.GetCreateTrigStmt().GetRelation(), n)
	a.touchesMoving(n.GetCreatePolicyStmt().GetTable(), n)
	a.touchesMoving(n.GetAlterPolicyStmt().GetTable(), n)
	for _, rel := range n.GetCreateStatsStmt().GetRelations() {
		a.touchesMoving(rel.GetRangeVar(), n)
	}
}

// namesString reports whether a text stands anywhere below m as a name.
func namesString(m protoreflect.Message, name string) bool {
	return !walk(m, func(m protoreflect.Message) bool {
		found := false
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			found = fd.Kind() == protoreflect.StringKind && !fd.IsList() && v.String() == name
			return !found
		})
		return !found
	})
}

// touchesMoving refuses schema changes that name columns of a table in transition.
func (a *analyzer) touchesMoving(rv *pg.RangeVar, n *pg.Node) {
	if rv == nil {
		return
	}
	r := a.lookup(rv)
	if r == nil || r.Table == nil {
		return
	}
	for _, c := range r.Table.Columns() {
		plain := r.Column(c.Transition().Plain)
		if plain == nil || plain.Moving != c && plain.Sealed != c {
			continue
		}
		for _, name := range []string{plain.Name, c.Name()} {
			if namesString(n.ProtoReflect(), name) {
				a.refuse(a.unsupported(c, "a change of its columns while they are in transition",
					"Finish the transition, and take `transition` out of the policy; or connect to the server without the proxy.", int(rv.Location)))
			}
		}
	}
}
