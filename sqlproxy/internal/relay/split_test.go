package relay_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// inFull gives all of an answer, but for where in the server's source an error comes from.
func inFull(t testing.TB, typ byte, body []byte) string {
	t.Helper()
	switch typ {
	case 'E', 'N':
		fields, err := wire.ReadFields(body)
		if err != nil {
			t.Fatal(err)
		}
		word := string(typ)
		for _, f := range fields {
			if !strings.ContainsRune("FLR", rune(f.Type)) {
				word += fmt.Sprintf(" %c=%s", f.Type, f.Value)
			}
		}
		return word
	case 'S':
		return fmt.Sprintf("S %q", body)
	case 'A':
		return fmt.Sprintf("A %q", body[4:]) // without the process id
	}
	return describe(t, typ, body)
}

// beside are functions and views that do more than to read.
const beside = `CREATE FUNCTION shout(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
	RAISE NOTICE 'row %', n; PERFORM set_config('application_name', 'heard', false); RETURN n; END $$;
CREATE VIEW loud AS SELECT id, ssn, shout(id) AS n FROM patients;
CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION two(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO later VALUES (1), (1); RETURN n; END $$;
CREATE VIEW twice AS SELECT id, ssn, two(id) AS n FROM patients`

const twinDDL = `CREATE TABLE patients (id int PRIMARY KEY, ssn text, age int, name varchar(45), note text);
CREATE TABLE plain (id int PRIMARY KEY, note text)`

const someRows = "INSERT INTO plain VALUES (1, 'one'); INSERT INTO patients (id, ssn, age, name) VALUES (1, 'canary-1', 31, 'Nora'), (2, 'canary-2', NULL, NULL), (3, 'canary-3', 33, 'Ed')"

// splits are scripts as of the test of what does not open. Behind each stands what the server gets: a Query, the messages that
// it is split into, or both where an error came between; "" is not looked at.
type splitTest struct {
	name  string
	steps []string
	sent  string
}

