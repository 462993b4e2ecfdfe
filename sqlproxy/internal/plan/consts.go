package plan

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// literal is a constant or parameter of the text, with what casts and
// parentheses stand around it.
type literal struct {
	src Source
	// first and last are the tokens that it begins and ends with.
	first, last int
	// oid is the type that the text gives it: of a cast, else of the constant;
	// for a parameter what the client declared, or 0.
	oid uint32
	// cast is set where a cast gave the type.
	cast bool
	// typ and mod are the type and the modifier of a cast that may change the value; mod is 0 for none.
	typ uint32
	mod int32
}

// constant reads an expression that is one constant or one parameter, through
// casts that keep the value, and gives its whole extent in the text. ok is
// false for any other expression, and for casts that would change the value:
// those only the server can carry out, and it must not see it.
func (a *analyzer) constant(n *pg.Node) (src Source, from, to int, oid uint32, ok bool) {
	return a.constantFor(n, nil)
}

// constantFor is constant for a value of a column, which a cast to the column's own type may change.
func (a *analyzer) constantFor(n *pg.Node, c *field.Column) (src Source, from, to int, oid uint32, ok bool) {
	l, ok := a.literalFor(n, c)
	if !ok {
		return Source{}, 0, 0, 0, false
	}
	tokens := a.tree.Tokens
	return l.src, tokens[l.first].From, tokens[l.last].To, l.oid, true
}

// literal reads a constant or parameter with casts around it that keep the value.
func (a *analyzer) literal(n *pg.Node) (literal, bool) { return a.literalFor(n, nil) }

// literalFor is literal for a value of a column, or an array of such; nil for none.
func (a *analyzer) literalFor(n *pg.Node, c *field.Column) (literal, bool) {
	l, ok := a.anyLiteral(n)
	if !ok || l.mod == 0 {
		return l, ok
	}
	if c == nil || l.mod != c.Type().Modifier() || l.typ != c.Type().OID() {
		return literal{}, false
	}
	l.src.Own = true
	return l, true
}

// anyLiteral reads a constant or parameter whose casts may change it.
func (a *analyzer) anyLiteral(n *pg.Node) (literal, bool) {
	switch {
	case n.GetAConst() != nil:
		return a.constLiteral(n.GetAConst())
	case n.GetParamRef() != nil:
		return a.paramLiteral(n.GetParamRef())
	case n.GetTypeCast() != nil:
		return a.castLiteral(n.GetTypeCast())
	case n.GetAExpr() != nil:
		return a.signLiteral(n.GetAExpr())
	}
	return literal{}, false
}

func (a *analyzer) paramLiteral(p *pg.ParamRef) (literal, bool) {
	i := a.tree.At(int(p.Location))
	if i < 0 || p.Number < 1 {
		return literal{}, false
	}
	return literal{src: Source{Param: int(p.Number)}, first: i, last: i, oid: a.declared(int(p.Number))}, true
}

// declared returns the type that the client declared for a parameter; 0 for none.
func (a *analyzer) declared(param int) uint32 {
	if types := a.c.ParamTypes; param <= len(types) && types[param-1] != pgtype.UnknownOID {
		return types[param-1]
	}
	return 0
}

func (a *analyzer) constLiteral(c *pg.A_Const) (literal, bool) {
	i := a.tree.At(int(c.Location))
	if i < 0 {
		return literal{}, false
	}
	l := literal{first: i, last: i, oid: pgtype.UnknownOID}
	k := &Const{OID: pgtype.UnknownOID}
	switch v := c.Val.(type) {
	case nil:
		if !c.Isnull {
			return literal{}, false
		}
		k.Null = true
	case *pg.A_Const_Sval:
		k.Text = v.Sval.Sval
		if !a.stringToken(&l) {
			return literal{}, false
		}
	case *pg.A_Const_Boolval:
		k.Text, k.OID = strconv.FormatBool(v.Boolval.Boolval), pgtype.BoolOID
	case *pg.A_Const_Ival, *pg.A_Const_Fval:
		if !a.numberTokens(&l, k) {
			return literal{}, false
		}
	default:
		return literal{}, false
	}
	l.src.Const, l.oid = k, k.OID
	return l, true
}

