package gormplugin

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// movingTable is a model of table "users", whose tenant is org and whose
// columns mail, code and note are in transition.
func movingTable(t testing.TB) tableLookup {
	t.Helper()
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	number, err := codec.ParseType("int4")
	if err != nil {
		t.Fatal(err)
	}
	equality := field.Search{Equality: true}
	table, err := field.NewTable(field.TableConfig{
		Name: "users", Tenant: field.TenantSource{Column: "org"}, Columns: []field.ColumnConfig{
			{Name: "mail", Type: text, Search: equality, Transition: field.Transition{Plain: "mail_clear"}},
			{Name: "code", Type: number, Search: equality, Scope: field.ScopeGlobal, Transition: field.Transition{Plain: `co"de`, Both: true}},
			{Name: "note", Type: text, Transition: field.Transition{Plain: "note_clear"}},
			{Name: "role", Type: text, Search: equality, Scope: field.ScopeGlobal},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{schema: &schema.Schema{Table: "users"}, table: table, cols: map[string]*field.Column{}, tenant: &schema.Field{DBName: "org", FieldType: reflect.TypeFor[string]()}}
	for _, c := range table.Columns() {
		m.cols[c.Name()] = c
	}
	return func(name string) []*model {
		if name == "users" {
			return []*model{m}
		}
		return nil
	}
}

func TestComparisonsAskForBothColumns(t *testing.T) {
	lookup := movingTable(t)
	for _, c := range []struct{ d, sql, want string }{
		{"postgres", `SELECT * FROM users WHERE mail = $1 AND org = $2`, `SELECT * FROM users WHERE ((mail IS NOT NULL AND substr(mail, 9, 16) = $1) OR (mail IS NULL AND "mail_clear" = $3)) AND org = $2`},
		{"postgres", `SELECT * FROM users u WHERE $1 = u."mail"`, `SELECT * FROM users u WHERE ((u."mail" IS NOT NULL AND substr(u."mail", 9, 16) = $1) OR (u."mail" IS NULL AND u."mail_clear" = $2 AND u."org" = $3))`},
		{"postgres", `SELECT * FROM users WHERE code NOT IN ($1, NULL, $2) OR code != $3`, `SELECT * FROM users WHERE NOT ((code IS NOT NULL AND substr(code, 9, 16) IN ($1, NULL, $2)) OR (code IS NULL AND "co""de" IN ( CAST($4 AS bigint), NULL , CAST($5 AS bigint)) )) OR NOT ((code IS NOT NULL AND substr(code, 9, 16) = $3) OR (code IS NULL AND "co""de" = CAST($6 AS bigint)))`},
		{"postgres", `SELECT * FROM users WHERE code IN (NULL)`, `SELECT * FROM users WHERE ((code IS NOT NULL AND substr(code, 9, 16) IN (NULL)) OR (code IS NULL AND "co""de" IN ( NULL ) ))`},
		{"postgres", `DELETE FROM users WHERE code IS DISTINCT FROM $1`, `DELETE FROM users WHERE NOT ((code IS NOT NULL AND substr(code, 9, 16) IS NOT DISTINCT FROM $1) OR (code IS NULL AND "co""de" IS NOT DISTINCT FROM CAST($2 AS bigint)))`},
		{"postgres", `SELECT id FROM users WHERE note IS NULL OR NOT users.note IS NOT NULL`, `SELECT id FROM users WHERE (note IS NULL AND "note_clear" IS NULL) OR NOT (users.note IS NOT NULL OR users."note_clear" IS NOT NULL)`},
		{"postgres", `SELECT id FROM users WHERE note ISNULL AND mail NOTNULL`, `SELECT id FROM users WHERE (note IS NULL AND "note_clear" IS NULL) AND (mail IS NOT NULL OR "mail_clear" IS NOT NULL)`},
		{"postgres", `SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orgs WHERE users.note IS NULL AND orgs.note IS NULL)`, `SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orgs WHERE (users.note IS NULL AND users."note_clear" IS NULL) AND orgs.note IS NULL)`},
		{"postgres", `SELECT count(note) FROM users HAVING count((mail)) > 1`, `SELECT count(CASE WHEN note IS NOT NULL OR "note_clear" IS NOT NULL THEN 1 END) FROM users HAVING count((CASE WHEN mail IS NOT NULL OR "mail_clear" IS NOT NULL THEN 1 END)) > 1`},
		{"postgres", `SELECT u.mail AS m, id, note FROM users u WHERE id = $1`, `SELECT u.mail AS m, id, note, u."mail_clear" AS rowseal_plain_4, "note_clear" AS rowseal_plain_5 FROM users u WHERE id = $1`},
		{"postgres", `UPDATE users SET mail = $1, mail_clear = $2 WHERE id = $3 RETURNING id, mail -- so`, `UPDATE users SET mail = $1, mail_clear = $2 WHERE id = $3 RETURNING id, mail, "mail_clear" AS rowseal_plain_3 -- so`},
		{"postgres", `INSERT INTO copy (id, note, note_clear) SELECT id, note, note_clear FROM users RETURNING id`, `INSERT INTO copy (id, note, note_clear) SELECT id, note, note_clear FROM users RETURNING id`},
		{"sqlite", `SELECT id FROM users WHERE mail == ? AND code IS NOT ?`, `SELECT id FROM users WHERE ((mail IS NOT NULL AND substr(mail, 9, 16) = ?) OR (mail IS NULL AND "mail_clear" = ? AND "org" = ?)) AND NOT ((code IS NOT NULL AND substr(code, 9, 16) IS ?) OR (code IS NULL AND "co""de" IS ?))`},
		{"mysql", "SELECT note FROM users WHERE code <=> ?", "SELECT note, `note_clear` AS rowseal_plain_2 FROM users WHERE ((code IS NOT NULL AND substr(code, 9, 16) <=> ?) OR (code IS NULL AND `co\"de` <=> ?))"},
	} {
		a := analyse(c.sql, dialectOf(c.d), lookup)
		if a.err != nil {
			t.Errorf("%s: %v", c.sql, a.err)
		} else if a.text != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, a.text, c.want)
		}
	}
}

func TestRangesAndPlainValuesAreSentInTheirOrder(t *testing.T) {
	lookup := movingTable(t)
	code := lookup("users")[0].column("code")
	n := len(code.Prefixes())
	a := analyse("SELECT id FROM users WHERE id = ? AND code NOT IN (?, ?) AND id < ? AND mail = ?", dialectOf("mysql"), lookup)
	if a.err != nil {
		t.Fatal(a.err)
	}
	if !strings.Contains(a.text, "AND NOT ((code IS NOT NULL AND ((code >= ? AND code < ?) OR ") {
		t.Error(a.text)
	}
	if got, want := strings.Count(a.text, "?"), 1+4*n+2+1+2*n+2; got != want {
		t.Errorf("%d placeholders, want %d: %s", got, want, a.text)
	}
	term := cell([]byte("0123456789abcdef"))
	out, err := a.sent([]any{1, twice{term: term, plain: "x"}, twice{term: term, plain: "y"}, 2, twice{term: term, plain: "z", tenant: "t"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if _, ok := v.(*sealed); ok {
			out[i] = "-"
		}
	}
	want := "[1" + strings.Repeat(" -", 4*n) + " x y 2" + strings.Repeat(" -", 2*n) + " z t]"
	if got := fmt.Sprint(out); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	numbered := analyse("SELECT id FROM users WHERE mail IN ($2, $1)", dialectOf("postgres"), lookup)
	args := []any{"option", twice{term: 1, plain: "a", tenant: "t"}, twice{term: 2, plain: "b", tenant: "t"}}
	if out, err = numbered.sent(args, 1); err != nil || fmt.Sprint(out) != "[option 1 2 b a t]" {
		t.Errorf("sent %v %v", out, err)
	}
	if _, err = numbered.sent(append(args, "another"), 1); err == nil {
		t.Error("a parameter too many was accepted")
	}
}

func TestWhatCannotBeAskedOfBothColumnsIsRefused(t *testing.T) {
	lookup := movingTable(t)
	for _, c := range []struct{ d, sql string }{
		{"postgres", `SELECT id FROM users a JOIN users b ON a.code = b.code`},
		{"postgres", `SELECT id FROM users a JOIN users b ON a.role = b.code`},
		{"postgres", `SELECT id FROM users WHERE role IN (SELECT code FROM users)`},
		{"postgres", `SELECT id FROM users WHERE code IN (SELECT role FROM users)`},
		{"postgres", `SELECT id FROM users WHERE code = ANY($1)`},
		{"postgres", `SELECT id FROM users WHERE code = 7`},
		{"postgres", `SELECT id FROM users WHERE code IN ($1, 7)`},
		{"postgres", `SELECT id FROM users WHERE code < $1`},
		{"postgres", `SELECT id FROM users WHERE code + 1 = $1`},
		{"postgres", `SELECT x.mail FROM (SELECT mail, id FROM users) AS x`},
		{"postgres", `SELECT DISTINCT mail FROM users`},
		{"postgres", `SELECT mail, count(*) FROM users GROUP BY mail`},
		{"postgres", `SELECT id, mail FROM users GROUP BY id`},
		{"postgres", `SELECT count(DISTINCT mail) FROM users`},
		{"postgres", `SELECT id, mail FROM users UNION ALL SELECT id, name FROM other`},
		{"postgres", `SELECT * FROM users UNION ALL SELECT * FROM users`},
		{"postgres", `SELECT id FROM users ORDER BY mail`},
		{"postgres", `INSERT INTO users (id, mail) VALUES ($1, $2) ON CONFLICT (mail) DO NOTHING`},
		{"postgres", `INSERT INTO users (id, mail) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET mail = excluded.mail`},
		{"postgres", `UPDATE users SET mail = NULL WHERE id = $1`},
		{"postgres", `INSERT INTO copy (id, note) SELECT id, note FROM users`},
		{"postgres", `INSERT INTO copy (id, note, other) SELECT id, note, note_clear FROM users`},
		{"sqlite", `SELECT id FROM users WHERE code = ?1`},
		{"postgres", `SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orgs WHERE note IS NULL)`},
	} {
		a := analyse(c.sql, dialectOf(c.d), lookup)
		if a.err == nil || !(errors.Is(a.err, ErrTransition) && strings.Contains(a.err.Error(), "it takes over from ")) {
			t.Errorf("%s: %v, as %s", c.sql, a.err, a.text)
		}
	}
	for _, sql := range []string{`SELECT id FROM users WHERE note = $1`, `SELECT id FROM users ORDER BY note`} {
		if a := analyse(sql, dialectOf("postgres"), lookup); !errors.Is(a.err, ErrCondition) {
			t.Errorf("%s: %v", sql, a.err)
		}
	}
}

// FuzzParametersFitTheirPlaceholders: whatever a statement is, as many
// parameters are sent as its text has places for, and a term never stands
// where a plain value does.
func FuzzParametersFitTheirPlaceholders(f *testing.F) {
	for _, sql := range []string{
		`SELECT mail FROM users WHERE mail = ? AND (code IN (?, NULL, ?) OR role <> ?) AND id = ?`,
		`SELECT * FROM users WHERE NOT ? = mail OR code IS NOT ? AND mail NOT IN (?) LIMIT ?`,
		`SELECT mail FROM users WHERE mail = $1 AND code IN ($2, $4) OR id = $3 AND org = $5`,
		`UPDATE users SET mail = ?, mail_clear = ? WHERE mail = ? RETURNING mail, note AS n`,
		`SELECT count(mail) FROM users u WHERE u.note IS NULL AND u.mail = ? AND org = ? OR EXISTS (SELECT 1 FROM users WHERE code = ?)`,
		`SELECT 0 FROM users WHERE (code IN (`,
	} {
		f.Add(sql)
	}
	lookup := movingTable(f)
	f.Fuzz(func(t *testing.T, sql string) {
		for _, name := range []string{"postgres", "sqlite", "mysql"} {
			d := dialectOf(name)
			a := analyse(sql, d, lookup)
			tokens, ok := lex(sql, d)
			if a.err != nil || !ok || !a.sealed || a.given > 100 {
				continue
			}
			args := make([]any, a.given)
			for _, o := range a.operands {
				if moving(o.column) {
					args[o.param] = twice{term: cell([]byte("term")), plain: "plain", tenant: "plain"}
				} else {
					args[o.param] = cell([]byte("term"))
				}
			}
			numbered := false
			for _, t := range tokens {
				numbered = numbered || t.kind == tokenParam && (t.param < 0 || t.to-t.from > 1 && !d.dollars)
			}
			out, err := a.sent(args, 0)
			if err != nil {
				t.Fatal(err)
			}
			after, ok := lex(a.text, d)
			if !ok {
				t.Fatalf("%s became\n%s", sql, a.text)
			}
			places := 0
			for i, token := range after {
				if token.kind != tokenParam || numbered {
					continue
				}
				if places = max(places, token.param+1); places > len(out) {
					t.Fatalf("%s: %s has more places than the %d parameters", name, a.text, len(out))
				}
				_, term := out[token.param].(*sealed)
				if before := i - 2; term && i > 2 && strings.HasSuffix(after[before].text, "_clear") && after[before].kind == tokenName {
					t.Fatalf("%s: a term stands for a plain value in %s", name, a.text)
				}
			}
			if !numbered && places != len(out) {
				t.Fatalf("%s: %s has %d places for %d parameters", name, a.text, places, len(out))
			}
		}
	})
}
