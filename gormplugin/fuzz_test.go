package gormplugin

import (
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// secretTable is a model of table "vault" with the sealed column "secret".
func secretTable(t testing.TB) tableLookup {
	t.Helper()
	typ, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{Name: "vault", Columns: []field.ColumnConfig{{Name: "secret", Type: typ}}})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{schema: &schema.Schema{Table: "vault"}, table: table, cols: map[string]*field.Column{"secret": table.Column("secret")}}
	return func(name string) []*model {
		if name == "vault" || strings.HasSuffix(name, ".vault") {
			return []*model{m}
		}
		return nil
	}
}

func TestTextsThatTheAnalysisTellsApart(t *testing.T) {
	lookup := secretTable(t)
	cases := []struct {
		sql    string
		refuse bool
	}{
		{`SELECT * FROM vault`, false},
		{`SELECT secret FROM vault v WHERE v.id = $1`, false},
		{`SELECT id, count(secret) FROM vault GROUP BY id`, false},
		{`SELECT 'secret' FROM vault`, false},
		{`SELECT DISTINCT ON (id) secret FROM vault`, false},
		{`SELECT 1 FROM vault WHERE note = E'\'secret = 1'`, false},
		{`SELECT 1 FROM vault WHERE note = $q$ secret = 1 $q$`, false},
		{`SELECT 1 /* secret = /* nested */ 1 */ FROM vault`, false},
		{`SELECT vault FROM other WHERE secret = 1`, false},
		{`SELECT * FROM other JOIN plain p ON p.secret = other.secret`, false},
		{`SELECT * FROM vault v JOIN plain p ON p.secret = v.id`, false},
		{`SELECT extract(year from day) FROM vault`, false},
		{`INSERT INTO vault (id, secret) VALUES ($1, $2), ($3, NULL) ON CONFLICT (id) DO UPDATE SET secret = excluded.secret RETURNING *`, false},
		{`UPDATE vault SET secret = $1 WHERE id = 1`, false},
		{`UPDATE other SET a = 1 FROM vault WHERE vault.id = other.id`, false},
		{`CREATE INDEX ON vault (secret)`, false},
		{`DELETE FROM vault WHERE secret IS NULL`, false},
		{`INSERT INTO temp (id, secret) SELECT id, secret FROM vault`, false},

		{`SELECT * FROM vault WHERE secret=$1`, true},
		{`SELECT * FROM vault WHERE "SECRET" = $1`, true},
		{`SELECT * FROM Vault WHERE Secret = $1`, true},
		{`SELECT * FROM app.vault WHERE app.vault.secret = $1`, true},
		{`SELECT * FROM (vault CROSS JOIN other) WHERE secret = $1`, true},
		{`SELECT * FROM other, vault WHERE secret = $1`, true},
		{`SELECT * FROM vault x WHERE (((x.secret))) = $1`, true},
		{`SELECT * FROM vault WHERE id IS DISTINCT FROM secret`, true},
		{`SELECT * FROM vault WHERE substring(secret from 1) = $1`, true},
		{`SELECT secret || 'x' FROM vault`, true},
		{`SELECT max(secret) FROM vault`, true},
		{`SELECT count(DISTINCT secret) FROM vault`, true},

		{`SELECT secret s FROM vault ORDER BY s`, true},
		{`SELECT id, secret FROM vault ORDER BY 1, 2`, true},
		{`SELECT * FROM vault ORDER BY 2`, true},
		{`SELECT row_to_json(vault) FROM vault`, true},
		{`SELECT row_to_json(v.*) FROM vault v`, true},
		{`SELECT v FROM vault v`, true},
		{`SELECT other AS secret FROM vault`, true},
		{`SELECT id FROM vault UNION SELECT id FROM vault`, true},
		{`SELECT * FROM vault WHERE U&"\0073ecret" = $1`, true},
		{`SELECT * FROM vault WHERE note = 'unfinished`, true},
		{`SELECT * FROM vault WHERE note = /* unfinished`, true},
		{`SELECT x.secret FROM (SELECT upper(secret) AS secret FROM vault) x`, true},
		{`INSERT INTO vault VALUES (1, 'x')`, true},
		{`INSERT INTO vault (secret) VALUES ('x')`, true},
		{`INSERT INTO vault (secret) VALUES (upper($1))`, true},
		{`INSERT INTO vault (secret) SELECT $1`, true},
		{`INSERT INTO vault (secret) VALUES ($1) ON CONFLICT (id) DO UPDATE SET secret = 'x'`, true},
		{`INSERT INTO vault (secret) VALUES ($1) ON CONFLICT (secret) DO NOTHING`, true},
		{`INSERT INTO temp (other) SELECT secret FROM vault`, true},
		{`INSERT INTO temp SELECT * FROM vault`, true},
		{`INSERT INTO vault (id) VALUES (1) RETURNING upper(secret)`, true},
		{`UPDATE vault SET secret = other`, true},
		{`UPDATE vault SET secret = $1 || 'x'`, true},
		{`UPDATE vault SET secret = 5`, true},
		{`UPDATE vault v SET secret = (SELECT $1)`, true},
		{`WITH x AS (UPDATE vault SET secret = $1) SELECT 1`, true},
		{`COPY vault (secret) FROM STDIN`, true},
		{`EXPLAIN SELECT * FROM vault`, true},
		{`SELECT 1; UPDATE vault SET secret = $1`, true},
		{`DO $$ BEGIN UPDATE vault SET secret = 'x'; END $$`, true},
	}
	for _, c := range cases {
		if a := analyse(c.sql, dialect{dollars: true}, lookup); (a.err != nil) != c.refuse {
			t.Errorf("%s: %v", c.sql, a.err)
		}
	}
}