var splits = []splitTest{
	{"rows", []string{"Q SELECT id, ssn, age, name, note FROM patients ORDER BY id"}, "PBDECCS"},
	{"no rows", []string{"Q SELECT ssn, note FROM patients WHERE id = 99"}, "PBDECCS"},
	{"star", []string{"Q SELECT * FROM patients ORDER BY id;"}, "PBDECCS"},
	{"table", []string{"Q TABLE patients"}, "PBDECCS"},
	{"with", []string{"Q WITH p AS (SELECT ssn FROM patients WHERE id = 1) SELECT ssn FROM p -- no more"}, "PBDECCS"},
	{"with and a table", []string{"Q WITH p AS (SELECT id, ssn FROM patients WHERE id = 1) TABLE p"}, "PBDECCS"},
	{"union", []string{"Q (SELECT ssn FROM patients WHERE id = 1) UNION ALL SELECT ssn FROM patients WHERE id = 3"}, "PBDECCS"},
	{"constant", []string{"Q /* hello */ SELECT id, ssn FROM patients WHERE ssn = 'canary-3'"}, "PBDECCS"},
	{"lock", []string{"Q SELECT ssn FROM patients WHERE id = 1 FOR UPDATE"}, "PBDECCS"},
	{"one behind the other", []string{"Q " + good, "Q " + good, "Q SELECT 1", "Q " + good}, "PBDECCSPBDECCSQPBDECCS"},
	{"nothing sealed in the result", []string{"Q SELECT id FROM patients WHERE ssn = 'canary-2'"}, "Q"},
	{"several", []string{"Q " + good + "; " + good}, "Q"},
	{"explain", []string{"Q EXPLAIN (COSTS off) " + good}, "Q"},
	{"parameter", []string{"Q SELECT ssn FROM patients WHERE id = $1"}, "Q"},
	{"time", []string{"Q SELECT ssn, statement_timestamp() = now() FROM patients WHERE id = 1"}, "Q"},
	{"portals", []string{"Q SELECT ssn, (SELECT count(*) FROM pg_cursors) FROM patients WHERE id = 1"}, "Q"},
	{"cursor in binary", []string{"Q BEGIN", "Q DECLARE c BINARY CURSOR FOR SELECT id, ssn FROM patients ORDER BY id", "Q FETCH 2 FROM c"}, "QQQ"},

	{"error of the analysis", []string{"Q SELECT ssn,\n nonsense('é', note) FROM patients", "Q " + good}, ""},
	{"error of the plan", []string{"Q SELECT ssn, 1/0 FROM patients"}, "PBDECCSQ"},
	{"error in a row", []string{"Q SELECT ssn, 1/(id - 2) FROM patients ORDER BY id", "Q " + good}, "PBDECCSQPBDECCS"},
	{"error in a block", []string{"Q BEGIN", "Q SELECT ssn, 1/(id - 2) FROM patients ORDER BY id", "Q " + good, "Q ROLLBACK"}, ""},
	{"error behind constants", []string{"Q SELECT ssn, 1/(id - 3) FROM patients WHERE ssn IN ('canary-1', 'canary-3') AND note::int IS NULL ORDER BY id"}, "PBDECCSQ"},
	{"error with a position", []string{"Q SELECT ssn FROM patients WHERE ssn = 'canary-1' AND note = 'a' + 1"}, "PBDECCS"},
	{"time-out", []string{"Q SET statement_timeout = '20ms'", "Q SELECT ssn, pg_sleep(60) FROM patients", "Q " + good}, "QPBDECCSQPBDECCS"},
	{"savepoint", []string{"Q BEGIN", "Q SAVEPOINT a", "Q SELECT ssn, 1/(id - 1) FROM patients", "Q ROLLBACK TO a", "Q " + good, "Q COMMIT"}, ""},

	{"settings", []string{"Q SET plan_cache_mode = force_custom_plan", "Q BEGIN", "Q SET LOCAL plan_cache_mode = force_generic_plan", "Q " + good, "Q SHOW plan_cache_mode", "Q COMMIT", "Q SHOW plan_cache_mode"}, ""},
	{"snapshot", []string{"Q BEGIN ISOLATION LEVEL REPEATABLE READ", "Q " + good, "Q SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "Q ROLLBACK"}, ""},

	{"no unnamed statement is left", []string{"SELECT 1", "S", "Q " + good, "bind"}, ""},
	{"nor by an error", []string{"SELECT 1", "S", "Q SELECT ssn, 1/(id - 1) FROM patients", "bind"}, ""},
	{"nor by an error of the plan", []string{"SELECT 1", "S", "Q SELECT ssn, 1/0 FROM patients", "bind"}, ""},
	{"nor by an error of the analysis", []string{"SELECT 1", "S", "Q SELECT ssn FROM patients WHERE note = 'a' + 1", "bind"}, ""},
	{"nor by an error in a block", []string{"Q BEGIN", "Q SELECT ssn, 1/(id - 1) FROM patients", "Q ROLLBACK", "bind"}, ""},
	{"no unnamed portal is left", []string{"Q BEGIN", "SELECT 1", "S", "Q " + good, "execute"}, ""},
	{"no portal keeps the table", []string{"Q BEGIN", "Q " + good, "Q TRUNCATE patients", "Q ROLLBACK"}, ""},
	{"named ones stay", []string{"Q BEGIN", "named", "Q " + good, "named again"}, ""},
	{"within a pipeline", []string{"INSERT INTO plain VALUES (2, 'x')", "Q " + good, "S", "Q SELECT * FROM plain ORDER BY id"}, ""},
	{"within a pipeline that has failed", []string{"SELECT 1/0", "Q " + good, "S", "Q " + good}, ""},
	{"behind a pipeline that has failed", []string{"SELECT 1/0", "SELECT 1", "S", "Q " + good}, "PBDEPBDESPBDECCS"},
	{"before a pipeline", []string{"Q " + good, "SELECT 1", "SELECT 2", "S", "Q " + good}, "PBDECCSPBDEPBDESPBDECCS"},
	{"block in a pipeline", []string{"BEGIN", "S", "Q " + good, "Q SELECT * FROM patients WHERE id = 1", "SELECT 1", "S", "COMMIT", "S"}, ""},
}

var splitsBeside = []splitTest{
	{"error at the end of the transaction", []string{"Q SELECT ssn, n FROM twice WHERE id = 1", "Q SELECT * FROM later"}, "PBDECCSQQ"},
	{"the same in a block", []string{"Q BEGIN", "Q SELECT ssn, n FROM twice WHERE id = 1", "Q COMMIT"}, ""},
	{"what comes between", []string{"Q LISTEN news", "Q NOTIFY news", "Q SELECT ssn, n FROM loud ORDER BY id", "Q SHOW application_name"}, "QQPBDECCSQ"},
}

// splitScript is script with further steps.
func splitScript(t testing.TB, steps []string) (out []byte) {
	t.Helper()
	for _, s := range steps {
		switch s {
		case "bind":
			out = append(out, encode(t, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
		case "execute":
			out = append(out, encode(t, &pgproto3.Execute{}, &pgproto3.Sync{})...)
		case "named":
			out = append(out, encode(t, &pgproto3.Parse{Name: "a", Query: "SELECT note FROM plain"},
				&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "a"}, &pgproto3.Sync{})...)
		case "named again":
			out = append(out, encode(t, &pgproto3.Execute{Portal: "p"}, &pgproto3.Describe{ObjectType: 'S', Name: "a"}, &pgproto3.Sync{})...)
		default:
			out = append(out, script(t, []string{s})...)
		}
	}
	return out
}

// TestASplitQueryIsAnsweredAsAQuery has the same answers, in full, from a plain table on a direct connection.
func TestASplitQueryIsAnsweredAsAQuery(t *testing.T) { compareSplits(t, "SELECT", splits) }

func TestASplitQueryMayRunCode(t *testing.T) { compareSplits(t, beside, splitsBeside) }

func compareSplits(t *testing.T, ddl string, tests []splitTest) {
	direct, _ := sealed(t, &relay.Config{})
	r, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t)).SplitAll()})
	twin := testpg.DSN(t)
	mustExec(t, connect(t, twin, pgx.QueryExecModeSimpleProtocol), twinDDL+";"+ddl+";"+someRows)
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), ddl)
	mustExec(t, connect(t, through, pgx.QueryExecModeSimpleProtocol), someRows)
	for _, f := range tests {
		t.Run(f.name, func(t *testing.T) {
			want := playAs(t, hijack(t, twin), splitScript(t, f.steps), inFull)
			conn := hijack(t, through)
			// What the proxy asks before the first sealed statement is not looked at.
			if _, err := conn.Write(encode(t, &pgproto3.Query{String: good})); err != nil {
				t.Fatal(err)
			}
			readTo(t, conn, 'Z')
			r.types()
			got := playAs(t, conn, splitScript(t, f.steps), inFull)
			if g, w := strings.Join(got, "\n\t"), strings.Join(want, "\n\t"); g != w {
				t.Errorf("answers are\n\t%s\nwant\n\t%s", g, w)
			}
			// Where the database's code may change settings they are asked for again.
			if sent := strings.TrimSuffix(strings.ReplaceAll(r.types(), "PBECCS", ""), "SQQ"); f.sent != "" && sent != f.sent {
				t.Errorf("sent %s, want %s", sent, f.sent)
			}
		})
	}
}

