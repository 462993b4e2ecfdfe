package plan_test

import (
	"errors"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// FuzzAnalyze analyses texts. None panics; each answer is a plan or a refusal;
// what is rewritten parses; and where it compares a term, it does so with no constant of the text.
func FuzzAnalyze(f *testing.F) {
	for _, text := range texts(f, "testdata/read.txt") {
		f.Add(text)
	}
	c := worldContext(f)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := plan.Analyze(c, text)
		if err != nil {
			var r *plan.Refusal
			if !errors.As(err, &r) || r.SQLState == "" || r.Message == "" {
				t.Fatalf("%v is no refusal", err)
			}
			if r.SQLState == "XX000" {
				t.Fatalf("two changes meet in %q", text)
			}
			return
		}
		for _, piece := range p.Pieces {
			if piece.From < 0 || piece.To > len(text) || piece.From > piece.To || piece.Cell > len(p.Cells) {
				t.Fatalf("a piece is out of bounds: %+v", piece)
			}
		}
		if len(p.Pieces) == 0 || hasNull(p) {
			return
		}
		rewritten := rendered(text, p)
		tree, err := pg.Parse(rewritten)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, rewritten, err)
		}
		for _, s := range tree.Stmts {
			each(s.ProtoReflect(), func(m protoreflect.Message) { noConstant(t, m, rewritten) })
		}
	})
}

// hasNull reports whether a cell's constant is made of bytes that mock terms do not take.
func hasNull(p *plan.Plan) bool {
	for _, c := range p.Cells {
		if c.From.Const != nil && strings.ContainsRune(c.From.Const.Text, 0) {
			return true
		}
	}
	return false
}

func each(m protoreflect.Message, visit func(protoreflect.Message)) {
	visit(m)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				each(v.List().Get(i).Message(), visit)
			}
		default:
			each(v.Message(), visit)
		}
		return true
	})
}

// noConstant fails where one side of an operator is a term and another a constant that is not NULL.
func noConstant(t *testing.T, m protoreflect.Message, text string) {
	x, ok := m.Interface().(*pg.A_Expr)
	if !ok || !isTerm(x.Lexpr) && !isTerm(x.Rexpr) {
		return
	}
	sides := []*pg.Node{x.Lexpr, x.Rexpr}
	sides = append(sides, x.Rexpr.GetList().GetItems()...)
	sides = append(sides, x.Rexpr.GetAArrayExpr().GetElements()...)
	for _, n := range sides {
		if n.GetTypeCast().GetTypeName() != nil && strings.HasPrefix(typeName(n.GetTypeCast()), "pg_catalog.bytea") {
			continue
		}
		for n.GetTypeCast() != nil {
			n = n.GetTypeCast().Arg
		}
		if k := n.GetAConst(); k != nil && !k.Isnull {
			t.Fatalf("a term is compared with a constant in %q", text)
		}
	}
}

func typeName(c *pg.TypeCast) string {
	var parts []string
	for _, n := range c.TypeName.Names {
		parts = append(parts, n.GetString_().GetSval())
	}
	return strings.Join(parts, ".")
}

// isTerm reports whether an expression is the term in a sealed column.
func isTerm(n *pg.Node) bool {
	f := n.GetFuncCall()
	return f != nil && len(f.Funcname) == 2 && f.Funcname[1].GetString_().GetSval() == "substr" && len(f.Args) == 3 &&
		f.Args[1].GetAConst().GetIval().GetIval() == 9 && f.Args[2].GetAConst().GetIval().GetIval() == 16
}

func BenchmarkAnalyze(b *testing.B) {
	c := worldContext(b)
	for _, bench := range []struct{ name, text string }{
		{"point", "SELECT id, ssn, name, email FROM users WHERE id = $1"},
		{"search", "SELECT id, ssn, name, email FROM users WHERE ssn = $1 AND age > $2"},
		{"star", "SELECT * FROM users u JOIN people p USING (ssn) WHERE u.ssn = 'x'"},
	} {
		b.Run(bench.name+"/all", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Analyze(c, bench.text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/parsing", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse.Parse(bench.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