// FuzzAnalyse looks for statements that make the analysis panic, or that write
// something other than a parameter to a sealed column without a refusal.
func FuzzAnalyse(f *testing.F) {
	for _, s := range []string{
		`SELECT * FROM vault WHERE secret = $1`, `INSERT INTO vault (id, secret) VALUES ($1, ?), (2, 'x') ON CONFLICT DO UPDATE SET secret = excluded.secret RETURNING *`,
		`UPDATE vault SET secret = $1, (a, b) = (1, 2) WHERE x IN (SELECT 1)`, `((`, `))`, `SELECT "`, `$$`, `[`, `WITH`, `INSERT INTO`, `SELECT * FROM (vault`,
		"SELECT `secret`FROM[vault]", `DELETE FROM vault RETURNING secret`, `SELECT 1 ORDER BY 99999999999999999999`, `@x :y ?1 ?`, `DO 'vault`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	for _, s := range []string{
		`SELECT DISTINCT m.email, role FROM members m WHERE (org_id = $1 AND m.email IN ($2, NULL)) OR NOT $3 <> m.email ORDER BY role`,
		`SELECT email, count(DISTINCT email) FROM members JOIN logins l ON l.mail = (SELECT mail FROM accounts) GROUP BY email HAVING email IS DISTINCT FROM ?`,
		`INSERT INTO accounts (mail) VALUES (?) ON CONFLICT (mail) DO UPDATE SET mail = excluded.mail WHERE accounts.mail = ?`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	secret, search := secretTable(f), searchTables(f)
	lookup := func(name string) []*model { return append(secret(name), search(name)...) }
	f.Fuzz(func(t *testing.T, sql string, dollars bool) {
		d := dialect{dollars: dollars, brackets: !dollars}
		tokens, ok := lex(sql, d)
		for _, tok := range tokens {
			if tok.kind == 0 || tok.param < -1 {
				t.Fatalf("token %+v", tok)
			}
		}
		a := analyse(sql, d, lookup)
		if !ok && a.sealed && a.err == nil {
			t.Error("an unreadable statement passed")
		}
		if a.err == nil && a.sealed {
			rewrittenHolds(t, d, a, tokens)
		}
	})
}

// rewrittenHolds checks that a rewritten statement can be read, and has the
// parameters of the one that it stands for.
func rewrittenHolds(t *testing.T, d dialect, a *analysis, tokens []token) {
	t.Helper()
	again, ok := lex(a.text, d)
	if !ok {
		t.Fatalf("rewritten as %q, which does not end", a.text)
	}
	params := func(tokens []token) (list []int) {
		for _, tok := range tokens {
			if tok.kind == tokenParam {
				list = append(list, tok.param)
			}
		}
		return list
	}
	if before, after := params(tokens), params(again); !slices.Equal(before, after) {
		t.Fatalf("rewritten as %q: parameters %v became %v", a.text, before, after)
	}
}
