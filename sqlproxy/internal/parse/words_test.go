package parse_test

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// kinds knows a sealed table, one whose name must be quoted, one with a name of 63 bytes and a function.
func kinds(word []byte) parse.Kind {
	switch string(word) {
	case "people", "My People", "größe", longest:
		return parse.NamesSealed
	case "audit":
		return parse.NamesFunction
	}
	return 0
}

var longest = strings.Repeat("p", 63)

func scan(text string) parse.Words {
	s := parse.Scanner{Kind: kinds, Conforming: true}
	return s.Scan(text)
}

func TestScanFindsNames(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1":                                           false,
		"SELECT * FROM people":                               true,
		"SELECT * FROM PeOpLe":                               true,
		`SELECT * FROM "people"`:                             true,
		`SELECT * FROM "People"`:                             false,
		`SELECT * FROM "My People"`:                          true,
		"SELECT * FROM peoples":                              false,
		"SELECT * FROM people$":                              false,
		"SELECT * FROM _people":                              false,
		"SELECT * FROM public.people":                        true,
		"SELECT (people).x":                                  true,
		"SELECT 1people":                                     true,
		"SELECT $1people":                                    true,
		"SELECT größe":                                       true,
		"SELECT GRößE":                                       true,
		"SELECT GRÖßE":                                       false,
		"SELECT " + strings.Repeat("P", 80):                  true,
		"SELECT " + strings.Repeat("P", 62):                  false,
		`SELECT "` + strings.Repeat("p", 64) + `"`:           true,
		"SELECT 'people'":                                    false,
		"SELECT '''people'":                                  false,
		"SELECT ''people''":                                  true,
		"SELECT e'\\'people'":                                false,
		"SELECT E'\\\\'people":                               true,
		"SELECT E'a'\n'b\\' people":                          true,
		"SELECT E'a' -- x\n -- y\n 'b\\' people'":            true,
		"SELECT $$people$$":                                  false,
		"SELECT $x$people$x$":                                false,
		"SELECT $x$people$y$":                                true,
		"SELECT $x$ $y$ $x$ people":                          true,
		"SELECT a$x$ people":                                 true,
		"SELECT $1 FROM people":                              true,
		"-- people\nSELECT 1":                                false,
		"-- x\rSELECT people":                                true,
		"/* people */ SELECT 1":                              false,
		"/* /* */ people */ SELECT 1":                        false,
		"/* /* */ */ people":                                 true,
		"/*/ people */ SELECT 1":                             false,
		"/* people":                                          true,
		"SELECT 'x":                                          true,
		`SELECT "x`:                                          true,
		"SELECT E'x":                                         true,
		"SELECT $$x":                                         true,
		`SELECT * FROM U&"p\0065ople"`:                       true,
		"SELECT U&'\\0041'":                                  false,
		"SELECT x'00', b'1', n'people'":                      false,
		"SELECT '\xff'":                                      true,
		"SELECT 1\x00":                                       true,
		"SELECT 2 - -people":                                 true,
		"SELECT 2 +--people\n 1":                             false,
		"SELECT 2 //*people*/ 1":                             false,
		"DO 'begin insert into people values (1); end'":      true,
		"DO $$begin insert into people values (1); end$$":    true,
		"DO $$begin insert into \"My People\" select; end$$": true,
		"DO 'begin perform ''--''; insert into people'":      true,
		"DO 'begin perform 1; end'":                          false,
		"do E'p\\x65ople'":                                   true,
		"DO U&'p\\0065ople'":                                 true,
		`DO $$select U&"p\0065ople"$$`:                       true,
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1 from People'":      true,
		"CREATE OR REPLACE PROCEDURE f() LANGUAGE sql AS $$ select 1 from people $$":  true,
		"CREATE TABLE x (a text DEFAULT 'people')":                                    false,
		"INSERT INTO x VALUES ('people') ON CONFLICT DO NOTHING":                      false,
		"SELECT query_to_xml('select * from people', true, true, '')":                 true,
		"SELECT x FROM (SELECT 'from people' AS x) AS y, query_to_xml(x, true, true)": true,
		`SELECT "query_to_xml"('select * from people', true, true, '')`:               true,
		"SELECT audit('select * from people')":                                        true,
		"SELECT trigger, 'people' FROM x":                                             false,
	} {
		if got := scan(text).Sensitive; got != want {
			t.Errorf("%q: sensitive %v", text, got)
		}
	}
}

