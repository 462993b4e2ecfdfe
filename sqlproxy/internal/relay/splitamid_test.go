package relay_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// TestSplitQueriesAmidOtherMessages wants the server's answers, whatever stands before and behind; all of a script is sent at once.
func TestSplitQueriesAmidOtherMessages(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	through := proxy(t, direct, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t)).SplitAll()})
	twin := testpg.DSN(t)
	plain := connect(t, twin, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, plain, "CREATE TABLE patients (id int PRIMARY KEY, ssn text, age int, name varchar(45), note text); CREATE TABLE plain (id int PRIMARY KEY, note text)")
	seed := "INSERT INTO patients (id, ssn, age) VALUES (1, 'canary-1', 3), (2, 'canary-2', 4)"
	mustExec(t, plain, seed)
	mustExec(t, connect(t, through, pgx.QueryExecModeSimpleProtocol), seed)
	q := "Q SELECT id, ssn FROM patients ORDER BY id"
	for _, s := range [][]string{
		{q, q, q},
		{"Q SELECT ssn, 1/(id-2) FROM patients ORDER BY id", q},
		{"Q SELECT ssn, 1/0 FROM patients", q},
		{"Q BEGIN", "Q SELECT ssn, 1/0 FROM patients", q, "Q ROLLBACK", q},
		{"Q BEGIN", q, "Q SAVEPOINT a", "Q SELECT ssn, 1/0 FROM patients", "Q ROLLBACK TO a", q, "Q COMMIT"},
		{"Q LISTEN zz", q, "Q NOTIFY zz", q},
		{"Q SELECT ssn FROM patients WHERE id = 99", q},
		{"Q SET statement_timeout = 50", "Q SELECT ssn, pg_sleep(1) FROM patients", q},
		{q, "D 1\n", "C", q, "D x", "X", q},
		{"Q COPY plain FROM STDIN", "D 1\tx\n", "C", q, "Q DELETE FROM plain"},
		{"SELECT 1", q, "S", q},
		{"SELECT 1/0", q, "S", q},
		{"SELECT ssn FROM patients", q, "SELECT 2", "S", q},
		{"Q SELECT ssn FROM patients; SELECT 1/0", q},
		{"Q SET search_path = pg_catalog", q, "Q RESET search_path", q},
		{"Q SELECT ssn, (SELECT name FROM pg_prepared_statements) FROM patients", q},
		{"Q SET DateStyle = 'German'", "Q SELECT ssn, '2020-01-02'::date FROM patients"},
		{"Q SELECT ssn FROM patients FOR UPDATE", "Q BEGIN READ ONLY", "Q SELECT ssn FROM patients FOR UPDATE", q, "Q COMMIT"},
		{"Q DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM patients", "Q FETCH 1 FROM c", q, "Q FETCH 1 FROM c", "Q CLOSE c"},
		{"Q BEGIN", "Q DECLARE c CURSOR FOR SELECT ssn FROM patients", "Q FETCH 1 FROM c", "Q DO $$ BEGIN PERFORM 1; END $$", q, "Q FETCH 1 FROM c", "Q COMMIT"},
		{"Q SET default_transaction_isolation = 'serializable'", q, "Q BEGIN", q, q, "Q COMMIT"},
		{"Q TABLE patients", "Q VALUES ((SELECT ssn FROM patients WHERE id = 1))", "Q SELECT * FROM patients"},
		{"Q SELECT ssn FROM patients LIMIT 0", "Q (SELECT ssn FROM patients ORDER BY id)", q},
		{"Q SELECT ssn AS \"a b\", ssn FROM patients ORDER BY id;", "Q ;" + q[2:] + ";", "Q -- x\n" + q[2:]},
		{"Q SELECT $1, ssn FROM patients", q},
		{"Q SET bytea_output = escape", q, "Q SELECT ssn, '\\x00'::bytea FROM patients"},
		{"Q COPY (SELECT ssn FROM patients ORDER BY id) TO STDOUT", q},
	} {
		got := playAs(t, hijack(t, through), script(t, s), inFull)
		want := playAs(t, hijack(t, twin), script(t, s), inFull)
		if g, w := strings.Join(got, "\n  "), strings.Join(want, "\n  "); g != w {
			t.Errorf("%q\n got %s\n want %s", s, g, w)
		}
	}
}