// stringToken checks that parser and server read a string alike, and takes in UESCAPE.
func (a *analyzer) stringToken(l *literal) bool {
	tokens, text := a.tree.Tokens, a.tree.Text
	t := tokens[l.first]
	if a.c.NoBackslash && strings.Contains(text[t.From:t.To], `\`) {
		return false
	}
	switch t.Kind {
	case pg.Token_SCONST:
		return true
	case pg.Token_USCONST:
		if l.last+2 < len(tokens) && tokens[l.last+1].Kind == pg.Token_UESCAPE {
			l.last += 2
		}
		return !a.c.NoBackslash
	}
	return false
}

// backslashes refuses a text of which parser and server would read a string differently, which
// standard_conforming_strings does: where it is off, what follows may be something else too.
func (a *analyzer) backslashes() {
	if !a.c.NoBackslash {
		return
	}
	for _, t := range a.tree.Tokens {
		word := a.tree.Text[t.From:t.To]
		if t.Kind != pg.Token_SCONST && t.Kind != pg.Token_USCONST || !strings.Contains(word, `\`) || strings.ContainsAny(word[:1], "eE$") {
			continue
		}
		a.refuse(&Refusal{
			SQLState: "0A000", Position: t.From,
			Message: "a string with a backslash, in a statement with sealed columns, cannot be read with standard_conforming_strings off",
			Hint:    "Write it as E'…', pass it as a parameter, or SET standard_conforming_strings TO on.",
		})
		return
	}
}

// numberTokens reads a number as it is written: signs, and parentheses between them, are part of the constant.
func (a *analyzer) numberTokens(l *literal, k *Const) bool {
	tokens, text := a.tree.Tokens, a.tree.Text
	open, minus := 0, false
	for ; l.last < len(tokens); l.last++ {
		t := tokens[l.last]
		word := text[t.From:t.To]
		if t.Kind == pg.Token_ICONST || t.Kind == pg.Token_FCONST {
			k.Text = word
			break
		}
		switch word {
		case "-":
			minus = !minus
		case "(":
			open++
		case "+":
		default:
			return false
		}
	}
	if strings.Trim(k.Text, "0123456789.eE+-") != "" || k.Text == "" {
		return false // 0x1f and 1_000 are numbers to newer servers only
	}
	k.OID = pgtype.NumericOID
	whole := strings.Trim(k.Text, "0123456789") == ""
	if whole {
		k.Text = strings.TrimLeft(k.Text[:len(k.Text)-1], "0") + k.Text[len(k.Text)-1:]
	}
	if minus && k.Text != "0" {
		k.Text = "-" + k.Text
	}
	if v, err := strconv.ParseInt(k.Text, 10, 64); whole && err == nil {
		k.OID = pgtype.Int8OID
		if int64(int32(v)) == v { //nolint:gosec // whether it fits is the question
			k.OID = pgtype.Int4OID
		}
	}
	for ; open > 0; open-- {
		l.last++
		if !a.isWord(l.last, ")") {
			return false
		}
	}
	return true
}

// signLiteral reads a sign before a number that has a cast: -5::int8 is -(5::int8).
func (a *analyzer) signLiteral(x *pg.A_Expr) (literal, bool) {
	if x.Kind != pg.A_Expr_Kind_AEXPR_OP || x.Lexpr != nil || len(x.Name) != 1 {
		return literal{}, false
	}
	op := x.Name[0].GetString_().GetSval()
	l, ok := a.literal(x.Rexpr)
	if !ok || op != "-" && op != "+" || l.src.Const == nil || l.src.Const.Null || !isNumber(l.oid) {
		return literal{}, false
	}
	i := a.tree.At(int(x.Location))
	if i < 0 || !a.widen(&l, i+1) {
		return literal{}, false
	}
	l.first = i
	if op == "-" {
		k := *l.src.Const
		if text, had := strings.CutPrefix(k.Text, "-"); had {
			k.Text = text
		} else if k.Text != "0" {
			k.Text = "-" + k.Text
		}
		l.src.Const = &k
	}
	return l, true
}

// widen takes in the parentheses around a literal until it begins at the token first.
func (a *analyzer) widen(l *literal, first int) bool {
	for l.first > first {
		if !a.isWord(l.first-1, "(") || !a.isWord(l.last+1, ")") {
			return false
		}
		l.first, l.last = l.first-1, l.last+1
	}
	return l.first == first
}

func (a *analyzer) isWord(i int, word string) bool {
	if i < 0 || i >= len(a.tree.Tokens) {
		return false
	}
	t := a.tree.Tokens[i]
	return a.tree.Text[t.From:t.To] == word
}

func (a *analyzer) castLiteral(c *pg.TypeCast) (literal, bool) {
	l, ok := a.anyLiteral(c.Arg)
	if !ok {
		return literal{}, false
	}
	if k := c.Arg.GetAConst(); k != nil && c.Location < 0 && c.TypeName.GetLocation() < 0 {
		// true and false are made of a constant and a cast.
		_, truth := k.Val.(*pg.A_Const_Boolval)
		return l, truth
	}
	if !a.castExtent(&l, c) {
		return literal{}, false
	}
	oid, ok := a.castType(&l, c.TypeName)
	if !ok {
		return literal{}, false
	}
	if l.src.Const != nil {
		k := *l.src.Const
		k.OID = oid
		l.src.Const = &k
	} else if !l.cast && !a.readAs(a.tree.Tokens[l.first].From, l.src.Param, oid) {
		return literal{}, false
	}
	l.oid, l.cast = oid, true
	return l, true
}

// castExtent widens a literal to the cast around it, in each of its three spellings.
func (a *analyzer) castExtent(l *literal, c *pg.TypeCast) bool {
	tokens := a.tree.Tokens
	if c.Location < 0 { // type 'text'
		i := a.tree.At(int(c.TypeName.GetLocation()))
		if i < 0 || i >= l.first {
			return false
		}
		l.first = i
		return true
	}
	at := a.tree.At(int(c.Location))
	if at < 0 {
		return false
	}
	if tokens[at].Kind == pg.Token_CAST {
		if !a.widen(l, at+2) {
			return false
		}
		end, ok := a.typeEnd(l.last + 2)
		l.first, l.last = at, end+1
		return ok && a.isWord(end+1, ")")
	}
	for l.last+1 < at {
		if !a.widen(l, l.first-1) {
			return false
		}
	}
	end, ok := a.typeEnd(at + 1)
	l.last = end
	return ok && tokens[at].Kind == pg.Token_TYPECAST
}

// castType returns the type of a cast where it keeps the value.
func (a *analyzer) castType(l *literal, t *pg.TypeName) (uint32, bool) {
	oid, ok := a.typeOID(t)
	if !ok {
		return 0, false
	}
	null := l.src.Const != nil && l.src.Const.Null
	if len(t.Typmods) > 0 && !null && !a.fits(l, oid, t.Typmods) {
		typ := oid
		if len(t.ArrayBounds) > 0 {
			typ = elementOID(oid)
		}
		mod, ok := modifier(typ, t.Typmods)
		if !ok || l.mod != 0 && (l.mod != mod || l.typ != typ) {
			return 0, false
		}
		l.typ, l.mod = typ, mod
	}
	switch {
	case null, l.oid == 0, l.oid == pgtype.UnknownOID, l.oid == oid:
		return oid, true
	case isText(l.oid) && isText(oid):
		return oid, true
	case l.src.Const != nil && widens(l.oid, oid):
		return oid, true
	}
	return 0, false
}

// modifier is the modifier of a type as a cast names it, as atttypmod has it. ok is false for what the analysis does not know.
func modifier(oid uint32, mods []*pg.Node) (mod int32, ok bool) {
	var n [2]int32
	if len(mods) > len(n) {
		return 0, false
	}
	for i, m := range mods {
		if m.GetAConst().GetIval() == nil {
			return 0, false
		}
		n[i] = m.GetAConst().GetIval().Ival
	}
	const header = 4 // VARHDRSZ
	switch {
	case oid == pgtype.NumericOID:
		return (n[0]<<16 | n[1]&0x7ff) + header, true
	case len(mods) == 1 && (oid == pgtype.VarcharOID || oid == pgtype.BPCharOID):
		return n[0] + header, true
	}
	return 0, false
}

// fits reports whether a length that a cast names leaves a constant as it is.
func (a *analyzer) fits(l *literal, oid uint32, mods []*pg.Node) bool {
	if l.src.Const == nil || oid != pgtype.VarcharOID || len(mods) != 1 || mods[0].GetAConst().GetIval() == nil {
		return false
	}
	return utf8.RuneCountInString(l.src.Const.Text) <= int(mods[0].GetAConst().GetIval().Ival)
}

// typeOID returns the OID of a type as the text names it. Domains and types of
// extensions have one, and match no column's.
func (a *analyzer) typeOID(t *pg.TypeName) (uint32, bool) {
	if t == nil || t.Setof || t.PctType || len(t.Names) == 0 || len(t.Names) > 2 {
		return 0, false
	}
	schema, name := "", t.Names[len(t.Names)-1].GetString_().GetSval()
	if len(t.Names) == 2 {
		schema = t.Names[0].GetString_().GetSval()
	}
	oid := a.c.Catalog.TypeOID(a.c.Path, schema, name)
	if oid != 0 && len(t.ArrayBounds) > 0 {
		oid = arrayOID(oid)
	}
	return oid, oid != 0
}

// arrayOID returns the array type of a type that sealed columns may have; 0 for others.
func arrayOID(elem uint32) uint32 { return arrays[elem] }

var arrays = func() map[uint32]uint32 {
	out := map[uint32]uint32{}
	for _, name := range []string{
		"text", "varchar", "char(1)", "bytea", "bool", "int2", "int4", "int8", "float4", "float8",
		"numeric", "date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet",
	} {
		elem, err := codec.ParseType(name)
		if err != nil {
			continue
		}
		if array, err := codec.ParseType(name + "[]"); err == nil {
			out[elem.OID()] = array.OID()
		}
	}
	return out
}()

func isText(oid uint32) bool { return oid == pgtype.TextOID || oid == pgtype.VarcharOID }

func isNumber(oid uint32) bool {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return true
	}
	return false
}

// widens reports whether each value of a number type is one of another.
func widens(from, to uint32) bool {
	rank := func(oid uint32) int {
		switch oid {
		case pgtype.Int2OID:
			return 1
		case pgtype.Int4OID:
			return 2
		case pgtype.Int8OID:
			return 3
		case pgtype.NumericOID:
			return 4
		}
		return 0
	}
	return rank(from) > 0 && rank(from) <= rank(to)
}