func TestScanKnowsTheSession(t *testing.T) {
	for _, c := range []struct {
		text string
		scan parse.Scanner
		want bool
	}{
		{`SELECT '\'`, parse.Scanner{Conforming: true}, false},
		{`SELECT '\'`, parse.Scanner{}, true},
		{`SELECT n'\' people '`, parse.Scanner{}, true},
		{`SELECT 'plain'`, parse.Scanner{}, false},
		{`SELECT "\"`, parse.Scanner{}, false},
		{"SELECT 'ü'", parse.Scanner{Conforming: true}, false},
		{"SELECT '\xfc' -- \xfc", parse.Scanner{Conforming: true}, true},
		{"SELECT '\xfc' -- \xfc", parse.Scanner{Conforming: true, Coding: parse.HighBytes}, false},
		{"SELECT \xfc", parse.Scanner{Conforming: true, Coding: parse.HighBytes}, true},
		{"SELECT \"\xc3\xbc\"", parse.Scanner{Conforming: true, Coding: parse.HighBytes}, true},
		{"DO '\xfc'", parse.Scanner{Conforming: true, Coding: parse.HighBytes}, true},
		{"SELECT " + longest + "\xbf", parse.Scanner{Conforming: true, Coding: parse.HighBytes}, true},
		{"SELECT 'ü'", parse.Scanner{Conforming: true, Coding: parse.AnyBytes}, true},
		{"SELECT 'u'", parse.Scanner{Conforming: true, Coding: parse.AnyBytes}, false},
	} {
		c.scan.Kind = kinds
		if got := c.scan.Scan(c.text).Sensitive; got != c.want {
			t.Errorf("%q, conforming %v, coding %v: sensitive %v", c.text, c.scan.Conforming, c.scan.Coding, got)
		}
	}
	if !parse.Scan("SELECT * FROM People", parse.UTF8, func(word string) bool { return word == "people" }).Sensitive {
		t.Error("the simple Scan does not see a name")
	}
}

func TestCodingOf(t *testing.T) {
	for _, c := range []struct {
		client, server string
		want           parse.Coding
	}{
		{"UTF8", "UTF8", parse.UTF8},
		{"UTF8", "LATIN1", parse.UTF8},
		{"UNICODE", "UTF8", parse.UTF8},
		{"SQL_ASCII", "UTF8", parse.UTF8},
		{"SQL_ASCII", "SQL_ASCII", parse.UTF8},
		{"SQL_ASCII", "LATIN1", parse.HighBytes},
		{"LATIN9", "UTF8", parse.HighBytes},
		{"WIN1251", "UTF8", parse.HighBytes},
		{"KOI8U", "UTF8", parse.HighBytes},
		{"ISO_8859_8", "UTF8", parse.HighBytes},
		{"EUC_JIS_2004", "UTF8", parse.HighBytes},
		{"MULE_INTERNAL", "MULE_INTERNAL", parse.HighBytes},
		{"SJIS", "UTF8", parse.AnyBytes},
		{"SHIFT_JIS_2004", "EUC_JP", parse.AnyBytes},
		{"BIG5", "UTF8", parse.AnyBytes},
		{"GBK", "UTF8", parse.AnyBytes},
		{"GB18030", "UTF8", parse.AnyBytes},
		{"UHC", "UTF8", parse.AnyBytes},
		{"JOHAB", "UTF8", parse.AnyBytes},
		{"", "UTF8", parse.AnyBytes},
	} {
		if got := parse.CodingOf(c.client, c.server); got != c.want {
			t.Errorf("a client in %q of a server in %q: %d, not %d", c.client, c.server, got, c.want)
		}
	}
}

