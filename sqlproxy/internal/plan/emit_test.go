package plan

import (
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// join writes pieces without cells.
func join(text string, pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
		b.WriteString(text[p.From:p.To])
	}
	return b.String()
}

func TestEditsThatDoNotOverlapGiveTheTextWithThemInPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[,;=<> ]{0,40}`).Draw(t, "text")
		a := &analyzer{c: &Context{}, tree: &parse.Tree{Text: text}}
		var want strings.Builder
		at := 0
		type replacement struct {
			from, to int
			text     string
		}
		var all []replacement
		for at < len(text) && rapid.Bool().Draw(t, "more") {
			from := rapid.IntRange(at, len(text)).Draw(t, "from")
			to := rapid.IntRange(from, len(text)).Draw(t, "to")
			with := rapid.StringMatching(`[A-Z]{0,5}`).Draw(t, "with")
			want.WriteString(text[at:from] + with)
			all = append(all, replacement{from, to, with})
			at = to + 1 // the edits of one place have an order, which the next test is about
			want.WriteString(text[to:min(at, len(text))])
		}
		want.WriteString(text[min(at, len(text)):])
		for _, r := range rapid.Permutation(all).Draw(t, "order") {
			a.replace(r.from, r.to, r.text)
		}
		p := &Plan{}
		a.finish(p)
		if a.refusal != nil {
			t.Fatal(a.refusal)
		}
		if got := join(text, p.Pieces); len(all) > 0 && got != want.String() {
			t.Fatalf("%q, want %q", got, want.String())
		}
		if len(all) == 0 && p.Pieces != nil {
			t.Fatal("pieces without an edit")
		}
	})
}

func TestEditsOfOnePlaceStayInOrder(t *testing.T) {
	t.Parallel()
	a := &analyzer{c: &Context{}, tree: &parse.Tree{Text: ",;."}}
	a.insert(1, "-")
	a.replace(1, 2, "B")
	a.insert(1, "/")
	a.insertBefore(1, "+")
	a.insert(2, "*")
	p := &Plan{}
	if a.finish(p); join(",;.", p.Pieces) != ",+-/B*." {
		t.Fatal(join(",;.", p.Pieces))
	}
}

func TestEditsThatOverlapAreRefused(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][][2]int{
		"one in the other": {{0, 3}, {1, 2}}, "two that meet": {{0, 2}, {1, 3}}, "an insertion within": {{0, 3}, {1, 1}},
		"the same twice": {{0, 2}, {0, 2}}, "beyond the end": {{2, 9}}, "backwards": {{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &analyzer{c: &Context{}, tree: &parse.Tree{Text: ",;."}}
			for _, e := range edits {
				a.replace(e[0], e[1], "x")
			}
			p := &Plan{}
			if a.finish(p); a.refusal == nil || p.Pieces != nil {
				t.Fatal("a text was made")
			}
		})
	}
}

func TestResetTakesEditsBack(t *testing.T) {
	t.Parallel()
	a := &analyzer{c: &Context{}, tree: &parse.Tree{Text: ",;."}}
	a.replace(0, 1, "x")
	mark := a.mark()
	a.useCell(1, 2, a.cell(Cell{From: Source{Const: &Const{Text: "secret"}}}))
	if !a.changed(mark) {
		t.Fatal("no change")
	}
	a.reset(mark)
	p := &Plan{}
	if a.finish(p); join(",;.", p.Pieces) != "x;." || len(p.Cells) != 0 {
		t.Fatal(p)
	}
}

// expressions are generated constants, through casts, parentheses and signs.
func expressions() *rapid.Generator[string] {
	types := []string{
		"text", "pg_catalog.text", "varchar", "character varying", "int", "int4", "bigint", "numeric", "double precision", "boolean",
		"timestamp", "timestamp with time zone", "timestamp without time zone", "time with time zone", "time(3)", "interval",
		"interval day to second", "interval second(3)", "date", "text[]", "int[][]", "text array", "numeric(10, 2)", "varchar(20)",
		"character(3)", "national character varying(4)", "bit varying(3)", `"text"`, "public . thing", "timestamp(3) with time zone", "uuid",
	}
	leaf := rapid.OneOf(
		rapid.StringMatching(`'[a-z(),:]{0,5}'`), rapid.StringMatching(`E'[a-z]{0,3}\\n'`), rapid.Just(`U&'d!0061t' UESCAPE '!'`),
		rapid.Just(`$q$it's ::text)$q$`), rapid.StringMatching(`[1-9][0-9]{0,12}`), rapid.StringMatching(`[0-9]\.[0-9]{1,4}`), rapid.Just("true"), rapid.Just("NULL"),
		rapid.Just("$1"), rapid.Just("- 5"), rapid.Just("-(5)"), rapid.Just("- ( - (7.5))"), rapid.Just("date '2020-01-01'"),
		rapid.Just("timestamp with time zone '2020-01-01'"), rapid.Just("varchar(20) 'abc'"), rapid.Just("double precision '1'"),
	)
	gap := rapid.SampledFrom([]string{"", " ", "\n", "/* ' */", "-- )\n"})
	return rapid.Custom(func(t *rapid.T) string {
		x := leaf.Draw(t, "leaf")
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			g := func() string { return gap.Draw(t, "gap") }
			switch rapid.IntRange(0, 2).Draw(t, "around") {
			case 0:
				x = "(" + g() + x + g() + ")"
			case 1:
				x = "(" + x + ")" + g() + "::" + g() + rapid.SampledFrom(types).Draw(t, "type")
			case 2:
				x = "CAST" + g() + "(" + g() + x + g() + " AS " + rapid.SampledFrom(types).Draw(t, "type") + g() + ")"
			}
		}
		return x
	})
}

