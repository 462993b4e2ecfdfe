package rotate

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
)

// TestWhatIsPrintedForMySQL8RenamesNoGuardedColumn runs what is printed for MySQL 8, which MariaDB takes as well: guards
// are gone while columns get other names, and are there again under the new ones.
func TestWhatIsPrintedForMySQL8RenamesNoGuardedColumn(t *testing.T) {
	db, err := sql.Open("mysql", testmysql.DSN(t))
	check(t, err)
	defer db.Close()
	typ, err := codec.ParseType("varchar(100)")
	check(t, err)
	table, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{{
			Name: "email_sealed", ID: "email", Type: typ, Search: field.Search{Equality: true}, Transition: field.Transition{Plain: "email", Both: true},
		}},
	})
	check(t, err)
	m, err := NewMove(Config{DB: db, Dialect: MySQL}, table, "email", MoveOptions{})
	check(t, err)
	run := func(text string) {
		t.Helper()
		for statement := range strings.SplitSeq(text, ";\n") {
			if statement = strings.TrimSpace(statement); statement == "" {
				continue
			}
			if _, err := db.Exec(statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	guarded := func(column string) {
		t.Helper()
		var checks, others int
		check(t, db.QueryRow(`SELECT count(CASE WHEN check_clause LIKE ? THEN 1 END), count(CASE WHEN check_clause NOT LIKE ? THEN 1 END)
			FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()`, "%`"+column+"`%", "%`"+column+"`%").Scan(&checks, &others))
		if checks != 2 || others != 0 {
			t.Errorf("%d guards of %s, and %d others", checks, column, others)
		}
		if _, err := db.Exec("UPDATE people SET " + column + " = 'clear'"); err == nil {
			t.Errorf("%s takes values in clear", column)
		}
	}
	run("CREATE TABLE people (id bigint PRIMARY KEY, tenant varchar(20), email varchar(100));\nINSERT INTO people VALUES (1, 'a', 'x')")
	h := byHand{Move: m, mysql: true, held: true}
	run(h.print("prepare"))
	guarded("email_sealed")
	for _, step := range []string{"swap", "reopen"} {
		text := h.print(step)
		dropped, renamed, added := strings.LastIndex(text, "DROP CONSTRAINT"), strings.Index(text, "RENAME"), strings.Index(text, "ADD CONSTRAINT")
		if dropped < 0 || dropped > renamed || renamed > added {
			t.Errorf("%s renames a column that a CHECK names:\n%s", step, text)
		}
		run(text)
		guarded(map[string]string{"swap": "email", "reopen": "email_sealed"}[step])
		if step == "swap" {
			run(h.print("drop"))
		}
	}
	run(h.print("drop-sealed"))
}
