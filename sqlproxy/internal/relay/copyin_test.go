package relay_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

const (
	row     = "D 500\tcanary-copy\n"
	patient = "COPY patients (id, ssn) FROM STDIN"
	// noColumn is an error when it runs for the server, and before that for the proxy.
	noColumn = "COPY patients (id, nosuch) FROM STDIN"
)

// copyScripts are sent at once, so that data comes before it is known what becomes of it. instead is
// what the plain table is asked where the proxy refuses.
var copyScripts = []struct {
	name  string
	steps []string
	// refused and instead: a step that the proxy refuses, and one that fails likewise.
	refused, instead string
}{
	{"column", []string{"Q " + noColumn, row, row, "C", "Q SELECT 1"}, "", ""},
	{"option", []string{"Q COPY patients (id, ssn) FROM STDIN (FORMAT nosuch)", row, "C", "Q SELECT 1"}, "Q COPY patients (id, ssn) FROM STDIN (FORMAT nosuch)", "Q SELECT stands_for_refused"},
	{"syntax", []string{"Q COPY patients (id, ssn) FORM STDIN", row, "C", "Q SELECT 1"}, "", ""},
	{"condition", []string{"Q COPY patients (id, ssn) FROM STDIN WHERE ssn > 'a'", row, "C", "Q SELECT 1"}, "Q COPY patients (id, ssn) FROM STDIN WHERE ssn > 'a'", "Q SELECT stands_for_refused"},
	{"failed", []string{"Q BEGIN", "Q SELECT 1/0", "Q " + patient, row, "C", "Q ROLLBACK"}, "", ""},
	{"extended", []string{noColumn, row, "C", "S", "Q SELECT 1"}, noColumn, "SELECT nosuch"},
	{"extended with a Sync before the data", []string{noColumn, "S", row, "C", "S", "Q SELECT 1"}, noColumn, "SELECT nosuch"},
	{"extended and unknown", []string{"COPY nosuch (id, ssn) FROM STDIN", row, "C", "S", row, "X", "Q SELECT 1"}, "", ""},
	{"stray", []string{"Q SELECT ssn FROM patients", row, "C", row, "Q SELECT 1", row, "X", "S", row, "SELECT 2", row, "C", "S", row}, "", ""},
	{"stray without Sync", []string{"SELECT 1", row, "SELECT 2", row, "C", "S"}, "", ""},
	{"taken", []string{"Q " + patient, row, "C", "Q SELECT id, ssn FROM patients", row}, "", ""},
	{"taken, extended", []string{patient, row, "C", "SELECT id, ssn FROM patients", "S"}, "", ""},
	{"taken, with a Sync before the data", []string{patient, "S", row, "C", "S", "SELECT id, ssn FROM patients", "S"}, "", ""},
	{"a Sync amid the data", []string{patient, row, "S", "F", "D 501\tcanary-more\n", "C", "S", "SELECT id, ssn FROM patients", "S"}, "", ""},
	{"a Sync amid plain data", []string{"COPY plain FROM STDIN", "D 500\tx\n", "S", "F", "D 501\ty\n", "C", "S", "SELECT id FROM plain", "S"}, "", ""},
	{"a Sync behind a bad line", []string{"COPY plain FROM STDIN", "D 500\tx\n", "F", "D x\ty\n", "S", "Q SELECT 1", "SELECT 2", "S"}, "", ""},
	{"a Sync behind a bad line, then the end", []string{"COPY plain FROM STDIN", "D x\ty\n", "S", "C", "SELECT id FROM plain", "S"}, "", ""},
	{"a Sync behind a bad line of sealed data", []string{"COPY patients (id, ssn) FROM STDIN", "D x\tcanary-bad\n", "S", "C", "SELECT id, ssn FROM patients", "S"}, "", ""},
	{"a Sync before a bad line", []string{"COPY plain FROM STDIN", "D 500\tx\n", "S", "D x\ty\n", "C", "SELECT 1", "S", "SELECT 2", "S"}, "", ""},
	{"a Sync behind a bad line of a Query", []string{"Q COPY plain FROM STDIN", "D x\ty\n", "S", "Q SELECT 1", "SELECT 2", "S"}, "", ""},
	{"Syncs amid the data and a COPY that ends", []string{"COPY plain FROM STDIN", "D 500\tx\n", "S", "S", "C", "SELECT id FROM plain", "S", "Q SELECT 1"}, "", ""},
	{"given up", []string{"Q " + patient, row, "X", row, "C", "Q " + patient, row, "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"plain and sealed", []string{"Q COPY plain FROM STDIN; " + patient, "D 500\tx\n", "C", row, "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"plain fails before sealed", []string{"Q COPY plain FROM STDIN; " + patient, "D x\tx\n", "C", row, "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"sealed fails before sealed", []string{"Q " + patient + "; " + patient, row, row, "C", "D 501\tcanary-more\n", "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"sealed behind a plain one that fails", []string{"Q COPY plain FROM STDIN", "D x\tx\n", "C", "Q " + patient, row, "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"csv with a marker amid a value", []string{"Q " + patient + " csv", "D 500,\"canary-a\n\\.\ncanary-b\"\n", "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"csv with data behind the marker", []string{
		"Q " + patient + " csv", "D 500,\"canary-a\n\\.\ncanary-b\"\n\\.\n501,canary-c\n", "D x,canary-d\n", "C", "Q SELECT id, ssn FROM patients",
	}, "", ""},
	{"csv with other line ends", []string{"Q " + patient + " csv", "D 500,canary-a\r\n\\.\r", "D \n501,canary-c\r\n", "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"text with data behind the marker", []string{"Q " + patient, row, "D \\.\n501\tcanary-c\n", "D x", "C", "Q SELECT id, ssn FROM patients"}, "", ""},
	{"skipped", []string{"SELECT 1/0", patient, row, "C", "S", "Q SELECT 1"}, "", ""},
	{"skipped, and one that fails later", []string{
		"SELECT 1/0", patient, "S", "Q SELECT 1", "Q " + patient + " (FREEZE)", row, "C", "Q SELECT 1", "SELECT 1/0", patient, row, "C", "S", "Q " + patient, row, "C",
	}, "", ""},
	{"prepared before the error", []string{"BEGIN", patient, row, "C", "SELECT 1/0", patient, row, "C", "S", row, "Q ROLLBACK", row, "C"}, "", ""},
}

// TestCopyDataIsSealedOrDropped wants the answers of a plain table, whatever data is for, and none of it in clear.
func TestCopyDataIsSealedOrDropped(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	tap, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	twin := testpg.DSN(t)
	nothing := proxy(t, twin, &relay.Config{Shared: empty(t)})
	plain, raw := connect(t, twin, pgx.QueryExecModeSimpleProtocol), connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, plain, "CREATE TABLE patients (id int PRIMARY KEY, ssn text, age int, name varchar(45), note text); CREATE TABLE plain (id int PRIMARY KEY, note text)")
	for _, f := range copyScripts {
		t.Run(f.name, func(t *testing.T) {
			mustExec(t, plain, "TRUNCATE patients, plain")
			mustExec(t, raw, "TRUNCATE patients, plain")
			steps := append([]string{}, f.steps...)
			got := play(t, hijack(t, through), script(t, steps))
			for i := range steps {
				if steps[i] == f.refused {
					steps[i] = f.instead
				}
			}
			want := play(t, hijack(t, twin), script(t, steps))
			wantWords(t, got, strings.Join(want, ", "))
			mustExec(t, plain, "TRUNCATE patients, plain")
			wantWords(t, play(t, hijack(t, nothing), script(t, steps)), strings.Join(want, ", "))
			if sent := tap.take(); strings.Contains(sent, "canary") || len(sent) == 0 {
				t.Errorf("the server got %q", sent)
			}
		})
	}
}

func TestDataOfARefusedCopyIsNotSent(t *testing.T) {
	ctx := context.Background()
	direct, _ := sealed(t, &relay.Config{})
	tap, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	data := strings.Repeat("500\tcanary-copy\n", 100000)
	for _, sql := range []string{noColumn, "COPY patients (id, ssn) FORM STDIN", "SELECT 1/0"} {
		if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(data), sql); err == nil {
			t.Errorf("%s: took data", sql)
		}
		mustExec(t, conn, "SELECT 1")
	}
	if n, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("500\tcanary-copy\n"), patient); err != nil || n.RowsAffected() != 1 {
		t.Errorf("copied %v, %v", n, err)
	}
	if strings.Contains(tap.take(), "canary") {
		t.Error("values are in clear on the way to the server")
	}
}

// What the proxy refuses of data for which the server has failed already is no error.
func TestARefusalOfDataIsNotTakenForALaterError(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	conn := hijack(t, through)
	if _, err := conn.Write(script(t, []string{"Q COPY patients (id, age) FROM STDIN", "D x\t7\n"})); err != nil {
		t.Fatal(err)
	}
	readTo(t, conn, 'E')
	got := play(t, conn, script(t, []string{"D 2\tno number\n", "C", "Q SELECT 1/0"}))
	wantWords(t, got[:3], `Z "I", E 22012, Z "I"`)
}

// A session that waits for what the server makes of its data ends with its server.
func TestASessionThatWaitsWithDataEnds(t *testing.T) {
	stats := new(relay.Stats)
	direct, through := sealed(t, &relay.Config{Stats: stats})
	lock := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, lock, "BEGIN")
	mustExec(t, lock, "LOCK TABLE patients")
	conn := hijack(t, through)
	if _, err := conn.Write(script(t, []string{"Q " + patient, row})); err != nil {
		t.Fatal(err)
	}
	var pid int
	watch := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	eventually(t, func() bool {
		return watch.QueryRow(context.Background(), "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY patients%'").Scan(&pid) == nil
	})
	mustExec(t, watch, "SELECT pg_terminate_backend($1)", pid)
	eventually(t, func() bool { return stats.Sessions.Load() == 0 })
}

// A client may wait for the answer to a Sync that it sent behind data which the server has not looked at yet.
func TestASyncBehindABadLineIsAnswered(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	for _, dsn := range []string{through, proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t)})} {
		conn := hijack(t, dsn)
		if _, err := conn.Write(script(t, []string{"Q CREATE TABLE few (id int)", "COPY few FROM STDIN", "F"})); err != nil {
			t.Fatal(err)
		}
		readTo(t, conn, 'G')
		if _, err := conn.Write(script(t, []string{"D x\n", "S"})); err != nil {
			t.Fatal(err)
		}
		readTo(t, conn, 'E')
		readTo(t, conn, 'Z')
		got := play(t, conn, script(t, []string{"SELECT 1", "S"}))
		if len(got) != 13 {
			t.Errorf("answers are %s", strings.Join(got, ", "))
		}
	}
}
