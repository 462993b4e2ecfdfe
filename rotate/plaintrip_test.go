package rotate

import (
	"bytes"
	"database/sql"
	"testing"

	"github.com/rowseal/rowseal/codec"
)

// plainTrip takes a plain value out of its column and back.
type plainTrip struct {
	db         *sql.DB
	conn       beginner // by which pages travel; nil for db
	walk       database
	bytes      string // the database's type for sealed values
	typ, value string // of the column, in SQL
	logical    string // the type that the policy declares
	// binary is the value's binary form, from what was read.
	binary func(t *testing.T, typ codec.Type, read any) []byte
	same   string // an expression: column c holds the value
}

func (p *plainTrip) exec(t *testing.T, query string) {
	t.Helper()
	_, err := p.db.Exec(query)
	check(t, err)
}

// write makes a change and says whether the row was as it had been read.
func (p *plainTrip) write(t *testing.T, tg *target, c change) bool {
	t.Helper()
	tx, err := p.walk.begin(t.Context(), p.conn, tg)
	check(t, err)
	missed, err := p.walk.write(t.Context(), tx, tg, []change{c})
	check(t, err)
	check(t, tx.Commit())
	return len(missed) == 0
}

// run reads the value, empties the column and writes the value back.
func (p *plainTrip) run(t *testing.T) {
	if p.conn == nil {
		p.conn = p.db
	}
	p.exec(t, "CREATE TABLE plain (id int PRIMARY KEY, sealed "+p.bytes+", c "+p.typ+", who int)")
	p.exec(t, "INSERT INTO plain VALUES (1, NULL, "+p.value+", 5), (2, NULL, NULL, NULL)")
	logical, err := codec.ParseType(p.logical)
	check(t, err)
	tg := &target{name: "plain", reads: reads{
		sealed: []string{"sealed"}, plain: []plainColumn{{"c", logical}}, beside: []string{"who"}, writes: true,
	}}
	check(t, p.walk.describe(t.Context(), p.db, tg))
	rows, err := p.walk.page(t.Context(), p.conn, tg, keys{}, 10)
	check(t, err)
	if len(rows) != 2 || rows[1].plain[0] != nil || rows[1].beside[0] != nil || *rows[0].beside[0] != "5" {
		t.Fatalf("got %+v", rows)
	}
	binary := bytes.Clone(p.binary(t, logical, rows[0].plain[0])) // the next page may lie where this one lay
	toNull := change{row: rows[0], fresh: [][]byte{[]byte("sealed")}, plainTo: []plainEdit{{set: true}}}
	if !p.write(t, tg, toNull) {
		t.Fatal("the row was not written")
	}
	// The row is no longer what was read: the same change is refused.
	if p.write(t, tg, toNull) {
		t.Fatal("a row that had changed was written")
	}
	emptied, err := p.walk.page(t.Context(), p.conn, tg, keys{}, 1)
	check(t, err)
	if emptied[0].plain[0] != nil || string(emptied[0].values[0]) != "sealed" {
		t.Fatalf("got %+v", emptied)
	}
	if !p.write(t, tg, change{row: emptied[0], fresh: [][]byte{nil}, plainTo: []plainEdit{{set: true, value: binary}}}) {
		t.Fatal("the row was not written back")
	}
	var same bool
	check(t, p.db.QueryRow("SELECT "+p.same+" FROM plain WHERE id = 1").Scan(&same))
	if !same {
		t.Fatal("the value did not come back as it was")
	}
	p.exec(t, "UPDATE plain SET who = 6 WHERE id = 1")
	if p.write(t, tg, change{row: emptied[0], fresh: [][]byte{[]byte("x")}}) {
		t.Fatal("a row whose tenant had changed was written")
	}
}
