package rotate

import (
	"database/sql"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/internal/testmysql"
)

// TestPlainValuesOfMySQLComeAndGo reads values of all kinds as package field takes them, empties the columns and
// writes the values back.
func TestPlainValuesOfMySQLComeAndGo(t *testing.T) {
	db, err := sql.Open("mysql", testmysql.DSN(t))
	check(t, err)
	defer db.Close()
	exec := func(query string) {
		t.Helper()
		_, err := db.Exec(query)
		check(t, err)
	}
	for _, c := range []struct{ typ, value, logical string }{
		{"varchar(20)", `'ü "x", {}'`, "text"},
		{"longtext", "'A'", "text"},
		{"bigint", "-9000000000", "bigint"},
		{"smallint", "7", "smallint"},
		{"tinyint(1)", "1", "boolean"},
		{"decimal(10,2)", "-1.50", "numeric"},
		{"double", "0.1", "double precision"},
		{"date", "'2024-02-29'", "date"},
		{"datetime(6)", "'2024-10-27 02:30:00.000001'", "timestamp"},
		{"mediumblob", "x'00ff'", "bytea"},
	} {
		t.Run(c.typ, func(t *testing.T) {
			defer exec("DROP TABLE plain")
			exec("CREATE TABLE plain (id int PRIMARY KEY, sealed mediumblob, c " + c.typ + ", who int)")
			exec("INSERT INTO plain VALUES (1, NULL, " + c.value + ", 5), (2, NULL, NULL, NULL)")
			logical, err := codec.ParseType(c.logical)
			check(t, err)
			m := &mysql{}
			tg := &target{name: "plain", reads: reads{
				sealed: []string{"sealed"}, plain: []plainColumn{{"c", logical}}, beside: []string{"who"}, writes: true,
			}}
			check(t, m.describe(t.Context(), db, tg))
			rows, err := m.page(t.Context(), db, tg, keys{}, 10)
			check(t, err)
			if len(rows) != 2 || rows[1].plain[0] != nil || rows[1].beside[0] != nil || *rows[0].beside[0] != "5" {
				t.Fatalf("got %+v", rows)
			}
			binary, _, err := logical.Encode(nil, rows[0].plain[0])
			check(t, err)
			toNull := change{row: rows[0], fresh: [][]byte{[]byte("sealed")}, plainTo: []plainEdit{{set: true}}}
			if missed := writeOne(t, db, m, tg, toNull); len(missed) != 0 {
				t.Fatal("the row was not written")
			}
			if missed := writeOne(t, db, m, tg, toNull); len(missed) != 1 {
				t.Fatal("a row that had changed was written")
			}
			emptied, err := m.page(t.Context(), db, tg, keys{}, 1)
			check(t, err)
			if emptied[0].plain[0] != nil || string(emptied[0].values[0]) != "sealed" {
				t.Fatalf("got %+v", emptied)
			}
			back := change{row: emptied[0], fresh: [][]byte{nil}, plainTo: []plainEdit{{set: true, value: binary}}}
			if missed := writeOne(t, db, m, tg, back); len(missed) != 0 {
				t.Fatal("the row was not written back")
			}
			var same bool
			check(t, db.QueryRow("SELECT c <=> CAST("+c.value+" AS "+castOf(c.typ)+") FROM plain WHERE id = 1").Scan(&same))
			if !same {
				t.Fatal("the value did not come back as it was")
			}
			exec("UPDATE plain SET who = 6 WHERE id = 1")
			if missed := writeOne(t, db, m, tg, change{row: emptied[0], fresh: [][]byte{[]byte("x")}}); len(missed) != 1 {
				t.Fatal("a row whose tenant had changed was written")
			}
		})
	}
}

// castOf is what CAST calls a column's type.
func castOf(typ string) string {
	switch typ {
	case "varchar(20)", "longtext":
		return "CHAR"
	case "bigint", "smallint", "tinyint(1)":
		return "SIGNED"
	case "mediumblob":
		return "BINARY"
	}
	return typ
}
