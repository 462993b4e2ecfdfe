package rotate

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPlainValuesComeInTheirBinaryFormAndGoBackByText reads values of all kinds, empties the columns and
// writes the values back.
func TestPlainValuesComeInTheirBinaryFormAndGoBackByText(t *testing.T) {
	for typ, value := range map[string]string{
		"text": `'a"b\c, {}'`, "varchar(9)": "'ü x'", "bigint": "-9000000000", "smallint": "7", "boolean": "true", "numeric": "'-1.50'",
		"double precision": "0.1", "date": "'2024-02-29'", "timestamptz": "'2024-10-27 02:30:00.000001+02'", "interval": "'1 mon -2 days 03:04:05.6'",
		"uuid": "'7b4e1b2c-0000-4000-8000-000000000001'", "bytea": `'\x00ff'`, "jsonb": `'{"a": [1, null]}'`, "inet": "'10.0.0.1/8'",
		"text[]": `'{"a b",NULL,"c\"d"}'`, "integer[]": "'{1,NULL,3}'",
	} {
		t.Run(typ, func(t *testing.T) {
			db, err := sql.Open("pgx", testpg.DSN(t))
			check(t, err)
			defer db.Close()
			p := plainTrip{
				db: db, walk: &postgres{}, bytes: "bytea", typ: typ, value: value, logical: typ,
				same: "c IS NOT DISTINCT FROM " + value + "::" + typ,
				binary: func(t *testing.T, logical codec.Type, read any) []byte {
					binary, _ := read.(field.Binary)
					if _, err := logical.EncodeBinary(nil, binary); err != nil || binary == nil {
						t.Fatalf("%v is not the value's binary form: %v", read, err)
					}
					return binary
				},
			}
			t.Run("database/sql", p.run)
			p.exec(t, "DROP TABLE plain")
			w := wireTo(t, db)
			defer w.close()
			p.conn = w
			t.Run("wire", p.run)
		})
	}
}

