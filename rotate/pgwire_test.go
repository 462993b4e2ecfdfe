package rotate

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	_ "github.com/glebarez/go-sqlite"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/internal/testpg"
)

// wireTo takes a connection of the pool.
func wireTo(t *testing.T, db *sql.DB) *pgWire {
	t.Helper()
	c, err := db.Conn(t.Context())
	check(t, err)
	w := wireOn(c)
	if w == nil {
		t.Fatal("pgx's own connection is not to be used")
	}
	return w
}

func TestParametersGoAsPgxSendsThem(t *testing.T) {
	text := "a\x00b"
	for _, c := range []struct {
		oid   uint32
		value any
	}{
		{pgtype.Int8OID, int64(-2)},
		{pgtype.Int8OID, 7},
		{pgtype.TextOID, "ü"},
		{pgtype.TextOID, ""},
		{pgtype.Int8ArrayOID, pgtype.FlatArray[int64]{-1, 0, 1 << 40}},
		{pgtype.Int8ArrayOID, pgtype.FlatArray[int64]{}},
		{pgtype.BoolArrayOID, pgtype.FlatArray[bool]{true, false}},
		{pgtype.TextArrayOID, pgtype.FlatArray[string]{"", "NULL", text}},
		{pgtype.TextArrayOID, pgtype.FlatArray[*string]{nil, &text}},
		{pgtype.ByteaArrayOID, pgtype.FlatArray[[]byte]{nil, {}, {0, 255}}},
	} {
		want, err := pgtype.NewMap().Encode(c.oid, pgx.BinaryFormatCode, c.value, nil)
		check(t, err)
		got, ok := appendBinary([]byte("before"), c.value)
		got, found := bytes.CutPrefix(got, []byte("before"))
		if found && c.oid != pgtype.Int8OID && c.oid != pgtype.TextOID {
			got[7], want[7] = 0, 0 // of an array: whether there are NULLs, which the server finds out
		}
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("%v goes as %x, pgx sends %x", c.value, got, want)
		}
	}
	if _, ok := appendBinary(nil, 1.5); ok {
		t.Error("a float was taken for a parameter")
	}
}

func TestAConnectionIsAsItWasAfterErrorsAndWhenItGoesBack(t *testing.T) {
	db, err := sql.Open("pgx", testpg.DSN(t))
	check(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	w := wireTo(t, db)
	const query = "SELECT 12 / $1::bigint FROM generate_series(1, 3)"
	count := func(divisor int64, each func([][]byte) error) (n int, err error) {
		err = w.query(t.Context(), query, []any{divisor}, func(fields [][]byte) error {
			n++
			return each(fields)
		})
		return n, err
	}
	fine := func([][]byte) error { return nil }
	var state interface{ SQLState() string }
	if _, err := count(0, fine); !errors.As(err, &state) || state.SQLState() != "22012" {
		t.Errorf("got %v, want the server's error", err)
	}
	broken := errors.New("broken")
	if n, err := count(1, func([][]byte) error { return broken }); n != 1 || !errors.Is(err, broken) {
		t.Errorf("%d rows and %v, want one and the caller's error", n, err)
	}
	if n, err := count(1, fine); n != 3 || err != nil {
		t.Errorf("%d rows and %v after errors", n, err)
	}
	if err := w.query(t.Context(), query, []any{1.5}, fine); err == nil {
		t.Error("a parameter of another type was sent")
	}
	w.close()
	var left int
	check(t, db.QueryRow("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%generate_series%' AND statement NOT LIKE '%count%'").Scan(&left))
	if left != 0 {
		t.Errorf("%d statements stay prepared on a connection that went back", left)
	}
}

func TestRowsAreGoodUntilTheNextPageAndTellEmptyFromNull(t *testing.T) {
	db, err := sql.Open("pgx", testpg.DSN(t))
	check(t, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE people (tenant text, id int, name bytea, PRIMARY KEY (tenant, id));
		INSERT INTO people SELECT 'tenant ' || i % 2, i, CASE WHEN i % 3 > 0 THEN repeat(chr(64 + i % 26), i % 3 - 1 + (i % 3 - 1) * i)::bytea END FROM generate_series(1, 1000) AS i`)
	check(t, err)
	w, p := wireTo(t, db), &postgres{}
	defer w.close()
	tg := &target{name: "people", reads: reads{sealed: []string{"name"}, beside: []string{"tenant"}}}
	check(t, p.describe(t.Context(), db, tg))
	var after []any
	seen := 0
	for {
		rows, err := p.page(t.Context(), w, tg, keys{after: after}, 300)
		check(t, err)
		other, err := p.page(t.Context(), db, tg, keys{after: after}, 300)
		check(t, err)
		if len(rows) != len(other) {
			t.Fatalf("%d rows, by database/sql %d", len(rows), len(other))
		}
		for i := range rows {
			a, b := rows[i], other[i]
			if !slices.Equal(a.key, b.key) || *a.beside[0] != *b.beside[0] || !bytes.Equal(a.values[0], b.values[0]) || (a.values[0] == nil) != (b.values[0] == nil) {
				t.Fatalf("row %v came as %v, by database/sql as %v", a.key, a, b)
			}
		}
		if len(rows) == 0 {
			break
		}
		seen, after = seen+len(rows), slices.Clone(rows[len(rows)-1].key)
	}
	if seen != 1000 {
		t.Errorf("saw %d rows of 1000", seen)
	}
}

// TestOnlyPgxInItsDefaultModeIsSpokenToDirectly has the poolers' modes and other drivers go by database/sql.
func TestOnlyPgxInItsDefaultModeIsSpokenToDirectly(t *testing.T) {
	dsn := testpg.DSN(t)
	for _, mode := range []string{"cache_describe", "describe_exec", "exec", "simple_protocol"} {
		db, err := sql.Open("pgx", fmt.Sprintf("%s&default_query_exec_mode=%s", dsn, mode))
		check(t, err)
		defer db.Close()
		c, err := db.Conn(t.Context())
		check(t, err)
		if wireOn(c) != nil {
			t.Errorf("mode %s: prepared statements would be used", mode)
		}
		check(t, c.Close())
	}
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	check(t, err)
	defer db.Close()
	c, err := db.Conn(t.Context())
	check(t, err)
	defer c.Close()
	if wireOn(c) != nil {
		t.Error("SQLite's driver was taken for pgx")
	}
}