func TestEffects(t *testing.T) {
	const anything = parse.Settings | parse.SettingsAtEnd | parse.Catalog | parse.TempCatalog
	const ddl = parse.Settings | parse.Catalog
	for text, want := range map[string]parse.Effects{
		"SELECT 1":                             0,
		"UPDATE x SET a = 1":                   0,
		"SET search_path = a":                  parse.Settings,
		"SET LOCAL search_path = a":            parse.Settings | parse.SettingsAtEnd,
		"set session x to local":               parse.Settings,
		"RESET ALL":                            parse.Settings,
		"DISCARD ALL":                          parse.Settings | parse.TempCatalog | parse.Discards | parse.Closes,
		"DISCARD TEMP":                         parse.Settings | parse.TempCatalog,
		"DEALLOCATE x":                         0,
		"DEALLOCATE ALL":                       parse.Discards,
		"DEALLOCATE PREPARE ALL":               parse.Discards,
		`DEALLOCATE "all"`:                     0,
		"SELECT set_config('a', 'b', true)":    parse.Settings | parse.SettingsAtEnd,
		`SELECT "set_config"('a', 'b', true)`:  parse.Settings | parse.SettingsAtEnd,
		`SELECT U&"set\005fconfig"('a', 'b')`:  anything,
		"UPDATE pg_settings SET setting = 'a'": parse.Settings | parse.SettingsAtEnd,
		"SELECT audit()":                       parse.Settings | parse.SettingsAtEnd,
		"SELECT (x).audit":                     parse.Settings | parse.SettingsAtEnd,
		"BEGIN":                                parse.Begins,
		"START TRANSACTION":                    parse.Begins,
		"COMMIT":                               parse.Ends,
		"END":                                  parse.Ends,
		"ABORT":                                parse.Ends,
		"ROLLBACK TO SAVEPOINT a":              parse.Ends,
		"COMMIT AND CHAIN":                     parse.Ends | parse.Begins,
		"SAVEPOINT a":                          0,
		"PREPARE TRANSACTION 'x'":              parse.Ends,
		"PREPARE p AS SELECT 1":                0,
		"EXECUTE p":                            parse.Settings | parse.SettingsAtEnd,
		"begin; set local x = 1; commit":       parse.Begins | parse.Ends | parse.Settings | parse.SettingsAtEnd,
		"CREATE TABLE x (a int)":               ddl | parse.TempCatalog,
		"ALTER TABLE x ADD a int":              ddl,
		"DROP VIEW x":                          ddl,
		"IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c": parse.Catalog,
		"SELECT 1 INTO x": ddl | parse.TempCatalog,
		"WITH a AS (SELECT 1) SELECT * INTO x FROM a":               ddl | parse.TempCatalog,
		"INSERT INTO x SELECT 1":                                    0,
		"WITH a AS (INSERT INTO x VALUES (1) RETURNING 1) SELECT 1": 0,
		"MERGE INTO x USING y ON true WHEN MATCHED THEN DELETE":     0,
		"EXPLAIN SELECT 1":                                          0,
		"EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1":                ddl | parse.TempCatalog,
		"EXPLAIN (ANALYZE, COSTS off) SELECT 1 INTO x":              ddl | parse.TempCatalog,
		"DO 'x'":                              anything,
		"CALL x()":                            anything,
		"GRANT SELECT ON x TO y":              parse.Settings,
		"/* SET */ -- SET\n ; ; DROP TABLE x": ddl,
	} {
		if got := scan(text).Effects; got != want {
			t.Errorf("%q: effects %07b, want %07b", text, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1": false, "INSERT INTO copy VALUES (1)": false, "DROP TABLE x": false,
		"PREPARE p AS SELECT 1": true, "EXECUTE p": true, "DEALLOCATE p": true, "DECLARE c CURSOR FOR SELECT 1": true,
		"FETCH c": true, "MOVE c": true, "CLOSE c": true, "COPY x TO STDOUT": true, "select 1; Fetch c": true,
		"EXPLAIN ANALYZE EXECUTE p": true, "CREATE TABLE x AS EXECUTE p": true,
	} {
		if got := scan(text).Names; got != want {
			t.Errorf("%q: names %v", text, got)
		}
	}
}

// FuzzScan compares the scan with PostgreSQL's own: a name that that sees must
// have been seen.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		"SELECT a.b, \"c\"\"d\" FROM e WHERE f = 'g''h' AND i = E'j\\'k' -- l\n/* m /* n */ */;",
		"SELECT $1, $a$b$a$, x'00', U&'\\0041', N'o', 1e5, .5, 1.e, a$b$c",
		"select e'a' \n 'b\\'c' d", "select 'a'--'\n'b' c", "a/*/b*/c", "a+-*/b", "a@-- b\nc", "select ä.\"ö\" ",
		strings.Repeat("a", 62) + "ä", "\"" + strings.Repeat("ü", 40) + "\"", "u&\"a\"", "1a", "$1a", "$$a", "$a", "0x1g", "1_000a",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := parse.EngineScan(text)
		if err != nil || strings.IndexByte(text, 0) >= 0 {
			return
		}
		seen := map[string]bool{}
		s := parse.Scanner{Conforming: true, Kind: func(word []byte) parse.Kind {
			seen[string(word)] = true
			return 0
		}}
		if s.Scan(text).Sensitive {
			return
		}
		for _, token := range tree.GetTokens() {
			name := text[token.GetStart():token.GetEnd()]
			switch {
			case token.GetToken() != pg.Token_IDENT && token.GetKeywordKind() == pg.KeywordKind_NO_KEYWORD,
				name == "N" || name == "n": // of n'…'
				continue
			case name[0] == '"':
				name = strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
			default:
				name = lower(name)
			}
			if name = cut(name); !seen[name] {
				t.Fatalf("%q: the scan does not see %q", text, name)
			}
		}
	})
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// cut cuts a name as the server does: to 63 bytes, between characters.
func cut(s string) string {
	if len(s) <= 63 {
		return s
	}
	end := 0
	for i := range s {
		if i <= 63 {
			end = i
		}
	}
	return s[:end]
}

func TestScanAllocatesNothing(t *testing.T) {
	s := parse.Scanner{Kind: kinds, Conforming: true}
	if n := testing.AllocsPerRun(100, func() { s.Scan(benchText) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const benchText = "SELECT id, name, street, city FROM addresses a WHERE a.customer_id = $1 AND a.kind <> 'home' ORDER BY id"

func BenchmarkScan(b *testing.B) {
	names := map[string]parse.Kind{"people": parse.NamesSealed, "staff": parse.NamesSealed}
	s := parse.Scanner{Kind: func(word []byte) parse.Kind { return names[string(word)] }, Conforming: true}
	b.SetBytes(int64(len(benchText)))
	b.ReportAllocs()
	for b.Loop() {
		s.Scan(benchText)
	}
}
