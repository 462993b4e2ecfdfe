package plan

import (
	"errors"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// A function of that name which somebody made may return whatever it likes.
func TestAnotherUnnestIsNotFollowed(t *testing.T) {
	conn, base := wServer(t)
	const sql = "INSERT INTO flat (id, email) SELECT * FROM unnest($1::int[], $2::text[])"
	if _, err := Analyze(&base, sql); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE SCHEMA mine;
		CREATE FUNCTION mine.unnest(int[], text[]) RETURNS TABLE (a int, b text) LANGUAGE sql AS 'SELECT 1, current_query()'`); err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.Load(t.Context(), wQuerier{conn}, base.Policy)
	if err != nil {
		t.Fatal(err)
	}
	base.Catalog, base.Path = snapshot, []string{"mine", "pg_catalog", "public"}
	var r *Refusal
	if _, err := Analyze(&base, sql); !errors.As(err, &r) || r.SQLState != notSupported {
		t.Errorf("got %v", err)
	}
}