// Where * stands for columns that the proxy does not know of, the Query is sent as it is.
func TestAStarMayStandForNewColumns(t *testing.T) {
	ctx := context.Background()
	direct, _ := sealed(t, &relay.Config{})
	r, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t)).SplitAll()})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, someRows)
	read := func(text string) (line string) {
		t.Helper()
		results, err := conn.PgConn().Exec(ctx, text).ReadAll()
		if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		for _, v := range results[0].Rows[0] {
			line += string(v) + ","
		}
		return line
	}
	const star = "SELECT * FROM patients WHERE ssn = 'canary-1'"
	for i, step := range []struct{ before, ddl, want, sent string }{
		{"", "SELECT", "1,canary-1,31,Nora,,", "PBDECCS"},
		{"", "ALTER TABLE patients ADD city text DEFAULT 'Rome'", "1,canary-1,31,Nora,,Rome,", "PBDECCSQ"},
		{"", "SELECT", "1,canary-1,31,Nora,,Rome,", ""}, // the catalog is read anew first
		{"", "ALTER TABLE patients DROP note", "1,canary-1,31,Nora,Rome,", "PBDECCSQ"},
		{"", "SELECT", "1,canary-1,31,Nora,Rome,", ""},
		{"BEGIN", "ALTER TABLE patients DROP city", "1,canary-1,31,Nora,", "Q"},
	} {
		if step.before != "" {
			mustExec(t, conn, step.before)
		}
		mustExec(t, conn, good)
		mustExec(t, conn, "SELECT 1")
		if step.before != "" {
			mustExec(t, conn, "COMMIT; BEGIN") // or else the table is locked
		}
		mustExec(t, raw, step.ddl)
		r.types()
		if got := read(star); got != step.want {
			t.Errorf("%d: %s, want %s", i, got, step.want)
		}
		if sent := r.types(); step.sent != "" && sent != step.sent {
			t.Errorf("%d: sent %s, want %s", i, sent, step.sent)
		}
	}
	mustExec(t, conn, "COMMIT")
}

