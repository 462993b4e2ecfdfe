package gormplugin

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// searchTables are models of the tables "members", whose tenant is org_id, and
// "accounts" and "logins", whose column mail has one index key for all.
func searchTables(t testing.TB) tableLookup {
	t.Helper()
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	equality := field.Search{Equality: true}
	models := map[string]*model{}
	for _, cfg := range []field.TableConfig{
		{
			Name: "members", Tenant: field.TenantSource{Column: "org_id"}, Columns: []field.ColumnConfig{
				{Name: "email", Type: text, Search: equality}, {Name: "backup", Type: text, Search: equality}, {Name: "note", Type: text},
			},
		},
		{Name: "accounts", Columns: []field.ColumnConfig{{Name: "mail", Type: text, Search: equality, Scope: field.ScopeGlobal, Domain: "mail"}}},
		{Name: "logins", Columns: []field.ColumnConfig{{Name: "mail", Type: text, Search: equality, Scope: field.ScopeGlobal, Domain: "mail"}}},
	} {
		table, err := field.NewTable(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{schema: &schema.Schema{Table: cfg.Name}, table: table, cols: map[string]*field.Column{}}
		for _, c := range table.Columns() {
			m.cols[c.Name()] = c
		}
		if cfg.Tenant.Column != "" {
			m.tenant = &schema.Field{DBName: cfg.Tenant.Column, FieldType: reflect.TypeFor[string]()}
		}
		models[cfg.Name] = m
	}
	return func(name string) []*model {
		if m := models[name]; m != nil {
			return []*model{m}
		}
		return nil
	}
}

// shown writes what a rewritten statement asks for beside its text: the
// operands and what fixes their tenants.
func (a *analysis) shown() string {
	var b strings.Builder
	b.WriteString(a.text)
	for _, o := range a.operands {
		fmt.Fprintf(&b, " | %d=%s%s", o.param, o.column.Name(), o.scope)
	}
	for _, s := range a.shares {
		fmt.Fprintf(&b, " | ~%s%s", s.column.Name(), s.scope)
	}
	return b.String()
}

func (t tenancy) String() string {
	switch {
	case t.model == nil:
		return ""
	case t.text != "":
		return "@" + t.text
	case t.param >= 0:
		return fmt.Sprintf("@%d", t.param)
	}
	return "@context"
}

func TestEqualityIsRewritten(t *testing.T) {
	lookup := searchTables(t)
	const term = `substr(email, 9, 16)`
	for _, c := range []struct{ sql, want string }{
		{`SELECT * FROM members WHERE email = $1`, `SELECT * FROM members WHERE ` + term + ` = $1 | 0=email@context`},
		{`SELECT * FROM members WHERE $1 = email AND org_id = $2`, `SELECT * FROM members WHERE $1 = ` + term + ` AND org_id = $2 | 0=email@1`},
		{`SELECT * FROM members WHERE NOT email <> $1 OR email != $2`, `SELECT * FROM members WHERE NOT ` + term + ` <> $1 OR ` + term + ` != $2 | 0=email@context | 1=email@context`},
		{`SELECT * FROM members WHERE email IN ($1,$2) AND "members"."org_id" = 'a'`, `SELECT * FROM members WHERE ` + term + ` IN ($1,$2) AND "members"."org_id" = 'a' | 0=email@a | 1=email@a`},
		{`SELECT * FROM members WHERE email NOT IN ($1, NULL)`, `SELECT * FROM members WHERE ` + term + ` NOT IN ($1, NULL) | 0=email@context`},
		{`SELECT * FROM members WHERE email IS NOT DISTINCT FROM $1`, `SELECT * FROM members WHERE ` + term + ` IS NOT DISTINCT FROM $1 | 0=email@context`},
		{`SELECT * FROM members WHERE (org_id = $1 AND role = $2) AND (email = $3 OR role = $4)`, `SELECT * FROM members WHERE (org_id = $1 AND role = $2) AND (` + term + ` = $3 OR role = $4) | 2=email@0`},
		{`SELECT * FROM members WHERE org_id = $1 OR email = $2`, `SELECT * FROM members WHERE org_id = $1 OR ` + term + ` = $2 | 1=email@context`},
		{`SELECT * FROM members WHERE (org_id = $1 OR role = $2) AND email = $3`, `SELECT * FROM members WHERE (org_id = $1 OR role = $2) AND ` + term + ` = $3 | 2=email@context`},
		{`SELECT * FROM members WHERE NOT org_id = $1 AND email = $2`, `SELECT * FROM members WHERE NOT org_id = $1 AND ` + term + ` = $2 | 1=email@context`},
		{`UPDATE members SET role = $1 WHERE email = $2 RETURNING id`, `UPDATE members SET role = $1 WHERE ` + term + ` = $2 RETURNING id | 1=email@context`},
		{`UPDATE members SET org_id = $1 WHERE email = $2`, `UPDATE members SET org_id = $1 WHERE ` + term + ` = $2 | 1=email@context`},
		{`DELETE FROM members WHERE email = $1`, `DELETE FROM members WHERE ` + term + ` = $1 | 0=email@context`},
		{`SELECT count(DISTINCT email), count(note) FROM members WHERE org_id = $1`, `SELECT count(DISTINCT ` + term + `), count(note) FROM members WHERE org_id = $1 | ~email@0`},
		{`SELECT COUNT(DISTINCT(email)) FROM members`, `SELECT COUNT(DISTINCT(` + term + `)) FROM members | ~email@context`},
		{`SELECT email, count(*) FROM members WHERE org_id = $1 GROUP BY email HAVING count(email) > 1`, `SELECT (array_agg(email))[1] AS email, count(*) FROM members WHERE org_id = $1 GROUP BY ` + term + ` HAVING count(email) > 1 | ~email@0`},
		{`SELECT email AS e, role FROM members GROUP BY role, email ORDER BY role`, `SELECT (array_agg(email))[1] AS e, role FROM members GROUP BY role, ` + term + ` ORDER BY role | ~email@context`},
		{`SELECT DISTINCT email, role FROM members WHERE org_id = $1 ORDER BY role LIMIT 3`, `SELECT  (array_agg(email))[1] AS email, role FROM members WHERE org_id = $1  GROUP BY ` + term + `, role ORDER BY role LIMIT 3 | ~email@0`},
		{`SELECT DISTINCT ON (email) email FROM members`, `SELECT DISTINCT ON (` + term + `) email FROM members | ~email@context`},
		{`SELECT * FROM accounts a JOIN logins l ON a.mail = l.mail WHERE a.mail = $1`, `SELECT * FROM accounts a JOIN logins l ON substr(a.mail, 9, 16) = substr(l.mail, 9, 16) WHERE substr(a.mail, 9, 16) = $1 | 0=mail`},
		{`SELECT * FROM accounts WHERE mail IN (SELECT mail FROM logins WHERE id = $1)`, `SELECT * FROM accounts WHERE substr(mail, 9, 16) IN (SELECT substr(mail, 9, 16) FROM logins WHERE id = $1)`},
		{`SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM logins l WHERE l.mail = a.mail)`, `SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM logins l WHERE substr(l.mail, 9, 16) = substr(a.mail, 9, 16))`},
		{`SELECT * FROM members a JOIN members b ON a.email = b.email AND a.org_id = b.org_id`, `SELECT * FROM members a JOIN members b ON substr(a.email, 9, 16) = substr(b.email, 9, 16) AND a.org_id = b.org_id`},
		{`SELECT * FROM members a JOIN members b ON a.email = b.email`, `SELECT * FROM members a JOIN members b ON substr(a.email, 9, 16) = substr(b.email, 9, 16) | ~email@context | ~email@context`},
		{`SELECT * FROM members a JOIN orders o ON o.org_id = $1 WHERE a.email = $2`, `SELECT * FROM members a JOIN orders o ON o.org_id = $1 WHERE substr(a.email, 9, 16) = $2 | 1=email@context`},
		{`INSERT INTO members (org_id, email) VALUES ($1, $2) ON CONFLICT (org_id, email) DO UPDATE SET email = excluded.email`, `INSERT INTO members (org_id, email) VALUES ($1, $2) ON CONFLICT (org_id, ` + term + `) DO UPDATE SET email = excluded.email`},
		{`INSERT INTO accounts (mail) VALUES ($1) ON CONFLICT ("mail") DO NOTHING`, `INSERT INTO accounts (mail) VALUES ($1) ON CONFLICT (substr("mail", 9, 16)) DO NOTHING`},
		{`WITH m AS (SELECT * FROM members) SELECT * FROM m WHERE m.email = $1`, `WITH m AS (SELECT * FROM members) SELECT * FROM m WHERE substr(m.email, 9, 16) = $1 | 0=email@context`},
		{`SELECT * FROM (SELECT * FROM members) m WHERE email = $1`, `SELECT * FROM (SELECT * FROM members) m WHERE ` + term + ` = $1 | 0=email@context`},
		{`SELECT * FROM members WHERE id IN (SELECT id FROM plain p WHERE p.email = $1)`, `SELECT * FROM members WHERE id IN (SELECT id FROM plain p WHERE p.email = $1)`},
		{`SELECT * FROM members WHERE id IN (SELECT id FROM plain p WHERE members.email = $1)`, `SELECT * FROM members WHERE id IN (SELECT id FROM plain p WHERE substr(members.email, 9, 16) = $1) | 0=email@context`},
		{`SELECT * FROM members p WHERE id IN (SELECT id FROM plain p WHERE p.email = $1)`, `SELECT * FROM members p WHERE id IN (SELECT id FROM plain p WHERE p.email = $1)`},
		{`SELECT * FROM plain WHERE email = $1 AND id IN (SELECT id FROM members)`, `SELECT * FROM plain WHERE email = $1 AND id IN (SELECT id FROM members)`},
		{`SELECT CASE WHEN email = $1 THEN 1 ELSE 2 END FROM members`, `SELECT CASE WHEN ` + term + ` = $1 THEN 1 ELSE 2 END FROM members | 0=email@context`},
	} {
		a := analyse(c.sql, dialect{dollars: true}, lookup)
		if a.err != nil {
			t.Errorf("%s: %v", c.sql, a.err)
		} else if got := a.shown(); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
}

func TestEqualityIsRefusedWhereItWouldNotHold(t *testing.T) {
	lookup := searchTables(t)
	for _, sql := range []string{
		`SELECT * FROM members WHERE note = $1`,
		`SELECT * FROM members WHERE email = 'literal'`,
		`SELECT * FROM members WHERE id IN (SELECT id FROM plain WHERE email = $1)`,
		`SELECT * FROM plain WHERE email = $1 AND EXISTS (SELECT 1 FROM members m WHERE m.email = plain.email)`,
		`WITH m AS (SELECT id, 'x' AS email FROM plain) SELECT * FROM members WHERE id IN (SELECT id FROM m WHERE email = $1)`,
		`WITH m AS (SELECT * FROM members) SELECT * FROM m ORDER BY m.email`,
		`SELECT * FROM members WHERE email = $1::text`,
		`SELECT * FROM members WHERE email = $1 || 'x'`,
		`SELECT * FROM members WHERE email = $1 COLLATE "C"`,
		`SELECT * FROM members WHERE email || 'x' = $1`,
		`SELECT * FROM members WHERE 'x' || email = $1`,
		`SELECT * FROM members WHERE lower(email) = $1`,
		`SELECT * FROM members WHERE email <= $1`,
		`SELECT * FROM members WHERE email >= $1`,
		`SELECT * FROM members WHERE $1 <= email`,
		`SELECT * FROM members WHERE email < $1 OR email > $1`,
		`SELECT * FROM members WHERE email LIKE $1`,
		`SELECT * FROM members WHERE email BETWEEN $1 AND $2`,
		`SELECT * FROM members WHERE role BETWEEN email AND $2`,
		`SELECT * FROM members WHERE email = ANY($1)`,
		`SELECT * FROM members WHERE email = role`,
		`SELECT * FROM members WHERE email = backup`,
		`SELECT * FROM members WHERE email = note`,
		`SELECT * FROM members WHERE (email, role) = ($1, $2)`,
		`SELECT * FROM members WHERE (role, email) IN (($1, $2))`,
		`SELECT * FROM members WHERE email IN ($1, 'x')`,
		`SELECT * FROM members WHERE email IN (SELECT role FROM members)`,
		`SELECT * FROM members WHERE email IN (SELECT mail FROM accounts)`,
		`SELECT * FROM members WHERE role IN (SELECT email FROM members)`,
		`SELECT * FROM members WHERE email IN (SELECT email FROM members UNION SELECT $1)`,
		`SELECT * FROM members WHERE email IN (SELECT upper(email) FROM members)`,
		`SELECT * FROM members WHERE email = $1 AND role = $1`,
		`SELECT * FROM members WHERE email = $1 OR backup = $1`,
		`SELECT * FROM members ORDER BY email`,
		`SELECT max(email) FROM members`,
		`SELECT count(DISTINCT upper(email)) FROM members`,
		`SELECT count(DISTINCT note) FROM members`,
		`SELECT note FROM members GROUP BY note`,
		`SELECT DISTINCT note FROM members`,
		`SELECT DISTINCT email, note FROM members`,
		`SELECT DISTINCT email, upper(role) FROM members`,
		`SELECT DISTINCT email, * FROM members`,
		`SELECT DISTINCT email FROM members GROUP BY email`,
		`SELECT email FROM members GROUP BY upper(email)`,
		`SELECT sum(x) OVER (PARTITION BY email) FROM members`,
		`SELECT * FROM accounts JOIN logins USING (mail)`,
		`SELECT * FROM accounts a, logins l WHERE (a.mail) = l.mail`,
		`SELECT email FROM members UNION SELECT email FROM members`,
		`INSERT INTO members (email) VALUES ($1) ON CONFLICT (upper(email)) DO NOTHING`,
		`INSERT INTO members (note) VALUES ($1) ON CONFLICT (note) DO NOTHING`,
		`INSERT INTO members (email) VALUES ($1) ON CONFLICT (email COLLATE "C") DO NOTHING`,
		`INSERT INTO members (role) SELECT email FROM members`,
	} {
		if a := analyse(sql, dialect{dollars: true}, lookup); a.err == nil {
			t.Errorf("%s passed as %s", sql, a.shown())
		}
	}
}

func TestEqualityIsARangeWhereIndexesHavePrefixes(t *testing.T) {
	lookup := searchTables(t)
	member := lookup("members")[0]
	n := len(member.column("email").Prefixes())
	one := strings.TrimSuffix(strings.Repeat("(email >= ? AND email < ?) OR ", n), " OR ")
	for _, c := range []struct{ sql, want string }{
		{`SELECT * FROM members WHERE email = ?`, `SELECT * FROM members WHERE (` + one + `) | 0=email@context`},
		{`SELECT * FROM members WHERE ? <> email AND id = ?`, `SELECT * FROM members WHERE NOT (` + one + `) AND id = ? | 0=email@context`},
		{`SELECT * FROM members WHERE id = ? AND email NOT IN (?,NULL,?)`, `SELECT * FROM members WHERE id = ? AND NOT (` + one + ` OR ` + one + ` OR NULL) | 1=email@context | 2=email@context`},
		{`SELECT * FROM members WHERE email <=> ?`, `SELECT * FROM members WHERE substr(email, 9, 16) <=> ? | 0=email@context`},
		{`SELECT email FROM members GROUP BY email`, `SELECT min(email) AS email FROM members GROUP BY substr(email, 9, 16) | ~email@context`},
	} {
		a := analyse(c.sql, dialectOf("mysql"), lookup)
		if a.err != nil {
			t.Errorf("%s: %v", c.sql, a.err)
		} else if got := a.shown(); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
	a := analyse(`SELECT * FROM members WHERE id = ? AND email IN (?, ?)`, dialectOf("mysql"), lookup)
	args := a.expanded([]any{7, cell([]byte("0123456789abcde\xff")), nil})
	if len(args) != 1+4*n || args[0] != 7 || args[len(args)-1] != nil {
		t.Fatalf("%d parameters: %v", len(args), args)
	}
	prefix := string(member.column("email").Prefixes()[0])
	if lo, hi := string(args[1].(*sealed).bytes), string(args[2].(*sealed).bytes); lo != prefix+"0123456789abcde\xff" || hi != prefix+"0123456789abcdf" {
		t.Errorf("a range from %q to %q", lo, hi)
	}
}
