package gormplugin_test

import (
	"errors"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/gormplugin"
)

// Each of these statements is stopped by one check alone.

// handsOut says whether a query that passes gives sealed bytes.
func handsOut(t *testing.T, l *lab, query string) (error, bool) {
	t.Helper()
	var rows []map[string]any
	err := l.Raw(query).Scan(&rows).Error
	for _, row := range rows {
		for _, v := range row {
			if b, ok := v.([]byte); ok && len(b) > 0 && b[0] == envelope.Magic {
				return err, true
			}
		}
	}
	return err, false
}

func TestAListOfColumnAliasesIsRefused(t *testing.T) {
	l := newLab(t, "postgres") // SQLite knows no such lists
	p := newPerson(1)
	must(t, l.Create(&p).Error)
	// The second column is the name, under the name of a plain column.
	for _, query := range []string{
		"SELECT photo FROM people AS x(a, photo, c, d, e, f, g, h, i)",
		"SELECT photo FROM people x(a, photo, c, d, e, f, g, h, i)",
		"SELECT x.photo FROM members m RIGHT JOIN people AS x(a, photo, c, d, e, f, g, h, i) ON true",
	} {
		if err, out := handsOut(t, l, query); !errors.Is(err, gormplugin.ErrStatement) || out {
			t.Errorf("%s: error %v, sealed bytes: %v", query, err, out)
		}
	}
}

func TestAUnionHandsOutNoSealedBytesUnderPlainNames(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		query := `SELECT id, photo AS b, photo AS c, photo AS d, photo AS e, photo AS f, city, photo AS g, updated_at
			FROM people WHERE id < 0 UNION ALL SELECT * FROM people`
		if err, out := handsOut(t, l, query); !errors.Is(err, gormplugin.ErrStatement) || out {
			t.Errorf("error %v, sealed bytes: %v", err, out)
		}
	})
}

func TestAJoinOfSealedTablesReadsNothingUnsealed(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		l.withoutGuards(t)
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		must(t, l.Create(&member{ID: p.ID, OrgID: "acme", Email: canary}).Error)
		read := func() error {
			var rows []map[string]any
			return l.Raw("SELECT * FROM people p JOIN members m ON m.id = p.id").Scan(&rows).Error
		}
		must(t, read())
		must(t, l.stock.Exec("UPDATE members SET email = ?", []byte("in clear")).Error)
		if err := read(); err == nil {
			t.Error("a value that is not sealed passed")
		}
	})
}

// A function may go by a sealed table's name, and give anything.
func TestAFunctionUnderATablesName(t *testing.T) {
	l := newLab(t, "postgres")
	p := newPerson(1)
	must(t, l.Create(&p).Error)
	must(t, l.stock.Exec("CREATE FUNCTION f() RETURNS SETOF people LANGUAGE sql AS 'SELECT * FROM people'").Error)
	must(t, l.stock.Exec(`CREATE FUNCTION g() RETURNS TABLE (id bigint, name bytea) LANGUAGE sql AS $$ SELECT 900::bigint, 'canary'::bytea $$`).Error)
	for _, query := range []string{
		"SELECT name FROM f() AS people", "SELECT people.name FROM f() people", "SELECT * FROM f() AS people",
		"SELECT name FROM members m RIGHT JOIN f() AS people ON true", "SELECT name FROM ROWS FROM (f()) AS people",
		"SELECT name FROM f() WITH ORDINALITY AS people",
	} {
		if _, out := handsOut(t, l, query); out {
			t.Errorf("%s: sealed bytes came back", query)
		}
	}
	if err, _ := handsOut(t, l, "SELECT people FROM f() AS people"); !isRefusal(err) {
		t.Errorf("a whole row: %v", err)
	}
	for _, write := range []string{
		"INSERT INTO people (id, name) SELECT id, name FROM g() AS people",
		"INSERT INTO people (id, name) SELECT people.id, people.name FROM g() AS people",
		"INSERT INTO people (id, name) SELECT people.id, people.name FROM g() people, members m",
		"UPDATE people SET name = people.name FROM g() AS people",
	} {
		if err := l.Exec(write).Error; !isRefusal(err) {
			t.Errorf("%s: %v", write, err)
		}
	}
	l.mustHideCanaries(t)
}

func TestATableAnywhereInFromIsKnown(t *testing.T) {
	l := newLab(t, "postgres")
	p := newPerson(1)
	must(t, l.Create(&p).Error)
	must(t, l.stock.Exec("CREATE TABLE places AS SELECT 1 AS id").Error)
	for _, from := range []string{
		"generate_series(1, 1) x, people p", "generate_series(1, 1) AS x(n), people p", "people p, generate_series(1, 1)",
		"json_to_record('{}') AS x(a int, b text), people p", "generate_series(1, 1) WITH ORDINALITY AS x(n, o), people p",
		"LATERAL generate_series(1, 1) x JOIN people p ON true", "places a JOIN places b ON a.id = b.id, people p",
		"places TABLESAMPLE system (100), people p", "places *, people p", "ONLY (places), people p", "places a CROSS JOIN places b, people p",
		"(places a JOIN places b ON true), people p", "places, (places b CROSS JOIN people p)", "(SELECT 1) x, people p",
	} {
		var name string
		if err := l.Raw("SELECT p.name FROM " + from).Scan(&name).Error; err != nil || name != p.Name {
			t.Errorf("%s: got %q, error %v", from, name, err)
		}
		if err := l.Raw("SELECT p.id FROM " + from + " WHERE p.name > 'x'").Scan(&name).Error; !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("%s: a condition: %v", from, err)
		}
	}
}