// TestExtents: what constant says an expression's bytes are is, parsed by
// itself, the same expression, and what is left without it is none of it.
func TestExtents(t *testing.T) {
	t.Parallel()
	_, base := wServer(t)
	rapid.Check(t, func(t *rapid.T) {
		x := expressions().Draw(t, "expression")
		before, behind := "SELECT f(", rapid.SampledFrom([]string{", 2)", ") + 1", ")AS z"}).Draw(t, "behind")
		text := before + x + behind
		tree, err := parse.Parse(text)
		if err != nil {
			t.Skip("not an expression: " + text)
		}
		a := &analyzer{c: &base, tree: tree}
		l, ok := a.extentOf(argument(tree))
		if !ok {
			return
		}
		from, to := tree.Tokens[l.first].From, tree.Tokens[l.last].To
		again, err := parse.Parse("SELECT f(" + text[from:to] + ")")
		if err != nil {
			t.Fatalf("%q of %q: %v", text[from:to], text, err)
		}
		want, got := fingerprint(argument(tree)), fingerprint(argument(again))
		if want != got {
			t.Fatalf("%q of %q is %s, want %s", text[from:to], text, got, want)
		}
		around := strings.NewReplacer("/* ' */", "", "-- )\n", "").Replace(text[len(before):from] + text[to:len(text)-len(behind)])
		if strings.Trim(around, "() \n") != "" {
			t.Fatalf("%q of %q leaves %q", text[from:to], text, around)
		}
	})
}

func argument(tree *parse.Tree) *pg.Node {
	n := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val
	if x := n.GetAExpr(); x != nil {
		n = x.Lexpr
	}
	return n.GetFuncCall().Args[0]
}

// fingerprint is an expression without its places.
func fingerprint(n *pg.Node) string {
	text, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: n}}}},
	}}}}}})
	if err != nil {
		return err.Error()
	}
	return text
}

// extentOf is constant without the question of whether a cast keeps the value.
func (a *analyzer) extentOf(n *pg.Node) (literal, bool) {
	c := n.GetTypeCast()
	if c == nil {
		return a.literal(n)
	}
	l, ok := a.extentOf(c.Arg)
	if k := c.Arg.GetAConst(); ok && k != nil && c.Location < 0 && c.TypeName.GetLocation() < 0 {
		return l, true
	}
	if !ok || !a.castExtent(&l, c) {
		return literal{}, false
	}
	return l, true
}

func TestConstantsAreReadAsTheServerReadsThem(t *testing.T) {
	t.Parallel()
	conn, base := wServer(t)
	for _, x := range []string{
		"'it''s'", `E'a\tb\x41'`, `U&'d\0061t'`, "$q$x'y$q$", "'a'\n'b'", "42", "-42", "- -42", "007", "4.50", ".5", "1e3", "-9223372036854775808",
		"9223372036854775807", "99999999999999999999", "true", "false", "'x'::text", "varchar(3) 'abc'", "-5::int8", "+5", "5::int8::numeric", "-(0)",
	} {
		tree, err := parse.Parse("SELECT " + x)
		if err != nil {
			t.Fatal(err)
		}
		a := &analyzer{c: &base, tree: tree}
		src, from, to, _, ok := a.constant(tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val)
		if !ok || src.Const == nil || tree.Text[from:to] != x {
			t.Errorf("%s: %v %q", x, ok, tree.Text[from:to])
			continue
		}
		var text string
		var oid uint32
		if err := conn.QueryRow(t.Context(), "SELECT ("+x+")::text, pg_typeof("+x+")::oid").Scan(&text, &oid); err != nil {
			t.Fatal(err)
		}
		if text != src.Const.Text && !slices.Contains([]string{".5", "1e3"}, x) || oid != src.Const.OID {
			t.Errorf("%s is %q of %d, want %q of %d", x, src.Const.Text, src.Const.OID, text, oid)
		}
	}
}

func TestWhatIsNoConstant(t *testing.T) {
	t.Parallel()
	_, base := wServer(t)
	for _, x := range []string{
		"B'101'", "X'1f'", "0x1f", "1_000", "'a' || 'b'", "lower('x')", "'x' COLLATE \"C\"", "(SELECT 'x')", "ARRAY['x']", "ROW('x')", "'x'::char(3)",
		"'x'::varchar(0)", "'5'::int::text", "$1::varchar(3)", "$1::int::text", "-$1", "'x'::nowhere", "current_user", "'1'::interval(3)", "- 'x'",
	} {
		tree, err := parse.Parse("SELECT " + x)
		if err != nil {
			continue // the grammar has no such thing
		}
		a := &analyzer{c: &base, tree: tree}
		if _, _, _, _, ok := a.constant(tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val); ok {
			t.Errorf("%s is taken for a constant", x)
		}
	}
}
