package relay_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// encoded connects with a client_encoding.
func encoded(t testing.TB, dsn, encoding string) *pgconn.PgConn {
	t.Helper()
	return connect(t, dsn+"&client_encoding="+encoding, pgx.QueryExecModeSimpleProtocol).PgConn()
}

// tryText runs a text of whatever bytes, and gives the first column of the last row, and the SQLSTATE.
func tryText(t testing.TB, conn *pgconn.PgConn, text string) (value, state string) {
	t.Helper()
	results, err := conn.Exec(context.Background(), text).ReadAll()
	for _, r := range results {
		for _, row := range r.Rows {
			value = string(row[0])
		}
	}
	return value, stateOf(err)
}

func TestACatalogIsOneForClientsInAnyEncoding(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	owner := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, owner, `CREATE VIEW übersicht AS SELECT id, ssn FROM patients; CREATE TABLE straße (z int) INHERITS (patients);
		CREATE FUNCTION arrow() RETURNS text LANGUAGE sql AS 'SELECT ''→'''; CREATE TABLE "→" (id int);
		INSERT INTO patients (id) VALUES (1)`)
	for _, encoding := range []string{"LATIN1", "SJIS", "SQL_ASCII"} {
		encoded(t, through, encoding) // is the first to read the catalog
		utf := connect(t, through, pgx.QueryExecModeSimpleProtocol)
		for _, text := range []string{
			`UPDATE übersicht SET ssn = 'canary-of-a-view' WHERE id = 1`,
			`INSERT INTO straße (id, ssn, z) VALUES (2, 'canary-of-a-child', 3)`,
		} {
			mustExec(t, utf, text)
		}
		var clear int
		mustScan(t, owner, `SELECT count(*) FROM patients WHERE ssn IS NULL OR position('canary'::bytea IN ssn) > 0`, &clear)
		if clear != 0 {
			t.Fatalf("behind a client in %s, %d rows are in clear", encoding, clear)
		}
		mustExec(t, utf, "DELETE FROM straße")
		mustExec(t, utf, "CREATE TABLE of_"+encoding+" (id int)")
	}
}

func TestEncodingsServeWhatIsPlain(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	owner := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, owner, `CREATE FUNCTION arrow() RETURNS text LANGUAGE sql AS 'SELECT ''→'''; CREATE TABLE "Ã¶" (ssn text)`)
	conn := encoded(t, through, "LATIN1")
	for _, c := range []struct{ text, value, state string }{
		{"INSERT INTO plain (id, note) VALUES (1, 'gr\xf6\xdfe') RETURNING note", "gr\xf6\xdfe", ""},
		{"CREATE TEMP TABLE own (id int)", "", ""},
		{"SELECT '\xc3\xb6' -- \xdf", "\xc3\xb6", ""},
		{"INSERT INTO patients (id, ssn) VALUES (1, 'canary')", "", "0A000"},
		{"SELECT ssn FROM patients", "", "0A000"},
		{"SELECT 1 AS gr\xf6\xdfe", "", "0A000"},
		{"SELECT ssn FROM \xc3\xb6", "", "0A000"}, // in UTF-8 it would be another name
		{"SET client_encoding TO UTF8", "", ""},
		{"INSERT INTO patients (id, ssn) VALUES (1, 'canary') RETURNING ssn", "canary", ""},
	} {
		if value, state := tryText(t, conn, c.text); value != c.value || state != c.state {
			t.Errorf("%q gives %q and SQLSTATE %q", c.text, value, state)
		}
	}
}

// backslash has characters in an encoding of which the last one's second byte is a backslash, in bytes that are UTF-8 too;
// then comes what is a string where the backslash is read as one.
func backslash(encoding string) string {
	characters := "\xe3\xa1\xa1\x5c"
	if strings.Contains(encoding, "JIS") {
		characters = "\xc3\x95\x5c"
	}
	return "SELECT E'" + characters + "' AS x; INSERT INTO patients (id, ssn) VALUES (9, 'canary') --'"
}

func TestACharacterMayEndWithABackslash(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	owner := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	set := map[string]string{
		"login": "", "SET": "SET client_encoding TO '%'", "SET NAMES": "SET NAMES '%'",
		"set_config": "SELECT set_config('client_encoding', '%', false)", "a block": "BEGIN; SET LOCAL client_encoding = '%'",
		"code": "DO $$ BEGIN SET client_encoding = '%'; END $$",
	}
	for _, encoding := range []string{"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"} {
		for how, text := range set {
			conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
			if text == "" {
				conn = encoded(t, through, encoding)
			} else if _, state := tryText(t, conn, strings.ReplaceAll(text, "%", encoding)); state != "" {
				t.Fatalf("%s: SQLSTATE %s", text, state)
			}
			if _, state := tryText(t, conn, backslash(encoding)); state != "0A000" {
				t.Errorf("%s by %s: SQLSTATE %q", encoding, how, state)
			}
			conn.Close(context.Background())
		}
	}
	var stored int
	if mustScan(t, owner, "SELECT count(*) FROM patients", &stored); stored != 0 {
		t.Errorf("%d rows were written", stored)
	}
}

func TestAnEncodingIsFollowedWithinAPipeline(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	for encoding, want := range map[string]string{"SJIS": "0A000", "LATIN1": ""} {
		conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
		batch := &pgconn.Batch{}
		batch.ExecParams("SET client_encoding TO "+encoding, nil, nil, nil, nil)
		batch.ExecParams("SELECT '\xb1'", nil, nil, nil, nil)
		_, err := conn.ExecBatch(context.Background(), batch).ReadAll()
		if state := stateOf(err); state != want {
			t.Errorf("%s: SQLSTATE %q, not %q", encoding, state, want)
		}
	}
}

func TestAnEncodingGoesWithItsTransaction(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
	for _, c := range []struct{ text, state string }{
		{"BEGIN", ""},
		{"SET client_encoding TO SJIS", ""},
		{"SELECT 'ö'", "0A000"},
		{"ROLLBACK", ""},
		{"SELECT 'ö'", ""},
		{"BEGIN; SET LOCAL client_encoding TO SJIS; COMMIT", ""},
		{"SELECT 'ö'", ""},
	} {
		if _, state := tryText(t, conn, c.text); state != c.state {
			t.Errorf("%q: SQLSTATE %q, not %q", c.text, state, c.state)
		}
	}
}

func TestAStatementIsNotRunInAnotherEncoding(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	ctx := context.Background()
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
	if _, err := conn.Prepare(ctx, "st", "INSERT INTO patients (id, ssn) VALUES (1, $1)", nil); err != nil {
		t.Fatal(err)
	}
	if _, state := tryText(t, conn, "SET client_encoding TO LATIN1"); state != "" {
		t.Fatal(state)
	}
	r := conn.ExecPrepared(ctx, "st", [][]byte{[]byte("gr\xc3\xb6")}, nil, nil).Read()
	if state := stateOf(r.Err); state != "0A000" {
		t.Errorf("SQLSTATE %q", state)
	}
}

// stateOf gives an error's SQLSTATE; "" where there is no error.
func stateOf(err error) string {
	var told *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &told):
		return told.Code
	}
	return err.Error()
}

func mustScan(t testing.TB, conn *pgx.Conn, sql string, into any) {
	t.Helper()
	if err := conn.QueryRow(context.Background(), sql).Scan(into); err != nil {
		t.Fatal(err)
	}
}
