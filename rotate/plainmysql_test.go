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
	walk, err := MySQL.open()
	check(t, err)
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
			p := plainTrip{
				db: db, walk: walk, bytes: "mediumblob", typ: c.typ, value: c.value, logical: c.logical,
				same: "c <=> CAST(" + c.value + " AS " + castOf(c.typ) + ")",
				binary: func(t *testing.T, logical codec.Type, read any) []byte {
					binary, _, err := logical.Encode(nil, read)
					check(t, err)
					return binary
				},
			}
			defer p.exec(t, "DROP TABLE plain")
			p.run(t)
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