// A value that does not open ends a split Query like another: in full, and with no statement left.
func TestASplitQueryMayNotOpen(t *testing.T) {
	raw, through := spoiledAs(t, relay.NewShared(patients(t), newCipher(t)).SplitAll())
	for _, f := range []struct{ steps, want string }{
		{"Q " + bad + "|bind", "E XX001, Z I, E 26000, Z I"},
		{"Q BEGIN|Q " + bad + "|Q ROLLBACK|bind", "C BEGIN, Z T, E XX001, Z E, C ROLLBACK, Z I, E 26000, Z I"},
		{"Q SELECT ssn, 1/(id - 3) FROM (SELECT id, ssn FROM patients ORDER BY id OFFSET 0) AS p|bind", "E XX001, Z I, E 26000, Z I"},
		{"Q BEGIN|Q SELECT ssn, 1/(id - 3) FROM (SELECT id, ssn FROM patients ORDER BY id OFFSET 0) AS p|Q ROLLBACK|bind", "C BEGIN, Z T, E XX001, Z E, C ROLLBACK, Z I, E 26000, Z I"},
		{"Q " + bad + "|Q " + good, "E XX001, Z I, C SELECT 1, Z I"},
	} {
		words := play(t, hijack(t, through), splitScript(t, strings.Split(f.steps, "|")))
		if got := brief(words); got != f.want {
			t.Errorf("%s: answers are\n\t%s\nwant\n\t%s", f.steps, got, f.want)
		}
	}
	if got := stands(t, raw); got != untouched {
		t.Errorf("the tables hold %q", got)
	}
}

// A text whose result was small is not split, until it is not small any more.
func TestSmallResultsAreNotSplit(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	r, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	for i := range 100 {
		mustExec(t, conn, fmt.Sprintf("INSERT INTO patients (id, ssn, note) VALUES (%d, 'canary-%d', 'n')", i, i))
	}
	for i, step := range []struct{ sql, sent string }{
		{"SELECT ssn FROM patients WHERE id < 1 AND note = 'n'", "PBDECCS"},
		{"SELECT ssn FROM patients WHERE id < 2 AND note = 'n'", "Q"},
		{"SELECT ssn FROM patients WHERE id < 98 AND note <> 'no n'", "PBDECCS"}, // another text
		{"SELECT ssn FROM patients WHERE id < 99 AND note <> 'mm'", "PBDECCS"},
		{"SELECT ssn FROM patients WHERE id < 100 AND note = 'n'", "Q"},
		{"SELECT ssn FROM patients WHERE id < 100 AND note = 'n'", "PBDECCS"},
		{"SELECT ssn FROM patients WHERE id < 3 AND note = 'n'", "PBDECCS"},
		{"SELECT ssn FROM patients WHERE id < 100 AND note = ''", "Q"},
		{"SELECT ssn FROM patients WHERE id < 3 AND note = 'n'", "Q"},
	} {
		r.types()
		mustExec(t, conn, step.sql)
		if sent := r.types(); i > 0 && sent != step.sent {
			t.Errorf("%d: sent %s, want %s", i, sent, step.sent)
		}
	}
}

// readTo reads answers up to one of a type.
func readTo(t testing.TB, conn io.Reader, typ byte) {
	t.Helper()
	for head := make([]byte, 5); head[0] != typ; {
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[1:]))-4); err != nil {
			t.Fatal(err)
		}
	}
}
