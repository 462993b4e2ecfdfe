package parse_test

import (
	"errors"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

func TestParse(t *testing.T) {
	text := "SELECT a -- b\n, 'ü', c /* d */ FROM e; DELETE FROM e"
	tree, err := parse.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Stmts) != 2 || tree.Stmts[1].GetStmt().GetDeleteStmt() == nil {
		t.Fatalf("statements: %v", tree.Stmts)
	}
	var words []string
	for i, token := range tree.Tokens {
		words = append(words, text[token.From:token.To])
		if tree.At(token.From) != i || tree.At(token.From+1) == i {
			t.Errorf("At does not find token %d", i)
		}
	}
	if got := strings.Join(words, " "); got != "SELECT a , 'ü' , c FROM e ; DELETE FROM e" {
		t.Errorf("tokens: %s", got)
	}
	if tree.At(len(text)) != -1 || tree.Tokens[0].Kind != pg.Token_SELECT {
		t.Error("At finds a token behind the text")
	}
}

func TestParseRefuses(t *testing.T) {
	deep := func(before, after string) string {
		return "SELECT " + strings.Repeat(before, parse.MaxDepth+1) + "1" + strings.Repeat(after, parse.MaxDepth+1)
	}
	for name, c := range map[string]struct {
		text, state string
		at          int
	}{
		"syntax":           {"SELECT 'ü' FRM secret x", "42601", 16},
		"an open string":   {"SELECT 'secret", "42601", 7},
		"the end":          {"SELECT (", "42601", 8},
		"bytes":            {"SELECT '\xff'", "22021", 8},
		"zero":             {"SELECT \x00", "22021", 7},
		"length":           {"SELECT '" + strings.Repeat("x", parse.MaxText) + "'", "54000", -1},
		"tokens":           {"SELECT 1" + strings.Repeat(",1", parse.MaxTokens/2), "54000", -1},
		"comments":         {"SELECT 1 " + strings.Repeat("/*", 50_000) + strings.Repeat("*/", 50_000), "54001", 0},
		"open comments":    {"SELECT 1 " + strings.Repeat("/*/", 50_000), "54001", 0},
		"brackets":         {deep("(", ")"), "54001", 0},
		"selects":          {deep("(SELECT ", ")"), "54001", 0},
		"calls":            {deep("f(", ")"), "54001", 0},
		"subscripts":       {deep("ARRAY[", "]"), "54001", 0},
		"CASE":             {deep("CASE WHEN a THEN 1 ELSE ", " END"), "54001", 0},
		"open CASE":        {deep("CASE WHEN a THEN ", ""), "54001", 0},
		"NOT":              {deep("NOT ", ""), "54001", 0},
		"signs":            {deep("- ", ""), "54001", 0},
		"sums":             {deep("1 + ", ""), "54001", 0},
		"casts":            {deep("", "::int"), "54001", 0},
		"tests":            {deep("", " IS NULL"), "54001", 0},
		"BETWEEN":          {deep("", " BETWEEN 1 AND 2 IS NULL"), "54001", 0},
		"UNION":            {deep("1 UNION SELECT ", ""), "54001", 0},
		"joins":            {deep("1 FROM a", " JOIN b ON true"), "54001", 0},
		"leaning brackets": {deep("(", "+1)"), "54001", 0},
	} {
		_, err := parse.Parse(c.text)
		var e *parse.Error
		switch {
		case !errors.As(err, &e):
			t.Errorf("%s: %v", name, err)
		case e.SQLState != c.state || c.at != 0 && e.Position != c.at || c.at == 0 && e.Position <= 0:
			t.Errorf("%s: %s at %d", name, e.SQLState, e.Position)
		case strings.Contains(e.Error(), "secret"):
			t.Errorf("%s: the error quotes the text: %v", name, e)
		}
	}
}

// TestParseTakesWideTexts parses what is long, but not deep.
func TestParseTakesWideTexts(t *testing.T) {
	for name, text := range map[string]string{
		"rows":       "INSERT INTO x VALUES (-1, 1 + 1, 'a')" + strings.Repeat(", (-1, 1 + 1, 'a')", 20_000),
		"list":       "SELECT 1 WHERE 1 IN (1" + strings.Repeat(", -1", 20_000) + ")",
		"conditions": "SELECT 1 WHERE a = 1" + strings.Repeat(" OR a = 1 AND NOT b", 2_000),
		"cases":      "SELECT CASE" + strings.Repeat(" WHEN a = 1 THEN 1 + 1", 2_000) + " END",
		"statements": strings.Repeat("SELECT (1) UNION SELECT 2;", 2_000),
		"labels":     "SELECT 1 AS case, 2 AS end, x.case, x.end",
		"deep":       "SELECT " + strings.Repeat("(", 400) + "1" + strings.Repeat("+1)", 400),
	} {
		if _, err := parse.Parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse looks for texts that break the parser.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"SELECT 1", "SELECT CASE WHEN a THEN b END FROM c JOIN d USING (e)", "'", "a(b[c", "END CASE )))"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := parse.Parse(text)
		if err != nil {
			var e *parse.Error
			if !errors.As(err, &e) || e.Position > len(text) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for _, token := range tree.Tokens {
			if token.From >= token.To || token.To > len(text) {
				t.Fatalf("token %+v of %q", token, text)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse.Parse(benchText); err != nil {
			b.Fatal(err)
		}
	}
}