func TestKeysGoThroughTheJournalAndComeBackAsTheyWere(t *testing.T) {
	key := []any{int64(-5), uint64(1 << 63), 0.1, "ü\"x", "\xff\x00", []byte{0, 255}, ""}
	b, err := encodeKey(key)
	check(t, err)
	back, err := decodeKey(b, len(key))
	check(t, err)
	for i := range key {
		if a, ok := key[i].([]byte); ok {
			if !bytes.Equal(a, back[i].([]byte)) {
				t.Errorf("part %d: %v", i, back[i])
			}
		} else if key[i] != back[i] {
			t.Errorf("part %d: %v, want %v", i, back[i], key[i])
		}
	}
	for _, bad := range []string{"{}", `["i5"]x`, `["x5"]`, `["i"]`, `[""]`, `["i5","i6"]`, "null"} {
		if _, err := decodeKey([]byte(bad), 1); !errors.Is(err, errKey) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

// FuzzDecodeKey: whatever stands in the journal is refused or means one key.
func FuzzDecodeKey(f *testing.F) {
	f.Add([]byte(`["i5"]`))
	f.Add([]byte(`["t\u00fc"]`))
	f.Add([]byte(`["b/w=="]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := decodeKey(b, 1)
		if err != nil || key == nil {
			return
		}
		again, err := encodeKey(key)
		check(t, err)
		if _, err := decodeKey(again, 1); err != nil {
			t.Fatalf("%q became %q: %v", b, again, err)
		}
	})
}

func TestAnOwnerThatIsFencedCanNeitherMoveNorRenewNorReleaseItsRange(t *testing.T) {
	for dialect, open := range map[Dialect]func() (driver, dsn string){
		PostgreSQL: func() (string, string) { return "pgx", testpg.DSN(t) },
		SQLite:     func() (string, string) { return "sqlite", filepath.Join(t.TempDir(), "test.db") },
		MySQL:      func() (string, string) { return "mysql", testmysql.DSN(t) },
	} {
		t.Run(dialect.String(), func(t *testing.T) {
			db, err := sql.Open(open())
			check(t, err)
			defer db.Close()
			checkFencing(t, dialect, db)
		})
	}
}

func checkFencing(t *testing.T, dialect Dialect, db *sql.DB) {
	t.Helper()
	j, err := newJournal(dialect, db)
	check(t, err)
	check(t, j.install(t.Context()))
	split := func(context.Context) (int64, []span, error) {
		return 10, []span{{hi: []byte(`["i5"]`)}, {lo: []byte(`["i5"]`)}}, nil
	}
	id, joined, err := j.begin(t.Context(), entry{name: "n", kind: Rewrap, table: "t", spec: "{}", owner: "a"}, split)
	if err != nil || joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	same, joined, err := j.begin(t.Context(), entry{name: "n"}, nil)
	if err != nil || !joined || same != id {
		t.Fatalf("the equal job got %d, joined %v, %v", same, joined, err)
	}
	a, ok, _, err := j.claim(t.Context(), id, "a", time.Minute)
	if err != nil || !ok || a.no != 0 || a.cursor != nil || string(a.hi) != `["i5"]` {
		t.Fatalf("got %+v, %v, %v", a, ok, err)
	}
	b, ok, _, err := j.claim(t.Context(), id, "b", time.Minute)
	if err != nil || !ok || b.no != 1 {
		t.Fatalf("got %+v, %v, %v", b, ok, err)
	}
	if _, ok, left, err := j.claim(t.Context(), id, "c", time.Minute); err != nil || ok || left != 2 {
		t.Fatalf("a range that others hold was claimed: %v, %d left, %v", ok, left, err)
	}
	_, err = db.Exec(j.text("UPDATE {ranges} SET until_at = 0 WHERE no = 0"))
	check(t, err)
	c, ok, _, err := j.claim(t.Context(), id, "c", time.Minute)
	if err != nil || !ok || c.no != 0 || c.fence <= a.fence {
		t.Fatalf("got %+v, %v, %v", c, ok, err)
	}
	move := func(who claim, to advance) error {
		tx, err := db.Begin()
		check(t, err)
		if err := j.advance(t.Context(), tx, who, to, time.Minute); err != nil {
			check(t, tx.Rollback())
			return err
		}
		return tx.Commit()
	}
	if err := move(a, advance{cursor: []byte(`["i2"]`), counts: map[string]int64{"rows": 2}}); !errors.Is(err, ErrFenced) {
		t.Fatalf("the fenced owner moved the cursor: %v", err)
	}
	if _, err := j.renew(t.Context(), a, time.Minute, ""); !errors.Is(err, ErrFenced) {
		t.Fatalf("the fenced owner renewed: %v", err)
	}
	check(t, j.release(t.Context(), a))
	if _, ok, _, err := j.claim(t.Context(), id, "d", time.Minute); err != nil || ok {
		t.Fatalf("the fenced owner gave the range of the next one away: %v, %v", ok, err)
	}
	check(t, move(c, advance{cursor: []byte(`["i3"]`), counts: map[string]int64{"rows": 3}}))
	check(t, move(c, advance{cursor: []byte(`["i5"]`), done: true, counts: map[string]int64{"rows": 2, "key/x": 1}}))
	if done, err := j.finish(t.Context(), id); err != nil || done {
		t.Fatalf("a job with a range left is done: %v, %v", done, err)
	}
	check(t, move(b, advance{done: true, findings: make([]Finding, keptFindings+5)}))
	if done, err := j.finish(t.Context(), id); err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	s, err := j.read(t.Context(), id)
	if err != nil || s.Counts["rows"] != 5 || s.Counts["key/x"] != 1 || len(s.Findings) != keptFindings || s.Left != 0 || s.State != StateDone {
		t.Fatalf("got %+v, %v", s, err)
	}
}

func TestErrorsAreToldApartByWhatHelps(t *testing.T) {
	for name, c := range map[string]struct {
		dialect database
		err     error
		want    fault
	}{
		"a deadlock":                {&postgres{}, sqlState("40P01"), contended},
		"a serialization failure":   {&postgres{}, sqlState("40001"), contended},
		"a lock timeout":            {&postgres{}, sqlState("55P03"), contended},
		"a server that stops":       {&postgres{}, sqlState("57P01"), away},
		"a server that starts":      {&postgres{}, sqlState("57P03"), away},
		"a full disk":               {&postgres{}, sqlState("53100"), away},
		"too many connections":      {&postgres{}, sqlState("53300"), away},
		"a violated constraint":     {&postgres{}, sqlState("23514"), fatal},
		"no right":                  {&postgres{}, sqlState("42501"), fatal},
		"a lost connection":         {&postgres{}, sql.ErrConnDone, away},
		"an error of the program's": {&postgres{}, errors.New("x"), fatal},
		"a busy SQLite":             {&sqlite{}, sqliteCode(5 | 2<<8), contended},
		"a locked SQLite":           {&sqlite{}, sqliteCode(6), contended},
		"a full disk of SQLite":     {&sqlite{}, sqliteCode(13), away},
		"another error of SQLite":   {&sqlite{}, sqliteCode(1), fatal},
	} {
		if got := c.dialect.fault(c.err); got != c.want {
			t.Errorf("%s is %d, want %d", name, got, c.want)
		}
	}
}

type sqlState string

func (s sqlState) Error() string    { return "state " + string(s) }
func (s sqlState) SQLState() string { return string(s) }

type sqliteCode int

func (c sqliteCode) Error() string { return "code" }
func (c sqliteCode) Code() int     { return int(c) }
